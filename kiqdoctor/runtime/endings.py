"""What goes with a job's end: its lock, its batch, its place among the running, its status.

Written once, for whoever ends a job: a processor, a recovery, a testing mode. A new consequence is a column of
``FOLLOWS`` and a few lines in ``consequences``; a new way to end is a row.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from enum import StrEnum
from types import MappingProxyType
from typing import Any, Final, Protocol

import msgspec

from kiqdoctor.wire import batch as batches
from kiqdoctor.wire import status
from kiqdoctor.wire.keys import DEAD_SIZE, DEAD_TTL, QUEUE_PREFIX, Keys
from kiqdoctor.wire.payload import Payload


class End(StrEnum):
    """The ways in which a job leaves a process."""

    DONE = "done"
    RETRY = "retry"  # it failed, and is tried again
    DEAD = "dead"  # it is not tried again, and kept
    DROPPED = "dropped"  # it is not tried again, and not kept
    GONE = "gone"  # it had expired before it began
    LATER = "later"  # its class had no room for it
    BACK = "back"  # to its queue, as it was


@dataclass(frozen=True, slots=True)
class Follows:
    """What one end means: the state that is told then, what the batch hears, whether the unique lock is given up.

    A place among the running is given up at every end.
    """

    state: str
    batch: batches.Heard | None = None
    unlocks: bool = False


FOLLOWS: Final[Mapping[End, Follows]] = MappingProxyType(
    {
        End.DONE: Follows("done", "done", unlocks=True),
        End.RETRY: Follows("retry", "failed"),
        End.DEAD: Follows("dead", "failed", unlocks=True),
        End.DROPPED: Follows("dead", "failed", unlocks=True),
        End.GONE: Follows("gone", "done", unlocks=True),  # what came too late is in no batch's way
        End.LATER: Follows(status.SCHEDULED),
        End.BACK: Follows(status.QUEUED),
    }
)


class Step(msgspec.Struct, frozen=True, array_like=True, gc=False):  # a dataclass takes four times as long to make
    """A command that goes with a job's end, in the same atomic step; ``name`` may be one of follow.lua's own."""

    name: str
    key: str
    words: tuple[Any, ...] = ()


class Ending(msgspec.Struct, frozen=True, gc=False):
    """What becomes of a job. ``steps``: the first one stores it somewhere, if any does; none: it is simply done."""

    steps: tuple[Step, ...] = ()
    end: End = End.DONE

    def __bool__(self) -> bool:
        """Whether more is to be said than that it ended."""
        return bool(self.steps)


class Ended(Protocol):
    """What must be known of a job at its end."""

    @property
    def job_class(self) -> str:
        """The class on the wire."""

    @property
    def jid(self) -> str:
        """Its id."""

    @property
    def batch(self) -> str | None:
        """The id of the batch that it belongs to."""

    @property
    def lock(self) -> str | None:
        """The fingerprint under which it is unique."""

    def following(self, now: float) -> Payload | None:
        """What is pushed when it has succeeded."""


class EndOptions(Protocol):
    """What must be known of a job's class at its end."""

    @property
    def limit(self) -> int | None:
        """How many may run at once."""

    @property
    def status(self) -> bool:
        """Whether its state can be asked for."""


def ending(
    keys: Keys,
    end: End,
    payload: Ended,
    options: EndOptions | None,
    place: str,
    now: float,
    stored: tuple[Step, ...] = (),
    outcome: status.Outcome = status.NOTHING_MORE,
) -> Ending:
    """An end with its consequences. ``stored``: what stores the job elsewhere; ``place``: its own among the running.

    ``options`` are None where its class is not known here, as in whoever recovers it: then everything is given up that
    it may hold, and its status is told where there is one.
    """
    steps = stored
    if end is End.DONE and (after := payload.following(now)) is not None:
        steps += tuple(_following(keys, after))
    return Ending((*steps, *consequences(keys, end, payload, options, place, repr(now), outcome)), end)


def consequences(
    keys: Keys,
    end: End,
    payload: Ended,
    options: EndOptions | None,
    place: str,
    at: str,
    outcome: status.Outcome = status.NOTHING_MORE,
) -> Iterator[Step]:
    """What goes with an end whatever stores the job. ``at``: the time, as a number is spelt."""
    follows, jid = FOLLOWS[end], payload.jid
    if follows.batch is not None and payload.batch is not None:
        sets = (keys.batch(payload.batch, batches.OPEN), keys.batch(payload.batch, batches.PENDING))
        words = (jid, follows.batch, *sets, keys.queues, keys.name(QUEUE_PREFIX))
        yield Step("CLOSE", keys.batch(payload.batch), words)
    if follows.unlocks and payload.lock is not None:
        yield Step("DELIF", keys.unique(payload.lock), (jid,))
    if place and (options is None or options.limit):
        yield freed(keys, payload.job_class, place)
    if options is None or options.status:
        known = "known" if options is not None else ""
        told = status.change(follows.state, at, outcome.more)
        yield Step("TELL", keys.status(jid), (str(outcome.keep), known, *told))


def _following(keys: Keys, after: Payload) -> list[Step]:
    """The next of a chain; its batch knows it before it hears of the one that ended."""
    steps = [Step("SADD", keys.queues, (after.queue,))]
    if after.batch is not None:
        steps += [Step("SADD", keys.batch(after.batch, part), (after.jid,)) for part in (batches.OPEN, batches.PENDING)]
        steps.append(Step("HINCRBY", keys.batch(after.batch), (batches.TOTAL, 1)))
    return [*steps, Step("LPUSH", keys.queue(after.queue), (after.encode(),))]


def slot(owner: str, number: int | str = "") -> str:
    """A place among the running of a class, gone with its process at the latest; without a number all of that one's."""
    return f"{owner}|{number}"


def freed(keys: Keys, job_class: str, place: str) -> Step:
    """A place given up, and handed on."""
    words = (place, keys.waiting(job_class), keys.name(QUEUE_PREFIX), keys.turns(job_class))
    return Step("FREE", keys.slots(job_class), words)


def buried(keys: Keys, raw: bytes, at: float) -> tuple[Step, ...]:
    """Into the dead set, which is trimmed at each insert as Sidekiq does it."""
    return (
        Step("ZADD", keys.dead, (repr(at), raw)),
        Step("ZREMRANGEBYSCORE", keys.dead, ("-inf", at - DEAD_TTL)),
        Step("ZREMRANGEBYRANK", keys.dead, (0, -DEAD_SIZE)),
    )


def waiting(keys: Keys, job_class: str, jid: str, raw: bytes, room: str) -> tuple[Step, ...]:
    """Among those of its class that wait for room; whoever gives up a place hands it on."""
    return (
        Step("WAIT", keys.waiting(job_class), (raw, keys.turns(job_class), jid)),
        Step("HSET", keys.limited, (job_class, room)),
    )


def postponed(keys: Keys, queue: str, raw: bytes) -> tuple[Step, ...]:
    """To the end of its queue that is taken last: whoever may not begin now holds up nobody."""
    return (Step("LPUSH", keys.queue(queue), (raw,)),)


def returned(keys: Keys, queue: str, raw: bytes) -> tuple[Step, ...]:
    """To the end of its queue that is taken next."""
    return (Step("RPUSH", keys.queue(queue), (raw,)),)
