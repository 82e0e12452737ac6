"""One thread: fetch, run, and see to it that the job leaves in one of the ways that there are."""

import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.runtime import log
from kiqdoctor.runtime.fetch import FencedError, Fetch, Work
from kiqdoctor.runtime.job import REGISTRY, Job
from kiqdoctor.runtime.retrying import Ending, after_failure
from kiqdoctor.text import clean
from kiqdoctor.wire.heartbeat import Work as InFlight
from kiqdoctor.wire.payload import Payload, PayloadError, read

RETRY_FETCH = 1.0  # seconds between tries while Redis is away


class UnknownJobError(Exception):
    """No imported module defines this class."""


@dataclass
class Board:
    """What all processors of a process do: jobs in flight by thread since when, and counters since the last beat."""

    lock: threading.Lock = field(default_factory=threading.Lock)
    works: dict[str, tuple[Work, float]] = field(default_factory=dict)
    processed: int = 0
    failed: int = 0

    def started(self, thread: str, work: Work, now: float) -> None:
        """A job begins."""
        self.works[thread] = (work, now)

    def ended(self, thread: str, *, failed: bool) -> None:
        """It ends; a failure counts as processed too, as in Sidekiq."""
        self.works.pop(thread, None)
        with self.lock:
            self.processed += 1
            self.failed += failed

    @property
    def in_flight(self) -> list[InFlight]:
        """As the heartbeat tells it."""
        works = self.works.copy()
        return [InFlight(thread, work.queue, work.payload, now) for thread, (work, now) in works.items()]

    def counted(self) -> tuple[int, int]:
        """Take the counters."""
        with self.lock:
            counts = (self.processed, self.failed)
            self.processed = self.failed = 0
            return counts

    def put_back(self, processed: int, failed: int) -> None:
        """They could not be told."""
        with self.lock:
            self.processed += processed
            self.failed += failed


class Processor:
    """Runs jobs until it is told to stop."""

    def __init__(
        self,
        fetch: Fetch,
        board: Board,
        *,
        stopping: Callable[[], bool],
        fenced: Callable[[], None],
        clock: Clock = SYSTEM,
        draw: Callable[[], float] = random.random,
    ) -> None:
        self._fetch, self._board = fetch, board
        self._stopping, self._fenced = stopping, fenced
        self._clock, self._draw = clock, draw
        self.abandoned = False
        self.thread = threading.Thread(target=self.run, daemon=True, name="kiq.processor")

    def run(self) -> None:
        """The thread's whole life."""
        down_since = 0.0
        while not self._stopping():
            try:
                work = self._fetch.take(self._stopping)
            except FencedError:
                self._fenced()
                continue
            except Exception as error:  # noqa: BLE001 - whatever Redis does, a worker waits and goes on
                if not down_since:
                    down_since = self._clock.monotonic()
                    log.warn(f"fetch: {type(error).__name__}: {error}")
                time.sleep(RETRY_FETCH)
                continue
            if down_since:
                log.info(f"Redis is online, {self._clock.monotonic() - down_since:.1f} s downtime")
                down_since = 0.0
            if work is not None:
                self.process(work)

    def process(self, work: Work) -> None:
        """Run one job and let it go."""
        thread = log.own_thread_id()
        self._board.started(thread, work, self._clock.now())
        failure: BaseException | None = None
        try:
            ending = self._performed(work)
        except BaseException as error:  # noqa: BLE001 - SystemExit in a job is a failure of that job
            failure = error
            ending = None
        finally:
            self._board.ended(thread, failed=failure is not None)
        if self.abandoned:
            return  # it was given back at the deadline: somebody else owns it now
        if failure is not None:
            ending = after_failure(work.payload, work.queue, _job(work), failure, self._clock.now(), self._draw())
        self._let_go(work, ending)

    def _performed(self, work: Work) -> Ending | None:
        try:
            payload = read(work.payload)
        except PayloadError as error:
            log.warn(f"invalid payload moved to dead: {error}")
            return Ending("dead", self._clock.now(), work.payload)
        context = f"class={clean(payload.shown_class)} jid={clean(payload.jid)} "
        began = self._clock.monotonic()
        log.job("start", context)
        try:
            _find(payload)(*payload.args)
        except BaseException as error:
            elapsed = self._clock.monotonic() - began
            log.warn(f"fail: {type(error).__name__}: {error}", f"{context}elapsed={elapsed:.3f} ")
            raise
        log.job("done", f"{context}elapsed={self._clock.monotonic() - began:.3f} ")
        return None

    def _let_go(self, work: Work, ending: Ending | None) -> None:
        """Until Redis has heard of it; the job must not be lost because Redis is away for a while."""
        while True:
            try:
                if ending is None:
                    self._fetch.done(work)
                else:
                    self._fetch.send_on(work, ending)
            except Exception as error:  # noqa: BLE001
                log.warn(f"the end of a job could not be told yet: {type(error).__name__}: {error}")
                if self.abandoned:
                    return
                time.sleep(RETRY_FETCH)
            else:
                return


def _job(work: Work) -> "Job[..., Any] | None":
    try:
        return REGISTRY.get(read(work.payload).job_class)
    except PayloadError:
        return None


def _find(payload: Payload) -> "Job[..., Any]":
    found = REGISTRY.get(payload.job_class)
    if found is None:
        modules = ", ".join(sorted({one.function.__module__ for one in REGISTRY.values()})) or "none"
        raise UnknownJobError(f"no job is called {payload.job_class}; modules with jobs that were imported: {modules}")
    return found
