"""What the threads of one process do at one moment, told by the process itself or read from outside.

From outside stacks are seen, and what the kernel says of each thread: jobs and pools are known where the process told
them.
"""

from typing import Final

from kiqdoctor.records import dataclass

FROZEN: Final = "frozen"
"""The state of a process whose control group is frozen; no word of the kernel's."""


@dataclass(frozen=True, slots=True)
class Frame:
    """One call; ``source`` is the line's text, empty where it is not known to be what runs."""

    function: str
    file: str
    line: int
    source: str = ""


@dataclass(frozen=True, slots=True)
class Thread:
    """One thread; ``frames`` innermost first, ``more_frames`` were left out.

    ``id`` is the name that the process gives it in Redis (base 36) where it is of our runtime, else Python's ident in
    hexadecimal. ``holds`` and ``waits`` are locks in words, the latter with who holds it. ``active`` (on CPU) and
    ``owns_gil`` are None where nobody looked. ``state`` is the kernel's word (proc(5)), ``cpu_s`` what it used so far,
    ``call`` the system call that it stands in; ``libraries`` the native ones that are innermost on its stack.
    """

    id: str
    name: str = ""
    frames: tuple[Frame, ...] = ()
    more_frames: int = 0
    job_class: str = ""
    jid: str = ""
    queue: str = ""
    running_s: float | None = None
    holds: tuple[str, ...] = ()
    waits: str = ""
    active: bool | None = None
    owns_gil: bool | None = None
    state: str = ""
    cpu_s: float | None = None
    call: "Call | None" = None
    libraries: tuple[str, ...] = ()
    yields: int | None = None  # how often it gave up its core by itself
    rests: bool = False  # its source says that what it waits for is no lock, or a signal that others give


@dataclass(frozen=True, slots=True)
class Call:
    """A system call that a thread stands in.

    ``endless``: it was given no time-out, as far as it shows. ``gil``: it is how Python waits for its global lock.
    ``peer`` is the other end of the socket that it reads (address:port, or a path), "" where it reads none.
    """

    name: str
    endless: bool = False
    gil: bool = False
    peer: str = ""


@dataclass(frozen=True, slots=True)
class Pool:
    """A connection pool: how many of its connections are taken, of how many at most."""

    name: str
    in_use: int
    size: int


@dataclass(frozen=True, slots=True)
class Threads:
    """A process at one moment (``at``, epoch seconds); ``deadlocks`` are cycles of thread ids, all of them probable.

    ``source`` is how it was read, ``note`` what it therefore cannot tell; ``more_threads`` were left out. ``state`` is
    the process's own, the kernel's word; "" where nobody looked. ``sure``: the cycles are the locks' own word.
    """

    identity: str
    at: float
    source: str
    threads: tuple[Thread, ...] = ()
    more_threads: int = 0
    pools: tuple[Pool, ...] = ()
    deadlocks: tuple[tuple[str, ...], ...] = ()
    note: str = ""
    state: str = ""
    sure: bool = False


@dataclass(frozen=True, slots=True)
class ProcessLooks:
    """One worker of this host, looked at several times; ``refused`` says why not, ``unlock`` what would help.

    ``silent``: it catches TTIN and wrote nothing although what it writes can be read.
    """

    pid: int
    looks: tuple[Threads, ...] = ()
    refused: str = ""
    unlock: str = ""
    silent: bool = False


@dataclass(frozen=True, slots=True)
class ThreadLooks:
    """Every worker of this host whose threads were asked for (``--deep``)."""

    all: tuple[ProcessLooks, ...] = ()
