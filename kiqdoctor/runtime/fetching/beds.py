"""Where threads sleep that have nothing to do: each in a bed of its own, roused one at a time.

Waking a thread takes 15 to 30 µs, more than a short job: a condition that wakes all of them would cost more than it
gives.
"""

import threading
from collections import deque
from collections.abc import Callable


class Beds:
    """For so many threads, by number."""

    def __init__(self, count: int) -> None:
        self._locks = [threading.Lock() for _ in range(count)]
        for lock in self._locks:
            lock.acquire()
        self._sleepers: deque[int] = deque()

    def __len__(self) -> int:
        """How many sleep."""
        return len(self._sleepers)

    def sleep(self, number: int, seconds: float, stay_up: Callable[[], bool]) -> None:
        """Until roused, at most so long, and not at all where, once in bed, there is a reason to stay up."""
        self._sleepers.append(number)  # before the look: who brings work after it finds somebody to rouse
        if stay_up() or not self._locks[number].acquire(timeout=seconds):
            self._get_up(number)

    def _get_up(self, number: int) -> None:
        """Not roused: where somebody is about to rouse us, that is waited for."""
        try:
            self._sleepers.remove(number)
        except ValueError:
            self._locks[number].acquire()

    def rouse(self) -> None:
        """One more; the last that fell asleep is the quickest."""
        try:
            number = self._sleepers.pop()
        except IndexError:
            return
        self._locks[number].release()

    def rouse_all(self) -> None:
        """Everybody."""
        for _ in self._locks:
            self.rouse()
