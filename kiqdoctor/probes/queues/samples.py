"""A bounded sample of every set and of the longest queues: both ends, the middle, and what is due soon."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from kiqdoctor.connection import Command
from kiqdoctor.doctor.facts.queues import JobSet, Place, Queue, Queues, Sample, Samples
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.probe import Lane, Read, RefusalError, probe
from kiqdoctor.doctor.snapshot import Absent, Refused
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import READ_BUDGET, number, refused
from kiqdoctor.probes.queues.payloads import sample
from kiqdoctor.probes.queues.queues import ENDLESS
from kiqdoctor.records import dataclass
from kiqdoctor.text import undecoded
from kiqdoctor.wire.keys import QUEUE_PREFIX, RETRY, SETS, Keys
from kiqdoctor.wire.numbers import real

END: Final = 200  # payloads of each end of a queue, and of a set
MIDDLES: Final = 4  # windows between the ends
MIDDLE: Final = 25  # payloads of each of them
WALKED: Final = 1_000_000  # jobs: in a longer list its middle is far from both ends
ALL: Final = 4_000  # payloads of queues in one examination
LEAST: Final = 10  # payloads of each end of a queue, where there are very many
WHOLE: Final = 1_000  # members of a set that is read whole
DRAWS: Final = 3  # of END members each, from a larger one: 1 ms of Redis' time each, measured on a million
TOGETHER: Final = 2 * 1024 * 1024  # bytes that one command brings, as Redis estimates them
WINDOWS: Final = 8  # that the next ten minutes of retry are looked at through
WINDOW: Final = 25
MINUTES: Final = 10
MINUTE: Final = 60.0  # seconds
KEYS: Final = (f"{QUEUE_PREFIX}*", *SETS)


@probe(
    Read(
        "LRANGE queue:<name> at both ends, and windows between them",
        "+lrange",
        "O(500) of each queue, 4,000 in all",
        keys=KEYS,
    ),
    Read("ZRANGE schedule, retry, dead, up to 1,000 members", "+zrange", "O(250) each", keys=KEYS),
    Read("ZRANDMEMBER of a larger one", "+zrandmember", "O(200 log n), 3 of them; ZRANGE before Redis 6.2", keys=KEYS),
    Read("ZCOUNT, ZRANGE retry: the next ten minutes", "+zcount +zrange", "O(log n + 200)", keys=KEYS),
    lane=Lane.REDIS,
    deadline_s=20.0,
)
def samples(redis: Redis, queues: Queues, clock: ServerTime | Refused | Absent) -> Samples:
    """Sets first, then queues, the longest first, as far as the budget of bytes goes."""
    keys = Keys(redis.namespace)
    now = clock.now if isinstance(clock, ServerTime) else time.time()
    places, spent = [], 0
    for one in queues.sets:
        if one.size:
            found = _set(redis, keys.name(one.name), one, now)
            spent += sum(each.size_bytes for each in (*found.sample, *found.soon))
            places.append(found)
    holding = sorted((one for one in queues.all if one.size and one.kind == "list"), key=lambda one: -one.size)
    end = max(LEAST, min(END, ALL // (2 * len(holding)))) if holding else END
    left_out = looked = 0
    for count, queue in enumerate(holding):
        if spent > READ_BUDGET or looked >= ALL:
            left_out = len(holding) - count
            break
        found = _queue(redis, keys.queue(undecoded(queue.name)), queue, end)
        looked += len(found.sample)
        spent += sum(each.size_bytes for each in found.sample)
        places.append(found)
    parts = [queues.partial] if queues.partial else []
    parts += [f"payloads of {left_out} of {len(holding)} queues that hold jobs were not sampled"] if left_out else []
    return Samples(tuple(places), "; ".join(parts))


def _fitting(average: float | None, wanted: int) -> int:
    """How many members one command may bring; 0 where one alone is too large."""
    return wanted if not average else min(wanted, int(TOGETHER // average))


@dataclass(frozen=True, slots=True)
class _Window:
    """Members from ``start`` on, of a list or by rank."""

    start: int
    count: int

    def command(self, key: str) -> Command:
        return ("LRANGE", key, self.start, self.start + self.count - 1)


def _queue(redis: Redis, key: str, queue: Queue, end: int) -> Place:
    place = queue.subject
    count = _fitting(queue.average_bytes, end)
    if not count:
        return Place(place, queue.size, unread=f"its payloads hold {queue.average_bytes:.0f} bytes on average")
    newest = _Window(0, min(count, queue.size))
    oldest = _Window(max(newest.count, queue.size - count), count)
    middles = list(_middles(queue, newest, oldest, min(MIDDLE, count)))
    windows = [newest, *middles, oldest]
    replies = redis.ask_all([window.command(key) for window in windows])
    if why := _reason(replies):
        return Place(place, queue.size, unread=why)
    head, *between, tail = (_read(window, reply) for window, reply in zip(windows, replies, strict=True))
    if queue.size <= newest.count:
        head, tail = (), head
    return Place(place, queue.size, tail[::-1], head, tuple(one for found in between for one in found))


def _middles(queue: Queue, newest: _Window, oldest: _Window, count: int) -> Iterator[_Window]:
    """Windows spread between the ends; of a very long list that walk would cost too much."""
    first, room = newest.count, oldest.start - newest.count
    if queue.size >= WALKED or room <= MIDDLES * count:
        return
    for number_ in range(MIDDLES):
        yield _Window(first + (room - count) * number_ // (MIDDLES - 1), count)


def _read(window: _Window, reply: Any) -> tuple[Sample, ...]:
    members = reply if isinstance(reply, list) else []
    return tuple(sample(raw, place=window.start + index) for index, raw in enumerate(members))


def _set(redis: Redis, key: str, one: JobSet, now: float) -> Place:
    count = _fitting(one.average_bytes, END)
    if not count:
        return Place(one.name, one.size, unread=f"its members hold {one.average_bytes:.0f} bytes on average")
    drawn = _drawn(redis, key, one.size, count)
    if isinstance(drawn, Refused):
        return Place(one.name, one.size, unread=_reason([drawn]))
    soon, due = _soon(redis, key, now, _fitting(one.average_bytes, WINDOW)) if one.name == RETRY else ((), ())
    return Place(one.name, one.size, others=drawn, soon=soon, due=due)


def _drawn(redis: Redis, key: str, size: int, count: int) -> tuple[Sample, ...] | Refused:
    """All of a small set, members at random of a large one; where the server is too old for that, its both ends."""
    if size <= WHOLE and size <= count * (WHOLE // END):
        replies = redis.ask_all([_ranked(key, start, count) for start in range(0, size, count)])
    else:
        replies = redis.ask_all([("ZRANDMEMBER", key, count, "WITHSCORES")] * DRAWS)
        if any(isinstance(one, Refused) and "unknown command" in one.reason for one in replies):
            replies = redis.ask_all([_ranked(key, 0, count), _ranked(key, size - count, count)])
    refusal = next((one for one in replies if isinstance(one, Refused)), None)
    return refusal or _scored([word for flat in replies for word in flat])


def _ranked(key: str, start: int, count: int) -> Command:
    return ("ZRANGE", key, start, start + count - 1, "WITHSCORES")


def _scored(flat: Sequence[Any]) -> tuple[Sample, ...]:
    """Each member once, with its score."""
    pairs = dict(zip(flat[::2], flat[1::2], strict=True))
    return tuple(sample(raw, score=_score(score), queued=False) for raw, score in pairs.items())


def _score(text: Any) -> float | None:
    return real(text, least=-ENDLESS, most=ENDLESS)


def _soon(redis: Redis, key: str, now: float, count: int) -> tuple[tuple[Sample, ...], tuple[int, ...]]:
    """Of what is due within ten minutes: some from end to end, and how many in each minute."""
    edges = [now + MINUTE * minute for minute in range(1, MINUTES + 1)]
    replies = redis.ask_all([("ZCOUNT", key, "-inf", edge) for edge in edges])
    if _reason(replies):
        return (), ()
    until = [number(reply) for reply in replies]
    due = tuple(after - before for before, after in zip([0, *until], until, strict=False))
    total = until[-1]
    size = min(count, -(-total // WINDOWS))
    starts = sorted({(total - size) * window // (WINDOWS - 1) for window in range(WINDOWS)}) if size else []
    flats = redis.ask_all([_ranked(key, start, size) for start in starts])
    if _reason(flats):
        return (), ()
    return _scored([word for flat in flats for word in flat]), due


def _reason(replies: Sequence[Any]) -> str:
    """Why a reply did not come; "" where all did.

    Raises:
        RefusalError: for want of a permission.
    """
    if (refusal := refused(replies)) is not None:
        raise RefusalError(refusal.reason, refusal.unlock)
    return next((one.reason for one in replies if isinstance(one, Refused)), "")
