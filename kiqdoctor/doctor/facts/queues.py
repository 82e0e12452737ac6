"""Queues and sorted sets, as facts."""

from collections.abc import Iterator
from dataclasses import field
from enum import StrEnum
from functools import cached_property

import msgspec

from kiqdoctor.doctor.share import Share
from kiqdoctor.records import dataclass
from kiqdoctor.wire.fields import ARGS, CLASS, QUEUE
from kiqdoctor.wire.keys import QUEUE_PREFIX


class Stamps(StrEnum):
    """How a payload writes points in time."""

    NONE = ""
    SECONDS = "float seconds"  # up to Sidekiq 7
    MILLISECONDS = "integer milliseconds"  # from 8 on
    WHOLE = "integer seconds"  # nobody's: writers in other languages


class Trait(StrEnum):
    """Why something of an argument is told."""

    OBJECT = "object"  # its text is an object's, not data
    SECRET = "form"  # noqa: S105 - its text has the form of a secret
    NAMED = "named"  # only its name says secret


class Argument(msgspec.Struct, frozen=True, gc=False):
    """What is told of one argument, never its value: where it stands, and what it looks like."""

    path: str  # args[0].user.password
    trait: Trait
    form: str = ""  # "GitHub token", "Ruby object"


class Sample(msgspec.Struct, frozen=True, omit_defaults=True):
    """One payload that was looked at: its fields' names, class, stamps. Arguments' values never get this far.

    Times are epoch seconds. No dataclass, as facts are elsewhere: a recording need not hold the defaults of thousands.
    """

    keys: tuple[str, ...] = ()
    job_class: str = ""  # as a person knows it: of Active Job's wrapper, the class that it wraps
    jid: str = ""
    enqueued_at: float | None = None
    error: str = ""  # why it could not be read as a payload
    error_class: str = ""
    size_bytes: int = 0
    created_at: float | None = None
    failed_at: float | None = None
    retried_at: float | None = None
    score: float | None = None  # of a set's member
    place: int | None = None  # in its list: 0 is the newest, -1 the oldest
    stamps: Stamps = Stamps.NONE
    retry_count: int | None = None
    retries: int | None = None  # that its payload allows; None where it says false, or how long instead
    message: str = ""  # of its error, with whatever may be a value masked
    blames_class: bool = False  # the error's message names the job's own class
    digest: str = ""  # of its class and arguments, by a key of this run's own; "" where it has no arguments
    arguments: tuple[Argument, ...] = ()
    backtrace_bytes: int = 0  # of size_bytes
    flaws: tuple[str, ...] = ()  # what no Sidekiq writes so
    outline: str = ""  # how a broken one begins, its words masked
    encrypted: bool = False  # its last argument
    deaths: int = 0  # processes that died while they held it, as our runtime counts
    overrated: int = 0  # times that Enterprise's limiter sent it back
    given: int | None = None  # arguments by place; None where that is not told
    named: tuple[str, ...] = ()  # names of those that come by name

    @property
    def resque_shaped(self) -> bool:
        """Class and args, perhaps queue, and nothing else: Resque writes so, and no Sidekiq does."""
        return {CLASS, ARGS} <= set(self.keys) <= {CLASS, ARGS, QUEUE}

    @property
    def last_failed_at(self) -> float | None:
        """Its latest failure."""
        return self.retried_at or self.failed_at


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
    average_bytes: float | None = None  # a payload's size as Redis estimates it

    @property
    def subject(self) -> str:
        """How findings name it."""
        return QUEUE_PREFIX + self.name


@dataclass(frozen=True, slots=True)
class JobSet:
    """One of schedule, retry, dead. Scores are epoch seconds: of the next try, or of death."""

    name: str
    size: int
    kind: str = "zset"
    overdue: int = 0
    lowest_score: float | None = None
    sample: tuple[Sample, ...] = ()
    unread: str = ""
    far: int = 0  # scores more than ten years ahead
    early: int = 0  # scores above 0 that are no time since 2001
    strange_scores: tuple[float, ...] = ()  # a few of them
    average_bytes: float | None = None

    @property
    def subject(self) -> str:
        """How findings name it."""
        return f"set:{self.name}"


@dataclass(frozen=True)  # no slots: names are looked up for each of thousands of queues
class Queues:
    """All queues and sets of the examined namespace; ``partial`` says what was left out for the budget's sake."""

    all: tuple[Queue, ...] = ()
    sets: tuple[JobSet, ...] = ()
    partial: str = ""
    traces: tuple[str, ...] = ()  # which of Sidekiq's reserved keys exist at all
    pausing: bool = False  # the set ``paused`` exists
    pauses_unread: str = ""  # why it was not read

    @property
    def waiting(self) -> int:
        """Jobs in queues."""
        return sum(queue.size for queue in self.all)

    def queue(self, name: str) -> Queue | None:
        """The one of this bare name."""
        return self._named.get(name)

    @cached_property
    def _named(self) -> dict[str, Queue]:
        return {one.name: one for one in reversed(self.all)}

    def set(self, name: str) -> JobSet:
        """One of the three sets; empty where it was not there."""
        return next((one for one in self.sets if one.name == name), JobSet(name, 0))


class JobCounts(msgspec.Struct, frozen=True):
    """Jobs that ended and failed since Sidekiq began to count; None: no counter, or no number there."""

    processed: int | None = None
    failed: int | None = None


class Place(msgspec.Struct, frozen=True, omit_defaults=True):
    """A queue or set, and those of its payloads that were looked at, each once.

    ``oldest``: of a queue, in the order in which they will run. ``newest``: of a queue, the last one first. ``others``:
    from its middle; of a set, drawn at random from all of it. ``soon``: of retry, spread over those due in the next ten
    minutes, and ``due``: how many are, by minute.
    """

    name: str  # "queue:default", "retry"
    size: int
    oldest: tuple[Sample, ...] = ()
    newest: tuple[Sample, ...] = ()
    others: tuple[Sample, ...] = ()
    soon: tuple[Sample, ...] = ()
    due: tuple[int, ...] = ()
    unread: str = ""

    @property
    def queue(self) -> str:
        """The bare name of a queue; "" of a set."""
        return self.name.removeprefix(QUEUE_PREFIX) if self.name.startswith(QUEUE_PREFIX) else ""

    @property
    def subject(self) -> str:
        """How findings name it."""
        return self.name if self.queue else f"set:{self.name}"

    @property
    def sample(self) -> tuple[Sample, ...]:
        """What stands for the whole."""
        return (*self.oldest, *self.others, *self.newest)

    @property
    def whole(self) -> bool:
        """Every member was looked at."""
        return len(self.sample) >= self.size

    def share(self, count: int) -> Share:
        """So many of the sample, as a share of the whole."""
        return Share(count, len(self.sample), max(self.size, len(self.sample)))


@dataclass(frozen=True)  # no slots: names are looked up for each of thousands of queues
class Samples:
    """Payloads of every set and of the longest queues; ``partial`` says which were left out."""

    places: tuple[Place, ...] = ()
    partial: str = ""

    @property
    def all(self) -> Iterator[tuple[Place, Sample]]:
        """Every payload that was looked at, with its place."""
        return ((place, one) for place in self.places for one in place.sample)

    @property
    def looked(self) -> int:
        """How many payloads were looked at."""
        return sum(len(place.sample) for place in self.places)

    @property
    def members(self) -> int:
        """How many there are."""
        return sum(place.size for place in self.places)

    @property
    def text(self) -> str:
        """How much was looked at, as evidence shows it."""
        return f"{self.looked} of {self.members} payloads"

    @property
    def unread(self) -> str:
        """Why not every place was looked at; "" where each was."""
        lacking = next((f"{place.subject}: {place.unread}" for place in self.places if place.unread), "")
        return self.partial or lacking

    def place(self, name: str) -> Place:
        """The one of this name; empty where it was not there."""
        return self._named.get(name) or Place(name, 0)

    @cached_property
    def _named(self) -> dict[str, Place]:
        return {one.name: one for one in reversed(self.places)}


@dataclass(frozen=True, slots=True)
class Marks:
    """Deploys that Sidekiq's API marked (``YYYYMMDD-marks``), the oldest first: epoch seconds and label."""

    all: tuple[tuple[float, str], ...] = ()
    days: int = 0  # that were looked at


@dataclass(frozen=True, slots=True)
class Durations:
    """How long jobs of each class took within the last hour, in seconds on average, as Sidekiq 7 and later write it."""

    mean_s: dict[str, float]
    runs: dict[str, int] = field(default_factory=dict)

    def of(self, job_class: str) -> float | None:
        """Of one class; None where nobody wrote it."""
        return self.mean_s.get(job_class)
