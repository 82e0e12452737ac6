"""One job from its bytes to its end: what must hold before it, what goes around it, where its end sends it."""

import random
from collections.abc import Callable, Coroutine
from contextvars import Context, copy_context
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from kiqdoctor.clock import SYSTEM, Clock, boottime
from kiqdoctor.runtime import context, endings, iterating, loops, overrunning
from kiqdoctor.runtime.alike import Kinds, Likewise
from kiqdoctor.runtime.books import Books
from kiqdoctor.runtime.burying import InterruptedOnceError, bury
from kiqdoctor.runtime.config import Settings
from kiqdoctor.runtime.endings import End, Ended, Ending, Step
from kiqdoctor.runtime.failing import failing
from kiqdoctor.runtime.fetching.work import Work
from kiqdoctor.runtime.hearing import mourn
from kiqdoctor.runtime.job import Job
from kiqdoctor.runtime.limits import room
from kiqdoctor.runtime.loops import Begun
from kiqdoctor.runtime.middleware import DeadlineExceededError, Running, around
from kiqdoctor.runtime.retrying import after_first_failure
from kiqdoctor.text import clean
from kiqdoctor.wire.fields import CONTEXT, JID, KEYWORDS
from kiqdoctor.wire.payload import PLAIN, TRACES, Payload, PayloadError, Plain, read
from kiqdoctor.wire.status import NOTHING, NOTHING_MORE, More

NOTHING_ELSE: Final = Ending()
SUSPECT: Final = 2  # deaths of processes after which a job runs alone


class UnknownJobError(Exception):
    """No imported module defines this class."""


@dataclass
class Performer:
    """What every thread of a process needs to run jobs."""

    books: Books
    settings: Settings
    registry: dict[str, Job[Any, Any]]
    identity: Callable[[], str]
    stopping: Callable[[], bool]
    clock: Clock = SYSTEM
    draw: Callable[[], float] = random.random
    watch: overrunning.Watch = overrunning.unwatched

    def __post_init__(self) -> None:
        self.keys = self.settings.keys
        self.chain = self.settings.middleware
        self._kinds = Kinds(self.keys)

    def run(self, job: Job[Any, Any], running: Running) -> None:
        """The body, within what goes around it, in a context of its own: what it sets is not there for the next job."""
        context.running.set(running)
        function, args, fields = job.function, running.args, running.decoded  # of a plain one it is not decoded
        if not (job.surrounded or (fields is not None and (CONTEXT in fields or KEYWORDS in fields))):
            if self.chain:
                copy_context().run(around, self.chain, running, lambda: function(*args))
            else:
                copy_context().run(function, *args)
            return
        copy_context().run(self._equipped, job, running)

    def begun(self, job: Job[Any, Any], running: Running, outside: Context) -> Begun:
        """A plain coroutine's body, where nothing goes around it, and its own context; nothing of it runs yet."""
        running.stopping = self.stopping
        inside = outside.copy()
        inside.run(context.running.set, running)
        return job.function(*running.args), inside

    def _equipped(self, job: Job[Any, Any], running: Running) -> None:
        if running.decoded is not None and CONTEXT in running.decoded:
            with context.restored(running.fields):
                self._watched(job, running)
        else:
            self._watched(job, running)

    def _watched(self, job: Job[Any, Any], running: Running) -> None:
        self._equip(job, running)
        try:
            if job.options.timeout is None:
                if self.chain:
                    around(self.chain, running, lambda: self._body(job, running))
                else:
                    self._body(job, running)
            else:
                with self.watch(job, running):
                    around(self.chain, running, lambda: self._body(job, running))
        finally:
            if job.options.status:
                self.books.over(running)

    def _equip(self, job: Job[Any, Any], running: Running) -> None:
        running.stopping = self.stopping
        if job.options.timeout is not None:
            running.deadline = self.clock.boottime() + job.options.timeout
        if job.options.status:
            running.tell = self._tell
            self._tell(running, NOTHING)

    def _tell(self, running: Running, more: More) -> None:
        self.books.runs(running, self.clock.now(), more)

    def _body(self, job: Job[Any, Any], running: Running) -> None:
        value: Any = None
        if job.iterable:
            asked = boottime()
            place = self.books.cursor(running)
            running.waited = boottime() - asked
            iterating.run(partial(job.function, *running.args, **running.keywords), place, running)
        elif job.asynchronous:
            value = loops.run(_in_time(job, job.function(*running.args, **running.keywords)))
        else:
            value = job.function(*running.args, **running.keywords)
        if job.options.result_ttl is not None:
            running.outcome = job.options.outcome(value)

    def before(self, job: Job[Any, Any] | None, payload: Payload | Plain, work: Work) -> Ending | None:
        """An ending where the job must not begin: it has expired, or its class has no room now."""
        expiry = payload.expiry
        if expiry is not None and self.clock.now() > expiry:
            return self.ending(job, payload, End.GONE, work)
        if job is None or not job.limited or not self.books.enter(job, self.identity(), work):
            return None
        least = room(job.options.limit, job.options.rate)
        stored = endings.waiting(self.keys, job.name, payload.jid, work.payload, least)
        return self.ending(job, payload, End.LATER, work, stored)

    def ending(
        self, job: Job[Any, Any] | None, payload: Ended, end: End, work: Work, stored: tuple[Step, ...] = ()
    ) -> Ending:
        """What becomes of a job of ours."""
        options = job.options if job is not None else None
        return endings.ending(self.keys, end, payload, options, _place(work), self.clock.now(), stored)

    def done(self, job: Job[Any, Any], payload: Payload | Plain, running: Running, *, soon: bool) -> Ending | Likewise:
        """What becomes of a job that came to its end; ``soon``: one of many short ones."""
        work, options = running.work, job.options
        if work is not None and work.place is not None and soon:
            self.books.pass_on(job, work)
        place = _place(work) if work is not None else ""
        cursor = job.iterable and running.kept
        if isinstance(payload, Payload) or place or cursor or running.outcome is not NOTHING_MORE:
            stored = (Step("UNLINK", self.keys.iteration(payload.jid)),) if cursor else ()
            now, outcome = self.clock.now(), running.outcome
            return endings.ending(self.keys, End.DONE, payload, options, place, now, stored, outcome)
        if payload.lock is None and payload.batch is None and not options.status:
            return NOTHING_ELSE
        return self._kinds.done(job, payload, work.payload if work is not None else b"", self.clock.now())

    def failed(
        self, job: Job[Any, Any] | None, payload: Payload | Plain, work: Work, error: BaseException
    ) -> Ending | Likewise:
        """Where a failure sends the job."""
        now = self.clock.now()
        if not isinstance(payload, Payload):
            raw = work.payload
            if job is not None and work.place is None and not self.settings.error_handlers:
                again = after_first_failure(raw, payload, work.home.queue, job, error, now, self.draw())
                if again is not None:
                    return self._kinds.tried_again(job, payload, raw, *again, now)
            payload = read(raw)
        return failing(self.settings, job, payload, work.payload, work.queue, _place(work), error, now, self.draw)

    def at_deadline(self, work: Work) -> Ending | None:
        """What becomes of a job that still runs when the process must end; None: it goes back, and nothing else."""
        try:
            payload = read(work.payload)
        except PayloadError:
            return None
        job = self.registry.get(payload.job_class)
        if payload.at_most_once and payload.started:
            return self._buried(job, payload, work)
        if job is not None and (job.special or not PLAIN.issuperset(payload.fields)):
            return self.given_back(job, payload, work)
        return None

    def _buried(self, job: Job[Any, Any] | None, payload: Payload, work: Work) -> Ending:
        error = InterruptedOnceError("it still ran when its process had to end, and it may run at most once")
        options = job.options if job is not None else None
        found, said = bury(self.keys, payload, error, options, _place(work), self.clock.now())
        mourn(self.settings.death_handlers, said.fields, error)
        return found

    def given_back(self, job: Job[Any, Any] | None, payload: Payload, work: Work) -> Ending:
        """Into its queue as it was; what it ran for spared the process."""
        raw = work.payload if TRACES.isdisjoint(payload.fields) else payload.spared().encode()
        return self.ending(job, payload, End.BACK, work, endings.returned(self.keys, work.queue, raw))

    def not_begun(self, job: Job[Any, Any] | None, payload: Payload | Plain, work: Work) -> Ending:
        """Into its queue with what is known of it, and after all others: it may not begin now."""
        return self.ending(job, payload, End.BACK, work, endings.postponed(self.keys, work.queue, work.payload))

    def begun_before(self, job: Job[Any, Any] | None, payload: Payload, work: Work) -> Ending:
        """To the dead: it may begin once, and somebody began it."""
        return self._buried(job, payload, work)

    def unreadable(self, work: Work) -> Ending:
        """Bytes that are no payload go to the dead, as Sidekiq sends them: nothing is known that goes with that."""
        return Ending(endings.buried(self.keys, work.payload, self.clock.now()), End.DEAD)


def _place(work: Work) -> str:
    return work.place.name if work.place is not None else ""


def _in_time(job: Job[Any, Any], coroutine: Coroutine[Any, Any, Any]) -> Coroutine[Any, Any, Any]:
    """It is stopped at its next ``await`` once its time is over."""
    if (seconds := job.options.timeout) is None:
        return coroutine
    return loops.within(seconds, DeadlineExceededError(f"{job.name} ran longer than {seconds:g} s"), coroutine)


def named(payload: Payload) -> dict[str, str]:
    """What tells a log line's job: the class that a person knows it by, and its jid."""
    return {"class": clean(payload.shown_class), "jid": clean(str(payload.fields.get(JID)))}


def described(work: Work) -> dict[str, str]:
    """The same of a job as bytes; nothing of what cannot be read: it is asked where something is wrong already."""
    try:
        return named(read(work.payload))
    except (PayloadError, TypeError):  # the latter of no bytes at all, as a server gave it that is no Redis
        return {}


def unknown(name: Any, registry: dict[str, Job[Any, Any]]) -> UnknownJobError:
    """What to say of a class that nobody defines."""
    modules = ", ".join(sorted({one.function.__module__ for one in registry.values()})) or "none"
    return UnknownJobError(f"no job is called {name}; modules with jobs that were imported: {modules}")
