"""Where it is kept what goes with jobs that run: their places, their states, their cursors."""

import threading
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.runtime import log, status
from kiqdoctor.runtime.fetching.work import Work
from kiqdoctor.runtime.iterating import Cursor, Position
from kiqdoctor.runtime.limits import Limits
from kiqdoctor.runtime.middleware import Running
from kiqdoctor.wire.keys import Keys
from kiqdoctor.wire.payload import jid_of
from kiqdoctor.wire.status import RUNNING, More

if TYPE_CHECKING:
    from redis import Redis

    from kiqdoctor.runtime.job import Job

FRESH: Final = 0.1  # seconds for which it is believed that no cursor of a job is kept
Note = tuple[float, More]  # since when, and how far


class Books(Protocol):
    """A worker keeps them in Redis, a testing mode in memory."""

    def enter(self, job: "Job[Any, Any]", owner: str, work: Work) -> float:
        """0 where a job of a limited class may begin, and has its place; else seconds until asking is worthwhile."""

    def pass_on(self, job: "Job[Any, Any]", work: Work) -> bool:
        """Whether the place of a short job that ends is kept for the next; else it is to be given up with its end."""

    def give_up(self, job: "Job[Any, Any]", work: Work) -> None:
        """The place of a job that is no longer ours to end."""

    def runs(self, running: Running, now: float, more: More) -> None:
        """That a job whose status is kept runs, and how far it is."""

    def over(self, running: Running) -> None:
        """It ends now: what is told of it from now on is told with its end."""

    def cursor(self, running: Running) -> Position:
        """Where an iterable job goes on."""


class RedisBooks:
    """A worker's."""

    def __init__(self, client: "Redis", keys: Keys, ahead: Callable[[], Iterable[Work]], clock: Clock = SYSTEM) -> None:
        self._client, self._keys, self._limits = client, keys, Limits(client, keys, ahead)
        self._clock = clock
        self._ahead = ahead  # jobs that are at hand
        self._without: set[Work] = set()  # jobs of which no cursor was kept a moment ago
        self._latest: set[Work] = set()  # those of the last question
        self._asked = 0.0  # when that was, of the boot clock
        self._asking = threading.Lock()
        self._notes: dict[Running, Note] = {}  # the last of each job that runs
        self._sending: dict[Running, Note] = {}
        self._lock = threading.Lock()

    def enter(self, job: "Job[Any, Any]", owner: str, work: Work) -> float:
        """Asks Redis, where all processes of the fleet ask."""
        return self._limits.enter(job, owner, work)

    def pass_on(self, job: "Job[Any, Any]", work: Work) -> bool:
        """For a moment, while nobody waits for it."""
        return self._limits.pass_on(job, work)

    def give_up(self, job: "Job[Any, Any]", work: Work) -> None:
        """Soon, with what no job uses."""
        self._limits.give_up(job, work)

    def close(self) -> None:
        """Give up what no job uses."""
        self._limits.close()

    def runs(self, running: Running, now: float, more: More) -> None:
        """Soon, with those of others: a round trip for each would be most of a short job's cost."""
        self._notes[running] = (now, more)

    def over(self, running: Running) -> None:
        """A note of its progress is told now, one that it runs is needless, and one under way comes before its end."""
        note = self._notes.pop(running, None)
        if running in self._sending:
            with self._lock:
                pass
        if note is not None and note[1]:
            self._send({running: note})

    def tick(self) -> None:
        """Some hundred times a second."""
        self._limits.tick()
        if self._notes:
            with self._lock:
                self._sending = self._notes.copy()  # first: ``over`` finds each in one or the other
                try:
                    found = {one: note for one in self._sending if (note := self._notes.pop(one, None)) is not None}
                    self._send(found)
                finally:
                    self._sending = {}

    def _send(self, notes: Mapping[Running, Note]) -> None:
        """As far as Redis lets us: a job does not fail because nobody could be told."""
        ours = {one: note for one, note in notes.items() if not (one.lost or one.doubtful)}
        try:
            status.tell(self._client, self._keys, [(one.jid, RUNNING, *note) for one, note in ours.items()])
        except Exception as error:  # noqa: BLE001
            log.warn_seldom(f"status: {type(error).__name__}: {error}")

    def cursor(self, running: Running) -> Position:
        """Where Sidekiq keeps its own."""
        return Cursor(self._client, self._keys, running.jid, running.work, new=self._new(running.work))

    def _new(self, work: Work | None) -> bool:
        """Whether no cursor of it is kept, as is true of most; one question tells it of all jobs that come next."""
        if work is None:
            return False
        if self._known_without(work):
            return True
        with self._asking:  # others come with jobs of the same page
            if self._known_without(work):
                return True
            ahead, self._asked = {work, *self._ahead()}, self._clock.boottime()
            keys = [self._keys.iteration(jid_of(one.payload)) for one in ahead]
            kept: Any = self._client.exists(*keys)
            if kept:
                return False
            self._without, self._latest = ahead | self._latest, ahead  # threads took some meanwhile
        return True

    def _known_without(self, work: Work) -> bool:
        """Not for long: behind a slow job one waits here for minutes, and is cancelled meanwhile."""
        return work in self._without and self._clock.boottime() - self._asked < FRESH
