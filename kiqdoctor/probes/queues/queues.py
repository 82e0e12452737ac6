"""Queues and sorted sets of the examined namespace: lengths, ages, and a few payloads of each end."""

import time
from collections.abc import Sequence
from typing import Any, Final

from kiqdoctor.doctor.facts.queues import JobSet, Queue, Queues, Sample
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.probe import Lane, Read, RefusalError, probe
from kiqdoctor.doctor.snapshot import Absent, Refused
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import MEMBER_LIMIT, READ_BUDGET, average_sizes, batched, members, number, refused
from kiqdoctor.probes.asking import word as text_of
from kiqdoctor.text import clean, decode
from kiqdoctor.wire import payload
from kiqdoctor.wire.fields import ENQUEUED_AT, ERROR_CLASS
from kiqdoctor.wire.keys import DEAD, RESERVED, SETS, Keys

MOST_QUEUES: Final = 2_000
MOST_SAMPLED: Final = 200  # queues whose payloads are looked at, the longest first
OVERDUE_AFTER: Final = 60.0  # seconds
PLACES: Final = (-1, -2, -3, 0, 1)  # the oldest, and the newest


@probe(
    Read("TYPE of the reserved keys", "+type", "O(1) each"),
    Read("SCARD, SSCAN queues", "+scard +sscan", "O(queues), up to 2,000"),
    Read("TYPE, LLEN queue:<name>", "+type +llen", "O(1) each"),
    Read("MEMORY USAGE queue:<name>", "+memory|usage", "O(20 samples), before any payload is read"),
    Read("LINDEX queue:<name> at both ends", "+lindex", "O(1), 5 payloads of the 200 longest queues"),
    Read("ZCARD, ZCOUNT schedule, retry, dead", "+zcard +zcount", "O(log n)"),
    lane=Lane.REDIS,
    deadline_s=20.0,
)
def queues(redis: Redis, clock: ServerTime | Refused | Absent) -> Queues:
    """All registered queues, and the three sets."""
    keys = Keys(redis.namespace)
    now = clock.now if isinstance(clock, ServerTime) else time.time()
    kinds = batched(redis, [("TYPE", keys.name(name)) for name in RESERVED])
    if (refusal := refused(kinds)) is not None:
        raise RefusalError(refusal.reason, refusal.unlock)
    traces = tuple(name for name, kind in zip(RESERVED, kinds, strict=True) if text_of(kind) != "none")
    raw, complete = members(redis, keys.queues, MOST_QUEUES)
    found, left_out = read_queues(redis, keys, [decode(one) for one in sorted(raw)])
    parts = [] if complete else [f"queues has more than {MOST_QUEUES} members"]
    return Queues(found, _sets(redis, keys, now), "; ".join([*parts, *left_out]), traces)


def read_queues(redis: Redis, keys: Keys, names: Sequence[str]) -> tuple[tuple[Queue, ...], list[str]]:
    """These queues, the longest ones with samples; and what was left out."""
    kinds = [text_of(one) for one in batched(redis, [("TYPE", keys.queue(name)) for name in names])]
    lists = [name for name, kind in zip(names, kinds, strict=True) if kind == "list"]
    replies = batched(redis, [("LLEN", keys.queue(name)) for name in lists])
    if (refusal := refused(replies)) is not None:
        raise RefusalError(refusal.reason, refusal.unlock)
    sizes = dict(zip(lists, map(number, replies), strict=True))
    sampled = sorted(lists, key=lambda name: -sizes[name])[:MOST_SAMPLED]
    samples, unread = _samples(redis, keys, sampled, sizes)
    found = tuple(
        Queue(
            name=name,
            size=sizes.get(name, 0),
            kind=kind if kind != "none" else "list",
            oldest_at=samples[name][0].enqueued_at if samples.get(name) else None,
            sample=samples.get(name, ()),
            unread=unread.get(name, "" if name in sampled or not sizes.get(name) else "not among the longest queues"),
        )
        for name, kind in zip(names, kinds, strict=True)
    )
    left_out = [f"payloads of {len(unread)} queues were not read"] if unread else []
    return found, left_out


def _samples(
    redis: Redis, keys: Keys, names: Sequence[str], sizes: dict[str, int]
) -> tuple[dict[str, tuple[Sample, ...]], dict[str, str]]:
    """Payloads of both ends, where Redis' own estimate of their size allows it; and why others were not read."""
    averages = average_sizes(redis, [keys.queue(name) for name in names], [sizes[name] for name in names])
    samples: dict[str, tuple[Sample, ...]] = {}
    unread: dict[str, str] = {}
    spent = 0
    for name, average in zip(names, averages, strict=True):
        if average is not None and average > MEMBER_LIMIT:
            unread[name] = f"its payloads hold {average:.0f} bytes on average"
        elif spent > READ_BUDGET:
            unread[name] = "the byte budget was used up"
        else:
            raws = _ends(redis, keys.queue(name), sizes[name])
            spent += sum(map(len, raws))
            samples[name] = tuple(map(sample, raws))
    return samples, unread


def _ends(redis: Redis, key: str, size: int) -> list[bytes]:
    places = [place for place in PLACES if (place < 0 and -place <= size) or (0 <= place < size - 3)]
    replies = redis.ask_all([("LINDEX", key, place) for place in places])
    return [reply for reply in replies if isinstance(reply, bytes)]


def sample(raw: bytes) -> Sample:
    """What may be kept of a payload: its keys, class and stamps, never its arguments."""
    if len(raw) > MEMBER_LIMIT * 16:
        return Sample(error=f"{len(raw)} bytes, not parsed", size_bytes=len(raw))
    try:
        job = payload.read(raw)
    except payload.PayloadError as error:
        return Sample(error=clean(str(error)), size_bytes=len(raw))
    return Sample(
        keys=tuple(sorted(clean(key) for key in job.fields))[:40],
        job_class=job.shown_class[:200],
        jid=job.jid[:64],
        enqueued_at=job.at(ENQUEUED_AT),
        error_class=_text(job.fields.get(ERROR_CLASS))[:200],
        size_bytes=len(raw),
    )


def _sets(redis: Redis, keys: Keys, now: float) -> tuple[JobSet, ...]:
    kinds = [text_of(one) for one in batched(redis, [("TYPE", keys.name(name)) for name in SETS])]
    sizes = batched(redis, [("ZCARD", keys.name(name)) for name in SETS])
    late = batched(redis, [("ZCOUNT", keys.name(name), "-inf", now - OVERDUE_AFTER) for name in SETS])
    return tuple(
        JobSet(
            name=name,
            size=number(size),
            kind=kind if kind != "none" else "zset",
            overdue=number(overdue) if name != DEAD else 0,
            unread=size.reason if isinstance(size, Refused) else "",
        )
        for name, kind, size, overdue in zip(SETS, kinds, sizes, late, strict=True)
    )


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
