"""One job from its bytes to its end: what must hold before it, what goes around it, what follows from it."""

import random
from collections.abc import Callable
from contextvars import copy_context
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.runtime import batches, context, iterating, log, loops, status
from kiqdoctor.runtime.config import Settings
from kiqdoctor.runtime.fetching.work import Ending, Step, Work, buried
from kiqdoctor.runtime.job import Job
from kiqdoctor.runtime.limits import Limits
from kiqdoctor.runtime.middleware import Running, around
from kiqdoctor.runtime.recover import InterruptedOnceError
from kiqdoctor.runtime.retrying import Fate, after_failure, tell
from kiqdoctor.text import clean
from kiqdoctor.wire.fields import CLASS, CONTEXT, JID
from kiqdoctor.wire.payload import Payload, PayloadError, read
from kiqdoctor.wire.payload import buried as buried_payload

if TYPE_CHECKING:
    from redis import Redis

PLAIN_FIELDS: Final = 7  # of a payload that asks for nothing special
SUSPECT: Final = 2  # deaths of processes after which a job runs alone
STATES: Final = {"back": "queued", "later": "scheduled", "dropped": "dead"}  # by an ending's word, where it differs
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
        """The body, within what goes around it, in a context of its own: what it sets is not there for the next job."""
        context.running.set(running)
        function, args = job.function, running.args
        if not (job.special or job.iterable or job.asynchronous or CONTEXT in running.fields):
            if self.chain:
                copy_context().run(around, self.chain, running, lambda: function(*args))
            else:
                copy_context().run(function, *args)
            return
        copy_context().run(self._equipped, job, running)

    def _equipped(self, job: Job[Any, Any], running: Running) -> None:
        with context.restored(running.fields):
            self._equip(job, running)
            around(self.chain, running, lambda: self._body(job, running))

    def _equip(self, job: Job[Any, Any], running: Running) -> None:
        running.stopping = self.stopping
        if job.options.timeout is not None:
            running.deadline = self.clock.boottime() + job.options.timeout
        if job.options.status:
            running.progress = lambda done, total: self._tell(running.jid, "running", done=done, total=total)
            self._tell(running.jid, "running")

    def _body(self, job: Job[Any, Any], running: Running) -> None:
        if job.iterable:
            cursor = iterating.Cursor(self.redis, self.keys, running.jid)
            iterating.run(lambda at: job.function(*running.args, cursor=at), cursor, self.stopping)
        elif job.asynchronous:
            loops.run(job.function(*running.args))
        else:
            job.function(*running.args)

    def _tell(self, jid: str, state: str, **more: int) -> None:
        try:
            status.tell(self.redis, self.keys, jid, state, self.clock.now(), more)
        except Exception as error:  # noqa: BLE001 - a job does not fail because nobody could be told
            log.warn_seldom(f"status: {type(error).__name__}: {error}")

    def before(self, job: Job[Any, Any] | None, fields: dict[str, Any], work: Work) -> Ending | None:
        """An ending where the job must not begin: it has expired, or its class has no room now."""
        now = self.clock.now()
        expiry = Payload(fields).expiry
        if expiry is not None and now > expiry:
            return self.ending(job, fields, "gone", ())
        if job is None or not (job.options.limit or job.options.rate):
            return None
        jid = str(fields.get(JID))
        wait = self.limits.enter(job, self.identity(), jid)
        if not wait:
            return None
        at = now + max(LATER, wait) * (1 + 0.1 * self.draw())
        put_off = Step("ZADD", self.keys.schedule, (repr(at), work.payload))
        return Ending((put_off, *self._told(job, jid, "later")), "later")

    def ending(self, job: Job[Any, Any] | None, fields: dict[str, Any], word: str, steps: tuple[Step, ...]) -> Ending:
        """What goes with an end: the batch hears of it, the lock and the place among the running are given up."""
        jid = str(fields.get(JID))
        more: list[Step] = []
        batch, lock = Payload(fields).batch, Payload(fields).lock
        if batch is not None and word not in {"back", "later"}:
            more.append(batches.closing(self.keys, batch, jid, "done" if word in {"done", "gone"} else "failed"))
        if lock is not None and word in {"done", "gone", "dead", "dropped"}:
            more.append(Step("DELIF", self.keys.unique(lock), (jid,)))
        if job is not None and job.options.limit:
            more.append(self.limits.left(job.name, self.identity(), jid))
        return Ending((*steps, *more, *self._told(job, jid, word)), word)

    def _told(self, job: Job[Any, Any] | None, jid: str, word: str) -> tuple[Step, ...]:
        if job is None or not job.options.status:
            return ()
        return status.steps(self.keys, jid, STATES.get(word, word), self.clock.now())

    def failed(self, job: Job[Any, Any] | None, fields: dict[str, Any], work: Work, error: BaseException) -> Ending:
        """Where a failure sends the job."""
        now = self.clock.now()
        try:
            fate = after_failure(work.payload, work.queue, job, error, now, self.draw(), self.settings.death_handlers)
        except Exception as fault:  # noqa: BLE001 - numbers that no formula was made for; the job must not be lost
            log.warn(f"a payload that cannot be tried again goes to the dead: {type(fault).__name__}: {fault}")
            fate = Fate("dead", now, work.payload)
        return self.ending(job, fields, fate.place or "dropped", self._stored(fate))

    def at_deadline(self, work: Work) -> Ending | None:
        """What becomes of a job that still runs when the process must end; None: it goes back, and nothing else."""
        try:
            payload = read(work.payload)
        except PayloadError:
            return None
        fields = payload.fields
        name = fields.get(CLASS)
        job = self.registry.get(name) if isinstance(name, str) else None
        if payload.at_most_once:
            return self._buried(job, payload)
        if job is not None and (job.special or len(fields) > PLAIN_FIELDS):
            return self.given_back(job, fields, work)
        return None

    def _buried(self, job: Job[Any, Any] | None, payload: Payload) -> Ending:
        error = InterruptedOnceError("it still ran when its process had to end, and it may run at most once")
        now = self.clock.now()
        said = buried_payload(payload, "kiqdoctor.InterruptedOnce", str(error), now)
        tell(self.settings.death_handlers, said.fields, error)
        if not payload.kept:
            return self.ending(job, payload.fields, "dropped", ())
        return self.ending(job, payload.fields, "dead", buried(self.keys.dead, said.encode(), now))

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


def named(fields: dict[str, Any]) -> dict[str, str]:
    """What tells a log line's job."""
    return {"class": shown(fields), "jid": clean(str(fields.get(JID)))}


def described(work: Work) -> dict[str, str]:
    """The same of a job as bytes."""
    try:
        return named(read(work.payload).fields)
    except PayloadError:
        return {}


def suspicious(fields: dict[str, Any]) -> bool:
    """Whether it was in flight when processes died, so that it runs alone now."""
    return Payload(fields).deaths >= SUSPECT


def unknown(name: Any, registry: dict[str, Job[Any, Any]]) -> UnknownJobError:
    """What to say of a class that nobody defines."""
    modules = ", ".join(sorted({one.function.__module__ for one in registry.values()})) or "none"
    return UnknownJobError(f"no job is called {name}; modules with jobs that were imported: {modules}")
