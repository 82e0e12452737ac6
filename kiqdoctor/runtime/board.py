"""What the threads of a process do now, and what they have done since the last beat."""

import threading
import time
from dataclasses import dataclass, field
from functools import partial

from kiqdoctor.clock import boottime
from kiqdoctor.runtime import log
from kiqdoctor.runtime.marks import Mark, Marks
from kiqdoctor.runtime.middleware import Running
from kiqdoctor.wire.heartbeat import WorkEntry


@dataclass(slots=True)
class Seat:
    """One thread: counters are its own, so that nobody waits for anybody."""

    mark: Mark
    name: str = ""
    ident: int = 0
    running: Running | None = None
    processed: int = 0
    failed: int = 0

    def runs(self, one: Running) -> bool:
        """Whether it runs still, and has not ended."""
        return self.running is one


@dataclass
class Board:
    """All threads of a process."""

    seats: list[Seat] = field(default_factory=list)
    offset: float = 0.0  # epoch seconds of the boot clock's zero
    told: tuple[int, int] = (0, 0)
    overran: int = 0  # jobs of killed processes that we failed for having run too long: those told of them no more
    lock: threading.Lock = field(default_factory=threading.Lock)
    marks: Marks = field(default_factory=Marks)

    def __post_init__(self) -> None:
        self.set_clock()

    def set_clock(self) -> None:
        """Wall time may be set while we run."""
        self.offset = time.time() - boottime()

    def seat(self) -> Seat:
        """A place for one more thread."""
        made = Seat(self.marks.one_more())
        self.seats.append(made)
        return made

    @property
    def busy(self) -> int:
        """How many run a job."""
        return sum(seat.running is not None for seat in self.seats)

    @property
    def in_flight(self) -> list[WorkEntry]:
        """As the heartbeat tells it."""
        found = [(seat.name, seat.running) for seat in self.seats]
        return [
            WorkEntry(name, one.queue, one.work.payload, one.began + self.offset)
            for name, one in found
            if one is not None and one.work is not None
        ]

    def announce(self) -> None:
        """Say of each job that still runs that it began, once."""
        for seat in self.seats:
            if (one := seat.running) is not None:
                log.started(one.began, seat.name, one.shown, one.jid, partial(seat.runs, one))

    def totals(self) -> tuple[int, int]:
        """Processed and failed since the start; a failure counts as processed too, as in Sidekiq."""
        processed, failed = (sum(seat.processed for seat in self.seats), sum(seat.failed for seat in self.seats))
        return processed + self.overran, failed + self.overran

    def untold(self) -> tuple[int, int]:
        """What happened since ``told``."""
        processed, failed = self.totals()
        return processed - self.told[0], failed - self.told[1]

    def tell(self, processed: int, failed: int) -> None:
        """So much has been told."""
        self.told = (self.told[0] + processed, self.told[1] + failed)
