"""Every place where jobs lie, and their members by pages: what stays where it is, is never missed."""

import time
from collections.abc import Iterator
from typing import Any, Final

from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import average_sizes, batched, members, number
from kiqdoctor.probes.fleet.private_lists import listed
from kiqdoctor.probes.names import Names
from kiqdoctor.records import dataclass
from kiqdoctor.text import decode, undecoded
from kiqdoctor.wire.keys import QUEUE_PREFIX, SETS, Keys

MOST_QUEUES: Final = 20_000
TOGETHER: Final = 500  # members in one reply
PAGE_BYTES: Final = 128 * 1024  # of one reply: 0.3 ms of Redis' time
WAITING: Final = Keys(None).waiting("")
LARGE: Final = 1024 * 1024  # bytes: members that are larger on average are not read


@dataclass(frozen=True, slots=True)
class Place:
    """A list or sorted set of jobs: a queue, one of the three sets, a process's private list (its ``owner``), or what
    waits for room under a limit of our runtime.
    """

    name: str  # without the namespace
    size: int
    is_set: bool = False
    owner: str = ""
    taken_from: str = ""  # the queue of a private list

    @property
    def queue(self) -> str:
        """The queue's bare name, where it is one."""
        return self.name.removeprefix(QUEUE_PREFIX) if self.name.startswith(QUEUE_PREFIX) and not self.owner else ""


def places(redis: Redis, names: Names) -> tuple[list[Place], str]:
    """Those that hold jobs, registered or not, and why some may be missing."""
    keys = Keys(redis.namespace)
    registered, complete = members(redis, keys.queues, MOST_QUEUES)
    private = {one.key: one for one in listed(redis, names)}
    queues = dict.fromkeys(QUEUE_PREFIX + decode(one) for one in registered)
    queues |= dict.fromkeys(QUEUE_PREFIX + one for one in names.under(keys.queue("")))
    waiting = [f"{WAITING}{one}" for one in names.under(keys.name(WAITING))]
    lists = [*(name for name in queues if name not in private), *waiting]
    lengths = map(number, batched(redis, [("LLEN", keys.name(undecoded(name))) for name in (*lists, *private)]))
    cards = map(number, batched(redis, [("ZCARD", keys.name(name)) for name in SETS]))
    found = [
        Place(name, size, owner=private[name].owner or "?", taken_from=private[name].queue)
        if name in private
        else Place(name, size)
        for name, size in zip((*lists, *private), lengths, strict=True)
    ]
    found += [Place(name, size, is_set=True) for name, size in zip(SETS, cards, strict=True)]
    short = names.shortfall or ("" if complete else f"queues has more than {MOST_QUEUES} members")
    return [one for one in found if one.size], short


class Budget:
    """What one search may take of Redis: bytes, and seconds."""

    def __init__(self, most_bytes: int, seconds: float) -> None:
        self._bytes, self._deadline = most_bytes, time.monotonic() + seconds
        self.looked_at = 0
        self.unread: list[str] = []  # places that were not read to their end

    def spend(self, page: list[bytes]) -> None:
        """A page was read."""
        self.looked_at += len(page)
        self._bytes -= sum(map(len, page))

    @property
    def spent(self) -> bool:
        """Whether nothing more may be read."""
        return self._bytes <= 0 or time.monotonic() > self._deadline


def pages(redis: Redis, place: Place, budget: Budget) -> Iterator[list[bytes]]:
    """All members of a place, as far as the budget goes; where that ends it is noted there.

    A list is read from its head: what is pushed meanwhile comes in front, so nothing that stays is passed over. A set
    is read by ZSCAN, which promises the same.
    """
    key = Keys(redis.namespace).name(undecoded(place.name))
    [average] = average_sizes(redis, [key], [place.size])
    count = TOGETHER if not average else max(1, min(TOGETHER, int(PAGE_BYTES // average)))
    cursor: Any = 0
    start = 0
    while not budget.spent and (average is None or average <= LARGE):
        if place.is_set:
            cursor, flat = redis.ask("ZSCAN", key, cursor, "COUNT", count)
            page, ended = flat[::2], cursor in {b"0", 0}
        else:
            page = redis.ask("LRANGE", key, start, start + count - 1)
            start, ended = start + count, len(page) < count
        budget.spend(page)
        yield page
        if ended:
            return
    budget.unread.append(place.name)
