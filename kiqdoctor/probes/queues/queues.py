"""Queues and sorted sets of the examined namespace: lengths, ages, and a few payloads of each end."""

import time
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Final

from kiqdoctor.doctor.facts.queues import JobSet, Queue, Queues, Sample
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.probe import Lane, Read, RefusalError, probe
from kiqdoctor.doctor.snapshot import Absent, Refused
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import MEMBER_LIMIT, READ_BUDGET, average_sizes, batched, members, number, refused, told
from kiqdoctor.probes.asking import word as text_of
from kiqdoctor.probes.queues.payloads import LARGEST, sample
from kiqdoctor.text import decode, undecoded
from kiqdoctor.wire.keys import DEAD, QUEUE_PREFIX, QUEUES, RESERVED, SETS, Keys
from kiqdoctor.wire.numbers import real

MOST_QUEUES: Final = 20_000
MOST_SAMPLED: Final = 200  # queues whose payloads are looked at, the longest first
OVERDUE_AFTER: Final = 60.0  # seconds
PLACES: Final = (-1, -2, -3, 0, 1)  # the oldest, and the newest
TEN_YEARS: Final = 10 * 365.25 * 86_400  # seconds: nobody schedules so far ahead
SINCE_2001: Final = 1_000_000_000  # epoch seconds: what is less was no time of the epoch
ENDLESS: Final = 1.7e308  # what an infinite score is told as
STRANGE: Final = 3  # scores of each kind that are read

LISTS: Final = (f"{QUEUE_PREFIX}*",)


@probe(
    Read("TYPE of the reserved keys", "+type", "O(1) each", keys=tuple(RESERVED)),
    Read("SCARD, SSCAN queues", "+scard +sscan", "O(queues), up to 20,000", keys=(QUEUES,)),
    Read("TYPE, LLEN queue:<name>", "+type +llen", "O(1) each", keys=LISTS),
    Read("MEMORY USAGE queue:<name>", "+memory|usage", "O(20 samples), before any payload is read", keys=LISTS),
    Read("LINDEX queue:<name> at both ends", "+lindex", "O(1), one payload of each, 5 of the 200 longest", keys=LISTS),
    Read("TYPE, SCARD, MEMORY USAGE, SSCAN paused", "+type +scard +sscan", "O(paused queues)", keys=("paused",)),
    Read("ZCARD, ZCOUNT schedule, retry, dead", "+zcard +zcount", "O(log n)", keys=SETS),
    Read("ZRANGE schedule, retry, dead: a few scores", "+zrange", "O(log n)", keys=SETS),
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
    found = read_queues(redis, keys, [decode(one) for one in sorted(raw)])
    partial = "" if complete else f"queues has more than {MOST_QUEUES} members"
    halted, unread = _paused(redis, keys)
    found = tuple(replace(one, paused=one.name in halted) if halted else one for one in found)
    sets = _sets(redis, keys, now)
    return Queues(found, sets, partial, traces, bool(halted), unread)


def _paused(redis: Redis, keys: Keys) -> tuple[frozenset[str], str]:
    """The bare names of paused queues, and why they were not read."""
    try:
        found, complete = members(redis, keys.paused, MOST_QUEUES)
    except RefusalError as error:
        return frozenset(), " ".join(filter(None, (error.refused.reason, error.refused.unlock)))
    return frozenset(map(decode, found)), "" if complete else f"paused has more than {MOST_QUEUES} members"


def read_queues(redis: Redis, keys: Keys, names: Sequence[str]) -> tuple[Queue, ...]:
    """These queues: of each its oldest payload, of the longest ones a few of both ends."""
    kinds = [text_of(one) for one in batched(redis, [("TYPE", keys.queue(undecoded(name))) for name in names])]
    lists = [name for name, kind in zip(names, kinds, strict=True) if kind == "list"]
    replies = batched(redis, [("LLEN", keys.queue(undecoded(name))) for name in lists])
    if (refusal := refused(replies)) is not None:
        raise RefusalError(refusal.reason, refusal.unlock)
    sizes = dict(zip(lists, map(number, replies), strict=True))
    ordered = sorted((name for name in lists if sizes[name]), key=lambda name: -sizes[name])
    longest = [keys.queue(undecoded(name)) for name in ordered]
    averages = average_sizes(redis, longest, [sizes[name] for name in ordered])
    weights = dict(zip(ordered, averages, strict=True))
    samples, unread = _samples(redis, keys, weights, sizes)
    return tuple(
        Queue(
            name=name,
            size=sizes.get(name, 0),
            kind=kind if kind != "none" else "list",
            oldest_at=samples[name][0].enqueued_at if samples.get(name) else None,
            sample=samples.get(name, ()),
            unread=unread.get(name, ""),
            average_bytes=weights.get(name),
        )
        for name, kind in zip(names, kinds, strict=True)
    )


def _samples(
    redis: Redis, keys: Keys, weights: dict[str, float | None], sizes: dict[str, int]
) -> tuple[dict[str, tuple[Sample, ...]], dict[str, str]]:
    """Payloads, where Redis' own estimate of their size allows it; and why others were not read."""
    unread: dict[str, str] = {}
    asked: list[tuple[str, int]] = []
    expected = 0.0
    for rank, (name, average) in enumerate(weights.items()):
        each = average or 0.0
        few = rank >= MOST_SAMPLED or each > MEMBER_LIMIT
        places = [place for place in (PLACES[:1] if few else PLACES) if _there(place, sizes[name])]
        if each > LARGEST:
            unread[name] = f"its payloads hold {each:.0f} bytes on average"
        elif expected + each * len(places) > READ_BUDGET:
            unread[name] = "the byte budget was used up"
        else:
            expected += each * len(places)
            asked += [(name, place) for place in places]
    replies = batched(redis, [("LINDEX", keys.queue(undecoded(name)), place) for name, place in asked])
    found: dict[str, list[Sample]] = {}
    for (name, _), raw in zip(asked, replies, strict=True):
        if isinstance(raw, Refused):
            unread[name] = raw.reason
        elif isinstance(raw, bytes):
            found.setdefault(name, []).append(sample(raw))
    return {name: tuple(some) for name, some in found.items()}, unread


def _there(place: int, size: int) -> bool:
    """Whether a list of this size has that place, which none from its other end is."""
    return -place <= size if place < 0 else place < size - 3


def _sets(redis: Redis, keys: Keys, now: float) -> tuple[JobSet, ...]:
    names = [keys.name(name) for name in SETS]
    kinds = [text_of(one) for one in batched(redis, [("TYPE", name) for name in names])]
    sizes = [told(reply) for reply in batched(redis, [("ZCARD", name) for name in names])]
    averages = average_sizes(redis, names, [size for size, _ in sizes])
    found = []
    for name, kind, (size, unread), average in zip(SETS, kinds, sizes, averages, strict=True):
        one = JobSet(name, size, kind if kind != "none" else "zset", unread=unread, average_bytes=average)
        found.append(_scored(redis, keys.name(name), one, now) if one.size else one)
    return tuple(found)


def _scored(redis: Redis, key: str, one: JobSet, now: float) -> JobSet:
    """The same with what its scores tell. A score comes with its member, so only where members are no giants."""
    ahead = now + TEN_YEARS
    readable = (one.average_bytes or 0) <= MEMBER_LIMIT
    asked = [("ZRANGE", key, 0, STRANGE - 1, "WITHSCORES"), ("ZRANGE", key, -STRANGE, -1, "WITHSCORES")]
    late, far, early, *ends = redis.ask_all(
        [
            ("ZCOUNT", key, "-inf", now - OVERDUE_AFTER),
            ("ZCOUNT", key, ahead, "+inf"),
            ("ZCOUNT", key, "(0", f"({SINCE_2001}"),
            *(asked if readable else []),
        ]
    )
    if (refusal := refused([late, far, early, *ends])) is not None:
        raise RefusalError(refusal.reason, refusal.unlock)
    why = next((reply.reason for reply in (late, far, early, *ends) if isinstance(reply, Refused)), "")
    scores = [_score(text) for flat in ends if isinstance(flat, list) for text in flat[1::2]]
    strange = sorted({score for score in scores if score >= ahead or 0 < score < SINCE_2001})
    return replace(
        one,
        overdue=number(late) if one.name != DEAD else 0,
        far=number(far),
        early=number(early),
        lowest_score=min(scores, default=None),
        strange_scores=tuple(strange),
        unread=one.unread or why or ("" if readable else f"its members hold {one.average_bytes:.0f} bytes on average"),
    )


def _score(text: Any) -> float:
    """A score as Redis says it; an infinite one as the largest there is."""
    found = real(text, least=-ENDLESS, most=ENDLESS)
    return found if found is not None else -ENDLESS if text == b"-inf" else ENDLESS
