"""What a change of the fleet would do: its facts changed, and how long its queues would take."""

from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Final

import msgspec

from kiqdoctor.doctor.facts.database import Pools
from kiqdoctor.doctor.facts.deployment import Deployment
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.queues import Durations, JobCounts, Queue, Queues, Samples
from kiqdoctor.doctor.series import Series, Twice
from kiqdoctor.doctor.simulation import HOUR, Recorded, pace, recorded
from kiqdoctor.doctor.snapshot import Snapshot

SATURATED: Final = 0.9  # of the threads busy at once: then what they did is what they can do
PAUSED: Final = "it is paused: nothing is taken from it until somebody resumes it"
NOBODY: Final = "the change leaves no process"
LEAST: Final = 3  # counts: two make a rate, the rest tells how well it predicted


class Change(msgspec.Struct, frozen=True):
    """What is to be otherwise; None and empty: as it is."""

    concurrency: int | None = None
    processes: int | None = None
    retry_all: bool = False
    kill: tuple[str, ...] = ()


class Backtest(msgspec.Struct, frozen=True):
    """Jobs that the window's first half promised for its second, those that ended in it, and the error's share."""

    predicted: float
    measured: float
    error: float


class Drained(msgspec.Struct, frozen=True):
    """Seconds until a queue is empty; None with the reason, and ``never`` where more comes than goes."""

    queue: str
    drain_s: float | None
    why: str = ""
    never: bool = False


def changed(snapshot: Snapshot, change: Change) -> Snapshot:
    """The facts as they would be; files speak of the fleet as it is, and are left where one is alive."""
    fleet, deployment, pools = snapshot.get(Fleet), snapshot.get(Deployment), snapshot.get(Pools)
    facts: list[object] = []
    if isinstance(fleet, Fleet):
        facts.append(fleet_after(fleet, change))
        if isinstance(deployment, Deployment) and fleet.live:
            facts.append(replace(deployment, workers=(), unreadable=()))
    if isinstance(pools, Pools):
        facts.append(_pools_after(pools, change))
    return snapshot.with_(*facts)


def fleet_after(fleet: Fleet, change: Change) -> Fleet:
    """Its live processes without those of killed hosts, so many, with so many threads in the default capsule."""
    left = [one for one in fleet.live if one.hostname not in change.kill]
    if change.processes is not None and left:
        left = [one for one in left if not one.quiet] or left
        left = [_copy(left[number % len(left)], number // len(left)) for number in range(change.processes)]
    if change.concurrency is not None:
        left = [_threads(one, change.concurrency) for one in left]
    return replace(fleet, processes=tuple(left), members=len(left))


def _copy(process: Process, number: int) -> Process:
    return replace(process, identity=f"{process.identity}+{number}") if number else process


def _threads(process: Process, concurrency: int) -> Process:
    """What it says of its own connections was said with other threads."""
    beside = sum(threads for name, threads in process.capsules if name != "default")
    return replace(process, concurrency=concurrency + beside, connections=None, processors=None)


def _pools_after(pools: Pools, change: Change) -> Pools:
    def one(pool: msgspec.Struct) -> msgspec.Struct:
        said = {"threads": change.concurrency, "processes": change.processes}
        return msgspec.structs.replace(pool, **{name: value for name, value in said.items() if value is not None})

    return msgspec.structs.replace(pools, all=tuple(pool if pool.web else one(pool) for pool in pools.all))


class Forecast(msgspec.Struct, frozen=True):
    """Each queue's time, or why it cannot be told; by simulation, or by the formula where too little was recorded."""

    queues: tuple[Drained, ...] = ()
    simulated: bool = False
    backtest: Backtest | None = None


def forecast(snapshot: Snapshot, change: Change) -> Forecast:
    """How long the fleet as changed would take for what waits now."""
    fleet, readings = snapshot.get(Fleet), snapshot.series(Queues)
    if not isinstance(fleet, Fleet) or not isinstance(readings, Series):
        return Forecast()
    queues, takers = readings.last, _takers(fleet_after(fleet, change))
    extra = queues.set("retry").size if change.retry_all else 0
    full = [one for one in queues.all if (one.size or extra) and not one.paused]
    rest = [Drained(one.name, 0.0) for one in queues.all if not (one.size or extra)]
    rest += [Drained(one.name, None, PAUSED) for one in queues.all if (one.size or extra) and one.paused]
    if full and not takers and _all_gone(fleet, change):
        return Forecast((*rest, *(Drained(one.name, None, NOBODY, never=True) for one in full)))
    if (reason := queues.partial or queues.pauses_unread or _untold(fleet, takers, full, extra)) or not full:
        return Forecast((*rest, *(Drained(one.name, None, reason) for one in full)), backtest=backtest(snapshot))
    seen = recorded(snapshot, fleet, takers, queues, pace(snapshot, counts(snapshot)), extra)
    if isinstance(seen, Recorded) and (ran := seen.run()).settled:
        told = [_simulated(seen, ran.empty_s.get(one.name), one.name) for one in full]
        return Forecast((*rest, *told), simulated=True, backtest=simulated_backtest(snapshot, fleet))
    why = seen if isinstance(seen, str) else "the simulation did not come to an end"
    told = (
        _by_formula(snapshot, fleet, takers, full, extra)
        if _alike(takers, full)
        else [Drained(one.name, None, why) for one in full]
    )
    return Forecast((*rest, *told), backtest=backtest(snapshot))


def _takers(fleet: Fleet) -> list[Process]:
    """Those that take jobs: a quiet one finishes what it has."""
    return [one for one in fleet.live if not one.quiet]


def _simulated(seen: Recorded, empty_s: float | None, name: str) -> Drained:
    if empty_s is not None:
        return Drained(name, empty_s)
    if not any(name == taken for pool in seen.pools for taken, _ in pool.takes):
        return Drained(name, None, "no process would take it", never=True)
    stream = seen.streams[name]
    said = f"{stream.arriving:.2f} jobs a second come, and what threads are left for it do no more"
    return Drained(name, None, said, never=True)


def _by_formula(
    snapshot: Snapshot, fleet: Fleet, takers: Sequence[Process], full: Sequence[Queue], extra: int
) -> list[Drained]:
    """(jobs that wait) / (jobs a second that threads can do, less those that come)."""
    rate, why = _rate(snapshot, fleet)
    arriving, unmeasured = _arrivals(snapshot)
    if rate is None or arriving is None:
        return [Drained(one.name, None, why or unmeasured) for one in full]
    able = rate * sum(one.concurrency or 0 for one in takers)
    if able <= arriving:
        said = f"{arriving:.2f} jobs a second come, and {able:.2f} can be done"
        return [Drained(one.name, None, said, never=True) for one in full]
    order = list(takers[0].orders[0]) if takers[0].orders else []
    full = sorted(full, key=lambda one: order.index(one.name) if one.name in order else len(order))
    sums = [sum(one.size for one in full[: number + 1]) for number in range(len(full))]
    waiting = sums if order else [sums[-1]] * len(full)
    return [Drained(one.name, (count + extra) / (able - arriving)) for one, count in zip(full, waiting, strict=True)]


def unread(snapshot: Snapshot, change: Change) -> str:
    """Why nothing can be said of all that waits, if nothing can."""
    fleet, queues = snapshot.get(Fleet), snapshot.get(Queues)
    if not isinstance(fleet, Fleet):
        return fleet.reason
    if not isinstance(queues, Queues):
        return queues.reason
    hosts = {one.hostname for one in fleet.live}
    if strangers := [one for one in change.kill if one not in hosts]:
        return fleet.partial or f"no live process is on host {', '.join(strangers)}"
    lost = change.retry_all and queues.set("retry").size and not queues.all
    return queues.partial or ("which queues the retries go to was not read" if lost else "")


def _all_gone(fleet: Fleet, change: Change) -> bool:
    """Whether the change itself takes every process away; who says how many are left has them somewhere."""
    if fleet.partial or not fleet.live:
        return False
    return change.processes == 0 or (change.processes is None and bool(change.kill))


def _untold(fleet: Fleet, takers: Sequence[Process], full: Sequence[Queue], extra: int) -> str:
    """Why nothing can be foretold, if so."""
    if fleet.partial or not takers:
        return fleet.partial or "no process would be alive that takes jobs"
    if any(one.concurrency is None or one.queues is None for one in takers):
        return "a process does not say its threads or its queues"
    return "which queues the retries go to was not read" if extra and len(full) > 1 else ""


def _alike(takers: Sequence[Process], full: Sequence[Queue]) -> bool:
    """Whether the formula holds: every thread takes every queue."""
    taken = {frozenset(one.queues or ()) for one in takers}
    split = any(len(one.capsules) > 1 for one in takers)
    return len(taken) == 1 and not split and {one.name for one in full} <= {*taken.pop()}


def _rate(snapshot: Snapshot, fleet: Fleet) -> tuple[float | None, str]:
    """Jobs a second of one thread: as measured while none was idle, else by their classes' mean of the last hour."""
    threads = sum(one.concurrency or 0 for one in fleet.live)
    if threads and _saturated(snapshot, fleet, threads) and (measured := _throughput(snapshot)):
        return measured / threads, ""
    durations, samples = snapshot.get(Durations), snapshot.get(Samples)
    if not isinstance(durations, Durations) or not isinstance(samples, Samples):
        return None, "how long jobs take was not recorded, and the threads lacked work at times (--for SECONDS)"
    seen = [durations.of(one.job_class) for place, one in samples.all if place.queue]
    known = [one for one in seen if one is not None]
    if not known or len(known) < len(seen) or not sum(known):
        return None, "how long each waiting class takes was not recorded (Sidekiq 7 and later do; --for SECONDS)"
    return len(known) / sum(known), ""


def _saturated(snapshot: Snapshot, fleet: Fleet, threads: int) -> bool:
    """Whether no thread lacked work: each found a job waiting all the time, or nearly all said at once to have one.

    A beat alone does not tell it of short jobs: it counts no thread that is between two of them.
    """
    queues = snapshot.series(Queues)
    sizes = [_takable(one.fact) for one in queues.moments] if isinstance(queues, Series) else []
    busy = sum(one.busy or 0 for one in fleet.live)
    return min(sizes, default=0) >= threads or busy >= SATURATED * threads


def _takable(queues: Queues) -> int:
    return sum(one.size for one in queues.all if not one.paused)


def counts(snapshot: Snapshot) -> list[tuple[float, int]]:
    """What had ended, at each reading before which the counter moved: it does so with beats, in leaps.

    Between two leaps all is counted that ended then; a window's own ends lie anywhere between two beats.
    """
    series = snapshot.series(JobCounts)
    if not isinstance(series, Series):
        return []
    told = [(one.at, one.fact.processed) for one in series.moments if one.fact.processed is not None]
    return [after for before, after in pairwise(told) if after[1] != before[1]]


def _throughput(snapshot: Snapshot) -> float | None:
    """Jobs that ended in a second, over the window; None where the counter did not move twice."""
    told = counts(snapshot)
    if len(told) > 1 and told[-1][0] > told[0][0]:
        return max(0, told[-1][1] - told[0][1]) / (told[-1][0] - told[0][0])
    return None


def _arrivals(snapshot: Snapshot) -> tuple[float | None, str]:
    """Jobs that come in a second: those that ended and those that more wait now; else what ran in the last hour."""
    ended, queues = _throughput(snapshot), snapshot.twice(Queues)
    if ended is not None and isinstance(queues, Twice) and queues.window_s > 0:
        return max(0.0, ended + (queues.last.waiting - queues.first.waiting) / queues.window_s), ""
    durations = snapshot.get(Durations)
    if isinstance(durations, Durations) and durations.runs:
        return sum(durations.runs.values()) / HOUR, ""
    return None, "how many jobs come was not recorded (--for SECONDS)"


def backtest(snapshot: Snapshot) -> Backtest | None:
    """How well the window's first half foretold its second, at one rate; None where it was not recorded."""
    if (halves := _halves(snapshot)) is None:
        return None
    (began, first), (half, then), (end, last) = halves
    return _compared((then - first) / (half - began) * (end - half), last - then)


def simulated_backtest(snapshot: Snapshot, fleet: Fleet) -> Backtest | None:
    """The same by simulation of the fleet as it is, from what waited at half time and had come until then."""
    halves, readings = _halves(snapshot), snapshot.series(Queues)
    if halves is None or not isinstance(readings, Series):
        return None
    began, (half, then), (end, last) = halves
    queues = min(readings.moments, key=lambda one: abs(one.at - half)).fact
    seen = recorded(snapshot, fleet, _takers(fleet), queues, pace(snapshot, [began, (half, then)], half))
    return None if isinstance(seen, str) else _compared(seen.run(end - half).ended, last - then)


def _halves(snapshot: Snapshot) -> tuple[tuple[float, int], tuple[float, int], tuple[float, int]] | None:
    """The counter's first, middle and last move, with their times; None where there were not three."""
    told = counts(snapshot)
    if len(told) < LEAST:
        return None
    first, middle, last = told[0], told[len(told) // 2], told[-1]
    return (first, middle, last) if first[0] < middle[0] < last[0] else None


def _compared(predicted: float, measured: int) -> Backtest:
    return Backtest(predicted, float(measured), abs(predicted - measured) / max(measured, 1.0))
