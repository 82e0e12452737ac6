"""From what was recorded of a fleet to its queues as fluids: who takes what, how long jobs take, what comes."""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.queues import Durations, Queue, Queues, Samples
from kiqdoctor.doctor.fluid import Pool, Run, Stream, run
from kiqdoctor.doctor.series import Moment, Series
from kiqdoctor.doctor.snapshot import Snapshot

HOUR: Final = 3600.0
MOST_WORK: Final = 2_000_000  # queues squared, times pools
UNRECORDED: Final = "how long each waiting class takes was not recorded (Sidekiq 7 and later do; --for SECONDS)"


class Recorded(msgspec.Struct, frozen=True):
    """What can be simulated: each queue that jobs wait in or come to, and the threads that take from them."""

    streams: dict[str, Stream]
    pools: tuple[Pool, ...]

    def run(self, most_s: float | None = None) -> Run:
        """Until all is empty, or so long."""
        return run(self.streams, self.pools) if most_s is None else run(self.streams, self.pools, most_s)


class Pace(msgspec.Struct, frozen=True):
    """How the watched window differs from the last hour: its share of the hour's jobs, and growth by queue."""

    share: float = 1.0
    growth: dict[str, float] = {}


def recorded(
    snapshot: Snapshot, before: Fleet, takers: Sequence[Process], queues: Queues, pace: Pace, extra: int = 0
) -> Recorded | str:
    """All that it takes, or which of it was not recorded. ``extra`` jobs of retry go to the only queue."""
    durations, samples = snapshot.get(Durations), snapshot.get(Samples)
    if not isinstance(durations, Durations) or not isinstance(samples, Samples):
        return "how long jobs take was not recorded"
    pools = pools_of(takers)
    if isinstance(pools, str):
        return pools
    mixes = _mixes(samples, before, queues.all, extra)
    full = [one.name for one in queues.all if (one.size or extra) and not one.paused]
    if any(durations.of(job_class) is None for name in full for job_class in mixes.get(name, {"": 1})):
        return UNRECORDED
    if len(full) ** 2 * len(pools) > MOST_WORK:
        return "there are too many queues with too many orders to be simulated"
    arriving, aside = _arrivals(durations, mixes, pace)
    streams = {
        one.name: Stream(
            0.0 if one.paused else one.size + extra,
            0.0 if one.paused else max(0.0, arriving.get(one.name, 0.0) + pace.growth.get(one.name, 0.0)),
            _mean(durations, mixes[one.name]),
        )
        for one in queues.all
        if one.name in full or (one.name in arriving and not one.paused)
    }
    return Recorded(streams, _without(pools, aside))


def pace(snapshot: Snapshot, counts: Sequence[tuple[float, int]], until: float | None = None) -> Pace:
    """Of a window in which the counter moved twice; else the last hour's."""
    durations, readings = snapshot.get(Durations), snapshot.series(Queues)
    if not isinstance(durations, Durations) or not isinstance(readings, Series) or not counts:
        return Pace()
    moments = [one for one in readings.moments if until is None or one.at <= until]
    hourly = sum(durations.runs.values()) / HOUR
    (began, first), (ended, last) = counts[0], counts[-1]
    if not moments or not hourly or ended <= began:
        return Pace()
    return Pace(max(0, last - first) / (ended - began) / hourly, _growth(moments[0], moments[-1]))


def _growth(first: Moment[Queues], last: Moment[Queues]) -> dict[str, float]:
    was = {one.name: one.size for one in first.fact.all}
    seconds = last.at - first.at
    return {one.name: (one.size - was.get(one.name, 0)) / seconds for one in last.fact.all} if seconds > 0 else {}


def pools_of(takers: Iterable[Process]) -> tuple[Pool, ...] | str:
    """Threads by what they take and how, or what a process does not say of itself."""
    sums: Counter[tuple[tuple[str, int], ...]] = Counter()
    for one in takers:
        if one.concurrency is None or one.queues is None:
            return "a process does not say its threads or its queues"
        threads = [count for _, count in one.capsules] or [one.concurrency]
        takes = one.weights or ((((one.queues[0], 0),),) if len(one.queues) == 1 else ())
        if not takes:
            return "a process does not say in which order it takes its queues (Sidekiq before 7.0.3 does not)"
        if len(takes) != len(threads):
            return "a process does not say how many threads each of its capsules has (Sidekiq before 8.0.9 does not)"
        for some, count in zip(takes, threads, strict=True):
            sums[some] += count
    return tuple(Pool(count, some) for some, count in sums.items() if count)


def _mixes(samples: Samples, fleet: Fleet, queues: Sequence[Queue], extra: int) -> dict[str, Counter[str]]:
    """Which classes each queue holds, as far as was looked: of its sample, else what runs of it now."""
    mixes: dict[str, Counter[str]] = {one.name: Counter() for one in queues}
    for place, one in samples.all:
        if place.queue in mixes:
            mixes[place.queue][one.job_class] += 1
        elif extra and place.name == "retry" and len(mixes) == 1:
            next(iter(mixes.values()))[one.job_class] += 1
    running: dict[str, Counter[str]] = {}
    for process in fleet.live:
        for job in process.in_flight:
            running.setdefault(job.queue, Counter())[job.job_class] += 1
    return {name: known for name, mix in mixes.items() if (known := mix or running.get(name))}


def _mean(durations: Durations, mix: Mapping[str, int]) -> float:
    known = [(durations.of(job_class), count) for job_class, count in mix.items()]
    told = [(seconds, count) for seconds, count in known if seconds is not None]
    return sum(seconds * count for seconds, count in told) / max(1, sum(count for _, count in told))


def _arrivals(durations: Durations, mixes: Mapping[str, Counter[str]], pace: Pace) -> tuple[dict[str, float], float]:
    """Jobs a second that come to each queue, and the threads that classes keep busy whose queue is not known."""
    arriving: dict[str, float] = {}
    aside = 0.0
    for job_class, runs in durations.runs.items():
        places = {name: mix[job_class] for name, mix in mixes.items() if job_class in mix}
        rate = runs / HOUR * pace.share
        if not places:
            aside += rate * (durations.of(job_class) or 0.0)
        for name, count in places.items():
            arriving[name] = arriving.get(name, 0.0) + rate * count / sum(places.values())
    return arriving, aside


def _without(pools: Sequence[Pool], aside: float) -> tuple[Pool, ...]:
    threads = sum(one.threads for one in pools)
    left = max(0.0, 1 - aside / threads) if threads else 0.0
    return tuple(Pool(one.threads * left, one.takes) for one in pools)
