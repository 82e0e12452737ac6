"""What the kernel says of a process's threads: their states, what they used, the system calls that they stand in.

Sources: proc(5) for stat and syscall, the kernel's tables of numbers (asm-generic/unistd.h, syscall_64.tbl). The last
two need the permission to read the process's memory, and are left out without it.
"""

import os
import platform
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kiqdoctor.doctor.facts.threads import FROZEN, Call
from kiqdoctor.probes.host.cgroups import frozen, groups, mounted
from kiqdoctor.probes.host.files import link, listed, read
from kiqdoctor.probes.host.sockets import address
from kiqdoctor.records import dataclass
from kiqdoctor.text import clean, decode

MOST: Final = 2_000  # threads
STATES: Final = {
    "R": "running", "S": "sleeping", "D": "disk sleep", "T": "stopped", "t": "tracing stop", "Z": "zombie", "X": "dead",
    "I": "idle",
}  # fmt: skip
NUMBERS: Final[Mapping[str, Mapping[int, str]]] = {
    "x86_64": {
        0: "read", 7: "poll", 23: "select", 35: "nanosleep", 42: "connect", 43: "accept", 45: "recvfrom", 47: "recvmsg",
        61: "wait4", 72: "fcntl", 73: "flock", 202: "futex", 230: "clock_nanosleep", 232: "epoll_wait", 270: "pselect6",
        271: "ppoll", 281: "epoll_pwait", 288: "accept4", 1: "write", 44: "sendto", 46: "sendmsg", 247: "waitid",
        219: "restart_syscall", 2: "open", 257: "openat", 34: "pause", 65: "semop", 128: "rt_sigtimedwait",
    },
    "aarch64": {
        22: "epoll_pwait", 25: "fcntl", 32: "flock", 63: "read", 64: "write", 72: "pselect6", 73: "ppoll", 95: "waitid",
        98: "futex", 101: "nanosleep", 115: "clock_nanosleep", 202: "accept", 203: "connect", 206: "sendto",
        207: "recvfrom", 211: "sendmsg", 212: "recvmsg", 242: "accept4", 260: "wait4",
        128: "restart_syscall", 56: "openat", 137: "rt_sigtimedwait", 193: "semop",
    },
}  # fmt: skip
READING: Final = frozenset({"read", "recvfrom", "recvmsg", "connect", "write", "sendto", "sendmsg"})
POLLING: Final = frozenset({"poll", "ppoll"})
ENDLESS: Final = 0xFFFFFFFF  # poll's -1 as 32 bits
LISTENING: Final = "0A"
NAMELESS: Final = "a unix socket"
LARGEST: Final = 64 * 1024  # bytes of what the kernel says of one thread: it may be in thousands of groups
DESCRIPTORS: Final = 4_096  # of one process, looked at


@dataclass(frozen=True, slots=True)
class Task:
    """A thread as the kernel sees it; ``cpu_s`` in seconds."""

    state: str
    cpu_s: float
    call: Call | None = None
    yields: int | None = None  # times that it gave up its core by itself
    at: int = 0  # of its call the first argument: of a futex where it lies


def tasks(pid: int, proc: Path) -> dict[int, Task]:
    """Threads by the numbers that the process itself knows them by, in its own PID namespace."""
    folder = proc / str(pid)
    space = _Space(folder)
    found: dict[int, Task] = {}
    for name in listed(folder / "task")[:MOST]:
        task = f"{folder}/task/{name}"
        status = _whole(f"{task}/status")
        one = _task(task, space, status)
        if one is not None:
            found[_inside(status, int(name))] = one
    return found


def _whole(path: str) -> bytes:
    """A file that the kernel makes up at once, in one read, for there are three to each of a thousand threads; b""
    where it cannot be read.
    """
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        try:
            return os.read(descriptor, LARGEST)
        finally:
            os.close(descriptor)
    except OSError:
        return b""


def state(pid: int, proc: Path) -> str:
    """The process's own state in the kernel's word, or that its control group is frozen; "" where it cannot be read.

    The kernel shows one that is frozen as asleep: with version 1 as in "disk sleep", with version 2 as ever.
    """
    if frozen(groups(proc / str(pid), mounted(proc))):
        return FROZEN
    cells = decode(read(proc / str(pid) / "stat") or b"").rpartition(")")[2].split()
    return STATES.get(cells[0], cells[0]) if cells else ""


def _inside(status: bytes, number: int) -> int:
    return _last(status, b"NSpid:") or number


def _last(status: bytes, name: bytes) -> int | None:
    begin = status.find(b"\n" + name) + 1
    words = status[begin : status.find(b"\n", begin)].split() if begin else []
    return int(words[-1]) if words[1:] else None


def _task(folder: str, space: "_Space", status: bytes) -> Task | None:
    cells = decode(_whole(f"{folder}/stat")).rpartition(")")[2].split()
    if len(cells) < 13:  # noqa: PLR2004 - the times are the 12th and 13th after the name
        return None
    ticks = int(cells[11]) + int(cells[12])
    words = decode(_whole(f"{folder}/syscall")).split()
    at = int(words[1], 16) if len(words) > 1 else 0
    yields = _last(status, b"voluntary_ctxt_switches:")
    return Task(STATES.get(cells[0], cells[0]), ticks / os.sysconf("SC_CLK_TCK"), space.call(words), yields, at)


class _Space:
    """A process's memory map and descriptors, read where a thread's call makes them of interest."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._python: tuple[tuple[int, int], ...] | None = None
        self._sockets: dict[str, str] | None = None

    def call(self, words: list[str]) -> Call | None:
        """What the line of ``syscall`` means; None for a thread that runs, or that we may not ask."""
        if len(words) < 7 or words[0] in {"running", "-1"}:  # noqa: PLR2004 - number and six arguments
            return None
        number, arguments = int(words[0]), [int(word, 16) for word in words[1:7]]
        name = NUMBERS.get(platform.machine(), {}).get(number, f"system call {number}")
        if name == "futex":
            endless = arguments[3] == 0
            return Call(name, endless, gil=not endless and self._of_python(arguments[0]))
        if name in READING:
            peer = self._peer(arguments[0])
            return Call(name, bool(peer), peer=peer)
        if name in POLLING:
            endless = (arguments[2] & ENDLESS) == ENDLESS if name == "poll" else arguments[2] == 0
            one = self._polled(arguments[0]) if arguments[1] == 1 else None
            return Call(name, endless, peer=self._peer(one) if one is not None else "")
        return Call(name)

    def _of_python(self, at: int) -> bool:
        """Whether an address lies in what Python itself keeps: its global lock is there, and no lock of a program."""
        if self._python is None:
            self._python = tuple(_python(decode(read(self._folder / "maps", 8 * 1024 * 1024) or b"")))
        return any(begin <= at < end for begin, end in self._python)

    def _polled(self, at: int) -> int | None:
        """The descriptor of the one ``struct pollfd`` at this address."""
        try:
            with (self._folder / "mem").open("rb", buffering=0) as memory:
                return int(struct.unpack("=i", os.pread(memory.fileno(), 4, at))[0])
        except (OSError, OverflowError, struct.error):
            return None

    def _peer(self, descriptor: int) -> str:
        """The other end of a socket; "" for anything else, and for one that others connect to."""
        target = link(self._folder / "fd" / str(descriptor)) or ""
        if not target.startswith("socket:["):
            return ""
        if self._sockets is None:
            self._sockets = _sockets(self._folder / "net")
        peer = self._sockets.get(target[8:-1], "")
        return "" if peer == NAMELESS and self._is_paired(int(target[8:-1])) else peer

    def _is_paired(self, inode: int) -> bool:
        """Whether the process has the other end too, as of a pair by which it wakes itself: the kernel numbers the two
        ends of a pair one after the other.
        """
        own = {link(self._folder / "fd" / one) for one in listed(self._folder / "fd")[:DESCRIPTORS]}
        return f"socket:[{inode - 1}]" in own or f"socket:[{inode + 1}]" in own


def _python(maps: str) -> list[tuple[int, int]]:
    """Ranges of the interpreter's own data: what is mapped of it for writing, and the zeroes that follow."""
    found: list[tuple[int, int]] = []
    ends = 0
    for line in maps.splitlines():
        cells = line.split(maxsplit=5)
        begin, _, end = cells[0].partition("-")
        span = (int(begin, 16), int(end, 16))
        name = cells[5].rpartition("/")[2] if len(cells) > 5 else ""  # noqa: PLR2004 - the path is the sixth
        if name.startswith(("libpython", "python")):
            ends = span[1]
            found += [span] if "w" in cells[1] else []
        elif not name and span[0] == ends:
            found.append(span)
    return found


def _sockets(folder: Path) -> dict[str, str]:
    """Inode -> other end, of TCP connections and of Unix sockets by their path."""
    found: dict[str, str] = {}
    for name in ("tcp", "tcp6"):
        for line in decode(read(folder / name, 32 * 1024 * 1024) or b"").splitlines()[1:]:
            cells = line.split()
            if len(cells) > 9 and cells[3] != LISTENING:  # noqa: PLR2004 - the inode is the tenth
                found[cells[9]] = address(cells[2])
    for line in decode(read(folder / "unix", 8 * 1024 * 1024) or b"").splitlines()[1:]:
        cells = line.split()
        if len(cells) > 6 and cells[3] != "00010000":  # noqa: PLR2004 - the inode is the seventh; those that listen
            found[cells[6]] = clean(cells[7]) if len(cells) > 7 else NAMELESS  # noqa: PLR2004 - the path
    return found
