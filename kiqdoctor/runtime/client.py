"""How a job gets in: one push, many, or later; as Sidekiq's own client writes them."""

import os
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Final, Protocol

from kiqdoctor.clock import SYSTEM
from kiqdoctor.runtime import config, context, forking, instead
from kiqdoctor.runtime.middleware import around
from kiqdoctor.runtime.sending import SLICE, MaybeEnqueued, Push, sender
from kiqdoctor.wire import codec
from kiqdoctor.wire.fields import ARGS, CLASS, CREATED_AT, ENQUEUED_AT, EXPIRES_IN, EXPIRY, JID, LOCK, QUEUE, UNIQUE_FOR
from kiqdoctor.wire.payload import Payload
from kiqdoctor.wire.stamps import stamp

if TYPE_CHECKING:
    pass

JID_BYTES: Final = 12
TRANSACTIONS: Final = frozenset(
    {"django.db", "sqlalchemy.orm", "kiqdoctor.runtime.transactions"}
)  # once imported, a transaction may be open


class PushOptions(Protocol):
    """What a push must know of a job."""

    @property
    def wire(self) -> dict[str, Any]:
        """Fields of each payload."""

    @property
    def unique_for(self) -> float | None:
        """Seconds that a lock on the arguments lasts."""

    @property
    def expires_in(self) -> float | None:
        """Seconds after which it is not begun any more."""

    @property
    def status(self) -> bool:
        """Whether its state can be asked for."""


_collecting: ContextVar["list[Push] | None"] = ContextVar("kiqdoctor_collecting", default=None)


def new_jids(count: int) -> list[str]:
    """So many of 24 hex digits each."""
    drawn = os.urandom(JID_BYTES * count).hex()
    return [drawn[at : at + 2 * JID_BYTES] for at in range(0, len(drawn), 2 * JID_BYTES)]


def new_jid() -> str:
    """24 hex digits."""
    return os.urandom(JID_BYTES).hex()


def enqueue_one(job_class: str, args: Sequence[Any], options: PushOptions, *, at: float | None = None) -> str:
    """Push one job; its jid, or that of the one that is already there where it must be unique, or "" where dropped.

    Raises:
        kiqdoctor.wire.codec.ArgumentError: an argument has no JSON form; nothing was pushed.
        MaybeEnqueued: the reply was lost.
        redis.exceptions.RedisError: Redis could not be reached or refused; nothing was pushed.
    """
    return enqueue(job_class, (args,), options, at=at)[0]


def enqueue(
    job_class: str,
    batch: Sequence[Sequence[Any]],
    options: PushOptions,
    *,
    at: float | None = None,
    jids: Sequence[str] | None = None,
) -> list[str]:
    """Push jobs of one class, under these jids where they are given; the jids, in order. Raises as ``enqueue_one``.

    A job that a client middleware dropped has "" in its place.
    """
    if not TRANSACTIONS.isdisjoint(sys.modules):
        from kiqdoctor.runtime import transactions

        transactions.warn_if_open(job_class)
    drafts = _drafts(job_class, batch, options, at, jids)
    kept = [push for push in drafts if push is not None]
    sent = deliver(kept)
    if len(kept) == len(drafts):
        return sent
    left = iter(sent)
    return ["" if push is None else next(left) for push in drafts]


def prepare(
    job_class: str,
    batch: Sequence[Sequence[Any]],
    options: PushOptions,
    *,
    at: float | None = None,
    jids: Sequence[str] | None = None,
) -> list[Push]:
    """Payloads with jids, through the client middleware; what it drops is not among them."""
    return [push for push in _drafts(job_class, batch, options, at, jids) if push is not None]


def _drafts(
    job_class: str,
    batch: Sequence[Sequence[Any]],
    options: PushOptions,
    at: float | None,
    jids: Sequence[str] | None,
) -> list[Push | None]:
    """None where a middleware dropped it."""
    now = SYSTEM.now()
    later = at if at is not None and at > now else None
    shared = {**options.wire, **context.stamped()}
    if options.expires_in is not None:
        shared[EXPIRES_IN] = options.expires_in
        shared[EXPIRY] = stamp((later or now) + options.expires_in)
    created, middleware = stamp(now), config.current().client_middleware
    drawn = new_jids(len(batch)) if jids is None else jids
    pushes: list[Push | None] = []
    unique_for, told = options.unique_for, options.status
    for jid, args in zip(drawn, batch, strict=True):
        try:
            listed, odd = _checked(args)
        except codec.ArgumentError as error:
            raise codec.ArgumentError(_which(error, len(pushes), len(batch), job_class)) from None
        fields = {**shared, CLASS: job_class, ARGS: listed, JID: jid, CREATED_AT: created}
        if later is None:
            fields[ENQUEUED_AT] = created
        if middleware and not _through(middleware, fields):
            pushes.append(None)
        elif unique_for is None:
            pushes.append(Push(fields, later, plain=not odd and not middleware, told=told))
        else:
            pushes.append(_unique(fields, later, unique_for, told=told))
    return pushes


def _which(error: codec.ArgumentError, number: int, count: int, job_class: str) -> str:
    return f"{job_class}: {error}" if count == 1 else f"{job_class}, job {number} of {count}: {error}"


def _through(middleware: Sequence[Any], fields: dict[str, Any]) -> bool:
    passed: list[bool] = []
    around(middleware, fields, lambda: passed.append(True))
    if passed:
        codec.strict(fields, "the payload, after client middleware,")
    return bool(passed)


def _unique(fields: dict[str, Any], at: float | None, unique_for: float, *, told: bool) -> Push:
    lock = context.fingerprint(fields[CLASS], fields[QUEUE], fields[ARGS])
    fields[UNIQUE_FOR], fields[LOCK] = unique_for, lock
    delay = max(0.0, at - SYSTEM.now()) if at is not None else 0.0
    return Push(fields, at, lock, unique_for + delay, told=told)


_LISTS: Final = frozenset({list, tuple})


def _checked(args: Sequence[Any]) -> tuple[list[Any], bool]:
    if type(args) not in _LISTS and (isinstance(args, str | bytes | bytearray) or not isinstance(args, Sequence)):
        raise codec.ArgumentError(f"a job's arguments must be a list, not a {type(args).__name__}")
    listed = list(args)
    return listed, codec.strict(listed, "args")


@contextmanager
def pipelined() -> Iterator[None]:
    """Pushes within the block are sent together at its end, a thousand in a round trip; none where it raises.

    A unique job's jid is within the block always its own: whether there is another is known at the end.

    Raises:
        kiqdoctor.runtime.forking.ForkedError: this is a child that was forked within the block: its parent sends.
    """
    if _collecting.get() is not None:
        yield
        return
    origin = forking.origin("pipelined()")
    with collected() as gathered:
        yield
    origin.check()
    deliver(gathered)


@contextmanager
def collected() -> Iterator[list[Push]]:
    """Pushes within the block are gathered for the caller, and not sent."""
    gathered: list[Push] = []
    token = _collecting.set(gathered)
    try:
        yield gathered
    finally:
        _collecting.reset(token)


def deliver(pushes: Sequence[Push], *, at_once: bool = False) -> list[str]:
    """Send, or gather where a block gathers and not ``at_once``; the jids in order."""
    if not pushes:
        return []
    gathering = _collecting.get()
    if gathering is not None and not at_once:
        for push in pushes:
            push.settle()
        gathering.extend(pushes)
        return [one.jid for one in pushes]
    if (taker := instead.current) is not None:
        for push in pushes:
            taker.push(Payload(push.fields, push.encode()), push.at)
        return [one.jid for one in pushes]
    out = sender()
    jids: list[str] = []
    for start in range(0, len(pushes), SLICE):
        try:
            jids += out.send(pushes[start : start + SLICE])
        except MaybeEnqueued as doubt:
            doubt.enqueued = tuple(jids)
            raise
        except Exception as error:
            if jids:
                error.add_note(f"{len(jids)} of {len(pushes)} jobs were enqueued before that")
            raise
    return jids
