"""A capsule's threads: started together, stopped together, given a deadline."""

from collections.abc import Callable
from functools import partial
from typing import Any

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.runtime import log
from kiqdoctor.runtime.board import Board
from kiqdoctor.runtime.endings import End
from kiqdoctor.runtime.fetching.work import Fetch, Work
from kiqdoctor.runtime.performing import Performer, described
from kiqdoctor.runtime.processor import Processor

CHECK = 0.02  # seconds between two looks at threads that should end
TRIES = 3  # at giving back, while Redis is away


class Manager:
    """Runs ``count`` processors on one fetch."""

    def __init__(self, count: int, fetch: Fetch, board: Board, performer: Performer, *, stopping: Callable[[], bool],
                 fenced: Callable[[], None], clock: Clock = SYSTEM) -> None:  # fmt: skip
        self.fetch, self._performer, self._clock = fetch, performer, clock
        self._processors = [
            Processor(number, fetch, board, performer, stopping=stopping, fenced=fenced, clock=clock)
            for number in range(count)
        ]

    def start(self) -> None:
        """Start every thread."""
        for processor in self._processors:
            processor.thread.start()

    @property
    def alive(self) -> list[Processor]:
        """Those that have not ended."""
        return [one for one in self._processors if one.thread.is_alive()]

    def finish(self, deadline: float, hurry: Callable[[], bool], *, embedded: bool) -> None:
        """Wait for running jobs until the monotonic deadline; then give them back, and what was never started too.

        An embedded worker's threads live on after us, so a job that still runs is not given back: it would run twice.
        """
        while self.alive and self._clock.monotonic() < deadline and not hurry():
            self._clock.sleep(CHECK)
        late = self.alive
        if late and embedded:
            self._name(self.fetch.running())
        elif late:
            self._give_back(late)
        self._patiently(self.fetch.close)

    @staticmethod
    def _name(works: list[Work]) -> None:
        for work in works:
            log.warn("still runs at the deadline; it is not given back, for it would run twice", described(work))

    def _give_back(self, late: list[Processor]) -> None:
        """What still runs goes back to its queue, or to the dead where it may run at most once."""
        for processor in late:
            processor.abandoned = True  # first: what ends from now on is not acknowledged, and so it is still running
        plain, back, buried = [], 0, 0
        for work in self.fetch.running():
            ending = self._performer.at_deadline(work)
            if ending is None:
                plain.append(work)
            elif self._patiently(partial(self.fetch.send_on, work, ending)):
                back += ending.end is End.BACK
                buried += ending.end is not End.BACK
                if ending.end is not End.BACK:
                    log.warn("buried: it still ran, and it may run at most once", described(work))
        back += self._patiently(lambda: self.fetch.give_back(plain))
        if back or buried:
            log.warn(f"gave {back} running jobs back to their queues" + (f"; {buried} were buried" if buried else ""))

    def _patiently(self, act: Callable[[], Any]) -> Any:
        """What cannot be told stays in the private lists, and is recovered by others."""
        for _ in range(TRIES):
            try:
                return act()
            except Exception as error:  # noqa: BLE001
                log.warn(f"while stopping: {type(error).__name__}: {error}")
                self._clock.sleep(CHECK)
        return 0
