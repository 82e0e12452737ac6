"""A worker process that has a parent: what it tells it, what it is told, and what it does once that is gone."""

import itertools
import signal
import socket
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import TYPE_CHECKING, Any, Final

from kiqdoctor.clock import boottime
from kiqdoctor.runtime import log
from kiqdoctor.runtime.middleware import Running
from kiqdoctor.runtime.supervising import link
from kiqdoctor.runtime.supervising.link import Birth, Link, Message
from kiqdoctor.text import clean
from kiqdoctor.wire.overrun import digest

if TYPE_CHECKING:
    from kiqdoctor.runtime.fetching.lease import Lease
    from kiqdoctor.runtime.job import Job
    from kiqdoctor.runtime.launcher import Launcher
    from kiqdoctor.runtime.signals import Arrived

PULSE: Final = 1.0  # seconds
SHOWN: Final = 64  # characters of a class and of a jid


class Parent:
    """Our end of what lies between. The threads that hear and tell need the GIL, and so a pulse means something."""

    def __init__(self, birth: Birth) -> None:
        self.birth = birth
        self._link = Link(socket.socket(fileno=birth.fd))
        self._url = ""
        self._numbers = itertools.count()

    def start(self, launcher: "Launcher", arrived: "Arrived", url: str) -> None:
        """Before the launcher starts: it is to tell of its first lease."""
        self._url = url
        launcher.tenure.held = self.hold
        if launcher.reliable:
            launcher.performer.watch = self.watch
        for target, name in ((self._hear, "kiq.parent"), (self._pulse, "kiq.pulse")):
            threading.Thread(target=target, args=(launcher, arrived), daemon=True, name=name).start()

    def hold(self, lease: "Lease") -> None:
        """This lease is ours: it is to be renewed."""
        keys = {"lease": lease.key, "overran": lease.overran}
        self._link.say(hold={"identity": lease.identity, "redis": self._url, **keys})

    def watch(self, job: "Job[Any, Any]", running: Running) -> AbstractContextManager[None]:
        """Around a run that is to be ended, if need be, by killing this process."""
        if job.options.timeout_kill and running.work is not None:
            return self._watched(job, running.work.payload, running.jid)
        return nullcontext()

    @contextmanager
    def _watched(self, job: "Job[Any, Any]", payload: bytes, jid: str) -> Iterator[None]:
        number = next(self._numbers)
        seconds = job.options.timeout or 0.0
        told = {"what": f"{job.shown[:SHOWN]} {clean(jid)[:SHOWN]}", "seconds": seconds,
                "until": boottime() + seconds, "digest": digest(payload)}  # fmt: skip
        self._link.say(began={"number": number, **told})
        try:
            yield
        finally:
            self._link.say(over=number)

    def ready(self) -> None:
        """Jobs run from now on."""
        self._link.say(ready=True)

    def changed(self, name: str) -> None:
        """A source file was written."""
        self._link.say(changed=name)

    def _pulse(self, launcher: "Launcher", arrived: "Arrived") -> None:  # noqa: ARG002 - both threads are made alike
        wait = threading.Event()
        while not wait.wait(PULSE):
            processed, _ = launcher.board.totals()
            if not self._link.say(pulse={"processed": processed, "reason": launcher.not_live()}):
                return

    def _hear(self, launcher: "Launcher", arrived: "Arrived") -> None:
        while (said := self._link.hear()) is not None:
            for message in said:
                self._heard(message, launcher, arrived)
        log.warn("our parent is gone: our leases are renewed from here until running jobs have ended")
        arrived.put(-signal.SIGTERM)

    @staticmethod
    def _heard(message: Message, launcher: "Launcher", arrived: "Arrived") -> None:
        if link.RENEWED in message:
            launcher.tenure.renewed(float(message[link.RENEWED]))
        elif link.LOOK in message:
            launcher.look(str(message[link.LOOK]))
        elif link.FLEET in message:
            launcher.fleet = str(message[link.FLEET])
        elif message.get(link.DO) == link.STOP:
            arrived.put(-signal.SIGTERM)
        elif message.get(link.DO) == link.QUIET:
            arrived.put(-signal.SIGTSTP)
        elif message.get(link.DO) == link.HURRY:
            launcher.hurry()


def health(bind: str, birth: Birth | None) -> str:
    """Where this process answers health checks: siblings have the ports after the one that was named."""
    if not bind or birth is None or not birth.number:
        return bind
    host, colon, port = bind.rpartition(":")
    return f"{host}{colon}{int(port) + birth.number}" if int(port) else bind
