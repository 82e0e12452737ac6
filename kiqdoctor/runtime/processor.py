"""One thread: fetch, run, and see to it that the job leaves in one of the ways that there are."""

import threading
from collections.abc import Callable, Iterable
from contextvars import copy_context
from typing import Any, Final
from weakref import WeakSet

from kiqdoctor.clock import SYSTEM, Clock, boottime
from kiqdoctor.runtime import context, forking, log, loops
from kiqdoctor.runtime.alike import Likewise
from kiqdoctor.runtime.board import Board
from kiqdoctor.runtime.endings import End, Ending
from kiqdoctor.runtime.fetching.work import SHORT, FencedError, Fetch, Work
from kiqdoctor.runtime.iterating import Interruption
from kiqdoctor.runtime.job import Job
from kiqdoctor.runtime.log import job_done
from kiqdoctor.runtime.loops import Begun
from kiqdoctor.runtime.marks import DATA, write
from kiqdoctor.runtime.middleware import Running, never
from kiqdoctor.runtime.performing import SUSPECT, Performer, described, named, unknown
from kiqdoctor.runtime.reading import Reading
from kiqdoctor.runtime.tracing import traced
from kiqdoctor.text import clean
from kiqdoctor.wire.codec import NotJsonError, decode
from kiqdoctor.wire.fields import CLASS, JID, STARTED
from kiqdoctor.wire.payload import NOT_PLAIN, Known, Payload, Plain
from kiqdoctor.wire.status import NOTHING_MORE

AWAY: Final = 1.0  # seconds, half to one and a half of it, between tries while Redis is away
RISE: Final = 1.05  # of a class's least time with each run that took longer
TURN: Final = 0.05  # seconds that a thread waits where it may not start what it has
PACE: Final = 1 / 16  # weight of the latest run in a class's pace
LEAP: Final = 16.0  # times its pace that a run counts at most: one that was held up by others says little
REFUSALS: Final = 3  # after which a job that its new place refuses is told with others, until that takes it


class Processor:
    """Runs jobs until it is told to stop."""

    def __init__(
        self,
        number: int,
        fetch: Fetch,
        board: Board,
        performer: Performer,
        *,
        stopping: Callable[[], bool],
        fenced: Callable[[], None],
        clock: Clock = SYSTEM,
    ) -> None:
        self._number = number
        self._fetch, self._performer = fetch, performer
        self._stopping, self._fenced, self._clock = stopping, fenced, clock
        self._seat, self._board = board.seat(), board
        self._registry, self._chain = performer.registry, performer.chain
        self._reading = Reading()
        self.abandoned = False  # what ends from now on is nobody's business: it was given back, or this is a child
        self._generation = forking.generation
        self.thread = threading.Thread(target=self.run, daemon=True, name=f"kiq.processor {number}")
        _processors.add(self)

    def run(self) -> None:
        """The thread's whole life."""
        self._seat.name, self._seat.ident = log.own_thread_id(), threading.get_ident()
        self._seat.mark.take()
        stopping, works, number = self._stopping, self._fetch.works, self._number
        down_since = 0.0
        while not (stopping() or self.abandoned):
            try:
                if down_since:
                    work = self._fetch.take(number)
                    log.info(f"Redis is online, {self._clock.monotonic() - down_since:.1f} s downtime")
                    down_since = 0.0
                    if work is not None:
                        self.process(work)
                else:
                    self._work_off(works(number))
            except FencedError:
                self._fenced()
            except Exception as error:  # noqa: BLE001 - whatever Redis does, a worker waits and goes on
                if not down_since:
                    down_since = self._clock.monotonic()
                    log.warn_seldom(f"fetch: {type(error).__name__}: {error}")
                self._pause()
        if forking.generation != self._generation:
            forking.end(None)

    def _pause(self) -> None:
        self._clock.sleep(AWAY * (0.5 + self._performer.draw()))

    def process(self, work: Work) -> None:
        """Run one job and let it go."""
        self._work_off((work,))

    def _work_off(self, works: Iterable[Work]) -> None:  # noqa: C901 - in parts it would be slower by a tenth
        """Run one after another until we are to stop; what is raised here was raised where they come from.

        All of it is here for plain ones: at some 200,000 a second each call and each look-up more is felt.
        """
        fetch, board, seat, mark, chained = self._fetch, self._board, self._seat, self._seat.mark, bool(self._chain)
        lookup, stopping, memory, place, tid = self._registry.get, self._stopping, mark.memory, mark.place, mark.tid
        reading = self._reading
        for work in works:
            try:
                began, payload = boottime(), work.payload
                if began >= fetch.lease.good_until:
                    self._not_now(work)
                    return
                try:
                    record = reading.read(payload)
                    job = lookup(record.job_class)
                except NOT_PLAIN:
                    job = None
                if job is None or job.special or job.surrounded or chained or record.__class__ is Known:
                    self._more(work, None if job is None else (record, job), began)  # not while an error is handled
                else:
                    since, args = began + board.offset, record.args
                    running = seat.running = Running(
                        job.name, record.jid, work.home.queue, args, None, since, None, never, None, NOTHING_MORE,
                        work, 0.0, began, job, record,
                    )  # fmt: skip
                    write(memory, place, 1, tid, id(payload) + DATA, len(payload), since)
                    context.running.set(running)
                    try:
                        copy_context().run(job.function, *args)
                    except BaseException as error:  # noqa: BLE001 - SystemExit in a job is a failure of that job
                        self._raised(work, job, running, error)
                    else:
                        ended = boottime()
                        seat.running = None  # first: the log asks whether it runs
                        memory[place] = 0
                        seat.processed += 1
                        took, pace = ended - began, job.pace
                        if took > LEAP * pace:
                            took = LEAP * pace if pace else took
                        job.pace = pace = pace + (took - pace) * PACE if pace else took
                        if pace > fetch.slowest:  # noqa: PLR1730 - a call for each job would be dearer
                            fetch.slowest = pace
                        job_done((began, ended, seat.name, job.shown, record.jid, None))
                        if not self.abandoned:
                            fetch.done(work)
            except Exception as error:  # noqa: BLE001 - a fault of ours must not cost the thread
                log.warn(f"a job stays in its private list: {type(error).__name__}: {error}", described(work))
            if stopping() or self.abandoned:
                return

    def _not_now(self, work: Work) -> None:
        """Without a lease nothing is started."""
        self._fetch.put_back(work)
        self._fenced()
        self._clock.sleep(TURN)

    def _more(self, work: Work, found: tuple[Plain, Job[Any, Any]] | None, began: float) -> None:
        """A payload that asks for more than to be run, or a job that something goes around."""
        found = found or self._otherwise(work)
        if found is None:
            self._odd(work, began)
            return
        record, job = found
        known = record.__class__ is Known
        if known and record.lock is None and record.batch is None and record.expiry is None and record.plain:
            self._reading.plainly()
        if job.limited or record.expiry is not None:
            if not self._may_begin(job, record, work):
                return
            began = boottime()  # what was asked before that is no time of the job's
        running = self._begin(work, record, job, began, more=job.special or known)
        if job.coroutine and not self._chain:
            self._take_turn(work, job, running)
        else:
            self._run(work, job, running)

    def _otherwise(self, work: Work) -> tuple[Plain, Job[Any, Any]] | None:
        """Here, and not where the first reading failed: a job's own error would have ours as its context."""
        record = self._reading.otherwise(work.payload)
        job = self._registry.get(record.job_class) if record is not None else None
        return (record, job) if record is not None and job is not None else None

    def _begin(self, work: Work, record: Plain, job: Job[Any, Any], began: float, *, more: bool = False) -> Running:
        """It runs from now on, as the board and the thread's mark have it."""
        since, seat = began + self._board.offset, self._seat
        running = seat.running = Running(
            job.name, record.jid, work.home.queue, record.args, None, since, None, never, None, NOTHING_MORE,
            work, 0.0, began, job, record, more,
        )  # fmt: skip
        seat.mark.put(work.payload, since)
        return running

    def _run(self, work: Work, job: Job[Any, Any], running: Running) -> None:
        """Within what goes around it."""
        try:
            self._performer.run(job, running)
        except BaseException as error:  # noqa: BLE001 - as above
            self._raised(work, job, running, error)
        else:
            self._ended(work, job, running)

    def _raised(self, work: Work, job: Job[Any, Any], running: Running, error: BaseException) -> None:
        kind = type(error)  # not what it says of itself
        if issubclass(kind, Interruption):
            self._leave_seat(failed=False)
            log.info("interrupted: it goes on where it was", _words(running))
            self._let_go(work, self._performer.given_back(job, _whole(running), work))
        elif issubclass(kind, FencedError):
            self._leave_seat(failed=False)
            log.warn("fenced: our lease ran out, and another process may run it by now", _words(running))
            self._performer.books.give_up(job, work)
            self._fetch.put_back(work)  # where it is in our list after all it is found there
        elif forking.generation != self._generation:
            forking.end(error)
        else:
            payload = running.payload or Payload(running.fields)
            shown = job.shown if payload.__class__ is Plain else running.shown
            self._failed(work, payload, job, error, running.began, shown, running.jid)

    def _ended(self, work: Work, job: Job[Any, Any], running: Running, *, soon: bool = False) -> None:
        """``soon``: it may wait for the next request, whatever it took."""
        ended, began, seat, payload = boottime(), running.began, self._seat, running.payload
        seat.running = None  # first: the log asks whether it runs
        seat.mark.clear()
        seat.processed += 1
        took = ended - began - running.waited
        self._ran(job, took)
        job_done(
            (began, ended, seat.name, job.shown if payload.__class__ is Plain else running.shown, running.jid, None)
        )
        if self.abandoned:
            return  # it was given back at the deadline: somebody else owns it now
        if not running.more or payload is None:
            self._fetch.done(work)
        else:
            soon = self._short(job, payload, took) or soon
            self._let_go(work, self._performer.done(job, payload, running, soon=soon), soon=soon)

    def _take_turn(self, work: Work, job: Job[Any, Any], running: Running) -> None:
        """Coroutines one after another on the event loop, as long as such jobs are at hand."""
        rest: list[Work] = []
        ended = False

        def first() -> Begun:
            running.waited = boottime() - running.began  # for the loop
            return self._performer.begun(job, running, outside)

        def following() -> Begun | None:
            nonlocal work, job, running, ended
            if not self._may_follow(job, running, rest):
                running.waited -= boottime()  # until its thread goes on
                return None
            self._ended(work, job, running, soon=True)
            ended = True
            if (found := self._next_coroutine(rest[0])) is None:
                return None
            rest.clear()
            work, job, running = found
            ended = False
            return self._performer.begun(job, running, outside)

        outside = copy_context()
        try:
            loops.turn(first, following)
        except BaseException as error:
            if ended:
                raise
            self._raised(work, job, running, error)
        else:
            if not ended:
                running.waited += boottime()
                self._ended(work, job, running)
        for other in rest:
            self.process(other)

    def _may_follow(self, job: Job[Any, Any], running: Running, rest: list[Work]) -> bool:
        """Whether a job is at hand, which is the rest now."""
        if running.more and min(boottime() - running.began, job.least * RISE) >= SHORT:
            return False  # its end is told at once, by its thread: the loop waits for no Redis
        if self._stopping() or self.abandoned or (work := self._fetch.next_at_hand(self._number)) is None:
            return False
        rest.append(work)
        return True

    def _next_coroutine(self, work: Work) -> tuple[Work, Job[Any, Any], Running] | None:
        """It has begun; None where it is another kind of job, for the thread."""
        began = boottime()
        if began < self._fetch.lease.good_until:
            try:
                record = self._reading.read(work.payload)
                job = self._registry.get(record.job_class)
            except NOT_PLAIN:
                return None
            if job is not None and job.coroutine and record.expiry is None:
                return work, job, self._begin(work, record, job, began, more=record.__class__ is Known)
        return None

    @staticmethod
    def _short(job: Job[Any, Any] | None, payload: Payload | Plain, took: float) -> bool:
        """Whether its end may wait for the next request; that of one that may run once may not.

        As jobs of its class are: one of a microsecond that other threads hold up takes five milliseconds.
        """
        if job is not None:
            took = job.least = took if took < job.least else job.least * RISE
        return took < SHORT and not payload.at_most_once

    def _leave_seat(self, *, failed: bool) -> None:
        seat = self._seat
        seat.running = None
        seat.mark.clear()
        seat.processed += 1
        seat.failed += failed

    def _ran(self, job: Job[Any, Any], took: float) -> None:
        """Its class's pace; without it jobs would be fetched one by one, and a thread roused for each."""
        pace = job.pace
        if took > LEAP * pace:
            took = LEAP * pace if pace else took
        job.pace = pace = pace + (took - pace) * PACE if pace else took
        if pace > self._fetch.slowest:  # noqa: PLR1730 - as above
            self._fetch.slowest = pace

    def _failed(
        self,
        work: Work,
        payload: Payload | Plain,
        job: Job[Any, Any] | None,
        error: BaseException,
        began: float,
        shown: str,
        jid: str,
    ) -> None:
        ended, seat = boottime(), self._seat
        self._leave_seat(failed=True)
        took = ended - began
        told = traced(error)
        if job is not None:
            self._ran(job, took)
        else:
            told = told.rpartition("\n")[2]
        job_done((began, ended, seat.name, shown, jid, f"fail: {told}"))
        if not self.abandoned:
            soon = self._short(job, payload, took)
            self._let_go(work, self._performer.failed(job, payload, work, error), soon=soon)

    def _special(self, work: Work, payload: Payload, job: Job[Any, Any] | None, began: float) -> None:
        """A payload that asks for more than to be run; a job that was in flight when processes died runs alone."""
        alone = payload.deaths(self._clock.now()) >= SUSPECT
        if alone and not self._fetch.alone(self._number):
            self._let_go(work, self._performer.not_begun(job, payload, work))
            self._clock.sleep(TURN)
            return
        try:
            self._checked(work, payload, job, began)
        finally:
            if alone:
                self._fetch.together(self._number)

    def _checked(self, work: Work, payload: Payload, job: Job[Any, Any] | None, began: float) -> None:
        if not self._may_begin(job, payload, work):
            return
        if job is None:
            name = payload.fields.get(CLASS)
            nobodys = unknown(clean(str(name)), self._performer.registry)
            words = named(payload)
            self._failed(work, payload, None, nobodys, began, words["class"], words["jid"])
        elif not payload.at_most_once or self._begun(work, payload, job):
            fields, began = payload.fields, boottime()  # what was asked before that is no time of the job's
            since, jid, seat = began + self._board.offset, str(fields.get(JID) or ""), self._seat
            running = seat.running = Running(
                job.name, jid, work.home.queue, payload.args, fields, since, None, never, None, NOTHING_MORE,
                work, 0.0, began, job, payload, True,
            )  # fmt: skip
            seat.mark.put(work.payload, since)
            self._run(work, job, running)

    def _may_begin(self, job: Job[Any, Any] | None, payload: Payload | Plain, work: Work) -> bool:
        """False where it has expired, or finds no room, and was let go for that."""
        try:
            refused = self._performer.before(job, payload, work)
        except Exception as error:  # noqa: BLE001 - Redis could not say whether there is room: as if there were none
            log.warn_seldom(f"limits: {type(error).__name__}: {error}")
            self._pause()
            self._let_go(work, self._performer.not_begun(job, payload, work))
            return False
        if refused is None:
            return True
        if refused.end is End.GONE:
            log.info("expired: it is not run", {"class": clean(payload.shown_class), "jid": clean(payload.jid)})
        self._let_go(work, refused)
        return False

    def _begun(self, work: Work, payload: Payload, job: Job[Any, Any]) -> bool:
        """Whether a job that may begin once begins now; what somebody began goes to the dead."""
        if payload.started:
            if self._fetch.unbegun(work):
                return True
            self._let_go(work, self._performer.begun_before(job, payload, work))
            return False
        owner = self._performer.identity()
        try:
            began = self._fetch.begin(work, payload.with_(**{STARTED: owner}).encode(), owner)
        except Exception as error:  # noqa: BLE001 - it is found in its list, where it is still ours
            log.warn_seldom(f"at_most_once: {type(error).__name__}: {error}")
            began = False
        if not began:
            self._performer.books.give_up(job, work)
            self._fetch.put_back(work)
            self._pause()
        return began

    def _odd(self, work: Work, began: float) -> None:
        """What is no payload, or lacks what a payload must have."""
        try:
            fields = decode(work.payload)
        except NotJsonError as error:
            fields = error
        if not isinstance(fields, dict):
            log.warn(f"invalid payload moved to dead: {fields if isinstance(fields, Exception) else 'no JSON object'}")
            self._let_go(work, self._performer.unreadable(work))
            return
        name = fields.get(CLASS)
        job = self._performer.registry.get(name) if isinstance(name, str) else None
        self._special(work, Payload(fields), job, began)

    def _let_go(self, work: Work, ending: Ending | Likewise, *, soon: bool = False) -> None:
        """Until Redis has heard of it; the job must not be lost because Redis is away for a while.

        ``soon``: not at once, but with the ends of others.
        """
        refusals = 0
        while not self.abandoned:
            try:
                if not ending:
                    self._fetch.done(work)
                elif soon:
                    self._fetch.leave(work, ending)
                else:
                    self._fetch.send_on(work, ending)
            except Exception as error:  # noqa: BLE001
                log.warn_seldom(f"the end of a job could not be told yet: {type(error).__name__}: {error}")
                refusals += "WRONGTYPE" in str(error)
                if refusals >= REFUSALS:
                    self._fetch.leave(work, ending)
                    return
                self._pause()
            else:
                return


def _whole(running: Running) -> Payload:
    """With all its fields."""
    payload = running.payload
    return payload if isinstance(payload, Payload) else Payload(running.fields)


def _words(running: Running) -> dict[str, str]:
    return {"class": running.shown, "jid": clean(running.jid)}


_processors: "WeakSet[Processor]" = WeakSet()


def _abandon() -> None:
    """A child that comes back from the job that forked it must neither end the job nor take another."""
    for processor in list(_processors):
        processor.abandoned = True


forking.in_child(_abandon)
