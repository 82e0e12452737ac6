"""How unusual it is that a job runs this long: against Sidekiq's own metrics, else against what was seen to end."""

from collections import deque
from dataclasses import dataclass, field
from typing import Final

from kiqdoctor.doctor.facts.fleet import InFlight
from kiqdoctor.doctor.facts.live import Metrics, Workers

KEPT: Final = 50  # durations of a class
ENOUGH: Final = 5  # durations before anything is said
STRANGE: Final = 3.0  # times the usual


@dataclass
class Durations:
    """Classes -> how long their jobs had run when they were last seen; jobs between two beats are not seen at all."""

    seen: dict[str, deque[float]] = field(default_factory=dict)
    running: dict[tuple[str, str, str], tuple[str, float]] = field(default_factory=dict)

    def observe(self, workers: Workers) -> None:
        """Jobs that are gone since the last time have ended, or died with their process."""
        now: dict[tuple[str, str, str], tuple[str, float]] = {}
        for process in workers.processes:
            for one in process.in_flight:
                if one.run_at is not None:
                    now[process.identity, one.thread, one.jid] = one.job_class, workers.at - one.run_at
        for key, (job_class, seconds) in self.running.items():
            if key not in now:
                self.seen.setdefault(job_class, deque(maxlen=KEPT)).append(seconds)
        self.running = now


@dataclass(frozen=True, slots=True)
class Unusual:
    """``times`` the usual, None where nothing is known; ``why`` in words, with what it is compared with."""

    times: float | None
    why: str

    @property
    def strange(self) -> bool:
        """Worth a second look."""
        return self.times is not None and self.times >= STRANGE


def unusual(job: InFlight, at: float, metrics: object, durations: Durations) -> Unusual:
    """Of a job in flight."""
    if job.run_at is None:
        return Unusual(None, "it does not say since when")
    running = max(0.0, at - job.run_at)
    if isinstance(metrics, Metrics):
        mean = next((one.mean_s for one in metrics.classes if one.name == job.job_class), None)
        if mean:
            return Unusual(running / mean, f"{_times(running / mean)} the hour's mean")
    seen = durations.seen.get(job.job_class, ())
    if len(seen) < ENOUGH:
        return Unusual(None, f"{len(seen)} seen to end" if seen else "none seen to end")
    longer = sum(running > one for one in seen)
    usual = sorted(seen)[len(seen) // 2]
    times = running / usual if usual > 0 else None
    said = f", {_times(times)} their median" if times is not None else ""
    return Unusual(times, f"longer than {longer} of {len(seen)} seen{said}")


def _times(number: float) -> str:
    return f"{number:.1f}x" if number < 10 else f"{number:,.0f}x"  # noqa: PLR2004 - a digit more says nothing
