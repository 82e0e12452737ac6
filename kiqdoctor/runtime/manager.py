"""A capsule's threads: started together, stopped together, given a deadline."""

import time
from collections.abc import Callable

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.runtime import log
from kiqdoctor.runtime.fetch import Fetch
from kiqdoctor.runtime.processor import Board, Processor

CHECK = 0.05  # seconds between two looks at threads that should end


class Manager:
    """Runs ``count`` processors on one fetch."""

    def __init__(self, count: int, fetch: Fetch, board: Board, *, stopping: Callable[[], bool],
                 fenced: Callable[[], None], clock: Clock = SYSTEM) -> None:  # fmt: skip
        self.fetch, self._board, self._clock = fetch, board, clock
        self._processors = [
            Processor(fetch, board, stopping=stopping, fenced=fenced, clock=clock) for _ in range(count)
        ]

    def start(self) -> None:
        """Start every thread."""
        for processor in self._processors:
            processor.thread.start()

    def finish(self, deadline: float, hurry: Callable[[], bool], *, embedded: bool) -> None:
        """Wait for running jobs until the monotonic deadline; then give them back, and what was never started too.

        An embedded worker's threads live on after us, so a job that still runs is not given back: it would run twice.
        """
        while self._alive() and self._clock.monotonic() < deadline and not hurry():
            time.sleep(CHECK)
        late = self._alive()
        for processor in late:
            processor.abandoned = not embedded
        if late:
            works = [work for work, _ in self._board.works.copy().values()]
            if embedded:
                log.warn(f"{len(works)} jobs still run at the deadline; they are not given back")
            else:
                count = self.fetch.give_back(works)
                log.warn(f"gave {count} running jobs back to their queues")
        self.fetch.close()

    def _alive(self) -> list[Processor]:
        return [one for one in self._processors if one.thread.is_alive()]
