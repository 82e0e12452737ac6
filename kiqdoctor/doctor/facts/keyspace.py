"""Whose keys lie in the database, as facts."""

from dataclasses import dataclass


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
