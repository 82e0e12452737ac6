"""One job runs in two places at once.

## Why it hurts
Two threads do the same job at the same time: a customer is charged twice, a file is written by both, and locks within
the job do not help where they are each process's own.

In the log: two `start` lines with the same jid and different pids or tids, and no `done` between them.

## How it is found
Formula: fails if one jid stands in two in-flight hashes (or twice in one), of processes that beat between two readings
at least two beats apart, by the same two threads at both

Each beat writes the whole in-flight hash anew, so what stands there at two readings with a beat between them ran all
that time. Both ran at once, for they stand there together.

## When it is wrong
A job that was taken back from a process that is proven dead: it beats no more, and is left out.

## Confirm by hand
`redis-cli hgetall IDENTITY:work` of both processes (`:workers` up to Sidekiq 6.4.1): the same `jid`, and when each
began (`run_at`).

## How to fix
Make the job idempotent. Then find the double producer: a pop whose reply was lost, a visibility time-out shorter than
the job, a recovery while its owner lived, two schedulers, a payload that was pushed by hand.

Risk: none in looking; ending one of the two may leave its work half done.

Undo: nothing to undo.

## Unknown when
It was looked at once only and two threads named the same jid; an in-flight hash was not read whole.

## Source
sidekiq/sidekiq#4441 and #6379.
"""

from collections import defaultdict
from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.beats import slowest
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet, InFlight, Process

SHOWN = 20
BEATS = Threshold(
    name="beats",
    default=2,
    unit="beats",
    meaning="So many beats lie between two readings.",
    source="a job that was just taken shows in its process' next beat; one beat may be late",
    least=1.0,
)
Holder = tuple[str, str]  # identity and thread
Running = dict[str, dict[Holder, tuple[Process, InFlight]]]  # by jid


@check("PRO016", severity=Severity.CRITICAL, thresholds=(BEATS,))
def jid_runs_twice(fleet: Series[Fleet], thresholds: Thresholds) -> Iterator[Verdict]:
    now = _running(fleet.last)
    double = {jid: held for jid, held in now.items() if len(held) > 1}
    apart_s = thresholds[BEATS] * slowest(fleet.last)
    lacks = fleet.lacks(2, apart_s)
    for jid, held in list(double.items())[:SHOWN]:
        if lacks:
            yield Unknown(f"{jid} is in flight {counted(len(held), 'time')}; {lacks.reason}", lacks.unlock)
        elif len(still := _held_on(fleet, jid, held, apart_s)) > 1:
            yield _finding(jid, still)
    if unread := [one.identity for one in fleet.last.processes if any(not job.jid for job in one.in_flight)]:
        yield Unknown(f"what {unread[0]} has in flight was not read whole", "a smaller in-flight hash")
    if fleet.last.partial:
        yield Unknown(fleet.last.partial, "fewer members in processes")
    yield Evidence("jobs in flight, each in one place", str(len(now)), "in-flight hashes")


def _running(fleet: Fleet) -> Running:
    """Which threads of live processes have each job in flight."""
    running: Running = defaultdict(dict)
    for process in fleet.live:
        for job in process.in_flight:
            if job.jid:
                running[job.jid][process.identity, job.thread] = (process, job)
    return running


def _held_on(
    fleet: Series[Fleet], jid: str, held: dict[Holder, tuple[Process, InFlight]], apart_s: float
) -> list[tuple[Process, InFlight]]:
    """Those who had it at an earlier reading too, and whose processes have beaten since."""
    for moment in reversed(fleet.moments[:-1]):
        if fleet.moments[-1].at - moment.at < apart_s * 0.95:
            continue
        before = _running(moment.fact).get(jid, {})
        return [
            (process, job)
            for holder, (process, job) in held.items()
            if holder in before and before[holder][0].beat != process.beat and before[holder][1].run_at == job.run_at
        ]
    return []


def _finding(jid: str, held: list[tuple[Process, InFlight]]) -> Finding:
    job = held[0][1]
    evidence = tuple(
        Evidence(
            f"{process.identity}, thread {one.thread}",
            f"since {one.run_at:.0f}" if one.run_at is not None else "since when is not said",
            process.in_flight_key,
        )
        for process, one in held
    )
    return Finding(
        f"job:{job.job_class or jid}",
        f"{job.job_class or 'A job'} {jid} runs {counted(len(held), 'time')} at once",
        "Make the job idempotent, and find what delivered it twice: a lost reply, a time-out shorter than the job, two"
        " schedulers, or a push by hand.",
        evidence,
        key=jid,
    )
