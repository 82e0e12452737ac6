"""What remedies read before they plan: bytes as they lie in Redis, when keys end, where a job lies."""

from collections.abc import Collection, Iterable, Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.actions.exact import Entry
from kiqdoctor.doctor.snapshot import Refused
from kiqdoctor.probes.asking import batched, granted
from kiqdoctor.probes.beside.places import Budget, Place, pages, places
from kiqdoctor.probes.names import shared
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex
from kiqdoctor.text import clean
from kiqdoctor.wire.keys import Keys
from kiqdoctor.wire.payload import Payload, PayloadError, pushed, read

if TYPE_CHECKING:
    from kiqdoctor.doctor.tools import Redis

_SPELT: Final = regex(r"[\\…\u2400-\u2421]|\*{3}")  # what ``clean`` writes in place of something
MOST: Final = 20_000  # jobs of one list, or of one herd
LARGE: Final = 8 * 1024 * 1024  # bytes of one key, or of one list's jobs
MOST_BYTES: Final = 32 * 1024 * 1024  # of all jobs, that a search may read
MOST_SECONDS: Final = 5.0


def raw(text: str) -> bytes:
    """A name as its bytes."""
    return text.encode("utf-8", "surrogateescape")


def known(text: str) -> bool:
    """Whether a name that was cleaned for people is still the one that Redis has."""
    return not _SPELT.search(text) and clean(text) == text


def payload(job: bytes) -> Payload | None:
    """What these bytes say; None where they are no payload."""
    try:
        return read(job)
    except PayloadError:
        return None


def again(job: bytes) -> bool:
    """Whether it may run again, as far as it says so."""
    found = payload(job)
    return found is None or not found.at_most_once


def retried(found: Payload, now: float) -> bytes:
    """As Sidekiq's own retry button puts it into its queue: the last failure is not counted against it."""
    count = found.retry_count
    return pushed(found if count is None else found.with_(retry_count=count - 1), now).encode()


def ends(redis: "Redis", names: Iterable[str | bytes]) -> list[str]:
    """When each key ends, in milliseconds since the epoch; "" for never. Redis before 7 says how long only."""
    names = list(names)
    replies = batched(redis, [("PEXPIRETIME", name) for name in names])
    if any(isinstance(one, Refused) for one in replies):
        at, *lives = batched(redis, [("TIME",), *(("PTTL", name) for name in names)])
        now_ms = int(at[0]) * 1000 + int(at[1]) // 1000 if isinstance(at, list) else 0
        replies = [one + now_ms if isinstance(granted(one), int) and one >= 0 else -1 for one in lives]
    return [str(one) if isinstance(one, int) and one >= 0 else "" for one in replies]


def now(redis: "Redis") -> float:
    """Redis' own clock, in epoch seconds."""
    at = redis.ask("TIME")
    return int(at[0]) + int(at[1]) / 1e6


def dumped(redis: "Redis", names: Collection[str | bytes], most: int) -> list[Entry] | None:
    """Each of these keys whole, those that are gone left out; None where they are larger together."""
    sizes = batched(redis, [("MEMORY", "USAGE", name, "SAMPLES", 0) for name in names])
    if any(isinstance(one, Refused) for one in sizes) or sum(one for one in sizes if isinstance(one, int)) > most:
        return None
    there = [name for name, size in zip(names, sizes, strict=True) if isinstance(size, int)]
    lasting = ends(redis, there)
    values = [value for name in there for value in redis.ask_all([("DUMP", name)])]
    if any(isinstance(one, Refused) for one in values):
        return None
    return [
        Entry("dump", raw(name) if isinstance(name, str) else name, value=value, ends=end)
        for name, value, end in zip(there, values, lasting, strict=True)
        if isinstance(value, bytes)
    ]


@dataclass(frozen=True, slots=True)
class Sighting:
    """A job where it lies."""

    place: Place
    raw: bytes
    payload: Payload


@dataclass(frozen=True, slots=True)
class Search:
    """Jobs by jid wherever they lie; ``short``: why some may lie where nobody looked."""

    found: dict[str, tuple[Sighting, ...]]
    short: str = ""

    def of(self, jid: str) -> tuple[Sighting, ...]:
        """Everywhere that it was found."""
        return self.found.get(jid, ())


def search(redis: "Redis", jids: Collection[str]) -> Search:
    """Look for them in queues, sets, private lists and what waits for room, the small ones first."""
    found: dict[str, list[Sighting]] = {}
    where, short = places(redis, shared(redis)) if jids else ([], "")
    budget = Budget(MOST_BYTES, MOST_SECONDS)
    for place in sorted(where, key=lambda one: one.size):
        for one in _named(redis, place, jids, budget):
            found.setdefault(one.payload.jid, []).append(one)
    unread = f"{', '.join(map(clean, budget.unread[:3]))} not looked at to the end" if budget.unread else ""
    lying = {jid: tuple({(one.place.name, one.raw): one for one in all_}.values()) for jid, all_ in found.items()}
    return Search(lying, "; ".join(filter(None, (short, unread))))


def _named(redis: "Redis", place: Place, jids: Collection[str], budget: Budget) -> Iterator[Sighting]:
    marks = [raw(jid) for jid in jids]
    for page in pages(redis, place, budget):
        for job in page:
            if any(mark in job for mark in marks) and (said := payload(job)) is not None and said.jid in jids:
                yield Sighting(place, job, said)


def lying(redis: "Redis", one: Sighting) -> Entry | None:
    """Its entry, with its score as Redis spells it, or with the element that it lies before; None where it has left."""
    key = Keys(redis.namespace).name(one.place.name)
    if not one.place.is_set:
        at = redis.ask("LPOS", key, one.raw, "RANK", -1)
        after = redis.ask("LINDEX", key, at + 1) if isinstance(at, int) else None
        return Entry("before", raw(key), one.raw, after) if after is not None else Entry("tail", raw(key), one.raw)
    score = redis.ask("ZSCORE", key, one.raw)
    return Entry("zset", raw(key), one.raw, score) if isinstance(score, bytes) else None
