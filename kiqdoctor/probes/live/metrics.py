"""What Sidekiq 7 and later write of each job class and minute, over the last hour."""

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar, Final

from kiqdoctor.doctor.facts.live import ClassMetrics, Metrics
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.probes.asking import batched, number
from kiqdoctor.probes.live.reader import LiveReader
from kiqdoctor.text import decode

MINUTES: Final = 60
MOST_FIELDS: Final = 3_000  # of one minute: a thousand classes
FORMATS: Final[tuple[Callable[[datetime], str], ...]] = (
    lambda at: f"j|{at:%Y%m%d}|{at.hour}:{at.minute}",  # 6.5.2 to 7.3
    lambda at: f"j|{at:%y%m%d}|{at.hour}:{at.minute:02d}",  # from 8.0 on
)


class MetricsReader(LiveReader):
    """While somebody looks: they change once a minute."""

    fact: ClassVar[type] = Metrics
    every: ClassVar[float] = 30.0

    def read(self, replies: Sequence[Any], now: float, seen: Snapshot) -> Metrics:
        """Classes by the time that they took, most first; both formats are read, for a fleet may write both."""
        del replies, seen
        this = datetime.fromtimestamp(now, UTC)
        minutes = [this - timedelta(minutes=ago) for ago in reversed(range(MINUTES))]
        names = [(index, self.keys.name(form(at))) for index, at in enumerate(minutes) for form in FORMATS]
        lengths = batched(self.redis, [("HLEN", name) for _, name in names])
        there = [pair for pair, length in zip(names, lengths, strict=True) if 0 < number(length) <= MOST_FIELDS]
        hashes = batched(self.redis, [("HGETALL", name) for _, name in there])
        found: dict[str, list[Any]] = {}
        for (index, _), fields in zip(there, hashes, strict=True):
            if isinstance(fields, list):
                _add(found, index, fields)
        classes = [
            ClassMetrics(name, runs, failures, sum(series), tuple(series))
            for name, (runs, failures, series) in found.items()
        ]
        return Metrics(MINUTES, tuple(sorted(classes, key=lambda one: (-one.ms, one.name))))


def _add(found: dict[str, list[Any]], minute: int, reply: Sequence[bytes]) -> None:
    for field, value in zip(reply[::2], reply[1::2], strict=True):
        name, _, what = decode(field).rpartition("|")
        entry = found.setdefault(name, [0, 0, [0] * MINUTES])
        match what:
            case "p":
                entry[0] += number(value)
            case "f":
                entry[1] += number(value)
            case "ms":
                entry[2][minute] += number(value)
            case _:
                pass
