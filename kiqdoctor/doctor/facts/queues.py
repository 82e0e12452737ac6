"""Queues and sorted sets, as facts."""

from dataclasses import dataclass

import msgspec

from kiqdoctor.wire.fields import ARGS, CLASS, QUEUE
from kiqdoctor.wire.keys import QUEUE_PREFIX


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

    @property
    def resque_shaped(self) -> bool:
        """Class and args, perhaps queue, and nothing else: Resque writes so, and no Sidekiq does."""
        return {CLASS, ARGS} <= set(self.keys) <= {CLASS, ARGS, QUEUE}


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
        return QUEUE_PREFIX + self.name


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


class JobCounts(msgspec.Struct, frozen=True):
    """Jobs that ended and failed since Sidekiq began to count; None: no counter, or no number there."""

    processed: int | None = None
    failed: int | None = None
