"""From a payload's bytes to what may be kept of it: stamps, class, error, digests and shapes, never a value."""

import os
import re
from functools import cache, lru_cache
from typing import Any, Final

from kiqdoctor.doctor.facts.queues import Sample, Stamps
from kiqdoctor.probes.queues.arguments import told
from kiqdoctor.regex import regex
from kiqdoctor.text import AHEAD, MASK, clean, redact
from kiqdoctor.wire import codec, payload
from kiqdoctor.wire.backoff import limit
from kiqdoctor.wire.fields import (
    ARGS,
    AT,
    CLASS,
    CREATED_AT,
    ENQUEUED_AT,
    ERROR_BACKTRACE,
    ERROR_CLASS,
    ERROR_MESSAGE,
    FAILED_AT,
    JID,
    RETRIED_AT,
    RETRY,
    RETRY_FOR,
)
from kiqdoctor.wire.numbers import whole
from kiqdoctor.wire.payload import WRAPPERS, Payload
from kiqdoctor.wire.stamps import NEVER_SECONDS

LARGEST: Final = 2 * 1024 * 1024  # bytes that are parsed
MESSAGE: Final = 160  # characters of an error's message
MASKED_IN: Final = 2_000  # characters of it in which values are looked for
OUTLINED: Final = 80  # bytes of a broken payload
MOST_VALUES: Final = 100  # arguments that are looked for in an error's message
MOST_RETRIES: Final = 1_000_000
MOST_NAMES: Final = 50  # of arguments by name
NAMED: Final = 60  # characters of one

_STAMPS: Final = (CREATED_AT, ENQUEUED_AT, FAILED_AT, RETRIED_AT)
_VALUES: Final = regex(
    r"\"[^\"]{0,500}\"|'[^']{0,500}'|`[^'`]{0,500}['`]|\S{1,64}@\S{1,255}|[0-9a-fA-F-]{20,}|[0-9]{4,}"
)
_WORD: Final = regex(r"[^\W_][\w+/=.@-]*")
_KEPT: Final = frozenset((*_STAMPS, CLASS, ARGS, JID, AT, RETRY, "queue", "retry_count", "error_class"))


def sample(raw: bytes, *, score: float | None = None, place: int | None = None, queued: bool = True) -> Sample:
    """What may be kept of a payload; ``queued``: it lies in a queue, where it must not say when it is due."""
    if len(raw) > LARGEST:
        return Sample(error=f"{len(raw)} bytes, not parsed", size_bytes=len(raw), score=score, place=place)
    try:
        job = payload.read(raw)
    except payload.PayloadError as error:
        why = clean(str(error))
        flaw = why if _utf8(raw) else "not UTF-8"
        return Sample(
            error=why, size_bytes=len(raw), score=score, place=place, flaws=(flaw,), outline=outline(raw)
        )  # fmt: skip
    flaws = tuple(_flaws(job, queued=queued))
    encrypted = job.fields.get("encrypt") is True
    args = _arguments(job)
    given, names = _laid(job, args)
    trace = job.fields.get(ERROR_BACKTRACE)
    message = _text(job.fields.get(ERROR_MESSAGE))
    return Sample(
        keys=tuple(sorted(_known(key) for key in job.fields))[:40],
        job_class=_known(job.shown_class[:200]),
        jid=clean(job.jid[:64]),
        enqueued_at=job.at(ENQUEUED_AT),
        error_class=_known(_text(job.fields.get(ERROR_CLASS))[:200]),
        size_bytes=len(raw),
        created_at=job.at(CREATED_AT),
        failed_at=job.at(FAILED_AT),
        retried_at=job.at(RETRIED_AT),
        score=score,
        place=place,
        stamps=_stamps(job),
        retry_count=whole(job.retry_count) if job.retry_count is not None else None,
        retries=_retries(job),
        message=shape(message, [*args, job.keywords]) if message else "",
        blames_class=bool(message) and _blames(message, job.shown_class),
        digest=digest(job.shown_class, args) if args else "",
        arguments=told(args, encrypted=encrypted),
        backtrace_bytes=_size(trace),
        flaws=flaws,
        outline=outline(raw) if flaws else "",
        encrypted=encrypted,
        deaths=job.deaths(0.0),  # all of them, however old
        overrated=whole(job.fields.get("overrated"), most=MOST_RETRIES) or 0,
        given=given,
        named=tuple(clean(name, NAMED) for name in names[:MOST_NAMES]),
    )


def _arguments(job: Payload) -> list[Any]:
    """As the application passed them: of Active Job's wrapper what it wraps, without ids and times of its own."""
    args = job.args
    if job.job_class in WRAPPERS and args and isinstance(args[0], dict):
        inner = args[0].get("arguments")
        return inner if isinstance(inner, list) else []
    return args


def _laid(job: Payload, args: list[Any]) -> tuple[int | None, list[str]]:
    """How many arguments have a place, and the names of the others; None where Active Job's old format leaves it open.

    A last hash of Active Job's is one argument, or keywords: ``_aj_ruby2_keywords`` says keywords, and an older hash
    with symbols for keys may have been either.
    """
    if not isinstance(job.fields.get(ARGS), list):
        return None, []
    if job.job_class not in WRAPPERS:
        return len(args), list(job.keywords)
    last = args[-1] if args and isinstance(args[-1], dict) else {}
    if isinstance(names := last.get("_aj_ruby2_keywords"), list):
        return len(args) - 1, [name for name in names if isinstance(name, str)]
    return (None if last.get("_aj_symbol_keys") else len(args)), []


def _flaws(job: Payload, *, queued: bool) -> list[str]:
    """What every reader stumbles over, in the order in which it does."""
    fields, found = job.fields, []
    if not job.job_class:
        found.append("no class")
    if ARGS not in fields:
        found.append("no args")
    elif not isinstance(fields[ARGS], list):
        found.append("args is no list")
    if not job.jid:
        found.append("no jid")
    retry = fields.get(RETRY)
    if retry is not None and not isinstance(retry, bool | int):
        found.append(f"retry is a {type(retry).__name__}")
    if queued and AT in fields:
        found.append("at is left in a queued job")
    return found


def _stamps(job: Payload) -> Stamps:
    """How it writes times, by the first that it has."""
    value = next((job.fields[name] for name in _STAMPS if name in job.fields), None)
    if isinstance(value, float):
        return Stamps.SECONDS
    if isinstance(value, bool) or not isinstance(value, int):
        return Stamps.NONE
    return Stamps.MILLISECONDS if value >= NEVER_SECONDS else Stamps.WHOLE


def _retries(job: Payload) -> int | None:
    if job.fields.get(RETRY_FOR) is not None:
        return None
    allowed = job.fields.get(RETRY, True)
    return limit(allowed) if isinstance(allowed, bool | int) else None


def digest(job_class: str, args: list[Any]) -> str:
    """The same for the same class and arguments within this run, and for nobody else: its key is thrown away."""
    import hashlib

    raw = codec.encode([job_class, args])
    return hashlib.blake2b(raw, key=_key(), digest_size=8).hexdigest()


@cache
def _key() -> bytes:
    return os.urandom(32)


def shape(message: str, args: list[Any]) -> str:
    """An error's message without what may be somebody's value: what is quoted, long numbers, and the arguments."""
    return clean(_VALUES.sub(MASK, unsaid(message, args)), MESSAGE)


def unsaid(message: str, args: list[Any]) -> str:
    """An error's message without the values of the arguments.

    Secrets are masked before: a shape with a hole in it is known no more.
    """
    text = redact(message[: MASKED_IN + AHEAD])[:MASKED_IN]
    for value in sorted(_values(args), key=len, reverse=True):
        if value in text:
            text = re.sub(rf"(?<!\w){re.escape(value)}(?!\w)", MASK, text)
    return text


def _values(args: list[Any]) -> set[str]:
    """Texts and numbers of the arguments, as a message would have them."""
    found: set[str] = set()
    nodes = list(args[:MOST_VALUES])
    for count, node in enumerate(nodes):
        if count >= MOST_VALUES:
            break
        if isinstance(node, dict):
            nodes += list(node.values())[:MOST_VALUES]
        elif isinstance(node, list):
            nodes += node[:MOST_VALUES]
        elif isinstance(node, str | int | float) and not isinstance(node, bool):
            found.add(str(node)[:MASKED_IN])
    return found - {""}


def _blames(message: str, job_class: str) -> bool:
    """Whether an error's message names the job's own class, or what it lies in."""
    parts = [part for part in re.split(r"::|\.", job_class) if part]
    if not parts or len(job_class) > MASKED_IN:  # what the message has of it at most
        return False
    words = set(re.findall(r"[\w:.]+", message[:MASKED_IN]))
    names = {job_class, "::".join(parts), ".".join(parts), parts[-1]}
    names |= {mark.join(parts[:count]) for mark in ("::", ".") for count in range(1, len(parts))}
    return bool(names & {word.strip(":.") for word in words})


def outline(raw: bytes) -> str:
    """How a payload begins, with every word masked that is no field's name."""
    text = raw[:OUTLINED].decode("utf-8", "backslashreplace")
    return clean(_WORD.sub(lambda found: found[0] if found[0] in _KEPT else "***", text), OUTLINED * 2)


def _utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _size(trace: Any) -> int:
    return len(trace) if isinstance(trace, str) else len(codec.encode(trace)) if isinstance(trace, list) else 0


@lru_cache(maxsize=4096)
def _known(text: str) -> str:
    """Few words name most jobs."""
    return clean(text)


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
