"""How many jobs are fetched ahead, and how many threads are kept awake for them: as jobs are short or long."""

from typing import Final

MOST: Final = 200
AHEAD: Final = 0.005  # seconds of work that is fetched ahead
WORTH: Final = 4  # jobs ahead from which on asking before all are taken pays
WAKE: Final = 0.0001  # seconds; jobs that are shorter are run by whoever is awake
ALONE: Final = 0.00003  # seconds; jobs that are shorter wait for nobody, and one thread runs them all
EASING: Final = 0.7  # of the slowest job that was seen, which is what counts: one short job proves little


class Pace:
    """Of one capsule. What it says is read without a lock: an old number costs a request at most."""

    def __init__(self, threads: int) -> None:
        self._threads = threads
        self._slowest = 0.0
        self.want = 1  # jobs, beside those for threads that sleep
        self.low = -1  # jobs at hand at which more are asked for; -1: none are at hand, and a thread is free
        self.wide = True  # whether another thread is roused for each job at hand
        self.alone = False  # whether the thread that asks goes on, and reads the reply when nothing is left at hand

    def adapt(self, wanted: int, got: int, slowest: float) -> None:
        """As many ahead as run in five milliseconds, from few to more; none ahead where jobs are long.

        A job that is taken ahead behind a long one waits here, where no other process sees it; so the slowest of late
        decides, and the number at most doubles with each request. Waking a thread takes 15 to 30 µs: where jobs are
        shorter than that times a few, rousing one for each would cost more than it gives. Where they are shorter than
        any round trip nobody else is roused at all: two threads that run Python would only hand each other the lock.
        """
        pace = self._slowest = max(slowest, self._slowest * EASING)
        ahead = min(MOST, int(AHEAD * self._threads / pace)) if pace else 1
        self.want = max(1, min(ahead, max(wanted, self._threads) * 2))
        self.wide, self.alone = not 0 < pace < WAKE, 0 < pace < ALONE
        # Before the last job is taken the next reply is to be there, where the queue had as many as were wanted.
        self.low = (self.want if self.alone else self.want // 2) if got >= wanted and ahead >= WORTH else -1

    def rest(self) -> None:
        """What is at hand is not taken: no more than one at a time, and no sooner than it is needed."""
        self.want, self.low, self.alone = 1, -1, False
