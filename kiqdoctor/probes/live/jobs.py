"""Pages of jobs, and searches through them: a window of a queue or set, however many members it has."""

from collections.abc import Iterator
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from kiqdoctor.doctor.facts.live import Failure, JobPage, JobRow, Search, Sought
from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import READ_BUDGET, average_sizes, number
from kiqdoctor.probes.live.reader import must
from kiqdoctor.probes.queues.payloads import unsaid
from kiqdoctor.regex import regex
from kiqdoctor.text import LONG, SHORT, clean
from kiqdoctor.wire import codec
from kiqdoctor.wire import fields as wire
from kiqdoctor.wire.keys import QUEUE_PREFIX, Keys
from kiqdoctor.wire.numbers import real
from kiqdoctor.wire.payload import Payload, PayloadError, backtrace, read

MOST_FOUND: Final = 10_000  # rows that a search keeps
MOST_TAKEN: Final = 64 * 1024 * 1024  # bytes of members that hold the text: of them the others are left out
CHUNK: Final = 1_000  # members in one round trip of a search
PARSED: Final = 2 * 1024 * 1024  # bytes: a larger member is told by its size
MOST_OTHERS: Final = 40  # further fields
FRAMES: Final = 200
PLAIN: Final = regex(r"[A-Za-z0-9_:.$#-]+")  # what every writer of JSON writes as it is
KNOWN: Final = frozenset(
    (
        *(wire.CLASS, wire.WRAPPED, wire.DISPLAY_CLASS, wire.ARGS, wire.QUEUE, wire.JID, wire.TAGS),
        *(wire.CREATED_AT, wire.ENQUEUED_AT, wire.FAILED_AT, wire.RETRIED_AT, wire.RETRY_COUNT),
        *(wire.ERROR_CLASS, wire.ERROR_MESSAGE, wire.ERROR_BACKTRACE),
    )
)
HARMLESS: Final = frozenset(
    (
        *(wire.RETRY, wire.RETRY_QUEUE, wire.DEAD, wire.BACKTRACE, wire.AT),
        *(wire.EXPIRES_IN, wire.EXPIRY, wire.UNIQUE_FOR, "unique_until", "bid"),
        *("pool", "locale", "discarded_at", "profile", "iterated", "interrupted_count"),
    )
)
"""Fields that are shown where arguments are masked: one of somebody's middleware may hold as much as an argument."""


def page(
    redis: Redis, place: str, start: int, count: int, *, backwards: bool = False, show_args: bool = False
) -> JobPage:
    """``count`` jobs from ``start`` on: of a set by time, of a queue in the order in which they will run.

    ``backwards``: from the other end. Where members are large, fewer come.

    Raises:
        RefusalError: Redis refused, went away, or the key is of another kind.
    """
    total = _total(redis, place)
    key = _key(redis, place)
    count = _fitting(redis, key, total, count)
    rows = _window(redis, place, key, start, count, backwards=backwards)
    found = tuple(row(place, member, score, show_args=show_args) for member, score in rows)
    return JobPage(place, start, total, found, "" if count else "its members are too large to be read")


def search(redis: Redis, place: str, sought: Sought, *, show_args: bool = False) -> Iterator[Search]:
    """Members that fit (the case of a text counts), with what has been found after each round trip."""
    total, text = _total(redis, place), _held(sought)
    found: dict[bytes, JobRow] = {}
    looked = taken = 0
    for members, here in _scanned(redis, place, text, total):
        looked, taken = looked + here, taken + sum(len(member) for member, _ in members)
        for member, score in members:
            if member not in found and _fits(member, sought):
                found[member] = row(place, member, score, show_args=show_args)
        ended = len(found) >= MOST_FOUND or (taken >= MOST_TAKEN and looked < total)
        note = f"ended after {taken >> 20} MiB that hold {clean(text)!r}" if ended and len(found) < MOST_FOUND else ""
        yield Search(place, sought, tuple(found.values())[:MOST_FOUND], min(looked, total), total, ended, note)
        if ended:
            return
    note = "" if total else "it is empty"
    yield Search(place, sought, tuple(found.values()), total, total, done=True, note=note)


def _held(sought: Sought) -> str:
    """A text that the bytes of all that fit hold: of a failure, the longest of its words that JSON writes as it is."""
    if sought.failure is None:
        return sought.text
    said = (sought.failure.job_class, sought.failure.error_class, sought.failure.queue)
    return max((word for word in (sought.text, *said) if PLAIN.fullmatch(word)), key=len, default="")


def _fits(member: bytes, sought: Sought) -> bool:
    """Whether a member that holds the text failed so, where that is asked."""
    if sought.failure is None:
        return True
    try:
        return len(member) <= PARSED and failure_of(read(member)) == sought.failure
    except PayloadError:
        return False


def failure_of(job: Payload) -> Failure:
    """What a failed job has in common with others."""
    return Failure(_shown(job.shown_class), _shown(_text(job.fields.get(wire.ERROR_CLASS))), _shown(job.queue))


def _shown(text: str) -> str:
    return _known(text) if len(text) <= SHORT else clean(text)


@lru_cache(maxsize=4096)
def _known(text: str) -> str:
    """Few words name most jobs; what is longer than shown is not kept."""
    return clean(text)


def _scanned(redis: Redis, place: str, text: str, total: int) -> Iterator[tuple[list[tuple[bytes, float | None]], int]]:
    """Matching members with their scores, and how many members were looked at for them."""
    key = _key(redis, place)
    size = _fitting(redis, key, total, CHUNK)
    if not size:
        raise RefusalError("its members are too large to be searched")
    if not place.startswith(QUEUE_PREFIX):
        cursor: Any = 0
        while True:
            reply = must(redis.ask("ZSCAN", key, cursor, "MATCH", f"*{_literal(text)}*", "COUNT", size))
            cursor, flat = reply
            yield [(member, real(score)) for member, score in zip(flat[::2], flat[1::2], strict=True)], size
            if cursor in {b"0", 0}:
                return
    for start in range(0, total, size):
        window = _window(redis, place, key, start, size, backwards=False)
        wanted = text.encode("utf-8", "replace")
        yield [pair for pair in window if wanted in pair[0]], len(window)


def _literal(text: str) -> str:
    """The text as a glob pattern that matches itself."""
    return "".join(f"\\{char}" if char in "*?[]^\\" else char for char in text)


def _key(redis: Redis, place: str) -> str:
    return Keys(redis.namespace).name(place)


def _total(redis: Redis, place: str) -> int:
    command = "LLEN" if place.startswith(QUEUE_PREFIX) else "ZCARD"
    return number(must(redis.ask(command, _key(redis, place))))


def _fitting(redis: Redis, key: str, total: int, count: int) -> int:
    [average] = average_sizes(redis, [key], [total]) if total else [None]
    return min(count, int(READ_BUDGET // average)) if average else count


def _window(
    redis: Redis, place: str, key: str, start: int, count: int, *, backwards: bool
) -> list[tuple[bytes, float | None]]:
    if not count:
        return []
    if place.startswith(QUEUE_PREFIX):  # the tail runs first
        first, last = (start, start + count - 1) if backwards else (-start - count, -start - 1)
        found = must(redis.ask("LRANGE", key, first, last)) if backwards or start < _total(redis, place) else []
        return [(member, None) for member in (found if backwards else reversed(found))]
    command = "ZREVRANGE" if backwards else "ZRANGE"
    flat = must(redis.ask(command, key, start, start + count - 1, "WITHSCORES"))
    return [(member, real(score)) for member, score in zip(flat[::2], flat[1::2], strict=True)]


def row(place: str, member: bytes, score: float | None, *, show_args: bool = False) -> JobRow:
    """One member as far as it can be read."""
    if len(member) > PARSED:
        return JobRow(place, member, score, error=f"{len(member)} bytes, not parsed")
    try:
        job = read(member)
    except PayloadError as error:
        return JobRow(place, member, score, error=clean(str(error)))
    return _row(place, member, score, job, show_args=show_args)


def _row(place: str, member: bytes, score: float | None, job: Payload, *, show_args: bool) -> JobRow:
    fields = job.fields
    tags = fields.get("tags")
    message = _text(fields.get(wire.ERROR_MESSAGE))
    return JobRow(
        place=place,
        member=member,
        score=score,
        queue=clean(job.queue),
        job_class=clean(job.shown_class),
        jid=clean(job.jid),
        created_at=job.at(wire.CREATED_AT),
        enqueued_at=job.at(wire.ENQUEUED_AT),
        failed_at=job.at(wire.FAILED_AT),
        retried_at=job.at(wire.RETRIED_AT),
        retry_count=job.retry_count,
        error_class=clean(_text(fields.get(wire.ERROR_CLASS))),
        error_message=clean(message if show_args else unsaid(message, [*job.args, job.keywords]), LONG, lines=True),
        tags=tuple(clean(_text(tag)) for tag in tags[:20]) if isinstance(tags, list) else (),
        arity=len(job.args),
        args=clean(decoded(job.args), LONG) if show_args else None,
    )


def whole(found: JobRow, *, show_args: bool = False) -> JobRow:
    """The same row with what only its detail shows: frames, and the fields that have no column."""
    try:
        job = read(found.member)
    except PayloadError:
        return found
    frames = tuple(clean(line, 400) for line in backtrace(job.fields.get(wire.ERROR_BACKTRACE))[:FRAMES])
    others = [
        (clean(key), clean(decoded(value)))
        for key, value in job.fields.items()
        if key not in KNOWN and (show_args or key in HARMLESS)
    ]
    hidden = [key for key in job.fields if key not in KNOWN | HARMLESS]
    if hidden and not show_args:
        others.append(("masked", clean(", ".join(sorted(hidden)), 400)))
    return replace(found, backtrace=frames, others=tuple(others[:MOST_OTHERS]))


def decoded(value: Any) -> str:
    """A value of a payload as JSON, not longer than anybody shows."""
    return codec.encode(value).decode("utf-8", "replace")[: LONG + SHORT]


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
