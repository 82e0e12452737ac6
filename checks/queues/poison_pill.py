"""A job was in flight each time when several processes died.

## Why it hurts
A job that crashes its process (a native bug, memory) is given back to the next one, kills that too, and takes down a
fleet one by one. Where jobs of the dead are lost instead, its class does so with each new job.

In the log: of a process its last line, in the middle of a job; of kiqdoctor's runtime, `recovered N jobs`.

## How it is found
Formula: high if one jid was in flight at two or more deaths; medium if one class was at three or more of the last five,
and that is more than lift times as often as its share of all jobs in flight explains

Deaths are those that kiqdoctor's runtime counts in the payload (`recovered`) of what waits or runs, and those of
processes that were seen with jobs in flight and whose record then vanished while nobody took them out of `processes`.

## When it is wrong
A class whose jobs run long is in flight at most deaths: that is what the lift allows for.

## Confirm by hand
`recovered` in the payload; `redis-cli lrange kiq:recoveries 0 -1`; the kernel's log for what killed the processes.

## How to fix
Give the class a queue and a process of its own, so that it kills nothing else, and mend the crash (NAT004, PRO009).

Risk: none.

Undo: the old queue.

## Unknown when
Fewer than two deaths were observed while there was one; the payloads or process records may not be read.

## Source
Sidekiq Pro's reliability server (poison pills); kiqdoctor's runtime buries a job at its third death.

- LAST: deaths that are looked at for a class; the catalogue's.
- FATAL: deaths with one jid in flight; the catalogue's.
- OFTEN: deaths of the last five with one class; the catalogue's.
"""

from collections import Counter
from collections.abc import Iterator, Sequence

from kiqdoctor.doctor import Evidence, Finding, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet, InFlight, Process, Recoveries
from kiqdoctor.doctor.facts.queues import Sample, Samples

LIFT = Threshold(
    name="lift",
    default=3,
    unit="times",
    meaning="A class must be in flight so many times as often at deaths as otherwise.",
    source="the catalogue's",
    least=1,
)
FATAL = 2  # deaths with one jid in flight
OFTEN = 3  # of the last five with one class
LAST = 5
SHOWN = 5
REMEDY = "Give it a queue and a process of its own, and look for what crashed."


@check("QUE013", severity=Severity.HIGH, caused_by=("NAT004", "PRO009"), thresholds=(LIFT,))
def poison_pill(
    samples: Samples, fleet: Series[Fleet], recoveries: Recoveries, thresholds: Thresholds
) -> Iterator[Verdict]:
    running = [job for one in fleet.last.processes for job in one.in_flight if job.deaths >= FATAL]
    suspects: list[Sample | InFlight] = [*(one for _, one in samples.all if one.deaths >= FATAL), *running]
    for name in sorted({one.job_class for one in suspects}):
        yield _counted(name, [one for one in suspects if one.job_class == name])
    deaths = _deaths(fleet)
    told = {one.job_class for one in suspects}
    yield from (one for one in _seen(deaths, fleet, thresholds) if one.subject.removeprefix("job:") not in told)
    observed = len({*(one.identity for one in deaths), *(one.identity for one in recoveries.last)})
    if samples.unread:
        yield Unknown(f"not every payload was looked at: {samples.unread}", "a budget that reaches all queues")
    if observed == 1 or (recoveries.jobs and not observed):
        yield Unknown("fewer than two deaths with jobs in flight were observed", "--for SECONDS, --baseline-run FILE")
    yield Evidence("deaths with jobs in flight", str(observed), f"processes, kiq:recoveries, {fleet.window_s:.0f} s")
    yield Evidence("jobs that count two deaths or more", str(len(suspects)), samples.text)


def _counted(name: str, found: Sequence[Sample | InFlight]) -> Finding:
    worst = max(one.deaths for one in found)
    evidence = tuple(Evidence(one.jid, counted(one.deaths, "death"), "recovered") for one in found[:SHOWN])
    return Finding(
        f"job:{name}",
        f"A job of {name} was in flight when {counted(worst, 'process died', 'processes died')}",
        REMEDY,
        evidence,
    )


def _deaths(fleet: Series[Fleet]) -> list[Process]:
    """Processes as they were last seen with jobs in flight, whose record is gone and whose name was left behind."""
    working: dict[str, Process] = {}
    for one in fleet.facts:
        working |= {process.identity: process for process in one.processes if process.in_flight}
    ghosts = {process.identity for process in fleet.last.processes if not process.exists}
    dead = [process for identity, process in working.items() if identity in ghosts]
    return sorted(dead, key=lambda process: process.beat or 0.0)


def _seen(deaths: list[Process], fleet: Series[Fleet], thresholds: Thresholds) -> Iterator[Finding]:
    jids = Counter((job.jid, job.job_class) for one in deaths for job in one.in_flight if job.jid)
    for (jid, name), count in jids.items():
        if count >= FATAL:
            evidence = tuple(Evidence(one.identity, "died", "processes") for one in deaths[:SHOWN])
            evidence = (Evidence("jid", jid, f"in flight at {counted(count, 'death')}"), *evidence)
            yield Finding(
                f"job:{name}",
                f"A job of {name} was in flight when {counted(count, 'process died', 'processes died')}",
                REMEDY,
                evidence,
            )
    last = deaths[-LAST:]
    classes = Counter(name for one in last for name in {job.job_class for job in one.in_flight if job.job_class})
    for name, count in classes.items():
        expected = _expected(name, last, fleet)
        repeated = any(jid[1] == name and many >= FATAL for jid, many in jids.items())
        if count >= OFTEN and not repeated and count / len(last) > thresholds[LIFT] * expected:
            evidence = (
                Evidence(
                    "in flight at",
                    f"{count} of the last {counted(len(last), 'death')}",
                    ", ".join(o.identity for o in last),
                ),
                Evidence("expected by its share of work", f"{expected:.0%}", "jobs in flight of the living"),
            )
            title = f"Jobs of {name} were in flight at {count} of the last {counted(len(last), 'death')}"
            yield Finding(f"job:{name}", title, REMEDY, evidence, Severity.HIGH.milder)


def _expected(name: str, deaths: list[Process], fleet: Series[Fleet]) -> float:
    """How often a process that dies at random would hold the class, by its share of what the living run."""
    running = [job.job_class for one in fleet.facts for process in one.live for job in process.in_flight]
    share = running.count(name) / len(running) if running else 1.0
    held = sum(len(one.in_flight) for one in deaths) / len(deaths)
    return 1.0 - float((1.0 - share) ** held)
