"""How a job gets in: one push, many, or later; as Sidekiq's own client writes them."""

import os
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, Protocol, Self

from kiqdoctor.clock import SYSTEM
from kiqdoctor.runtime import config, context, forking, instead
from kiqdoctor.runtime.beside import beside
from kiqdoctor.runtime.middleware import around
from kiqdoctor.runtime.sending import SLICE, MaybeEnqueued, Push, sender
from kiqdoctor.wire import codec
from kiqdoctor.wire.fields import (
    ARGS,
    CLASS,
    CREATED_AT,
    ENQUEUED_AT,
    EXPIRES_IN,
    EXPIRY,
    JID,
    KEYWORDS,
    LOCK,
    QUEUE,
    UNIQUE_FOR,
)
from kiqdoctor.wire.payload import Frame, Payload
from kiqdoctor.wire.stamps import stamp

if TYPE_CHECKING:
    from types import TracebackType

JID_BYTES: Final = 12
TRANSACTIONS: Final = frozenset(
    {"django.db", "sqlalchemy.orm", "kiqdoctor.runtime.transactions"}
)  # once imported, a transaction may be open


NO_KEYWORDS: Final[Mapping[str, Any]] = MappingProxyType({})


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


def enqueue(
    job_class: str,
    batch: Sequence[Sequence[Any]],
    options: PushOptions,
    *,
    at: float | None = None,
    jids: Sequence[str] | None = None,
    keywords: Mapping[str, Any] = NO_KEYWORDS,
) -> list[str]:
    """Push jobs of one class; the jids, in order.

    Under ``jids`` where they are given; each with these ``keywords``. A unique job's is that of the one that is already
    there, if one is. A job that a client middleware dropped has "" in its place.

    Raises:
        kiqdoctor.wire.codec.ArgumentError: an argument has no JSON form; nothing was pushed.
        MaybeEnqueued: the reply was lost.
        redis.exceptions.RedisError: Redis could not be reached or refused; nothing was pushed.
    """
    _warn_in_transaction(job_class)
    drafts = _drafts(job_class, batch, options, at, jids, keywords)
    return _in_place(drafts, deliver(_kept(drafts)))


async def aenqueue(
    job_class: str,
    batch: Sequence[Sequence[Any]],
    options: PushOptions,
    *,
    at: float | None = None,
    keywords: Mapping[str, Any] = NO_KEYWORDS,
) -> list[str]:
    """The same beside an event loop. The payload is made here and now, by whatever middleware there is."""
    _warn_in_transaction(job_class)
    drafts = _drafts(job_class, batch, options, at, None, keywords)
    return _in_place(drafts, await adeliver(_kept(drafts)))


def _warn_in_transaction(job_class: str) -> None:
    if not TRANSACTIONS.isdisjoint(sys.modules):
        from kiqdoctor.runtime import transactions

        transactions.warn_if_open(job_class)


def _kept(drafts: Sequence[Push | None]) -> list[Push]:
    return [push for push in drafts if push is not None]


def _in_place(drafts: Sequence[Push | None], sent: list[str]) -> list[str]:
    if len(sent) == len(drafts):
        return sent
    left = iter(sent)
    return ["" if push is None else next(left) for push in drafts]


def prepare(
    job_class: str,
    batch: Sequence[Sequence[Any]],
    options: PushOptions,
    *,
    jids: Sequence[str] | None = None,
    keywords: Mapping[str, Any] = NO_KEYWORDS,
) -> list[Push]:
    """Payloads with jids, through the client middleware; what it drops is not among them."""
    return _kept(_drafts(job_class, batch, options, None, jids, keywords))


def _drafts(
    job_class: str,
    batch: Sequence[Sequence[Any]],
    options: PushOptions,
    at: float | None,
    jids: Sequence[str] | None,
    keywords: Mapping[str, Any],
) -> list[Push | None]:
    """None where a middleware dropped it."""
    now = SYSTEM.now()
    later = at if at is not None and at > now else None
    shared = {**options.wire, **context.stamped()}
    if options.expires_in is not None:
        shared[EXPIRES_IN] = options.expires_in
        shared[EXPIRY] = stamp((later or now) + options.expires_in)
    if keywords:
        shared[KEYWORDS] = _named(keywords, job_class)
    created, middleware = stamp(now), config.current().client_middleware
    stamps = {CREATED_AT: created} if later is not None else {CREATED_AT: created, ENQUEUED_AT: created}
    drawn = new_jids(len(batch)) if jids is None else jids
    one_by_one = bool(middleware) or options.unique_for is not None
    queue, told, frame = shared[QUEUE], options.status, Frame(shared, job_class, stamps)
    pushes: list[Push | None] = []
    for jid, args in zip(drawn, batch, strict=True):
        try:
            listed, odd = _checked(args)
        except codec.ArgumentError as error:
            raise codec.ArgumentError(_which(error, len(pushes), len(batch), job_class)) from None
        if not one_by_one:
            pushes.append(Push(frame.payload(listed, jid, odd=odd), jid, queue, later, told))
            continue
        fields = {**shared, CLASS: job_class, ARGS: listed, JID: jid, **stamps}
        passed = not middleware or _through(middleware, fields)
        pushes.append(_push(fields, later, options) if passed else None)
    return pushes


def _push(fields: dict[str, Any], at: float | None, options: PushOptions) -> Push:
    if options.unique_for is not None:
        return _unique(fields, at, options.unique_for, told=options.status)
    return Push(codec.encode_payload(fields), str(fields[JID]), fields[QUEUE], at, options.status)


def _named(keywords: Mapping[str, Any], job_class: str) -> dict[str, Any]:
    try:
        codec.strict(found := dict(keywords), "keywords")
    except codec.ArgumentError as error:
        raise codec.ArgumentError(f"{job_class}: {error}") from None
    return found


def _which(error: codec.ArgumentError, number: int, count: int, job_class: str) -> str:
    return f"{job_class}: {error}" if count == 1 else f"{job_class}, job {number} of {count}: {error}"


def _through(middleware: Sequence[Any], fields: dict[str, Any]) -> bool:
    passed: list[bool] = []
    around(middleware, fields, lambda: passed.append(True))
    if passed:
        codec.strict(fields, "the payload, after client middleware,")
    return bool(passed)


def _unique(fields: dict[str, Any], at: float | None, unique_for: float, *, told: bool) -> Push:
    lock = context.fingerprint(fields[CLASS], fields[QUEUE], fields[ARGS], fields.get(KEYWORDS))
    fields[UNIQUE_FOR], fields[LOCK] = unique_for, lock
    delay = max(0.0, at - SYSTEM.now()) if at is not None else 0.0
    return Push(codec.encode_payload(fields), str(fields[JID]), fields[QUEUE], at, told, lock, unique_for + delay)


_LISTS: Final = frozenset({list, tuple})


def _checked(args: Sequence[Any]) -> tuple[list[Any], bool]:
    if type(args) not in _LISTS and (isinstance(args, str | bytes | bytearray) or not isinstance(args, Sequence)):
        raise codec.ArgumentError(f"a job's arguments must be a list, not a {type(args).__name__}")
    listed = list(args)
    return listed, not codec.simple(listed) and codec.strict(listed, "args")


class pipelined:  # noqa: N801 - it is called as a function would be
    """Pushes within the block are sent together at its end, a thousand in a round trip; none where it raises.

    ``async with`` sends beside the event loop. A unique job's jid is within the block always its own: whether there is
    another is known at the end.

    Raises:
        kiqdoctor.runtime.forking.ForkedError: this is a child that was forked within the block: its parent sends.
    """

    def __init__(self) -> None:
        self._origin: forking.Origin | None = None
        self._gathering: AbstractContextManager[list[Push]] | None = None
        self._gathered: list[Push] = []

    def __enter__(self) -> Self:
        """Gather; within another such block, that one does."""
        if _collecting.get() is None:
            self._origin = forking.origin("pipelined()")
            self._gathering = collected()
            self._gathered = self._gathering.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        """Send, unless the block raised."""
        deliver(self._ended(kind))

    async def __aenter__(self) -> Self:
        """Gather."""
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: "TracebackType | None"
    ) -> None:
        """Send beside the loop, unless the block raised."""
        await adeliver(self._ended(kind))

    def _ended(self, kind: type[BaseException] | None) -> list[Push]:
        if self._gathering is None or self._origin is None:
            return []
        self._gathering.__exit__(None, None, None)
        if kind is not None:
            return []
        self._origin.check()
        return self._gathered


@contextmanager
def collected() -> Iterator[list[Push]]:
    """Pushes within the block are gathered for the caller, and not sent."""
    gathered: list[Push] = []
    token = _collecting.set(gathered)
    try:
        yield gathered
    finally:
        _collecting.reset(token)


async def adeliver(pushes: Sequence[Push], *, at_once: bool = False) -> list[str]:
    """The same; where Redis is asked, beside the event loop."""
    if not pushes or instead.current is not None or (_collecting.get() is not None and not at_once):
        return deliver(pushes, at_once=at_once)
    return await beside(deliver, pushes, at_once=at_once)


def deliver(pushes: Sequence[Push], *, at_once: bool = False) -> list[str]:
    """Send, or gather where a block gathers and not ``at_once``; the jids in order."""
    if not pushes:
        return []
    gathering = _collecting.get()
    if gathering is not None and not at_once:
        gathering.extend(pushes)
        return [one.jid for one in pushes]
    if (taker := instead.current) is not None:
        for push in pushes:
            taker.push(Payload(push.fields, push.raw), push.at)
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
