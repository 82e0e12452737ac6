"""How many jobs of a class may run at once, or in a period, in the whole fleet."""

import threading
from collections.abc import Callable, Iterable
from itertools import islice
from typing import TYPE_CHECKING, Any, Final

from kiqdoctor.runtime import log, lua
from kiqdoctor.runtime.endings import freed, slot
from kiqdoctor.runtime.fetching.work import SHORT, Work
from kiqdoctor.wire.fields import CLASS, JID
from kiqdoctor.wire.keys import QUEUE_PREFIX, Keys
from kiqdoctor.wire.numbers import whole
from kiqdoctor.wire.payload import PayloadError, read

if TYPE_CHECKING:
    from redis import Redis

    from kiqdoctor.runtime.job import Job


QUICK: Final = 0.2  # seconds between two looks for room while jobs wait for some
SLOW: Final = 1.0  # seconds, where none does
PAGE: Final = 200  # jobs at hand for which places are asked at once
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
                wait = QUICK if self.look() else SLOW
            except Exception as error:  # noqa: BLE001 - Redis may be away; the next look tries again
                log.warn_seldom(f"limits: {type(error).__name__}: {error}")
                wait = SLOW

    def look(self) -> bool:
        """Whether any class waits."""
        found: Any = self._client.hgetall(self._keys.limited)
        for name, told in found.items():
            self._hand(name.decode("utf-8", "replace"), told.decode("ascii", "replace"))
        return bool(found)

    def _hand(self, name: str, told: str) -> None:
        keys = self._keys
        numbers = [whole(word) or 0 for word in told.split(" ")]
        limits = numbers if len(numbers) == PARTS else [0] * PARTS
        self._script(
            keys=[keys.slots(name), keys.rate(name), keys.waiting(name), keys.limited],
            args=[name, *limits, keys.name(QUEUE_PREFIX), keys.lease(""), keys.process("")],
        )


class Limits:
    """Asks for places among the running, which are given up where a job ends, or goes back unbegun."""

    def __init__(self, client: "Redis", keys: Keys, ahead: Callable[[], Iterable[Work]] = tuple) -> None:
        self._keys, self._ahead = keys, ahead
        self._script = client.register_script(lua.source("enter"))
        self._lock = threading.Lock()

    def enter(self, job: "Job[Any, Any]", owner: str, jid: str, work: Work | None = None) -> float:
        """0 where the job may begin, and has its place; else seconds after which asking again is worthwhile.

        Where jobs are short, places are asked for those at hand too: a round trip for each would be most of its cost.
        """
        if work is None or job.least >= SHORT:
            return self._asked(job, owner, jid, [])[0] / 1000
        with self._lock:
            if work.entered:
                return 0.0
            page = self._page(job, owner, work)
            first, *others = self._asked(job, owner, jid, page)
            for (_, one), wait in zip(page, others, strict=False):
                one.entered = wait == 0
        return first / 1000

    def _page(self, job: "Job[Any, Any]", owner: str, begins: Work) -> list[tuple[str, Work]]:
        """Jobs of this class that come next. Each knows first which place it may have: it may go back at any time."""
        found: list[tuple[str, Work]] = []
        for work in islice(self._ahead(), PAGE):
            fields = _fields(work)
            if work is begins or work.entered or fields.get(CLASS) != job.name or not isinstance(fields.get(JID), str):
                continue
            if job.options.limit:
                work.place = freed(self._keys, job.name, owner, fields[JID])
            found.append((fields[JID], work))
        return found

    def _asked(self, job: "Job[Any, Any]", owner: str, jid: str, page: list[tuple[str, Work]]) -> list[int]:
        count, period = job.options.rate or (0, 0.0)
        words: list[Any] = [job.options.limit or 0, count, int(period * 1_000_000)]
        words += [self._keys.lease(""), self._keys.process(""), slot(owner, jid), "", ""]
        for later, work in page:
            words += [slot(owner, later), work.home.key, work.payload]
        found: Any = self._script(keys=[self._keys.slots(job.name), self._keys.rate(job.name)], args=words)
        return [int(one) for one in found]


def _fields(work: Work) -> dict[str, Any]:
    try:
        return read(work.payload).fields
    except PayloadError:
        return {}
