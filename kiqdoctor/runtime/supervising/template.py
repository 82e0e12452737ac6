"""The process that holds the imported application, and from which worker processes are forked: memory is shared.

What it forks is the parent's own child: the one in between ends at once, and Linux gives its children to the nearest
ancestor that takes them (prctl(2), PR_SET_CHILD_SUBREAPER).
"""

import ctypes
import select
import signal
import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import asdict
from selectors import EVENT_READ, BaseSelector
from typing import Final

from kiqdoctor.runtime import log
from kiqdoctor.runtime.supervising import link
from kiqdoctor.runtime.supervising.child import Child, End, spawn
from kiqdoctor.runtime.supervising.link import Birth, Link
from kiqdoctor.text import clean

PR_SET_CHILD_SUBREAPER: Final = 36
ANSWER: Final = 10.0  # seconds in which it forks: it does nothing else


class Template:
    """One of them at a time. ``lost`` says that there is none, and will be none: processes import for themselves."""

    def __init__(self, words: Sequence[str], redis: str | None, selector: BaseSelector) -> None:
        self._words, self._birth = words, Birth(0, template=True, redis=redis)
        self._selector = selector
        self._process: Child | None = None
        self._adopted = _adopts()
        self.lost = not self._adopted
        if self.lost:
            log.warn("--preload: this system lets nobody adopt a grandchild; each process imports for itself")

    @property
    def pid(self) -> int | None:
        """Of the process, where there is one."""
        return self._process.pid if self._process is not None else None

    @property
    def ready(self) -> bool:
        """Whether it can fork; where it is lost nobody has to wait for it."""
        return self.lost or (self._process is not None and self._process.ready)

    def start(self) -> None:
        """Where there is none, and is to be one."""
        if not self.lost and self._process is None:
            self._process = process = spawn(self._words, self._birth)
            self._selector.register(process.link, EVENT_READ, lambda: self._hear(process))

    def _hear(self, process: Child) -> None:
        if (said := process.link.hear()) is None:
            self._selector.unregister(process.link)
            return
        for message in said:
            process.ready = process.ready or link.READY in message
            if opened := message.get(link.OPENED):
                self.lost = True
                log.warn(f"--preload: opened before the fork: {clean(str(opened))}; each process imports for itself")

    def fork(self, birth: Birth) -> Child | None:
        """A new worker process; None where there is nothing to fork, or what there is does not answer."""
        process = self._process
        if process is None or not process.ready:
            return None
        ours, theirs = socket.socketpair()
        with theirs:
            told = process.link.hand(theirs.fileno(), fork=asdict(birth))
        pid = _born(process.link) if told else 0
        if not pid:
            ours.close()
            self.close()
            return None
        now = time.monotonic()
        return Child(pid, Link(ours), birth.number, now, now)

    def ended(self, end: End) -> int:
        """It is gone; its exit status where it never was ready, for which the application is to blame, else 0."""
        process, self._process = self._process, None
        if process is None:
            return 0
        with suppress(KeyError, ValueError):
            self._selector.unregister(process.link)
        process.link.close()
        if self.lost or process.asked:
            return 0
        self.lost = True
        if process.ready or end.code <= 0:
            log.warn(f"--preload: process {process.pid} ended: {end.words}; from here each process imports for itself")
            return 0
        return end.code

    def renew(self) -> None:
        """From what lies on disk now."""
        self.lost = not self._adopted
        self.close()

    def close(self) -> None:
        """It may go: it holds nothing that is anybody's."""
        if self._process is not None:
            self._process.asked, self._process.ready = True, False
            self._process.send(signal.SIGKILL)


def _born(end: Link) -> int:
    """The pid that it answers; 0 where it does not."""
    said = end.hear() if select.select([end], [], [], ANSWER)[0] else None
    return next((int(message[link.BORN]) for message in said or () if link.BORN in message), 0)


def _adopts() -> bool:
    """Whether we take our grandchildren in from now on."""
    try:
        return bool(ctypes.CDLL(None).prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0)
    except (OSError, AttributeError):
        return False
