"""The processes of this host, as facts."""

from dataclasses import field

import msgspec

from kiqdoctor.records import dataclass


@dataclass(frozen=True, slots=True)
class LocalProcess:
    """One worker process of this host, as /proc shows it. None: this user may not see it."""

    pid: int
    kind: str  # "sidekiq", "kiqdoctor", "resque", "sidekiq-embedded"
    title: str = ""
    version: str = ""
    tag: str = ""
    busy: int | None = None
    concurrency: int | None = None
    stopping: bool = False
    state: str = ""  # R S D T Z
    ppid: int | None = None
    parent: str = ""  # the parent's comm
    parent_start_unix: float | None = None
    started_at: float = 0.0  # epoch seconds
    uid: int | None = None
    namespace_pids: tuple[int, ...] = ()  # outermost first; the last is the pid that it knows itself by
    cwd: str | None = None
    cwd_deleted: bool = False
    exe: str | None = None
    exe_deleted: bool = False
    deleted_libraries: tuple[str, ...] = ()
    release: str = ""  # the release directory that it runs from, if the layout shows one
    current_release: str = ""  # where the `current` link beside it points
    cgroup: str = ""
    redis: tuple[str, ...] = ()  # redacted URLs from its environment: host:port/db, with the variable's name in front
    sockets: tuple[tuple[str, str], ...] = ()  # local address:port, remote address:port
    unread_bytes: int = 0  # waiting in its sockets' receive queues
    unread: tuple[tuple[str, int], ...] = ()  # the sockets in which any wait, by local address:port
    threads: tuple[tuple[str, int], ...] = ()  # names of its threads, and how many bear each
    thread_count: int | None = None  # all of them; names are read of 500
    ticks: int | None = None  # clock ticks that it has computed
    waited_s: float | None = None  # seconds that its threads waited for a core, from the scheduler
    caught: int | None = None  # bits of the signals that it handles
    core_bytes: int | None = None  # soft limit of a core file's size; -1: none
    settings: tuple[str, ...] | None = None  # which variables of interest its environment sets; None: not readable
    logs: tuple[str, ...] = ()  # files that it writes standard output and errors to, as it sees them
    frozen: bool = False  # by its cgroup's freezer, as a paused container
    throttled: tuple[int, int] | None = None  # periods in which its cgroup was throttled, of how many
    home: str = ""  # the application's folder, by device and number; "" where it may not be seen
    default_redis: str = ""  # the one of ``redis`` that its library takes where the code names none
    namespace: str | None = None  # of our own worker, where its command names one
    host_names: tuple[str, ...] = ()  # what it may call its host, as its own root and environment have it


class WebProcess(msgspec.Struct, frozen=True):
    """A process of this host that serves web requests, and may push jobs; ``redis`` None: this user may not see it."""

    pid: int
    title: str
    home: str
    redis: tuple[str, ...] | None = None
    default_redis: str = ""


@dataclass(frozen=True, slots=True)
class LocalProcesses:
    """Worker processes on this host. ``hidden`` counts processes whose details this user may not read."""

    hostname: str
    all: tuple[LocalProcess, ...] = ()
    hidden: int = 0
    pid_namespace: str = ""
    uts_namespace: str = ""  # to which its host name belongs
    pids: frozenset[int] = field(default_factory=frozenset)  # of every process that lives here; a zombie has ended
    start_times: dict[int, float] = field(
        default_factory=dict
    )  # pid -> epoch seconds, of every process that may be seen
    addresses: tuple[str, ...] = ()  # this host's own IP addresses
    partial: str = ""  # why others may run here that cannot be seen
    cores: int = 1  # that this host has
    web: tuple[WebProcess, ...] = ()


class MemoryGroup(msgspec.Struct, frozen=True):
    """The control group whose memory a worker uses. None: this kernel does not say it, or it has no limit.

    ``oom_kills``: processes of the group that were killed for want of memory, ever. ``alone``: only workers, their
    parents and their children are in it, so that the counts are theirs.
    """

    pid: int
    name: str
    limit_bytes: int | None = None
    used_bytes: int | None = None
    oom_kills: int | None = None
    refusals: int | None = None  # how often the limit was met
    alone: bool = True


class MemoryGroups(msgspec.Struct, frozen=True):
    """Of each worker on this host; ``unseen``: pids whose group is not mounted where the doctor runs."""

    all: tuple[MemoryGroup, ...] = ()
    unseen: tuple[int, ...] = ()


class Unit(msgspec.Struct, frozen=True):
    """A service of systemd that runs a worker, as `systemctl show` tells it. None: it does not say."""

    name: str
    pid: int | None = None  # of its main process, the last one where none runs
    running: bool = False
    restarts: int | None = None
    result: str = ""  # why it ended last: success, oom-kill, signal, core-dump, exit-code...
    status: int | None = None  # exit status, or the signal, of its last main process
    since: float | None = None  # epoch seconds, of its last start
    stop_s: float | None = None  # TimeoutStopUSec; infinite where there is no end
    kill_mode: str = ""
    kill_signal: int | None = None
    core_bytes: int | None = None  # LimitCORESoft; -1: none
    group: str = ""  # its control group; "" where it has none now

    def holds(self, cgroup: str) -> bool:
        """Whether a process of this control group is its own; a user's manager has services of the same names."""
        if self.group:
            return cgroup == self.group or cgroup.startswith(f"{self.group}/")
        return self.name in cgroup.split("/") and "/user@" not in cgroup


class Units(msgspec.Struct, frozen=True):
    """Services whose command is a worker's. Absent where systemd does not run this host."""

    all: tuple[Unit, ...] = ()


class KernelEvent(msgspec.Struct, frozen=True):
    """A line of the kernel's log about a process that it ended. ``pid`` is of the outermost namespace, or a thread's.

    ``kind``: oom-kill, segfault or trap; ``library``: where the instruction lay; ``group``: of an oom-kill.
    """

    at: float  # epoch seconds
    kind: str
    pid: int
    name: str
    library: str = ""
    group: str = ""


class KernelLog(msgspec.Struct, frozen=True):
    """What of it the kernel still keeps, the oldest first; ``since`` is the time of the first line that it keeps."""

    events: tuple[KernelEvent, ...] = ()
    since: float | None = None
    source: str = "/dev/kmsg"


class Holder(msgspec.Struct, frozen=True):
    """A process that has a socket open, and as what. ``program``: what it executes; ``age_s``: since its start."""

    pid: int
    descriptor: int
    parent: int
    program: str
    age_s: float


class SharedSocket(msgspec.Struct, frozen=True):
    """One established connection that several processes have open: it was inherited over a fork."""

    local: str
    remote: str
    holders: tuple[Holder, ...]


class Owner(msgspec.Struct, frozen=True):
    """The process of this host at the other end of a connection that waits in Redis; ``pids``: outermost first.

    ``ports``: it listens there; ``others``: it has connections to others than Redis, for whom it may ask.
    """

    address: str  # of its own end
    pids: tuple[int, ...]
    parent: int
    program: str
    age_s: float
    ports: tuple[str, ...] = ()
    others: bool = False


class ForkedChild(msgspec.Struct, frozen=True):
    """A child of a worker that runs the worker's own image: it was forked, and has not executed anything since.

    ``threads``: threads of its parent that were there before it, and are still.
    """

    pid: int
    parent: int
    age_s: float
    threads: int


class Inheritance(msgspec.Struct, frozen=True):
    """What processes of this host have from others by fork; ``hidden``: kin of workers that may not be looked into."""

    sockets: tuple[SharedSocket, ...] = ()
    owners: tuple[Owner, ...] = ()  # of the clients that are blocked
    children: tuple[ForkedChild, ...] = ()
    hidden: tuple[int, ...] = ()
    partial: str = ""


class Debugging(msgspec.Struct, frozen=True):
    """What there is to look into a process with. ``core_pattern`` is the host's, for its containers too.

    ``ptrace_scope`` is Yama's, None where the kernel has none; ``privileged``: this user may attach to any process.
    """

    core_pattern: str = ""
    ptrace_scope: int | None = None
    privileged: bool = False
    uid: int = 0
    tools: tuple[str, ...] = ()  # of py-spy, gdb, rbspy, eu-stack


class Mapped(msgspec.Struct, frozen=True):
    """A library that a worker has mapped, by path and inode: the same file under two names is one."""

    path: str
    inode: str


class Libraries(msgspec.Struct, frozen=True):
    """Shared libraries of each worker on this host, by pid; ``unread``: those that may not be looked into."""

    by_pid: tuple[tuple[int, tuple[Mapped, ...]], ...] = ()
    unread: tuple[int, ...] = ()

    def of(self, pid: int) -> tuple[Mapped, ...]:
        """Those of one process."""
        return next((libraries for own, libraries in self.by_pid if own == pid), ())


class Unsent(msgspec.Struct, frozen=True):
    """Bytes that Redis sent to a client and that its kernel has not acknowledged; ``retries``: sent again so often."""

    client: str  # address:port
    waiting_bytes: int
    retries: int = 0


class SendQueues(msgspec.Struct, frozen=True):
    """Of the examined Redis' connections, where it runs on this host; ``silent``: addresses that answer no ARP."""

    all: tuple[Unsent, ...] = ()
    silent: tuple[str, ...] = ()
