"""One worker process as its parent knows it: started, spoken to, looked at, told to end."""

import json
import os
import signal
import socket
import sys
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from math import inf
from pathlib import Path
from typing import Any, Final

from kiqdoctor.runtime.supervising.link import VARIABLE, Birth, Link
from kiqdoctor.runtime.supervising.overrun import Overrun, Watched

PAGE: Final = os.sysconf("SC_PAGE_SIZE")
MIB: Final = 1024 * 1024
SYSTEMDS: Final = ("NOTIFY_SOCKET", "WATCHDOG_USEC", "WATCHDOG_PID")  # the parent's, who is the service's main process
STOPPED: Final = frozenset("Tt")


@dataclass
class Child:
    """``heard``: when it last said something, on the monotonic clock."""

    pid: int
    link: Link
    place: int
    started_at: float
    heard: float
    ready: bool = False
    wanted: bool = False  # a dump, before it was ready
    identity: str = ""
    processed: int = 0
    reason: str | None = None
    retired: bool = False  # another takes its place
    asked: bool = False  # to stop
    kill_at: float | None = None
    silent: bool = False  # and that was said
    stood_at: float = -inf  # when it was seen to stand still, last
    fleet: str = ""
    redis: str = ""
    overran: str = ""  # the key that tells which jobs it is killed for
    watched: dict[int, Watched] = field(default_factory=dict)
    overrun: "Overrun | None" = None

    def ask_to_stop(self, kill_at: float, *, retired: bool = False) -> None:
        """Gracefully; after that time it is killed."""
        self.asked, self.retired, self.kill_at = True, self.retired or retired, kill_at
        self.link.say(do="stop")

    def dump(self) -> None:
        """Ask for its stacks, once it listens: before that the signal would stop it."""
        self.wanted = not self.ready
        if self.ready:
            self.send(signal.SIGTTIN)

    def send(self, number: int) -> None:
        """As the kernel does."""
        with suppress(ProcessLookupError):
            os.kill(self.pid, number)

    @property
    def rss_mib(self) -> float:
        """What it has in memory; 0 where nobody may see."""
        with suppress(OSError, IndexError, ValueError):
            return int(Path(f"/proc/{self.pid}/statm").read_text("ascii").split()[1]) * PAGE / MIB
        return 0.0

    def catches(self, number: int) -> bool:
        """Whether it has a handler for this signal, which ends whoever has none."""
        with suppress(OSError, IndexError, ValueError):
            told = Path(f"/proc/{self.pid}/status").read_text("utf-8").partition("SigCgt:")[2].split()[0]
            return bool(int(told, 16) >> (number - 1) & 1)
        return False

    @property
    def stands_still(self) -> bool:
        """Whether somebody stopped it, by SIGSTOP or a debugger."""
        with suppress(OSError, IndexError):
            return Path(f"/proc/{self.pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0] in STOPPED
        return False


def spawn(words: Sequence[str], birth: Birth, environ: Mapping[str, str] = os.environ) -> Child:
    """A new one; the parent's end of its socket is read when something comes."""
    ours, theirs = socket.socketpair()
    number = theirs.fileno()
    os.set_inheritable(number, True)
    told = replace(birth, fd=number)
    kept = {name: value for name, value in environ.items() if name not in SYSTEMDS}
    try:
        pid = os.posix_spawn(sys.executable, list(words), {**kept, VARIABLE: told.encode()})
    finally:
        theirs.close()
    now = time.monotonic()
    return Child(pid, Link(ours), birth.number, now, now)


@dataclass
class End:
    """How a process ended."""

    status: int
    at: float = field(default_factory=time.time)

    @property
    def code(self) -> int:
        """The exit status, or the signal's number below zero."""
        return os.waitstatus_to_exitcode(self.status)

    @property
    def words(self) -> str:
        """For a person."""
        if self.code >= 0:
            return f"exit status {self.code}"
        try:
            name = signal.Signals(-self.code).name
        except ValueError:
            name = f"signal {-self.code}"
        return f"{name}, {self._core}" if name in CRASHES else name

    @property
    def _core(self) -> str:
        if not os.WCOREDUMP(self.status):
            return "no core was written: ulimit -c is 0, or core_pattern refuses"
        with suppress(OSError):
            return f"core written by {Path('/proc/sys/kernel/core_pattern').read_text('utf-8').strip()!r}"
        return "core written"


CRASHES: Final = frozenset({"SIGSEGV", "SIGABRT", "SIGBUS", "SIGILL", "SIGFPE", "SIGSYS", "SIGQUIT", "SIGTRAP"})


def fleet_words(**told: Any) -> str:
    """What is told in every child's beat."""
    return json.dumps(told, separators=(",", ":"))
