"""A herd of retries is spread: each keeps its bytes and its turn, and gets another due time."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from kiqdoctor.actions.exact import Change, Edit, Entry, Step, chunks
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.queues import Durations, Samples
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.examining.remedies.looking import LARGE, MOST, now, raw
from kiqdoctor.probes.asking import average_sizes, batched, number
from kiqdoctor.probes.queues.payloads import sample
from kiqdoctor.text import clean
from kiqdoctor.wire.keys import RETRY, Keys
from kiqdoctor.wire.numbers import real

if TYPE_CHECKING:
    from kiqdoctor.doctor.report import Finding
    from kiqdoctor.doctor.tools import Redis

MINUTE: Final = 60.0  # seconds
AHEAD: Final = 10  # minutes that the check looks at
CALM: Final = 25  # a minute that are no herd, however few threads are free
DAY: Final = 1_440  # minutes: what would need longer is left to people
PAGE: Final = 500  # members in one reply

Member = tuple[bytes, bytes]  # a payload, and its score as Redis spells it
Group = tuple[str, str]  # class and error


def herd(findings: Sequence["Finding"], seen: Snapshot, redis: "Redis") -> Iterator[Step]:
    """So many a minute as the free threads get done."""
    samples, fleet, durations = seen.get(Samples), seen.get(Fleet), seen.get(Durations)
    if not (isinstance(samples, Samples) and isinstance(fleet, Fleet) and isinstance(durations, Durations)):
        return
    group, _ = Counter((one.job_class, one.error_class) for one in samples.place(RETRY).soon).most_common(1)[0]
    mean_s = durations.of(group[0])
    if findings[0].key != group[0] or not mean_s:
        return
    free = sum(max((one.concurrency or 0) - (one.busy or 0), 0) for one in fleet.live if not one.quiet)
    pace = max(CALM, int(free * MINUTE / mean_s))
    at, key = now(redis), Keys(redis.namespace).retry
    members = _due(redis, key, at, group)
    spread = _spread(redis, key, at, members, pace) if members is not None else None
    if members and spread:
        yield _step(findings[0], key, group, spread, at, pace)


def _step(finding: "Finding", key: str, group: Group, spread: list[tuple[Member, float]], at: float, pace: int) -> Step:
    moved = [Edit(Entry("zset", raw(key), job, score), Entry("zset", raw(key), job, repr(due).encode()))
             for (job, score), due in spread]  # fmt: skip
    until = max(due for _, due in spread) - at
    return Step(
        "QUE017", finding.subject,
        f"Give {len(moved)} retries of {clean(group[0])} ({clean(group[1]) or 'no error is told'}) later due times,"
        f" at most {pace} in all a minute and in their order, the last in {until / MINUTE:.0f} min",
        "what is spread comes later",
        "each that still waits gets its due time back",
        tuple(Change(part) for part in chunks(moved)),
    )  # fmt: skip


def _due(redis: "Redis", key: str, at: float, group: Group) -> list[Member] | None:
    """Those of the group that are due in the time that the check looks at; None where they are too many to be read."""
    count = number(redis.ask("ZCOUNT", key, "-inf", at + AHEAD * MINUTE))
    [average] = average_sizes(redis, [key], [number(redis.ask("ZCARD", key))])
    if average is None or count > MOST or count * average > LARGE:
        return None
    found: list[Member] = []
    for start in range(0, count, PAGE):
        flat = redis.ask("ZRANGE", key, start, min(start + PAGE, count) - 1, "WITHSCORES")
        found += [(job, score) for job, score in zip(flat[::2], flat[1::2], strict=True) if _of(job) == group]
    return found


def _of(job: bytes) -> Group:
    said = sample(job, queued=False)
    return said.job_class, said.error_class


def _spread(redis: "Redis", key: str, at: float, members: list[Member], pace: int) -> list[tuple[Member, float]] | None:
    """New due times of those that come later: minute by minute what has room there, the first first."""
    waiting = [(one, real(one[1]) or 0.0) for one in members]
    moved: list[tuple[Member, float]] = []
    rooms = _rooms(redis, key, at, Counter(_minute(due, at) for _, due in waiting), pace)
    for minute in range(DAY):
        room = next(rooms)
        begins = at + minute * MINUTE
        turn = [one for one in waiting[:room] if one[1] < begins + MINUTE]
        waiting = waiting[len(turn) :]
        late = [one for one, due in turn if _minute(due, at) < minute]
        moved += [(one, round(begins + MINUTE * (place + 0.5) / len(late), 6)) for place, one in enumerate(late)]
        if not waiting:
            return moved
    return None


def _minute(due: float, at: float) -> int:
    return max(0, int((due - at) // MINUTE))


def _rooms(redis: "Redis", key: str, at: float, ours: Counter[int], pace: int) -> Iterator[int]:
    """How many of the herd fit into each minute beside what is due there anyway."""
    for first in range(0, DAY, 60):
        edges = [at + minute * MINUTE for minute in range(first, first + 61)]
        counts = batched(redis, [
            ("ZCOUNT", key, "-inf" if minute == 0 else f"({edges[index]!r}", edges[index + 1])
            for index, minute in enumerate(range(first, first + 60))
        ])  # fmt: skip
        for minute, count in enumerate(counts, first):
            yield max(0, pace - number(count) + ours[minute])
