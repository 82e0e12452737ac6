"""A job's payload: what is in queues, in ``schedule``, ``retry`` and ``dead``. Unknown fields are kept."""

import base64
import zlib
from functools import lru_cache
from typing import Any, ClassVar, Final

import msgspec

from kiqdoctor.wire import codec
from kiqdoctor.wire.fields import (
    ARGS,
    AT,
    AT_MOST_ONCE,
    BATCH,
    CLASS,
    CREATED_AT,
    DEAD,
    DISPLAY_CLASS,
    ENQUEUED_AT,
    ERROR_CLASS,
    ERROR_MESSAGE,
    EXPIRES_IN,
    EXPIRY,
    FAILED_AT,
    JID,
    KEYWORDS,
    LOCK,
    NEXT,
    QUEUE,
    RECOVERED,
    RECOVERED_AT,
    RETRIED_AT,
    RETRY,
    RETRY_COUNT,
    RETRY_QUEUE,
    STARTED,
    WRAPPED,
)
from kiqdoctor.wire.numbers import whole
from kiqdoctor.wire.stamps import Spelt, plain, seconds, stamp

MESSAGE_LIMIT: Final = 10_000  # characters of error_message
FADES: Final = 72 * 3600.0  # seconds after which a process' death says nothing of the jobs that it held
DEATHS: Final = 16  # that are remembered of one job
WRAPPERS: Final = frozenset(
    {"ActiveJob::QueueAdapters::SidekiqAdapter::JobWrapper", "Sidekiq::ActiveJob::Wrapper"},
)


TRACES: Final = frozenset({RECOVERED, RECOVERED_AT, STARTED})
"""What recoveries and the process that began it wrote into it."""


class PayloadError(ValueError):
    """Bytes that are no payload, in one line."""


class Payload(msgspec.Struct, frozen=True, gc=False):  # not a dataclass, which takes six times as long to make
    """A payload as its fields, with the bytes they were read from: removal from Redis matches bytes, never fields."""

    fields: dict[str, Any]
    raw: bytes = b""

    @property
    def job_class(self) -> str:
        """The class on the wire."""
        return _text(self.fields.get(CLASS))

    @property
    def shown_class(self) -> str:
        """The class that a person knows it by: display_class, the wrapped ActiveJob's class, or its own."""
        shown = self.fields.get(DISPLAY_CLASS)
        if not shown and self.job_class in WRAPPERS:
            shown = self.fields.get(WRAPPED)
        return _text(shown) or self.job_class

    @property
    def args(self) -> list[Any]:
        """The arguments; empty where they are no list."""
        args = self.fields.get(ARGS)
        return args if isinstance(args, list) else []

    @property
    def keywords(self) -> dict[str, Any]:
        """Arguments by name; only Python has them."""
        keywords = self.fields.get(KEYWORDS)
        return keywords if isinstance(keywords, dict) else {}

    @property
    def queue(self) -> str:
        """The bare queue name."""
        return _text(self.fields.get(QUEUE))

    @property
    def jid(self) -> str:
        """The job's id: 24 hex digits by custom, opaque to readers."""
        return _text(self.fields.get(JID))

    @property
    def retry_count(self) -> int | None:
        """None before the first failure, 0 after it."""
        return _integer(self.fields.get(RETRY_COUNT))

    @property
    def kept(self) -> bool:
        """Whether it is kept among the dead when it is not tried again."""
        return self.fields.get(DEAD) is not False

    @property
    def expiry(self) -> float | None:
        """Epoch seconds after which it is not begun any more."""
        expiry = self.fields.get(EXPIRY)
        if expiry is None:
            return None
        return expiry if isinstance(expiry, int | float) and not isinstance(expiry, bool) else None

    @property
    def batch(self) -> str | None:
        """The id of the batch that it belongs to."""
        batch = self.fields.get(BATCH)
        return batch if isinstance(batch, str) else None

    @property
    def lock(self) -> str | None:
        """The fingerprint under which it is unique."""
        lock = self.fields.get(LOCK)
        return lock if isinstance(lock, str) else None

    def following(self, now: float) -> "Payload | None":
        """What is pushed when it has succeeded, as it goes into its queue; of the same batch."""
        rest = self.fields.get(NEXT)
        if not isinstance(rest, list) or not rest or not isinstance(rest[0], dict):
            return None
        fields = {**rest[0], ENQUEUED_AT: stamp(now)}
        if rest[1:]:
            fields[NEXT] = rest[1:]
        if isinstance(lasts := fields.get(EXPIRES_IN), int | float):
            fields[EXPIRY] = stamp(now + lasts)
        if self.batch is not None:
            fields[BATCH] = self.batch
        return Payload(fields)

    def deaths(self, now: float) -> int:
        """How many processes died while they held it, of late."""
        return len(self._deaths(now))

    def died(self, now: float) -> "Payload":
        """The same after one more such death."""
        stamps = [*self._deaths(now), stamp(now)]
        return self.with_(**{RECOVERED: len(stamps), RECOVERED_AT: stamps})

    def _deaths(self, now: float) -> list[float]:
        """When; a count without its times, which an older release wrote, is of now."""
        stamps = self.fields.get(RECOVERED_AT)
        if isinstance(stamps, list):
            times = [found for one in stamps[-DEATHS:] if (found := plain(one)) is not None]
            return [one for one in times if one > now - FADES]
        found = self.fields.get(RECOVERED)
        count = 0 if found is None or isinstance(found, str) else whole(found) or 0
        return [stamp(now)] * min(count, DEATHS)

    def spared(self) -> "Payload":
        """The same of a job that came to an end of some kind: it kills nobody, and has not begun."""
        if TRACES.isdisjoint(self.fields):
            return self
        return Payload({name: value for name, value in self.fields.items() if name not in TRACES})

    @property
    def started(self) -> str:
        """The process that began it, where it may begin once only."""
        return _text(self.fields.get(STARTED))

    @property
    def at_most_once(self) -> bool:
        """Whether it may begin once only."""
        return self.fields.get(AT_MOST_ONCE) is True

    def at(self, field: str) -> float | None:
        """One of created_at, enqueued_at, failed_at, retried_at in epoch seconds."""
        return seconds(self.fields.get(field))

    def with_(self, **changes: Any) -> "Payload":
        """The same with these fields, without its bytes."""
        return Payload({**self.fields, **changes})

    def encode(self) -> bytes:
        """Compact JSON of all fields."""
        return codec.encode_payload(self.fields)


_NOTHING: Final = (None,) * 4
_ABSENT: Final = (msgspec.UNSET,) * 4


class Plain(msgspec.Struct, forbid_unknown_fields=True, gc=False):
    """A payload that asks for nothing but to be run: its fields say nothing of what goes around it or with its end.

    Read into this record no other field is accepted, and it takes two thirds of the time of a dict.
    """

    at_most_once: ClassVar[bool] = False
    expiry: ClassVar[float | None] = None
    batch: ClassVar[str | None] = None
    lock: ClassVar[str | None] = None

    job_class: str = msgspec.field(name=CLASS)
    args: list[Any]
    jid: str
    retry: Any = None
    queue: Any = None
    created_at: Any = None
    enqueued_at: Any = None

    @property
    def shown_class(self) -> str:
        """The class that a person knows it by: no other name is there."""
        return self.job_class

    @property
    def plain(self) -> bool:
        """Whether it is one though it was read as another kind."""
        return True

    @property
    def untried(self) -> bool:
        """Whether it never failed, and says nothing more of how it is tried again than how often."""
        return True

    def following(self, now: float) -> None:
        """Nothing is pushed when it has succeeded."""


class Known(Plain, forbid_unknown_fields=True, gc=False):
    """The same of a payload with an expiry, a lock, a batch, or what says how it is tried again."""

    expiry: float | None = None  # type: ignore[misc]  # none of a plain one has one
    expires_in: Any = None
    unique_for: Any = None
    lock: str | None = msgspec.field(name=LOCK, default=None)  # type: ignore[misc]  # none of a plain one
    batch: str | None = msgspec.field(name=BATCH, default=None)  # type: ignore[misc]
    tags: Any = None
    backtrace: Any = None
    dead: Any = None
    retry_for: Any = None
    retry_queue: Any = None
    retry_count: Any = msgspec.UNSET  # also one that is null is there, and would be there twice
    failed_at: Any = msgspec.UNSET
    retried_at: Any = None
    error_class: Any = msgspec.UNSET
    error_message: Any = msgspec.UNSET

    @property
    def plain(self) -> bool:
        """Whether none of what it knows is there."""
        if self.expiry is None and self.lock is None and self.batch is None and self.untried:
            return self.expires_in is None and self.unique_for is None and self.tags is None and self.dead is None
        return False

    @property
    def untried(self) -> bool:
        """As of a plain one."""
        if (self.retry_count, self.failed_at, self.error_class, self.error_message) != _ABSENT:
            return False
        return (self.backtrace, self.retry_for, self.retry_queue, self.retried_at) == _NOTHING


class _Named(msgspec.Struct, gc=False):
    jid: str = ""


_named: Final = msgspec.json.Decoder(_Named).decode


def jid_of(raw: bytes) -> str:
    """The jid in these bytes, at a third of the price of all of them; "" where there is none."""
    try:
        return _named(raw).jid
    except NOT_PLAIN:
        return ""


PLAIN: Final = frozenset(Plain.__struct_encode_fields__)
"""The fields of a plain payload, which may have fewer of them."""
plain_payload: Final = msgspec.json.Decoder(Plain).decode
"""The plain payload in these bytes; whatever is none is refused with an error of ``NOT_PLAIN``."""
known_payload: Final = msgspec.json.Decoder(Known).decode
"""The payload in these bytes where it has no other fields than a ``Known`` one; refused likewise."""
NOT_PLAIN: Final = (msgspec.DecodeError, RecursionError, ValueError)


class Frame:
    """What jobs that are pushed together share, encoded once: an encoder costs by the field, and most are alike.

    Each job's bytes are those of ``{**shared, class, args, jid, **stamps}``, in this order.
    """

    __slots__ = ("_before", "_between", "_end")

    def __init__(self, shared: dict[str, Any], job_class: str, stamps: dict[str, float]) -> None:
        self._before = codec.encode_payload({**shared, CLASS: job_class})[:-1] + _name(ARGS)
        self._between, self._end = _name(JID), b"," + codec.encode(stamps)[1:]

    def payload(self, args: list[Any], jid: str, *, odd: bool) -> bytes:
        """``odd``: among the arguments is a float that must be spelt."""
        told = codec.encode_payload(args) if odd else codec.encode(args)
        return b"%b%b%b%b%b" % (self._before, told, self._between, codec.encode(jid), self._end)


def _name(field: str) -> bytes:
    return b",%b:" % codec.encode(field)


def joined(raw: bytes, batch: str) -> bytes:
    """The same as it belongs to a batch."""
    name = _name(BATCH)
    if name in raw:  # somebody's middleware set it
        return codec.encode_payload({**codec.decode(raw), BATCH: batch})
    return b"%b%b%b}" % (raw[:-1], name, codec.encode(batch))


def read(raw: bytes) -> Payload:
    """The payload in these bytes.

    Raises:
        PayloadError: not JSON, or not an object.
    """
    try:
        fields = codec.decode(raw)
    except codec.NotJsonError as error:
        raise PayloadError(f"not JSON: {error}") from None
    if not isinstance(fields, dict):
        raise PayloadError(f"a JSON {type(fields).__name__}, not an object")
    return Payload(fields, raw)


def new(job_class: str, args: list[Any], jid: str, now: float, options: dict[str, Any]) -> Payload:
    """A fresh job; ``options`` go first, as Sidekiq writes them. No ``at``, no ``enqueued_at``."""
    return Payload(
        {
            RETRY: True,
            QUEUE: "default",
            **options,
            CLASS: job_class,
            ARGS: args,
            JID: jid,
            CREATED_AT: stamp(now),
        }
    )


def pushed(payload: Payload, now: float) -> Payload:
    """The same as it goes into a queue."""
    fields = {key: value for key, value in payload.fields.items() if key != AT}
    return Payload({**fields, ENQUEUED_AT: stamp(now)})


def failed_first(raw: bytes, record: Plain, error_class: str, message: str, at: Spelt) -> str | None:
    """What stands in the place of its last byte after the first failure of an ``untried`` one that stays in its queue.

    None where the rest may not be spelt as ``failed`` spells it: then Ruby would not find the job by writing it again.
    """
    if raw != _ours(record) and not codec.ours(raw):
        return None
    return f"{_failure(error_class, _told(message))}{at.text}}}"


def _ours(record: Plain) -> bytes:
    """A plain payload as our client writes it, in half the time of reading and writing all that it says."""
    created, enqueued = record.created_at, record.enqueued_at
    if type(record) is not Plain or record.retry is not True or not type(created) is type(enqueued) is float:
        return b""
    args, jid = codec.encode_payload(record.args), codec.encode(record.jid)
    return b'%b%b,"jid":%b%b' % (_head(record.queue, record.job_class), args, jid, _end(created, enqueued))


@lru_cache(maxsize=256)
def _head(queue: str, job_class: str) -> bytes:
    return codec.encode({RETRY: True, QUEUE: queue, CLASS: job_class})[:-1] + _name(ARGS)


@lru_cache(maxsize=256)
def _end(created_at: float, enqueued_at: float) -> bytes:
    """Jobs that are pushed together have the same."""
    return b"," + codec.encode_payload({CREATED_AT: created_at, ENQUEUED_AT: enqueued_at})[1:]


@lru_cache(maxsize=256)
def _failure(error_class: str, message: str) -> str:
    """Up to the time. It is the same for many jobs; the message is bounded."""
    told, name = codec.encode(message), codec.encode(error_class)
    return (b',"error_message":%b,"error_class":%b,"retry_count":0,"failed_at":' % (told, name)).decode()


def _told(message: str) -> str:
    return (message if message.isascii() else _sound(message))[:MESSAGE_LIMIT]


def failed(payload: Payload, error_class: str, message: str, queue: str, now: float) -> Payload:
    """The same after a failure: counted, stamped, bound for its retry queue."""
    count, known = payload.retry_count, payload.fields
    fields: dict[str, Any] = {
        **known,
        QUEUE: (_text(known[RETRY_QUEUE]) if RETRY_QUEUE in known else "") or queue,
        ERROR_MESSAGE: _told(message),
        ERROR_CLASS: error_class,
        RETRY_COUNT: 0 if count is None else count + 1,
        FAILED_AT if count is None else RETRIED_AT: stamp(now),
    }
    return Payload(fields)


def pack_backtrace(lines: list[str]) -> str:
    """Frames as ``error_backtrace`` has them: Base64 of deflated JSON."""
    return base64.b64encode(zlib.compress(codec.encode([_sound(line) for line in lines]))).decode("ascii")


def backtrace(value: Any, limit: int = 1_000_000) -> list[str]:
    """The frames of an ``error_backtrace`` of any version, at most ``limit`` bytes; empty where none can be read."""
    if isinstance(value, list):
        return [_text(line) for line in value]
    try:
        inflated = zlib.decompressobj().decompress(base64.b64decode(_text(value)), limit)
        lines = codec.decode(inflated)
    except (ValueError, zlib.error):
        return []
    return [_text(line) for line in lines] if isinstance(lines, list) else []


def buried(payload: Payload, error_class: str, message: str, now: float) -> Payload:
    """The same as it goes to the dead without having failed there: it says why."""
    failed_at = payload.fields.get(FAILED_AT, stamp(now))
    return payload.with_(**{ERROR_CLASS: error_class, ERROR_MESSAGE: message, FAILED_AT: failed_at})


def _text(value: Any) -> str:
    return value if type(value) is str else ""


def _integer(value: Any) -> int | None:
    return value if type(value) is int else None


def _sound(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
