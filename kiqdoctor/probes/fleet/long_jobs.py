"""What is known of jobs that have been in flight for long: how long their class usually takes, whether they move on."""

import time
from collections.abc import Callable, Iterable
from datetime import UTC, datetime, timedelta
from math import inf
from struct import unpack
from typing import Final

from kiqdoctor.doctor.facts.fleet import Fleet, InFlight, LongJob, LongJobs
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.probe import Lane, Read, probe
from kiqdoctor.doctor.snapshot import Missing
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import batched, granted, items, number
from kiqdoctor.wire.iteration import CURSOR
from kiqdoctor.wire.keys import Keys

LONG: Final = 600.0  # seconds
MOST: Final = 200  # jobs that are looked up
MOST_CLASSES: Final = 20
MINUTES: Final = 120  # of histograms that are read, each a string of 52 bytes
CURSOR_LIMIT: Final = 65_536  # bytes
BUCKETS_MS: Final = (
    *(20, 30, 45, 65, 100, 150, 225, 335, 500, 750, 1_100, 1_700, 2_500, 3_800, 5_750, 8_500, 13_000, 20_000, 30_000),
    *(45_000, 65_000, 100_000, 150_000, 225_000, 335_000, inf),
)
"""Upper ends of Sidekiq's buckets (lib/sidekiq/metrics/shared.rb)."""
USUAL: Final = 0.95
FORMATS: Final[tuple[Callable[[str, datetime], str], ...]] = (
    lambda name, at: f"{name}-{at:%d-%H}:{at.minute}",  # 7.x
    lambda name, at: f"h|{name}-{at.day}-{at.hour}:{at.minute}",  # from 8.0 on
)


@probe(
    Read("HSTRLEN, HGET it-<jid> c", "+hstrlen +hget", f"O(1), of {MOST} jobs in flight for over ten minutes at most"),
    Read("STRLEN, MGET <class>-<minute>", "+strlen +mget", f"O({MINUTES}) a class, {MOST_CLASSES} classes at most"),
    lane=Lane.REDIS,
)
def long_jobs(redis: Redis, fleet: Fleet, clock: ServerTime | Missing) -> LongJobs:
    """Nothing is asked where no job has been running for long."""
    now = (clock.local_now if fleet.by_ours else clock.now) if isinstance(clock, ServerTime) else time.time()
    keys = Keys(redis.namespace)
    found = sorted(_old(fleet, now), key=lambda job: job.run_at or 0.0)
    jobs = found[:MOST]
    cursors = _cursors(redis, keys, [job.jid for job in jobs])
    classes = list(dict.fromkeys(job.job_class for job in jobs if job.job_class))[:MOST_CLASSES]
    usual = {name: _usual(redis, keys, name, now) for name in classes}
    told = tuple(
        LongJob(job.jid, *usual.get(job.job_class, (None, 0)), cursor)
        for job, cursor in zip(jobs, cursors, strict=True)
    )
    return LongJobs(told, f"{MOST} of {len(found)} jobs that run for long were looked up" if len(found) > MOST else "")


def _old(fleet: Fleet, now: float) -> Iterable[InFlight]:
    every = (job for process in fleet.processes for job in process.in_flight)
    return (job for job in every if job.jid and job.run_at is not None and now - job.run_at > LONG)


def _cursors(redis: Redis, keys: Keys, jids: list[str]) -> list[str]:
    """A digest of where each iterable job stands, for a cursor may be an argument."""
    names = [keys.name(f"it-{jid}") for jid in jids]
    sizes = batched(redis, [("HSTRLEN", name, CURSOR) for name in names])
    small = [name for name, size in zip(names, sizes, strict=True) if 0 < number(size) < CURSOR_LIMIT]
    told = dict(zip(small, batched(redis, [("HGET", name, CURSOR) for name in small]), strict=True))
    found = (granted(told.get(name)) for name in names)
    from hashlib import sha256

    return [sha256(raw).hexdigest()[:12] if isinstance(raw, bytes) else "" for raw in found]


def _usual(redis: Redis, keys: Keys, name: str, now: float) -> tuple[float | None, int]:
    """The end of the bucket that 95 of 100 runs of a class lie below, in seconds; and how many runs there were."""
    last = datetime.fromtimestamp(now, UTC)
    minutes = [last - timedelta(minutes=ago) for ago in range(MINUTES)]
    asked = [keys.name(form(name, at)) for form in FORMATS for at in minutes]
    width = 2 * len(BUCKETS_MS)
    sizes = batched(redis, [("STRLEN", key) for key in asked])
    there = [key for key, size in zip(asked, sizes, strict=True) if 0 < number(size) <= width]
    replies = batched(redis, [("MGET", *there)]) if there else []
    counts = [0] * len(BUCKETS_MS)
    for raw in (one for reply in replies for one in items(reply) if isinstance(one, bytes)):
        for place, count in enumerate(unpack(f">{len(BUCKETS_MS)}H", raw[:width].ljust(width, b"\0"))):
            counts[place] += count
    runs, below = sum(counts), 0
    for end, count in zip(BUCKETS_MS, counts, strict=True):
        below += count
        if runs and below >= USUAL * runs:
            return end / 1000, runs
    return None, 0
