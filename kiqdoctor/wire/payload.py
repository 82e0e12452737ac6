"""A job's payload: what is in queues, in ``schedule``, ``retry`` and ``dead``. Unknown fields are kept."""

import base64
import zlib
from dataclasses import dataclass, replace
from typing import Any, Final

from kiqdoctor.wire import codec
from kiqdoctor.wire.stamps import seconds, stamp

MESSAGE_LIMIT: Final = 10_000  # characters of error_message
WRAPPERS: Final = frozenset(
    {"ActiveJob::QueueAdapters::SidekiqAdapter::JobWrapper", "Sidekiq::ActiveJob::Wrapper"},
)


class PayloadError(ValueError):
    """Bytes that are no payload, in one line."""


@dataclass(frozen=True, slots=True)
class Payload:
    """A payload as its fields, with the bytes they were read from: removal from Redis matches bytes, never fields."""

    fields: dict[str, Any]
    raw: bytes = b""

    @property
    def job_class(self) -> str:
        """The class on the wire."""
        return _text(self.fields.get("class"))

    @property
    def shown_class(self) -> str:
        """The class that a person knows it by: display_class, the wrapped ActiveJob's class, or its own."""
        shown = self.fields.get("display_class")
        if not shown and self.job_class in WRAPPERS:
            shown = self.fields.get("wrapped")
        return _text(shown) or self.job_class

    @property
    def args(self) -> list[Any]:
        """The arguments; empty where they are no list."""
        args = self.fields.get("args")
        return args if isinstance(args, list) else []

    @property
    def queue(self) -> str:
        """The bare queue name."""
        return _text(self.fields.get("queue"))

    @property
    def jid(self) -> str:
        """The job's id: 24 hex digits by custom, opaque to readers."""
        return _text(self.fields.get("jid"))

    @property
    def retry_count(self) -> int | None:
        """None before the first failure, 0 after it."""
        count = self.fields.get("retry_count")
        return count if isinstance(count, int) and not isinstance(count, bool) else None

    def at(self, field: str) -> float | None:
        """One of created_at, enqueued_at, failed_at, retried_at in epoch seconds."""
        return seconds(self.fields.get(field))

    def with_(self, **changes: Any) -> "Payload":
        """The same with these fields, without its bytes."""
        return replace(self, fields={**self.fields, **changes}, raw=b"")

    def encode(self) -> bytes:
        """Compact JSON of all fields."""
        return codec.encode_payload(self.fields)


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
            "retry": True,
            "queue": "default",
            **options,
            "class": job_class,
            "args": args,
            "jid": jid,
            "created_at": stamp(now),
        }
    )


def pushed(payload: Payload, now: float) -> Payload:
    """The same as it goes into a queue."""
    fields = {key: value for key, value in payload.fields.items() if key != "at"}
    return Payload({**fields, "enqueued_at": stamp(now)})


def failed(payload: Payload, error_class: str, message: str, queue: str, now: float) -> Payload:
    """The same after a failure: counted, stamped, bound for its retry queue."""
    count = payload.retry_count
    changes: dict[str, Any] = {
        "queue": _text(payload.fields.get("retry_queue")) or queue,
        "error_message": _sound(message)[:MESSAGE_LIMIT],
        "error_class": error_class,
        "retry_count": 0 if count is None else count + 1,
    }
    changes["failed_at" if count is None else "retried_at"] = stamp(now)
    return payload.with_(**changes)


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


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _sound(text: str) -> str:
    return text.encode("utf-8", "replace").decode("utf-8")
