"""Memory that a worker, its producer and the benchmark share: how often jobs ran, and when.

Nobody's own statistics are trusted. Each thread that runs jobs counts in a slot of its own, so that counting needs no
lock and costs some 60 ns; the benchmark adds the slots up from outside. Jobs that carry a number also leave the moment
at which they began, beside the moment at which the producer was about to enqueue them.

64-bit integers, native order: cell 0 how many slots are taken; slot n >= 1 in cells 8n (executions) and 8n + 1
(CLOCK_MONOTONIC ns of its first job); then STAMPS moments of enqueueing; then STAMPS moments of starting.
peers/sidekiq.rb writes the same layout.
"""

import fcntl
import mmap
import time
from pathlib import Path
from typing import Final

CELL: Final = 8  # bytes
WIDTH: Final = 8  # cells of a slot: a cache line, so that two threads never write the same one
SLOTS: Final = 64  # the first is the header
SENT: Final = SLOTS * WIDTH  # index of the first cell
STAMPS: Final = 65_536
STARTED: Final = SENT + STAMPS


class Tally:
    """The cells of one file."""

    def __init__(self, path: Path) -> None:
        self._path = path
        with path.open("r+b") as file:
            self.cells = memoryview(mmap.mmap(file.fileno(), 0)).cast("q")

    @classmethod
    def create(cls, path: Path) -> "Tally":
        """A file of zeros."""
        path.write_bytes(bytes(CELL * (STARTED + STAMPS)))
        return cls(path)

    def claim(self) -> int:
        """The cell in which the calling thread counts; its first job begins now. Threads of all processes may ask."""
        with self._path.open("rb") as file:  # opened here: a lock is shared with whoever inherits the open file
            fcntl.flock(file, fcntl.LOCK_EX)
            slot = self.cells[0] + 1
            if slot >= SLOTS:
                raise RuntimeError(f"more than {SLOTS - 1} threads run jobs")
            self.cells[0] = slot
            self.cells[WIDTH * slot + 1] = time.monotonic_ns()
            return WIDTH * slot

    @property
    def executed(self) -> int:
        """Executions until now."""
        return sum(self.cells[WIDTH:SENT:WIDTH])

    @property
    def first(self) -> int:
        """When the first job began, in ns; 0 before."""
        return min((moment for moment in self.cells[WIDTH + 1 : SENT : WIDTH] if moment), default=0)

    def waits(self, first: int, count: int) -> list[int]:
        """Nanoseconds from enqueueing to starting of these jobs; a job that has not started is left out."""
        sent = self.cells[SENT + first : SENT + first + count]
        started = self.cells[STARTED + first : STARTED + first + count]
        return [begun - asked for asked, begun in zip(sent, started, strict=True) if begun]
