"""Whether a worker lives and takes jobs, and its numbers."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Final

from kiqdoctor.runtime.openmetrics import Metric, Sample, by_label

FETCH_STALE: Final = 30.0  # seconds; a blocking fetch answers well within
REDIS_STALE: Final = 15.0  # seconds; a lease lasts as long


@dataclass(frozen=True, slots=True)
class Pulse:
    """What a worker knows of itself. Ages are seconds.

    ``fetch_age``: since a fetching thread last came back, with a reply or an error; None while none should be fetching,
    for all are busy or it is quiet. A Redis that is away is no reason to restart every worker, so it is not one here.
    ``lease_held``: True as well where the fetch needs no lease.
    """

    dead_threads: tuple[str, ...] = ()
    fetch_age: float | None = None
    redis_age: float = 0.0
    lease_held: bool = True
    quiet: bool = False
    stopping: bool = False

    def not_live(self) -> str | None:
        """Why only a restart helps; never while it stops, when threads end as they should."""
        if self.stopping:
            return None
        if self.dead_threads:
            return f"threads ended: {', '.join(self.dead_threads)}"
        if self.fetch_age is not None and self.fetch_age > FETCH_STALE:
            return f"no fetch came back for {self.fetch_age:.0f} s"
        return None

    def not_ready(self) -> str | None:
        """Why it takes no jobs now."""
        if self.stopping or self.quiet:
            return "stopping" if self.stopping else "quiet"
        if self.redis_age > REDIS_STALE:
            return f"Redis has not answered for {self.redis_age:.0f} s"
        return None if self.lease_held else "the lease is not held"


@dataclass(frozen=True, slots=True)
class Figures:
    """A worker's numbers: counters since its start, what its threads do now, seconds and bytes."""

    processed: int
    failed: int
    threads: Mapping[str, int]
    prefetched: int
    rtt_s: float
    rss_bytes: int
    started_at: float
    quiet: bool


def worker_metrics(found: Figures, states: Iterable[str] = ("running", "waiting", "idle")) -> tuple[Metric, ...]:
    """The families of one worker; none grows with jobs, classes or queues."""
    threads = Metric("kiqdoctor_worker_threads", "gauge", "Processor threads by what they do.")

    def gauge(name: str, text: str, value: float) -> Metric:
        return Metric(f"kiqdoctor_worker_{name}", "gauge", text, (Sample(value),))

    return (
        Metric("kiqdoctor_worker_jobs", "counter", "Jobs that ended, failures among them.", (Sample(found.processed),)),
        Metric("kiqdoctor_worker_jobs_failed", "counter", "Jobs that failed.", (Sample(found.failed),)),
        by_label(threads, "state", found.threads, states),
        gauge("prefetched_jobs", "Jobs taken from their queues and not started.", found.prefetched),
        gauge("quiet", "1 when it takes no more jobs.", found.quiet),
        gauge("redis_rtt_seconds", "Redis' last answer to a PING.", found.rtt_s),
        gauge("resident_memory_bytes", "Memory of the process.", found.rss_bytes),
        gauge("start_time_seconds", "When it started, since the epoch.", found.started_at),
    )
