"""A worker process that has a parent: what it tells it, what it is told, and what it does once that is gone."""

import signal
import socket
import threading
from typing import TYPE_CHECKING, Final

from kiqdoctor.runtime import log
from kiqdoctor.runtime.supervising import link
from kiqdoctor.runtime.supervising.link import Birth, Link, Message

if TYPE_CHECKING:
    from kiqdoctor.runtime.fetching.lease import Lease
    from kiqdoctor.runtime.launcher import Launcher
    from kiqdoctor.runtime.signals import Arrived

PULSE: Final = 1.0  # seconds


class Parent:
    """Our end of what lies between. The threads that hear and tell need the GIL, and so a pulse means something."""

    def __init__(self, birth: Birth) -> None:
        self.birth = birth
        self._link = Link(socket.socket(fileno=birth.fd))
        self._url = ""

    def start(self, launcher: "Launcher", arrived: "Arrived", url: str) -> None:
        """Before the launcher starts: it is to tell of its first lease."""
        self._url = url
        launcher.tenure.held = self.hold
        for target, name in ((self._hear, "kiq.parent"), (self._pulse, "kiq.pulse")):
            threading.Thread(target=target, args=(launcher, arrived), daemon=True, name=name).start()

    def hold(self, lease: "Lease") -> None:
        """This lease is ours: it is to be renewed."""
        self._link.say(hold={"identity": lease.identity, "lease": lease.key, "redis": self._url})

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
