"""Whose keys lie in the database, as facts."""

import msgspec

from kiqdoctor.records import dataclass


class Stray(msgspec.Struct, frozen=True):
    """A list of jobs under a queue's key whose name is not registered. ``foreign``: written as Exq and Verk write."""

    queue: str
    size: int
    foreign: bool = False
    oldest_at: float | None = None  # epoch seconds when its oldest job was enqueued


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
    identities: tuple[str, ...] = ()  # of its processes that have a record
    processed: bool = False  # a worker has counted jobs here, now or long ago
    strays: tuple[Stray, ...] = ()
    unchecked: int = 0  # lists of which it was not asked whether they are registered


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


class Prefix(msgspec.Struct, frozen=True):
    """Keys whose names begin alike. ``lasting``: how many of the sampled ones have no TTL.

    ``own``: Sidekiq's, or our runtime's; ``owner``: another queue system, or a plug-in. ``length`` is a stream's, and
    ``pending`` what its groups have not acknowledged: None where that is not told.
    """

    name: str
    keys: int
    sampled: int = 0
    lasting: int = 0
    own: bool = False
    owner: str = ""
    kind: str = ""
    length: int | None = None
    pending: int | None = None


class ReservedKeys(msgspec.Struct, frozen=True):
    """The keys that Sidekiq owns under the examined namespace (``prefix``): name and type of those that are there.

    ``odd``: key, the type that it has, the one that Sidekiq keeps there.
    """

    prefix: str = ""
    found: tuple[tuple[str, str], ...] = ()
    odd: tuple[tuple[str, str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Keyspace:
    """Whose keys lie in the examined database: Sidekiq's by prefix, and others'."""

    installations: tuple[Installation, ...] = ()
    foreign: tuple[Foreign, ...] = ()
    scanned: int = 0
    total: int = 0
    complete: bool = True
    database: int = 0
    prefixes: tuple[Prefix, ...] = ()  # the largest ones


@dataclass(frozen=True, slots=True)
class Databases:
    """The same in the server's other databases. ``skipped``: those that could not be looked at, with the reason."""

    installations: tuple[Installation, ...] = ()
    skipped: tuple[tuple[int, str], ...] = ()
