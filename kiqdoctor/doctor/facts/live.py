"""What moves from second to second, as the live view reads it: less of each thing than a check wants, far more often.

No check judges these. A process or a queue is the same record as in the facts that checks judge; what is left out of
it here (ghosts, samples of payloads) is why the whole is another fact.
"""

from dataclasses import field

from kiqdoctor.doctor.facts.fleet import Process
from kiqdoctor.doctor.facts.queues import JobSet, Queue
from kiqdoctor.records import dataclass


@dataclass(frozen=True, slots=True)
class Counters:
    """What the fleet has counted, at ``at`` (epoch seconds by Redis' clock): attempts, not successes."""

    at: float
    processed: int
    failed: int
    processed_today: int = 0
    failed_today: int = 0


@dataclass(frozen=True, slots=True)
class Depths:
    """Queues by name and the three sets, with their lengths; ``partial`` says what was left out."""

    at: float
    queues: tuple[Queue, ...] = ()
    sets: tuple[JobSet, ...] = ()
    partial: str = ""

    @property
    def enqueued(self) -> int:
        """Jobs that wait in queues."""
        return sum(queue.size for queue in self.queues)

    def size(self, name: str) -> int:
        """Members of ``schedule``, ``retry`` or ``dead``."""
        return next((one.size for one in self.sets if one.name == name), 0)


@dataclass(frozen=True, slots=True)
class Workers:
    """Processes that beat. ``members`` counts the set ``processes``, those without a record too."""

    at: float
    processes: tuple[Process, ...] = ()
    members: int = 0
    partial: str = ""
    leader: str = ""  # Enterprise's leader, by its identity

    @property
    def busy(self) -> int:
        """Jobs in progress."""
        return sum(process.busy or 0 for process in self.processes)

    @property
    def threads(self) -> int:
        """Threads of processes that take jobs."""
        return sum(process.concurrency or 0 for process in self.processes if not process.quiet)


@dataclass(frozen=True, slots=True)
class SlowCall:
    """One entry of Redis' slow log: when, how long, what (never its arguments' values), from where."""

    id: int
    at: float  # epoch seconds
    took_us: int
    command: str  # its name and its first key
    words: int  # arguments in all
    client: str = ""  # address
    name: str = ""


@dataclass(frozen=True, slots=True)
class SlowLog:
    """The last entries, newest first, and how many Redis keeps now."""

    calls: tuple[SlowCall, ...] = ()
    length: int = 0


@dataclass(frozen=True, slots=True)
class ClassMetrics:
    """A job class over the minutes that were read; ``ms`` is summed over jobs that did not fail."""

    name: str
    runs: int
    failures: int
    ms: int
    by_minute: tuple[int, ...] = ()  # ms, oldest minute first

    @property
    def mean_s(self) -> float | None:
        """Seconds that a job of it takes; None where none succeeded."""
        good = self.runs - self.failures
        return self.ms / good / 1000 if good > 0 else None


@dataclass(frozen=True, slots=True)
class Metrics:
    """What Sidekiq 7 and later write of each class and minute; empty where nobody writes it."""

    minutes: int = 60
    classes: tuple[ClassMetrics, ...] = ()  # most time first


@dataclass(frozen=True, slots=True)
class JobRow:
    """One member of a queue or set. ``member`` is its exact bytes: removal from Redis matches bytes, never fields.

    Times are epoch seconds. ``args`` is None where they are masked; ``arity`` counts them.
    """

    place: str  # "retry", "schedule", "dead" or "queue:<bare name>"
    member: bytes
    score: float | None = None
    queue: str = ""
    job_class: str = ""
    jid: str = ""
    created_at: float | None = None
    enqueued_at: float | None = None
    failed_at: float | None = None
    retried_at: float | None = None
    retry_count: int | None = None
    error_class: str = ""
    error_message: str = ""
    backtrace: tuple[str, ...] = ()
    tags: tuple[str, ...] = ()
    arity: int = 0
    args: str | None = None
    others: tuple[tuple[str, str], ...] = field(default=())  # further top-level fields, as JSON
    error: str = ""  # why it is no payload


@dataclass(frozen=True, slots=True)
class JobPage:
    """Rows ``start`` and following of a place that holds ``total``; ``note`` says what was left out."""

    place: str
    start: int
    total: int
    rows: tuple[JobRow, ...] = ()
    note: str = ""


@dataclass(frozen=True, slots=True)
class Failure:
    """What failed jobs have in common: class, error class and queue, each as it is shown; "" where none is said."""

    job_class: str
    error_class: str
    queue: str


@dataclass(frozen=True, slots=True)
class Looked:
    """How many members of a set were looked at, of how many."""

    at: int = 0
    of: int = 0

    @property
    def whole(self) -> bool:
        """All of them."""
        return self.at >= self.of

    @property
    def each(self) -> float:
        """Members for which one that was looked at stands."""
        return self.of / self.at if self.at else 0.0


@dataclass(frozen=True, slots=True)
class ErrorGroup:
    """Jobs that failed alike, of those that were looked at: how many, when the last failed, when the next is tried."""

    failure: Failure
    retrying: int = 0
    dead: int = 0
    newest: float | None = None  # epoch seconds
    next_try: float | None = None


@dataclass(frozen=True, slots=True)
class Errors:
    """Failed jobs of the sets ``retry`` and ``dead`` by what they have in common, the most jobs first.

    Of large sets a sample is looked at; ``unread`` members of it are no payload. ``partial`` says what was left out.
    """

    at: float
    groups: tuple[ErrorGroup, ...] = ()
    retrying: Looked = Looked()
    dead: Looked = Looked()
    unread: int = 0
    partial: str = ""

    @property
    def whole(self) -> bool:
        """Every member was looked at."""
        return self.retrying.whole and self.dead.whole

    def jobs(self, group: ErrorGroup) -> float:
        """How many jobs failed so: counted, or reckoned where a sample was looked at."""
        return group.retrying * self.retrying.each + group.dead * self.dead.each


@dataclass(frozen=True, slots=True)
class Sought:
    """Which jobs are searched for: those whose bytes hold ``text``, and that failed so; nothing said: all."""

    text: str = ""
    failure: Failure | None = None


@dataclass(frozen=True, slots=True)
class Search:
    """What a search has found so far: rows that fit, how many were looked at, of how many."""

    place: str
    sought: Sought
    rows: tuple[JobRow, ...] = ()
    looked_at: int = 0
    total: int = 0
    done: bool = False
    note: str = ""
