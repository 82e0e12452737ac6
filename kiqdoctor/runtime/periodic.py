"""Jobs that run by the clock: each tick of a cron expression is pushed once by the whole fleet."""

import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, TypeVar
from zoneinfo import ZoneInfo

from kiqdoctor import cron
from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.runtime import client, context, log, lua, sending
from kiqdoctor.wire import codec, heartbeat
from kiqdoctor.wire.keys import Keys

if TYPE_CHECKING:
    from redis import Redis

    from kiqdoctor.runtime.job import Job

GRACE: Final = 300.0  # seconds after which a tick that nobody saw is left out
LOOK: Final = 0.5  # seconds
ASK: Final = 30.0  # seconds between two questions for Redis' time

J = TypeVar("J")


@dataclass(frozen=True, slots=True)
class Periodic:
    """One job's times."""

    job: "Job[Any, Any]"
    expression: str
    zone: ZoneInfo | None
    args: tuple[Any, ...] = ()

    @property
    def name(self) -> str:
        """What distinguishes it in the fleet."""
        args = context.fingerprint(self.job.name, "", self.args)[:8]
        zone = self.zone.key if self.zone is not None else "UTC"
        return f"{self.job.name} {self.expression} {zone} {args}"

    def last(self, now: float) -> float:
        """The latest tick that is not after ``now``; both in epoch seconds."""
        return cron.before(self.expression, self.zone, now)

    def next(self, now: float) -> float:
        """The first tick after ``now``."""
        return cron.after(self.expression, self.zone, now)


PERIODIC: list[Periodic] = []
TOLD: Final = 200  # periodic jobs that a process's beat names


def fields(entries: Sequence[Periodic] = PERIODIC) -> dict[str, str]:
    """What the beat tells of them: whose last tick nobody has any more, misses none."""
    if len(entries) > TOLD:
        return {}
    return {heartbeat.PERIODIC: codec.encode([entry.name for entry in entries]).decode()}


def periodic(expression: str, *, tz: str | None = None, args: Sequence[Any] = ()) -> Callable[[J], J]:
    """Push a job at the times of a cron expression: ``@periodic("*/5 * * * *", tz="Europe/Berlin")`` above ``@job``.

    ``tz``: an IANA time zone, UTC without it; days with a change of time are handled as Debian's cron does. A tick that
    no worker saw within five minutes is left out.

    Raises:
        ValueError: no cron expression, no known zone, or not a job.
    """
    zone = _zone(tz)

    def register(job: J) -> J:
        from kiqdoctor.runtime.job import Job

        if not isinstance(job, Job):
            raise ValueError("@periodic stands above @job")
        made = Periodic(job, expression, zone, tuple(args))
        try:
            made.next(SYSTEM.now())
        except cron.CronError as error:
            raise ValueError(str(error)) from None
        codec.strict(list(args), "args")
        job.lay(args, {})
        if made not in PERIODIC:
            PERIODIC.append(made)
        return job

    return register


def _zone(name: str | None) -> ZoneInfo | None:
    if name is None:
        return None
    try:
        return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        raise ValueError(f"no time zone is called {name!r}") from None


class Clockwork:
    """One thread of each process that has periodic jobs."""

    def __init__(self, redis: "Redis", keys: Keys, stop: threading.Event, clock: Clock = SYSTEM,
                 entries: Sequence[Periodic] = PERIODIC, now: Callable[[], float] | None = None) -> None:  # fmt: skip
        self._redis, self._keys, self._stop, self._clock, self._entries = redis, keys, stop, clock, entries
        self._now = now or self._of_redis
        self._ahead, self._asked = 0.0, -ASK  # Redis' time less the boot clock's, and when that was asked for
        self._script = redis.register_script(lua.source("tick"))
        self._seen: dict[str, float] = {}
        self.thread = threading.Thread(target=self.run, daemon=True, name="kiq.periodic")

    def run(self) -> None:
        """Look until stopped."""
        while not self._stop.wait(LOOK):
            self.look()

    def look(self) -> int:
        """Push what is due now; how many."""
        try:
            now = self._now()
        except Exception as error:  # noqa: BLE001 - Redis may be away; the next look tries again
            log.warn_seldom(f"periodic: {type(error).__name__}: {error}")
            return 0
        return sum(self._looked(entry, now) for entry in self._entries if now >= self._seen.get(entry.name, 0.0))

    def _of_redis(self) -> float:
        """What time Redis has: a host whose clock is wrong pushes no tick early, and keeps nobody else from any."""
        since_boot = self._clock.boottime()
        if since_boot - self._asked >= ASK:
            told: Any = self._redis.time()
            self._ahead, self._asked = told[0] + told[1] / 1_000_000 - since_boot, since_boot
        return since_boot + self._ahead

    def _looked(self, entry: Periodic, now: float) -> int:
        """One that fails is looked at again, and is not in the way of the others."""
        try:
            pushed = self._due(entry, entry.last(now), now)
        except Exception as error:  # noqa: BLE001 - Redis may be away, and client middleware may do anything
            log.warn_seldom(f"periodic {entry.job.shown}: {type(error).__name__}: {error}")
            return 0
        self._seen[entry.name] = entry.next(now)
        return pushed

    def _due(self, entry: Periodic, tick: float, now: float) -> int:
        prepared = client.prepare(entry.job.name, [entry.args], entry.job.options)
        if not prepared:
            return 0  # a client middleware dropped it
        names, words = sending.script_words(self._keys, prepared[0])
        act = "push" if now - tick <= GRACE else "note"
        pushed: Any = self._script(keys=[self._keys.periodic, *names], args=[entry.name, repr(tick), act, *words])
        if pushed < 0:
            self._asked = -ASK  # it is not that time yet: somebody has set the clock of Redis
        return max(0, int(pushed))
