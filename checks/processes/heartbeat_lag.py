"""A process that is alive beats late.

## Why it hurts
Sidekiq forgets a process 60 seconds after its last beat: its jobs in flight disappear from every page, and who looks
for the dead takes it for one. A heart that beats late also tells that its threads do not come to run.

In the log: nothing of its own; jobs take longer than they used to, and Redis time-outs come without a slow Redis.

## How it is found
Formula: late = beat age > LATE * interval (medium), > hopeless-s (high); interval = OLD_BEAT up to Sidekiq 6 and of our
runtime, NEW_BEAT from 7.0 on; the process is alive: its pid is here, or it beat again within the window

A beat is late only beside others that are in time: later than the others' median by three times their median deviation,
and by an interval. Where all are late Redis may have paused; then it takes readings between which Redis answered.

## When it is wrong
A machine that slept, or a debugger that held the process.

## Confirm by hand
`redis-cli hget IDENTITY beat` against `redis-cli time`; `cat /proc/PID/schedstat`, and `cpu.stat` of its cgroup.

## How to fix
Lower the concurrency, give it more CPU, or take out what holds the interpreter's lock (THR003): at most ten busy
threads a core. One that is stopped goes on with `kill -CONT PID`.

Risk: less concurrency drains queues more slowly.

Undo: set the concurrency as it was.

## Unknown when
It runs on another host and has not beaten since: late and dead look the same from here. All are late in one reading.

## Source
BEAT_PAUSE of Sidekiq's launcher: 5 seconds up to 6.5, 10 from 7.0 on; docs/internals.md on threads a core.

- LATE: a beat may come just before and just after its time; two intervals are one that did not come.
- OLD_BEAT: seconds; lib/sidekiq/launcher.rb up to 6.5, and our runtime.
- NEW_BEAT: seconds; lib/sidekiq/launcher.rb from 7.0 on.
- CROWD: of so many processes one more or less does not move the median; ours.
- DEVIATIONS: three median deviations from the median, the usual bound of an outlier.
"""

from collections.abc import Iterator, Sequence

from kiqdoctor.doctor import Evidence, Finding, Missing, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.redis import Clients, Connection
from kiqdoctor.doctor.median import median
from kiqdoctor.doctor.workers_here import Here, present
from kiqdoctor.wire.heartbeat import RUNTIME
from kiqdoctor.wire.numbers import whole

CROWD = 100  # processes, of which one more or less does not move the median
LATE = 2.0
OLD_BEAT = 5.0
NEW_BEAT = 10.0
DEVIATIONS = 3.0
REMEDY = "Lower its concurrency or give it more CPU; find what holds its interpreter with kiqdoctor dump."
HOPELESS = Threshold(
    name="hopeless-s",
    default=45,
    unit="s",
    meaning="A living process whose beat is older is about to be forgotten.",
    source="its record lives for 60 s, and the next beat is as late as this one",
    per=("tag",),
)


@check("PRO007", severity=Severity.HIGH, caused_by=("PRO012", "THR003", "RED009"), thresholds=(HOPELESS,))
def heartbeat_lag(
    fleet: Series[Fleet],
    local: LocalProcesses | Missing,
    connection: Connection | Missing,
    clients: Clients | Missing,
    thresholds: Thresholds,
) -> Iterator[Verdict]:
    here = _here(fleet.last, local, connection, clients) | _here(fleet.first, local, connection, clients)
    last = [one for one in fleet.last.processes if one.exists]
    if fleet.last.partial:
        yield Unknown(fleet.last.partial, "fewer members in processes")
    if untold := [one for one in last if one.beat_age_s is None]:
        yield Unknown(f"{untold[0].identity} does not say when it beat: {untold[0].error}", "readable records")
    every: dict[str, list[Process]] = {}
    for one in (one for moment in fleet.facts for one in moment.processes):
        every.setdefault(one.identity, []).append(one)
    worst = [_worst(every[one.identity]) for one in last if one.beat_age_s is not None]
    late = [one for one in worst if _age(one) > LATE * _interval(one, here.get(one.identity))]
    crowd = _usual(worst) if len(worst) > CROWD else 0.0
    paused = len(late) == len(worst) > 1 and bool(fleet.lacks(2, LATE * NEW_BEAT))
    for process in late:
        interval = _interval(process, here.get(process.identity))
        alive = process.identity in here or _beat_again(process, every[process.identity])
        if not alive:
            yield Unknown(f"{process.identity} beat {_age(process):.0f} s ago; dead or late cannot be told", "--for 30")
        elif paused:
            yield Unknown(
                f"all {counted(len(worst), 'process beats', 'processes beat')} late: Redis may have paused", "--for 30"
            )
        elif (
            len(late) == len(worst)
            or _age(process) > (crowd or _usual([one for one in worst if one != process])) + interval
        ):
            hopeless = thresholds.of(HOPELESS, tag=process.tag)
            severity = Severity.HIGH if _age(process) > hopeless else Severity.MEDIUM
            yield _finding(process, interval, here.get(process.identity), severity)
    oldest = max(map(_age, worst), default=0.0)
    yield Evidence("oldest beat", f"{oldest:.1f} s, of {len(worst)} processes", "beat, TIME")


def _here(
    fleet: Fleet, local: LocalProcesses | Missing, connection: Connection | Missing, clients: Clients | Missing
) -> dict[str, Here]:
    """Those whose process is on this host, by identity."""
    if not isinstance(local, LocalProcesses):
        return {}
    found = present(fleet, local, connection, clients).here
    return {one.process.identity: one for one in found if one.process and one.worker.state != "Z"}


def _age(process: Process) -> float:
    return process.beat_age_s or 0.0


def _worst(every: Sequence[Process]) -> Process:
    """The process as it was when its beat was oldest."""
    return max((one for one in every if one.beat_age_s is not None), key=_age)


def _beat_again(process: Process, every: Sequence[Process]) -> bool:
    """Whether it beat after the reading in which it was late."""
    return any((one.beat or 0.0) > (process.beat or 0.0) for one in every)


def _interval(process: Process, here: Here | None) -> float:
    version = here.version if here else process.version
    major = whole(version.partition(".")[0]) or 0
    return NEW_BEAT if major >= 7 and process.runtime != RUNTIME else OLD_BEAT  # noqa: PLR2004 - the version


def _usual(others: Sequence[Process]) -> float:
    """What beats of the others may be old, without the interval that every one may."""
    ages = [_age(one) for one in others]
    middle = median(ages)
    return middle + DEVIATIONS * median(abs(age - middle) for age in ages)


def _finding(process: Process, interval: float, here: Here | None, severity: Severity) -> Finding:
    age = _age(process)
    evidence = [
        Evidence("beat", f"{age:.0f} s old; it beats every {interval:g} s", "beat, TIME"),
        Evidence("busy", f"{process.busy} of {process.concurrency} threads", "heartbeat"),
        *(_of_the_host(here) if here else ()),
    ]
    stopped = here is not None and here.worker.state in {"T", "t"}
    go_on = f"kill -CONT {here.worker.pid} lets it go on; find out who stopped it." if here else ""
    return Finding(
        process.subject,
        f"{process.identity} lives{' (it is stopped)' if stopped else ''} and has not beaten for {age:.0f} s",
        go_on if stopped else REMEDY,
        tuple(evidence),
        severity,
        lasting=process.lasting,
    )


def _of_the_host(here: Here) -> Iterator[Evidence]:
    worker = here.worker
    yield Evidence("process", f"pid {worker.pid}, state {worker.state}", f"/proc/{worker.pid}/stat")
    if worker.waited_s is not None:
        yield Evidence("waited for a core", f"{worker.waited_s:.1f} s in all", f"/proc/{worker.pid}/task/*/schedstat")
    if worker.throttled:
        yield Evidence("throttled by its CPU quota", "in {} of {} periods".format(*worker.throttled), "cpu.stat")
