"""Queues, sorted sets and whose keys lie in the database, as facts."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Sample:
    """One payload that was looked at: the top-level keys, class and stamps. Arguments never get this far."""

    keys: tuple[str, ...] = ()
    job_class: str = ""
    jid: str = ""
    enqueued_at: float | None = None  # epoch seconds
    error: str = ""  # why it could not be read as a payload
    error_class: str = ""
    size_bytes: int = 0


@dataclass(frozen=True, slots=True)
class Queue:
    """One ``queue:*`` list. ``registered``: its name is in ``queues``; ``kind`` is the Redis type found there."""

    name: str
    size: int
    registered: bool = True
    kind: str = "list"
    oldest_at: float | None = None  # epoch seconds when the oldest job was enqueued
    sample: tuple[Sample, ...] = ()
    unread: str = ""  # why members were not read, if they were not
    paused: bool = False  # its name is in ``paused``: our runtime and Sidekiq Pro take nothing from it

    @property
    def subject(self) -> str:
        """How findings name it."""
        return f"queue:{self.name}"


@dataclass(frozen=True, slots=True)
class JobSet:
    """One of schedule, retry, dead."""

    name: str
    size: int
    kind: str = "zset"
    overdue: int = 0
    lowest_score: float | None = None
    sample: tuple[Sample, ...] = ()
    unread: str = ""


@dataclass(frozen=True, slots=True)
class Queues:
    """All queues and sets of the examined namespace; ``partial`` says what was left out for the budget's sake."""

    all: tuple[Queue, ...] = ()
    sets: tuple[JobSet, ...] = ()
    partial: str = ""
    traces: tuple[str, ...] = ()  # which of Sidekiq's reserved keys exist at all

    @property
    def waiting(self) -> int:
        """Jobs in queues."""
        return sum(queue.size for queue in self.all)


@dataclass(frozen=True, slots=True)
class Installation:
    """Sidekiq-format data under one prefix ("" for none) of one database."""

    prefix: str
    database: int = 0
    queues: tuple[tuple[str, int], ...] = ()  # registered name -> length, longest first
    waiting: int = 0
    processes: int = 0  # members of the set
    live: int = 0  # members whose hash exists and whose beat is younger than 60 s
    scheduled: int = 0
    retries: int = 0
    job_classes: tuple[str, ...] = ()  # of a few waiting jobs
    process_queues: tuple[str, ...] = ()  # what its live processes take
    threads: int = 0  # of its live processes that are not quiet
    identities: tuple[str, ...] = ()  # of its live processes
    processed: bool = False  # a worker has counted jobs here, now or long ago


@dataclass(frozen=True, slots=True)
class Foreign:
    """Another queue system's keys, told by two marks of one owner."""

    owner: str  # "Resque", "RQ", "Celery"...
    prefix: str
    marks: tuple[str, ...]
    keys: tuple[tuple[str, str, int], ...] = ()  # name, Redis type, size; the largest first
    key_count: int = 0
    waiting: int = 0
    job_classes: tuple[str, ...] = ()
    live: str = ""  # what proves that its workers are alive; "" = nothing does
    database: int = 0


@dataclass(frozen=True, slots=True)
class Keyspace:
    """Whose keys lie in the examined database: Sidekiq's by prefix, and others'."""

    installations: tuple[Installation, ...] = ()
    foreign: tuple[Foreign, ...] = ()
    scanned: int = 0
    total: int = 0
    complete: bool = True
    database: int = 0


@dataclass(frozen=True, slots=True)
class Databases:
    """The same in the server's other databases. ``skipped``: those that could not be looked at, with the reason."""

    installations: tuple[Installation, ...] = ()
    skipped: tuple[tuple[int, str], ...] = ()
