"""A capsule's threads: started together, stopped together, given a deadline."""

from collections.abc import Callable
from typing import Any

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.runtime import log
from kiqdoctor.runtime.board import Board
from kiqdoctor.runtime.fetch import Fetch
from kiqdoctor.runtime.performing import Performer
from kiqdoctor.runtime.processor import Processor

CHECK = 0.02  # seconds between two looks at threads that should end
TRIES = 3  # at giving back, while Redis is away


class Manager:
    """Runs ``count`` processors on one fetch."""

    def __init__(self, count: int, fetch: Fetch, board: Board, performer: Performer, *, stopping: Callable[[], bool],
                 fenced: Callable[[], None], clock: Clock = SYSTEM) -> None:  # fmt: skip
        self.fetch, self._clock = fetch, clock
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
        works = self.fetch.running() if late else []
        if late and embedded:
            log.warn(f"{len(works)} jobs still run at the deadline; they are not given back, for they would run twice")
        elif late:
            for processor in late:
                processor.abandoned = True
            count = self._patiently(lambda: self.fetch.give_back(works))
            log.warn(f"gave {count} running jobs back to their queues")
        self._patiently(self.fetch.close)

    def _patiently(self, act: Callable[[], Any]) -> Any:
        """What cannot be told stays in the private lists, and is recovered by others."""
        for _ in range(TRIES):
            try:
                return act()
            except Exception as error:  # noqa: BLE001
                log.warn(f"while stopping: {type(error).__name__}: {error}")
                self._clock.sleep(CHECK)
        return 0
