"""How many jobs of a class may run at once, or in a period, in the whole fleet."""

import itertools
import threading
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from itertools import islice
from math import inf
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from kiqdoctor.clock import boottime
from kiqdoctor.runtime import log, lua
from kiqdoctor.runtime.endings import Step, freed, slot
from kiqdoctor.runtime.fetching.leaving import Leaving
from kiqdoctor.runtime.fetching.work import SHORT, Place, Work
from kiqdoctor.text import clean
from kiqdoctor.wire import codec
from kiqdoctor.wire.keys import QUEUE_PREFIX, Keys
from kiqdoctor.wire.numbers import whole
from kiqdoctor.wire.payload import jid_of

if TYPE_CHECKING:
    from redis import Redis

    from kiqdoctor.runtime.job import Job

Kind = TypeVar("Kind")

QUICK: Final = 0.2  # seconds between two looks for room while jobs wait for some, at most
TURNS: Final = 8  # looks within a rate's period: what waits for its next turn has most of it
SOON: Final = 0.01  # seconds, at least
SLOW: Final = 1.0  # seconds, where none does
PAGE: Final = 200  # jobs at hand for which starts are asked at once
PASSED_ON: Final = 0.05  # seconds that a place goes from job to job here; then whoever waits for one has a turn
IDLE: Final = 0.01  # seconds after which what no job took is given up
FRESH: Final = 0.02  # seconds after which a start is none any more: Redis counts it from when it was asked for
CROWDED: Final = 1.0  # seconds in which nothing is kept since some were seen to wait
PARTS: Final = 3  # limit, rate, period


def room(limit: int | None, rate: tuple[int, float] | None) -> str:
    """A class's limits as ``kiq:limited`` has them, so that processes that do not know it hand its jobs on, too."""
    count, period = rate or (0, 0.0)
    return f"{limit or 0} {count} {int(period * 1_000_000)}"


class Waiting:
    """One thread of each process hands on what waits: a rate's next turn, places of the dead, what was just missed."""

    def __init__(self, client: "Redis", keys: Keys, stop: threading.Event) -> None:
        self._client, self._keys, self._stop = client, keys, stop
        self._script = client.register_script(lua.source("free"))
        self.thread = threading.Thread(target=self.run, daemon=True, name="kiq.limits")

    def run(self) -> None:
        """Until stopped."""
        wait = SLOW
        while not self._stop.wait(wait):
            try:
                wait = self.look()
            except Exception as error:  # noqa: BLE001 - Redis may be away; the next look tries again
                log.warn_seldom(f"limits: {type(error).__name__}: {error}")
                wait = SLOW

    def look(self) -> float:
        """Hand on what there is room for; seconds until the next look."""
        found: Any = self._client.hgetall(self._keys.limited)
        periods = [self._handed(name, told) for name, told in found.items()]
        shortest = min((one for one in periods if one), default=inf) / TURNS
        return min(QUICK, max(SOON, shortest)) if found else SLOW

    def _handed(self, name: bytes, told: bytes) -> float:
        """As ``_hand``; one class whose keys are of another type holds up no other."""
        import redis

        shown = name.decode("utf-8", "replace")
        try:
            return self._hand(shown, told.decode("ascii", "replace"))
        except redis.ReadOnlyError:
            raise
        except redis.ResponseError as error:
            log.warn_seldom(f"limits of {clean(shown)}: {type(error).__name__}: {error}")
            return 0.0

    def _hand(self, name: str, told: str) -> float:
        """The period of its rate in seconds, 0 where it has none."""
        keys = self._keys
        numbers = [whole(word) or 0 for word in told.split(" ")]
        limits = numbers if len(numbers) == PARTS else [0] * PARTS
        self._script(
            keys=[keys.slots(name), keys.rate(name), keys.waiting(name), keys.limited, keys.turns(name)],
            args=[name, *limits, keys.name(QUEUE_PREFIX), keys.lease(""), keys.process("")],
        )
        return limits[2] / 1_000_000 if limits[1] else 0.0


class _Held(msgspec.Struct, eq=False):
    """What this process has of one class, under one identity, and no job of it uses just now."""

    owner: str
    places: deque[Place]  # used last, taken first
    starts: deque[str]  # within its rate, by their names
    asked: float = 0.0  # of the boot clock: when the starts came
    fresh: float = 0.0  # and until when they may be used
    lock: threading.Lock = msgspec.field(default_factory=threading.Lock)
    crowded: float = 0.0  # until when some wait for room, as far as we know: nothing is kept from them


class Limits:
    """Asks for places among the running, and for starts within a rate.

    A round trip for each would be most of a short job's cost. So starts are asked for all jobs at hand at once, and the
    place of a short job is passed on to the next of its class here, for a moment, while nobody waits for one.
    """

    def __init__(self, client: "Redis", keys: Keys, ahead: Callable[[], Iterable[Work]] = tuple) -> None:
        self._keys, self._ahead = keys, ahead
        self._script = client.register_script(lua.source("enter"))
        self._leaving = Leaving(client)
        self._numbers = itertools.count(1)
        self._held: dict[str, _Held] = {}
        self._lock = threading.Lock()
        self._owed: list[Step] = []  # what is to be given up in Redis
        self._closed = False

    def enter(self, job: "Job[Any, Any]", owner: str, work: Work | None = None) -> float:
        """0 where the job may begin, and has its place; else seconds after which asking again is worthwhile."""
        held = self._held.get(job.name)
        if held is None or held.owner != owner:
            held = self._first(job.name, owner)
        if job.least >= SHORT:
            return self._entered(job, held, work)
        with held.lock:  # what one asks for others find
            return self._entered(job, held, work)

    def _first(self, job_class: str, owner: str) -> _Held:
        """Once, whichever threads come first; what an identity before had is to be given up."""
        with self._lock:
            held = self._held.get(job_class)
            if held is None or held.owner != owner:
                if held is not None:
                    self._drain(job_class, held, inf)
                held = self._held[job_class] = _Held(owner, deque(), deque())
        return held

    def _entered(self, job: "Job[Any, Any]", held: _Held, work: Work | None) -> float:
        limit, rate = job.options.limit, job.options.rate
        if held.starts and boottime() >= held.fresh:  # we stood still, or the ticker did
            self._drop(job.name, held)
        place = _next(held.places.pop) if limit else None
        start = _next(held.starts.popleft) if rate else None
        wait = 0
        if (limit and place is None) or (rate and start is None):
            wait = -1
            try:
                wait, made = self._asked(job, held, work, 0 if place else limit or 0, None if start else rate)
            finally:
                if wait and place is not None:
                    held.places.append(place)
                if wait and start is not None:
                    held.starts.append(start)
            place = place or made
        if work is not None and not wait:
            work.place = place
        return wait / 1000

    def _asked(
        self, job: "Job[Any, Any]", held: _Held, work: Work | None, limit: int, rate: tuple[int, float] | None
    ) -> tuple[int, Place | None]:
        """Milliseconds to wait; if none, the place that was asked for."""
        count, period = rate or (0, 0.0)
        wanted = 1 + self._at_hand(job.name) if count and job.least < SHORT else 1
        more = 2 * wanted if wanted > PAGE // 2 else 0  # of so many the next pages are likely to be, too
        name, keys, began = slot(held.owner, next(self._numbers)), self._keys, boottime()
        words: list[Any] = [limit, count, int(period * 1_000_000), keys.lease(""), keys.process("")]
        words += [name, wanted, f"{name}.", more, jid_of(work.payload) if work is not None else ""]
        words.append(keys.name(QUEUE_PREFIX))
        try:
            told: Any = self._script(
                keys=[keys.slots(job.name), keys.rate(job.name), keys.waiting(job.name), keys.turns(job.name)],
                args=words,
            )
            wait, granted, waiting = map(int, told)
        except BaseException:  # perhaps it has them: nobody else would give them up while this process lives
            self._owe(job.name, [name] if limit else [], _starts(name, 1, wanted + more) if count else ())
            raise
        if waiting:
            held.crowded = began + CROWDED
        if granted > 1:
            held.asked, held.fresh = boottime(), began + FRESH
            held.starts.extend(_starts(name, 2, granted))
        return wait, Place(name, began + PASSED_ON) if limit and not wait else None

    def _owe(self, job_class: str, places: Iterable[str], starts: Sequence[str]) -> None:
        """These are to be given up at the next tick."""
        self._owed += [freed(self._keys, job_class, place) for place in places]
        if starts:
            self._owed.append(Step("ZREM", self._keys.rate(job_class), tuple(starts)))

    def _at_hand(self, name: str) -> int:
        """How many jobs of this class come next, about."""
        words = b'"class":' + codec.encode(name)
        return sum(words in work.payload for work in islice(self._ahead(), PAGE))

    def pass_on(self, job: "Job[Any, Any]", work: Work) -> bool:
        """Keep the place of a short job that ends for the next one; else it is to be given up with its end."""
        place, held, now = work.place, self._held.get(job.name), boottime()
        if place is None or held is None or self._closed or now >= place.until or now < held.crowded:
            return False
        work.place, place.kept = None, now
        held.places.append(place)
        return True

    def give_up(self, job: "Job[Any, Any]", work: Work) -> None:
        """The place of a job that is no longer ours to end."""
        if work.place is not None:
            self._owe(job.name, [work.place.name], ())
            work.place = None

    def tick(self) -> None:
        """Give up what no job took for a moment.

        Raises:
            redis.exceptions.RedisError: it is tried again at the next tick.
        """
        before = inf if self._closed else boottime() - IDLE
        for name, held in list(self._held.items()):
            self._drain(name, held, before)
        count = len(self._owed)
        if count:
            self._leaving.store(self._owed[:count])
            del self._owed[:count]

    def _drain(self, job_class: str, held: _Held, before: float) -> None:
        with suppress(IndexError):  # threads take beside us
            while held.places[0].kept <= before:
                self._owe(job_class, [held.places.popleft().name], ())
        if held.starts and held.asked <= before:
            self._drop(job_class, held)

    def _drop(self, job_class: str, held: _Held) -> None:
        """All starts that no job took."""
        self._owe(job_class, (), list(iter(partial(_next, held.starts.popleft), None)))

    def close(self) -> None:
        """Give up all; jobs that end from now on do so themselves."""
        self._closed = True
        self.tick()


def _starts(name: str, first: int, last: int) -> list[str]:
    """As the script names them."""
    return [f"{name}.{number}" for number in range(first, last + 1)]


def _next(take: Callable[[], Kind]) -> Kind | None:
    """None where nothing is left: threads take without asking."""
    try:
        return take()
    except IndexError:
        return None
