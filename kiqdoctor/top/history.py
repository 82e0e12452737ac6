"""The last hour: every reading's numbers, and whole looks thinly, so that an hour fits into memory."""

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from kiqdoctor.doctor.facts.live import Counters, Depths, Workers
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.top.feed import Look
from kiqdoctor.wire.keys import RETRY

SPAN: Final = 3_600.0  # seconds
WHOLE: Final = 300.0  # seconds for which every look is kept
THINNED: Final = 10.0  # seconds between two looks that are older
SMOOTHED: Final = 10.0  # seconds: processes count at their beats, which come every 5 to 10 seconds
MOST_QUEUES: Final = 20  # queues whose latency is kept, the slowest


@dataclass(frozen=True, slots=True)
class Numbers:
    """The numbers of one look; None where they could not be read."""

    at: float
    processed: int | None = None
    failed: int | None = None
    enqueued: int | None = None
    busy: int | None = None
    retries: int | None = None
    latencies: tuple[tuple[str, float], ...] = ()  # seconds by queue, the slowest first

    @property
    def latency(self) -> float | None:
        """The slowest queue's, in seconds; 0 where nothing waits."""
        if self.enqueued is None:
            return None
        return self.latencies[0][1] if self.latencies else 0.0


class History:
    """Looks and samples by time. A gap in which Redis was away stays a gap."""

    def __init__(self, span: float = SPAN, *, thin: bool = True) -> None:
        """``thin``: forget what is older than ``span`` seconds; recordings are kept whole."""
        self._span, self._thins = span, thin
        self.samples: deque[Numbers] = deque()
        self.looks: list[Look] = []

    def add(self, look: Look) -> None:
        """Another look, and forget what is older than the span."""
        self.samples.append(sample(look))
        self.looks.append(look)
        if self._thins:
            while self.samples[0].at < look.at - self._span:
                self.samples.popleft()
            self._thin(look.at)

    def _thin(self, now: float) -> None:
        while self.looks and self.looks[0].at < now - self._span:
            del self.looks[0]
        edge = now - WHOLE
        for index in range(len(self.looks) - 2, 0, -1):
            if self.looks[index].at < edge:
                if self.looks[index].at - self.looks[index - 1].at < THINNED:
                    del self.looks[index]
                return

    def lost(self, at: float) -> None:
        """Redis was away: nothing is known of this moment."""
        self.samples.append(Numbers(at))

    def index_at(self, at: float) -> int | None:
        """The newest look that is not newer than ``at``; None where there is none."""
        found = [index for index, look in enumerate(self.looks) if look.at <= at]
        return found[-1] if found else (0 if self.looks else None)


def sample(look: Look) -> Numbers:
    """A look's numbers."""
    counters, depths, workers = (read(look.snapshot, kind) for kind in (Counters, Depths, Workers))
    slow: list[tuple[str, float]] = []
    if isinstance(depths, Depths):
        waits = [(queue.name, depths.at - queue.oldest_at) for queue in depths.queues if queue.oldest_at and queue.size]
        slow = sorted(waits, key=lambda pair: -pair[1])[:MOST_QUEUES]
    return Numbers(
        at=look.at,
        processed=counters.processed if isinstance(counters, Counters) else None,
        failed=counters.failed if isinstance(counters, Counters) else None,
        enqueued=depths.enqueued if isinstance(depths, Depths) else None,
        busy=workers.busy if isinstance(workers, Workers) else None,
        retries=depths.size(RETRY) if isinstance(depths, Depths) else None,
        latencies=tuple(slow),
    )


def read(snapshot: Snapshot, kind: type) -> object:
    """The fact, or whatever stands in its place."""
    found: object = snapshot.get(kind)
    return found


def rates(samples: Sequence[Numbers], field: str) -> list[float | None]:
    """What a counter gained a second, over the last seconds before each sample; a counter that fell was reset."""
    found: list[float | None] = []
    start, before = 0, 0
    for index, one in enumerate(samples):
        value = getattr(one, field)
        if value is None:
            found.append(None)
            continue
        if value < before:
            start = index
        before = value
        while samples[start].at < one.at - SMOOTHED and start < index:
            start += 1
        first = next((samples[past] for past in range(start, index) if getattr(samples[past], field) is not None), None)
        known = first is not None and one.at > first.at
        found.append((value - getattr(first, field)) / (one.at - first.at) if first is not None and known else None)
    return found
