"""The processes of this host, as facts."""

from dataclasses import dataclass, field


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
    ticks: int | None = None  # clock ticks that it has computed
    waited_s: float | None = None  # seconds that its threads waited for a core, from the scheduler
    caught: int | None = None  # bits of the signals that it handles
    core_bytes: int | None = None  # soft limit of a core file's size; -1: none
    settings: tuple[str, ...] | None = None  # which variables of interest its environment sets; None: not readable
    logs: tuple[str, ...] = ()  # files that it writes standard output and errors to, as it sees them
    frozen: bool = False  # by its cgroup's freezer, as a paused container
    throttled: tuple[int, int] | None = None  # periods in which its cgroup was throttled, of how many


@dataclass(frozen=True, slots=True)
class LocalProcesses:
    """Worker processes on this host. ``hidden`` counts processes whose details this user may not read."""

    hostname: str
    all: tuple[LocalProcess, ...] = ()
    hidden: int = 0
    pid_namespace: str = ""
    pids: frozenset[int] = field(default_factory=frozenset)  # every pid that exists here
    start_times: dict[int, float] = field(
        default_factory=dict
    )  # pid -> epoch seconds, of every process that may be seen
    addresses: tuple[str, ...] = ()  # this host's own IP addresses
    partial: str = ""  # why others may run here that cannot be seen
