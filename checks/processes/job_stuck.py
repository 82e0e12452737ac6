"""A job has been running for far longer than its class takes.

## Why it hurts
It holds a thread, and perhaps a lock, a database transaction or a place in a limit, while the others wait. A network
call without a time-out never ends by itself: in time every thread hangs there.

In the log: a `start` line of a jid, and for hours neither `done` nor `fail`.

## How it is found
Formula: limit = max(long-s, TIMES * p95 of its class); age > hopeless-s is high, age > limit is medium

Each process writes since when it runs what it runs (`<identity>:work`, `:workers` up to 6.4.1). How long a class
usually takes is in the histograms that Sidekiq writes from 7 on; where they say only that it takes more than 335
seconds, only the later limit holds. An iterable job whose cursor moves between two readings works.

## When it is wrong
A class whose work takes that long: give it thresholds of its own by queue.

## Confirm by hand
`redis-cli hgetall IDENTITY:work`: `run_at` is epoch seconds; then `kiqdoctor dump PID` twice: a stuck job stands in the
same line both times.

## How to fix
Take a thread dump first, which tells what it waits for; give that call a time-out (COD010); then TERM the process.

Risk: TERM gives the job back after --timeout, and it starts again from the beginning.

Undo: none is needed: the job is in its queue again.

## Unknown when
The process records may not be read; a job does not say since when it runs; an iterable job was looked at once;
Redis' clock and ours differ, and no beat tells which is right.

## Source
Sidekiq's work hash (lib/sidekiq/processor.rb, launcher.rb) and histograms (lib/sidekiq/metrics/shared.rb).

- TIMES: an ordinary outlier takes two or three times as long as 95 of 100 do; ours.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet, InFlight, LongJob, LongJobs, Process
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.hosts_clock import AGREE, by_hosts, untold

TIMES = 10.0
LONG = Threshold(
    name="long-s",
    default=1_800,
    unit="s",
    meaning="A job may run so long whatever its class usually takes.",
    source="ours: half an hour is a batch's time, not a message's",
    per=("queue", "tag"),
)
HOPELESS = Threshold(
    name="hopeless-s",
    default=21_600,
    unit="s",
    meaning="A job that runs for longer is stuck whatever its class usually takes.",
    source="ours: six hours hold a thread through a working day's peak",
    per=("queue", "tag"),
)
SHOWN = 10


@check("PRO006", severity=Severity.HIGH, caused_by=("THR002", "THR003", "PRO012"), thresholds=(LONG, HOPELESS))
def job_stuck(
    fleet: Fleet, long: Series[LongJobs], clock: ServerTime | Missing, thresholds: Thresholds
) -> Iterator[Verdict]:
    if fleet.partial:
        yield Unknown(fleet.partial, "fewer members in processes")
    if not isinstance(clock, ServerTime):
        yield Unknown(f"how long jobs run is reckoned by Redis' clock: {clock.reason}", "+time")
        return
    hosts = by_hosts(clock, fleet)
    running = [(process, job) for process in fleet.processes for job in process.in_flight]
    silent = [job for _, job in running if job.run_at is None]
    if silent:
        yield Unknown(
            counted(
                len(silent),
                "job in flight does not say since when it runs",
                "jobs in flight do not say since when they run",
            ),
            "readable in-flight records",
        )
    if hosts is None and running:
        yield Unknown(f"how long {counted(len(running), 'job')} in flight run is not known: {untold(clock)}", AGREE)
    timed = [(*one, hosts.now - one[1].run_at) for one in running if hosts and one[1].run_at is not None]
    for process, job, age in timed:
        yield from _judged(process, job, age, long, thresholds)
    ages = [age for *_, age in timed]
    yield Evidence("jobs in flight", str(len(running)), "<identity>:work, :workers")
    if ages:
        yield Evidence("the oldest has been running for", f"{max(ages):.0f} s", "run_at, TIME")


def _judged(
    process: Process, job: InFlight, age: float, long: Series[LongJobs], thresholds: Thresholds
) -> Iterator[Verdict]:
    usual = long.last.of(job.jid)
    hopeless = thresholds.of(HOPELESS, queue=job.queue, tag=process.tag)
    shortest = thresholds.of(LONG, queue=job.queue, tag=process.tag)
    limit = max(shortest, TIMES * usual.usual_s) if usual and usual.usual_s is not None else shortest
    if age <= min(limit, hopeless):
        return
    moving = _moving(job.jid, long)
    if moving is None:
        yield Unknown(f"job {job.jid} is iterable and has been running for {age:.0f} s: it may move", "--for 20")
    elif not moving:
        yield _finding(process, job, age, usual, Severity.HIGH if age > hopeless else Severity.MEDIUM)


def _moving(jid: str, long: Series[LongJobs]) -> bool | None:
    """Whether an iterable job moves on; None where one reading cannot tell, False where it is not iterable."""
    cursors = [one.cursor for fact in long.facts if (one := fact.of(jid)) is not None and one.cursor]
    if not cursors:
        return False
    if len(set(cursors)) > 1:
        return True
    return None if long.lacks(2, 10.0) else False


def _finding(process: Process, job: InFlight, age: float, usual: LongJob | None, severity: Severity) -> Finding:
    name = job.job_class or "a job"
    evidence = [
        Evidence("job", f"{name} {job.jid} from {job.queue}", process.in_flight_key),
        Evidence("running for", f"{age:.0f} s", "run_at, TIME"),
        Evidence("where", f"{process.identity}, thread {job.thread}", process.in_flight_key),
    ]
    if usual and usual.usual_s is not None:
        evidence.append(
            Evidence("95 of 100 of its class take at most", f"{usual.usual_s:g} s of {usual.runs} runs", "histogram")
        )
    return Finding(
        f"job:{name}",
        f"{name} has been running for {_hours(age)} on {process.identity}",
        "Take its thread dump (kiqdoctor dump), give what it waits for a time-out, then TERM the process.",
        tuple(evidence),
        severity,
        key=process.hostname,
    )


def _hours(seconds: float) -> str:
    return f"{seconds / 3600:.1f} h" if seconds >= 7200 else f"{seconds / 60:.0f} min"  # noqa: PLR2004 - two hours
