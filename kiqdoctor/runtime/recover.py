"""The jobs of the dead: private lists whose process holds no lease go back to their queues."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.runtime import endings, log, lua
from kiqdoctor.runtime.board import Board
from kiqdoctor.runtime.burying import InterruptedOnceError, PoisonError, bury
from kiqdoctor.runtime.config import Settings
from kiqdoctor.runtime.endings import End, Step, ending
from kiqdoctor.runtime.failing import failing
from kiqdoctor.runtime.fetching import seats
from kiqdoctor.runtime.fetching.lease import Lease, close_account
from kiqdoctor.runtime.fetching.leaving import Leaving
from kiqdoctor.runtime.fetching.seats import Fate
from kiqdoctor.runtime.fetching.waits import BLOCK
from kiqdoctor.runtime.hearing import guarded, mourn
from kiqdoctor.runtime.job import REGISTRY
from kiqdoctor.runtime.middleware import DeadlineExceededError
from kiqdoctor.text import clean
from kiqdoctor.wire.account import LEFT, Account
from kiqdoctor.wire.account import read as read_account
from kiqdoctor.wire.fields import CLASS, JID
from kiqdoctor.wire.keys import LANES
from kiqdoctor.wire.numbers import real
from kiqdoctor.wire.overrun import digest
from kiqdoctor.wire.payload import Payload, PayloadError, read
from kiqdoctor.wire.recovery import REMEMBERED, RecoveryEntry

if TYPE_CHECKING:
    from redis import Redis

SCAN: Final = 3.0  # seconds
FIRST: Final = 0.2  # seconds until the first look
LOCK_HERE: Final = 1_900  # milliseconds; where it was the dead one's turn, ours comes within 5 s
LOCK: Final = 2_900  # milliseconds, less than a scan's turn; one process of the fleet at a time looks at other hosts
PROMPT: Final = 2.0  # seconds in which Redis answers; where it stands still longer, renewals wait behind our questions
LATE: Final = 2 * BLOCK  # seconds after which no wait of a dead process brings a job any more
POISON: Final = 3  # deaths with the same job in flight
REMEMBERED_FOR: Final = 7 * 24 * 3600  # seconds


@dataclass(frozen=True, slots=True)
class Stranded:
    """One job in a private list; no ``payload`` where it cannot be read."""

    key: str
    queue: str
    raw: bytes
    payload: Payload | None
    overran: float | None = None  # seconds that it had: its process was killed for it


@dataclass
class Recovered:
    """What one dead process left: jobs taken back, and those that were buried."""

    back: list[dict[str, Any]] = field(default_factory=list)
    buried: list[dict[str, Any]] = field(default_factory=list)

    @property
    def count(self) -> int:
        """All of them."""
        return len(self.back) + len(self.buried)


class Recovery:
    """One thread of each process looks for the dead of its host, and one process of the fleet for the others."""

    def __init__(self, client: "Redis", settings: Settings, lease: Callable[[], Lease], stop: threading.Event,
                 board: Board, clock: Clock = SYSTEM) -> None:  # fmt: skip
        self._client, self._settings, self._lease, self._stop, self._clock = client, settings, lease, stop, clock
        self._board = board
        self._keys = settings.keys
        self._leaving = Leaving(client)
        self._forget = client.register_script(lua.source("forget"))
        self._index = client.register_script(lua.source("census"))
        self._here = seats.here()
        self._known_dead: set[str] = set()  # by their parent, which has waited for them
        self._soon = threading.Event()
        self._empty_since: dict[str, float] = {}  # monotonic; accounts of the dead that are to be closed
        self.recovered = 0
        self.thread = threading.Thread(target=self.run, daemon=True, name="kiq.recovery")

    def run(self) -> None:
        """Look at once, and every few seconds until stopped, where it is our turn."""
        first = True
        self._soon.wait(FIRST)
        while not self._stop.is_set():
            self._soon.clear()
            try:
                if first or self._due():
                    self.scan()
                first = False
            except Exception as error:  # noqa: BLE001 - Redis may be away; the next round tries again
                log.warn_seldom(f"recovery: {type(error).__name__}: {error}")
            self._soon.wait(SCAN)

    def scan(self) -> int:
        """Give back the jobs of every process that is proven dead, or silent where nothing can be proven; how many."""
        waited = self._known_dead.copy()
        others, silent = self._census()
        self._known_dead -= waited.difference(others)
        self._empty_since = {identity: since for identity, since in self._empty_since.items() if identity in others}
        fates = {identity: self._fate(identity, account) for identity, account in others.items()}
        proven = {identity for identity, found in fates.items() if found is Fate.DEAD}
        for identity in proven:
            self._client.delete(self._keys.lease(identity))
        silent = {identity for identity in silent if fates[identity] is Fate.UNKNOWN}
        killed = {identity for identity in proven if not others[identity].state}
        dead = sorted(proven | silent)
        return sum(self._take_back(identity, others[identity], counts=identity in killed) for identity in dead)

    def _census(self) -> tuple[dict[str, Account], set[str]]:
        """Accounts of this machine, and of whoever is silent anywhere; and who is.

        Silent is without a lease, while we renewed ours for a whole lease: an outage of Redis is nobody's death. After
        one every lease is gone, and whoever is back first must not take the others for dead. So the answer counts only
        where it came at once, and our own lease was steady before and after.
        """
        lease = self._lease()
        whole = lease.steady and self._turn(self._keys.recovering, LOCK)
        began = self._clock.boottime()
        words = [self._here.boot, self._keys.lease(""), "all" if whole else ""]
        found: Any = self._index(keys=[self._keys.index], args=words)
        late = self._clock.boottime() - began > PROMPT or not self._lease().steady
        names = [raw.decode("utf-8", "replace") for raw in found[::3]]
        others = {name: read_account(entry) for name, entry in zip(names, found[1::3], strict=True)}
        others.pop(lease.identity, None)
        silent = {name for name, alone in zip(names, found[2::3], strict=True) if alone and name in others}
        return others, set() if late else silent

    def _due(self) -> bool:
        """Whether it is our turn on this machine; who waits for a list to stay empty needs none."""
        if not self._here.boot or self._known_dead or self._empty_since:
            return True
        return self._turn(self._keys.recovering_here(self._here.boot), LOCK_HERE)

    def _fate(self, identity: str, account: Account) -> Fate:
        if identity in self._known_dead:
            return Fate.DEAD
        found = seats.fate(self._here, account.seat)
        return Fate.UNKNOWN if found is Fate.ALIVE and account.state == LEFT else found

    def look(self, dead: str = "") -> None:
        """Look now, not at the next turn; ``dead``: an identity whose end its parent has seen."""
        if dead:
            self._known_dead.add(dead)
        self._soon.set()

    def _turn(self, key: str, millis: int) -> bool:
        """Whether it is ours to look; two that look do no harm, so with memory full everybody does."""
        import redis

        try:
            if self._client.set(key, self._lease().identity, nx=True, px=millis):
                return True
            self._client.get(key)
        except redis.exceptions.OutOfMemoryError:
            return True
        except redis.ResponseError as error:
            if "WRONGTYPE" not in str(error):
                raise
            log.warn_seldom(f"recovery: {clean(key)} was no string, and is deleted: nobody would ever have had a turn")
            self._client.delete(key)
        return False

    def _take_back(self, identity: str, account: Account, *, counts: bool) -> int:
        """``counts``: its death may be a job's doing. A lost lease is not, nor is an end that was asked for."""
        if not account.queues:
            log.warn_seldom(f"recovery: the account of {clean(identity)} cannot be read; it is left as it is")
            return 0
        lists = [(self._keys.private(identity, lane, queue), queue) for lane in LANES for queue in account.queues]
        listed = [(key, queue, raw) for key, queue in lists for raw in self._listed(key)]
        overran = self._overran(identity) if listed else {}
        jobs = [Stranded(key, queue, raw, _read(raw), overran.get(digest(raw))) for key, queue, raw in listed]
        found = Recovered()
        try:
            dead = self._all(identity, jobs, found, counts=counts and not overran)
        finally:
            self._tell(identity, found)
        if dead:
            self._close(identity, account, empty=not jobs)
        return found.count

    def _all(self, identity: str, jobs: list[Stranded], found: Recovered, *, counts: bool) -> bool:
        """Whether its process was dead to the end.

        Suspects are the last to leave: whoever looks after us, or beside us, must see that there are some.
        """
        import redis

        now = self._clock.now()
        suspects = any(_deaths(job.payload, now) for job in jobs)
        for job in sorted(jobs, key=lambda one: _deaths(one.payload, now) > 0):
            counted = counts and (_deaths(job.payload, now) > 0 or not suspects)  # beside a suspect nobody else is
            try:
                if not self._one(identity, job, found, counted=counted):
                    return False
            except redis.ResponseError as error:
                if "WRONGTYPE" not in str(error):
                    raise
                log.warn_seldom(f"recovery: {clean(job.key)} keeps a job that its place refuses: {error}")
        return True

    def _overran(self, identity: str) -> dict[str, float]:
        """Digests of the jobs that its parent killed it for, and the seconds that each had."""
        import redis

        try:
            told: Any = self._client.hgetall(self._keys.overran(identity))
        except redis.ResponseError as error:
            log.warn_seldom(f"recovery: {clean(self._keys.overran(identity))}: {error}")
            return {}
        found = {key.decode("ascii", "replace"): real(value) for key, value in told.items()}
        return {key: value for key, value in found.items() if value is not None}

    def _close(self, identity: str, account: Account, *, empty: bool) -> None:
        """Not before the last wait of the dead process must have ended: its job would lie where nobody looks."""
        now = self._clock.monotonic()
        since = self._empty_since.setdefault(identity, now)
        if not empty:
            self._empty_since[identity] = now
        elif now - since >= LATE and close_account(self._forget, self._keys, identity, account):
            self._known_dead.discard(identity)
            self._client.srem(self._keys.processes, identity)
            keys = self._keys
            records = (keys.process, keys.work, keys.workers, keys.overran)
            self._client.unlink(*(key(identity) for key in records))  # without the first its places are nobody's

    def _listed(self, key: str) -> list[bytes]:
        """Newest first: the oldest is given back last, to the end that is taken first, and so it is next."""
        found: Any = self._client.lrange(key, 0, -1)
        return list(found)

    def _one(self, identity: str, job: Stranded, found: Recovered, *, counted: bool) -> bool:
        """One job; False where its process turned out to live: it has its lease again."""
        now, payload = self._clock.now(), job.payload
        if payload is None:
            return self._moved(identity, job, endings.buried(self._keys, job.raw, now)) >= 0
        if job.overran is not None:
            return self._failed(identity, job, payload, found, job.overran)
        # Written anew here and not by the script: Lua's cjson makes {} of [] and rounds large numbers. A bystander that
        # no death counts for goes back in the bytes that it had.
        again = payload.died(now) if counted else payload
        error = self._fatal(payload, again.deaths(now) if counted else 0)
        if error is not None:
            return self._buried(identity, job, again, error, found)
        back = endings.returned(self._keys, job.queue, again.encode() if counted else job.raw)
        end = ending(self._keys, End.BACK, again, None, endings.slot(identity), now, back)
        moved = self._moved(identity, job, end.steps)
        if moved == 1:
            found.back.append(again.fields)
        return moved >= 0

    def _failed(self, identity: str, job: Stranded, payload: Payload, found: Recovered, seconds: float) -> bool:
        """As if its own process had ended it; what may begin once has begun."""
        error = DeadlineExceededError(f"it ran longer than {seconds:g} s, and its process was killed for it")
        if payload.at_most_once and payload.started:
            return self._buried(identity, job, payload, error, found)
        now, known = self._clock.now(), REGISTRY.get(payload.job_class)
        end = failing(self._settings, known, payload, job.raw, job.queue, endings.slot(identity), error, now)
        moved = self._moved(identity, job, end.steps)
        if moved == 1:
            found.back.append(payload.fields)
            self._board.overran += 1
        return moved >= 0

    def _buried(self, identity: str, job: Stranded, payload: Payload, error: Exception, found: Recovered) -> bool:
        end, said = bury(self._keys, payload, error, None, endings.slot(identity), self._clock.now())
        moved = self._moved(identity, job, end.steps)
        if moved == 1:
            found.buried.append(said.fields)
            self._died(said.fields, error)
        return moved >= 0

    @staticmethod
    def _fatal(payload: Payload, deaths: int) -> Exception | None:
        if payload.at_most_once and payload.started:
            return InterruptedOnceError("its process died while it ran this job, which may run at most once")
        if deaths >= POISON:
            return PoisonError(f"in flight when {deaths} processes died")
        return None

    def _moved(self, identity: str, job: Stranded, steps: Sequence[Step]) -> int:
        return self._leaving.leave_dead(job.key, job.raw, steps, self._keys.lease(identity))

    def _died(self, fields: dict[str, Any], error: Exception) -> None:
        log.warn(f"buried: {error}", {"class": clean(str(fields.get(CLASS))), "jid": clean(str(fields.get(JID)))})
        mourn(self._settings.death_handlers, fields, error)

    def _tell(self, identity: str, found: Recovered) -> None:
        """The log, a counter, what the doctor reads, and the user's callables; what fails there stops no recovery."""
        if not found.count:
            return
        self.recovered += found.count
        log.warn(f"recovered {found.count} jobs of {clean(identity)}, which is dead; {len(found.buried)} were buried")
        guarded("the memory of a recovery", self._remember, identity, found)
        for callback in self._settings.on_recovered:
            guarded("on_recovered", callback, identity, [*found.back, *found.buried])

    def _remember(self, identity: str, found: Recovered) -> None:
        entry = RecoveryEntry(
            self._clock.now(), identity, self._lease().identity, found.count, len(found.buried)
        ).encode()
        with self._client.pipeline(transaction=True) as pipe:
            pipe.incrby(self._keys.recovered, found.count)
            pipe.lpush(self._keys.recoveries, entry)
            pipe.ltrim(self._keys.recoveries, 0, REMEMBERED - 1)
            pipe.expire(self._keys.recoveries, REMEMBERED_FOR)
            pipe.execute()


def _read(raw: bytes) -> Payload | None:
    try:
        return read(raw)
    except PayloadError:
        return None


def _deaths(payload: Payload | None, now: float) -> int:
    return payload.deaths(now) if payload is not None else 0
