"""Worker processes: what their heartbeats say, and what this host's /proc says."""

from collections.abc import Sequence
from functools import cached_property

import msgspec

from kiqdoctor.records import dataclass
from kiqdoctor.wire.recovery import RecoveryEntry


@dataclass(frozen=True, slots=True)
class InFlight:
    """One job that a process said it was running."""

    thread: str
    queue: str
    jid: str
    job_class: str
    run_at: float | None  # epoch seconds
    deaths: int = 0  # of processes that had it in flight, as our runtime counts them in the payload


@dataclass(frozen=True, slots=True)
class Process:
    """One member of ``processes``. ``exists`` False: the member has no hash (a ghost). Times are epoch seconds."""

    identity: str
    exists: bool = True
    hostname: str = ""
    pid: int | None = None
    tag: str = ""
    version: str = ""  # info.version, Sidekiq >= 7.0.2; "" where it does not say
    runtime: str = ""  # info.runtime: names our own runtime
    started_at: float | None = None
    beat: float | None = None
    busy: int | None = None
    quiet: bool = False
    concurrency: int | None = None
    queues: tuple[str, ...] | None = None  # None: it does not say
    capsules: tuple[tuple[str, int], ...] = ()  # name, concurrency
    weights: tuple[tuple[tuple[str, int], ...], ...] = ()  # of each capsule's queues; 0 everywhere: in strict order
    labels: tuple[str, ...] = ()
    embedded: bool = False
    ttl_s: int | None = None  # of the hash
    in_flight_key: str = ""  # which of :work / :workers was found
    in_flight: tuple[InFlight, ...] = ()
    in_flight_ttl_s: int | None = None
    error: str = ""  # why the record could not be read
    beat_age_s: float | None = None  # by Redis' clock; by ours where TIME is refused, or where its host goes by ours
    reliable: bool = False  # it holds a private list: what it ran can be recovered
    rss_kb: int | None = None  # resident memory in KiB; None before 6.1.3
    deploy: str = ""  # what our runtime says it was deployed as; read by the live view
    rtt_us: int | None = None  # its last round trip to Redis in microseconds; None before 6.2
    processors: int | None = None  # threads that run jobs or wait for one, where it says so, as our own runtime does
    connections: int | None = None  # how many to Redis it may open, where it says so, as our own runtime does

    @property
    def orders(self) -> tuple[tuple[str, ...], ...]:
        """Queues of each capsule that takes them in strict order, the first first; before 7.0.3 nobody says it."""
        return tuple(tuple(name for name, _ in one) for one in self.weights if not any(weight for _, weight in one))

    def threads(self, queue: str) -> int | None:
        """Those of the capsules that take this queue. None: it does not say how many they are."""
        mine = self._taking(queue)
        if len(mine) == len(self.weights):
            return self.concurrency
        return sum(self.capsules[at][1] for at in mine) if len(self.capsules) == len(self.weights) else None

    def spare(self, queue: str) -> int | None:
        """Threads that could take a job of this queue now. None: it does not say how many its capsules have."""
        free = 0 if self.quiet else max(0, (self.concurrency or 0) - (self.busy or 0))
        mine, threads = self._taking(queue), self.threads(queue)
        if not free or len(mine) == len(self.weights):
            return free
        others = {name for at, one in enumerate(self.weights) if at not in mine for name, _ in one}
        theirs = others.difference(name for at in mine for name, _ in self.weights[at])
        running = max(0, (self.busy or 0) - sum(job.queue in theirs for job in self.in_flight))
        if threads is not None:
            return min(free, max(0, threads - running))
        return None if running else len(mine)  # a capsule that runs nothing has a thread at least

    def _taking(self, queue: str) -> list[int]:
        """Which capsules take it, by their place in ``weights``."""
        return [at for at, one in enumerate(self.weights) if any(name == queue for name, _ in one)]

    @property
    def live(self) -> bool:
        """Its beat is younger than 60 s, after which Sidekiq itself forgets it."""
        return self.exists and self.beat_age_s is not None and self.beat_age_s < LIVE_FOR

    @property
    def subject(self) -> str:
        """How findings name it."""
        return f"process:{self.identity}"

    @property
    def lasting(self) -> str:
        """How fingerprints name it: its next start has another pid and nonce."""
        return ":".join(word for word in ("process", self.hostname, self.tag) if word)


LIVE_FOR = 60.0  # seconds; Sidekiq's own TTL of the process hash


@dataclass(frozen=True)  # no slots: what is asked for each of thousands of queues is reckoned once
class Fleet:
    """Every process that registered. ``members`` counts the set; ``processes`` may be a sample of it."""

    processes: tuple[Process, ...] = ()
    members: int = 0
    partial: str = ""  # why not all were read
    orphaned_work: tuple[Process, ...] = ()  # in-flight hashes whose identity is not in the set
    by_ours: bool | None = None  # where Redis' clock and ours differ: whether beats go by ours; None: not told
    namespace: str = ""  # in which they registered

    @cached_property
    def live(self) -> tuple[Process, ...]:
        """Those with a fresh beat."""
        return tuple(process for process in self.processes if process.live)

    def takers(self, queue: str) -> Sequence[Process]:
        """The live processes that take this queue (its bare name); a quiet one takes nothing."""
        return self._takers.get(queue, ())

    @cached_property
    def _takers(self) -> dict[str, list[Process]]:
        takers: dict[str, list[Process]] = {}
        for one in self.live:
            for queue in dict.fromkeys(one.queues or ()) if not one.quiet else ():
                takers.setdefault(queue, []).append(one)
        return takers

    @property
    def ghosts(self) -> tuple[Process, ...]:
        """Members without a hash."""
        return tuple(process for process in self.processes if not process.exists)


@dataclass(frozen=True, slots=True)
class Recoveries:
    """Jobs that our runtime took back from the dead: all there ever were, and the last ones, newest first."""

    jobs: int = 0
    last: tuple[RecoveryEntry, ...] = ()


class LongJob(msgspec.Struct, frozen=True):
    """A job in flight for long: how long 95 of 100 of its class take, and where it stands if it is iterable.

    ``usual_s`` is the upper end of Sidekiq's histogram's bucket, infinite for its last; None: nobody recorded any.
    ``cursor`` changes while an iterable job moves; "" where it is none.
    """

    jid: str
    usual_s: float | None = None
    runs: int = 0
    cursor: str = ""


class LongJobs(msgspec.Struct, frozen=True):
    """Jobs in flight for more than ten minutes, the oldest first; ``partial``: how many more there are."""

    all: tuple[LongJob, ...] = ()
    partial: str = ""

    def of(self, jid: str) -> LongJob | None:
        """The one of this jid."""
        return next((one for one in self.all if one.jid == jid), None)


class PrivateList(msgspec.Struct, frozen=True):
    """A list of jobs that one process took from a queue and has not ended.

    ``kind``: who writes such lists ("" where its name is of no layout that we know); ``sign``: the key that is there
    as long as its owner lives, ``signed`` whether it is. ``jids``: of its oldest jobs.
    """

    key: str
    kind: str
    size: int
    owner: str = ""
    queue: str = ""
    sign: str = ""
    signed: bool = False
    oldest_at: float | None = None  # epoch seconds when its oldest job was enqueued
    jids: tuple[str, ...] = ()


class PrivateLists(msgspec.Struct, frozen=True):
    """Every private list that holds jobs; ``keepers``: how many live processes there are of each kind of owner.

    ``seats``: ``host:pid`` of processes that gems make reliable, who sign by a nonce of their own and not Sidekiq's.
    """

    all: tuple[PrivateList, ...] = ()
    keepers: tuple[tuple[str, int], ...] = ()
    partial: str = ""  # why not all were found
    seats: tuple[str, ...] = ()

    def keeps(self, process: "Process") -> bool:
        """Whether a gem of this process keeps what it takes in a private list."""
        return f"{process.hostname}:{process.pid}" in self.seats

    def kept_by(self, kind: str) -> int:
        """How many live processes there are that keep such lists, and take back those of the dead."""
        return dict(self.keepers).get(kind, 0)


class Leader(msgspec.Struct, frozen=True):
    """Whom Sidekiq Enterprise elected; "" where the key is not there."""

    identity: str = ""
    ttl_s: int | None = None
