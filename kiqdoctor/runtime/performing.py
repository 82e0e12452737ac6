"""One job from its bytes to its end: what must hold before it, what goes around it, what follows from it."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.runtime import batches, context, iterating, log, loops, status
from kiqdoctor.runtime.config import Settings
from kiqdoctor.runtime.fetch import Ending, Step, Work, buried
from kiqdoctor.runtime.job import Job
from kiqdoctor.runtime.limits import Limits
from kiqdoctor.runtime.middleware import Running, around
from kiqdoctor.runtime.retrying import Fate, after_failure
from kiqdoctor.text import clean
from kiqdoctor.wire.payload import Payload

if TYPE_CHECKING:
    from redis import Redis

PLAIN_FIELDS: Final = 7  # of a payload that asks for nothing special
SUSPECT: Final = 2  # deaths of processes after which a job runs alone
LATER: Final = 0.5  # seconds at least until a job that found no room is looked at again


class UnknownJobError(Exception):
    """No imported module defines this class."""


@dataclass
class Performer:
    """What every thread of a process needs to run jobs."""

    redis: "Redis"
    settings: Settings
    registry: dict[str, Job[Any, Any]]
    identity: Callable[[], str]
    stopping: Callable[[], bool]
    clock: Clock = SYSTEM
    draw: Callable[[], float] = random.random
    limits: Limits = field(init=False)

    def __post_init__(self) -> None:
        self.keys = self.settings.keys
        self.limits = Limits(self.redis, self.keys)
        self.chain = self.settings.middleware

    def run(self, job: Job[Any, Any], running: Running) -> None:
        """The body, within what goes around it."""
        context.running.set(running)
        function, args = job.function, running.args
        if not (job.special or job.iterable or job.asynchronous or context.FIELD in running.fields):
            if self.chain:
                around(self.chain, running, lambda: function(*args))
            else:
                function(*args)
            return
        with context.restored(running.fields):
            self._equip(job, running)
            around(self.chain, running, lambda: self._body(job, running))

    def _equip(self, job: Job[Any, Any], running: Running) -> None:
        running.stopping = self.stopping
        if job.options.timeout is not None:
            running.deadline = self.clock.boottime() + job.options.timeout
        if job.options.status:
            running.progress = lambda done, total: self._tell(job, running.jid, "running", done=done, total=total)
            self._tell(job, running.jid, "running")

    def _body(self, job: Job[Any, Any], running: Running) -> None:
        if job.iterable:
            cursor = iterating.Cursor(self.redis, self.keys, running.jid)
            iterating.run(lambda at: job.function(*running.args, cursor=at), cursor, self.stopping)
        elif job.asynchronous:
            loops.run(job.function(*running.args))
        else:
            job.function(*running.args)

    def _tell(self, job: Job[Any, Any] | None, jid: str, state: str, **more: int) -> None:
        if job is None or not job.options.status:
            return
        try:
            status.tell(self.redis, self.keys, jid, state, self.clock.now(), more)
        except Exception as error:  # noqa: BLE001 - a job does not fail because nobody could be told
            log.warn_seldom(f"status: {type(error).__name__}: {error}")

    def before(self, job: Job[Any, Any] | None, fields: dict[str, Any], work: Work) -> Ending | None:
        """An ending where the job must not begin: it has expired, or its class has no room now."""
        now = self.clock.now()
        expiry = fields.get("expiry")
        if isinstance(expiry, int | float) and now > expiry:
            return self.ending(job, fields, "gone", ())
        if job is None or not (job.options.limit or job.options.rate):
            return None
        wait = self.limits.enter(job, self.identity(), str(fields.get("jid")))
        if not wait:
            return None
        at = now + max(LATER, wait) * (1 + 0.1 * self.draw())
        return Ending((Step("ZADD", self.keys.schedule, (repr(at), work.payload)),), "later")

    def ending(self, job: Job[Any, Any] | None, fields: dict[str, Any], word: str, steps: tuple[Step, ...]) -> Ending:
        """What goes with an end: the batch hears of it, the lock and the place among the running are given up."""
        jid = str(fields.get("jid"))
        more: list[Step] = []
        batch, lock = fields.get(batches.FIELD), fields.get("kiq_lock")
        if isinstance(batch, str) and word not in {"back", "later"}:
            more.append(batches.closing(self.keys, batch, jid, "done" if word in {"done", "gone"} else "failed"))
        if isinstance(lock, str) and word in {"done", "gone", "dead", "dropped"}:
            more.append(Step("DELIF", self.keys.unique(lock), (jid,)))
        if job is not None and job.options.limit:
            more.append(self.limits.left(job.name, self.identity(), jid))
        self._tell(job, jid, {"back": "queued", "later": "scheduled", "dropped": "dead"}.get(word, word))
        return Ending((*steps, *more), word)

    def failed(self, job: Job[Any, Any] | None, fields: dict[str, Any], work: Work, error: BaseException) -> Ending:
        """Where a failure sends the job."""
        fate = after_failure(
            work.payload, work.queue, job, error, self.clock.now(), self.draw(), self.settings.death_handlers
        )
        return self.ending(job, fields, fate.place or "dropped", self._stored(fate))

    def _stored(self, fate: Fate) -> tuple[Step, ...]:
        if fate.place == "retry":
            return (Step("ZADD", self.keys.retry, (repr(fate.score), fate.payload)),)
        return buried(self.keys.dead, fate.payload, fate.score) if fate.place == "dead" else ()

    def given_back(self, job: Job[Any, Any], fields: dict[str, Any], work: Work) -> Ending:
        """Into its queue as it was."""
        return self.ending(job, fields, "back", (Step("RPUSH", self.keys.queue(work.queue), (work.payload,)),))

    def unreadable(self, work: Work) -> Ending:
        """Bytes that are no payload go to the dead, as Sidekiq sends them."""
        return Ending(buried(self.keys.dead, work.payload, self.clock.now()), "dead")


def shown(fields: dict[str, Any]) -> str:
    """The class that a person knows the job by, cleaned."""
    return clean(Payload(fields).shown_class)


def suspicious(fields: dict[str, Any]) -> bool:
    """Whether it was in flight when processes died, so that it runs alone now."""
    deaths = fields.get("recovered")
    return isinstance(deaths, int) and deaths >= SUSPECT


def unknown(name: Any, registry: dict[str, Job[Any, Any]]) -> UnknownJobError:
    """What to say of a class that nobody defines."""
    modules = ", ".join(sorted({one.function.__module__ for one in registry.values()})) or "none"
    return UnknownJobError(f"no job is called {name}; modules with jobs that were imported: {modules}")
