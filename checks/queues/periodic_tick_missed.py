"""A periodic job was not pushed when it was due.

## Why it hurts
Reports, clean-ups and renewals that run by the clock do not run, and nobody notices: there is no job that could fail.

In the log: nothing where a `start` line of that class should be.

## How it is found
Formula: fails if the job's latest tick that is older than grace-s is later than its last push and than its registration

Read are `cron_job:NAMESPACE:NAME` with its `:enqueued` (sidekiq-cron), `schedules` with `sidekiq-scheduler:last_times`,
`next_times` and `pushed:*`, and `kiq:periodic` (our runtime). The tick before now is reckoned from the job's own cron
line in its own zone; sidekiq-scheduler tells itself when a job was due next. A schedule file with entries of which none
is registered is a finding too.

## When it is wrong
A job whose line was changed after the tick: a single missed tick that is older than the youngest process is medium. A
tick within three hours of a change of the zone's time is medium too, for cron daemons differ there.

## Confirm by hand
`redis-cli hmget cron_job:default:NAME cron status last_enqueue_time`; `redis-cli hgetall sidekiq-scheduler:last_times`;
`redis-cli hgetall kiq:periodic`.

## How to fix
Start a process that polls the schedule, and push what was missed by hand. Then find out why nobody polled at that time:
a deploy across the tick, a dead leader (PRO017), a wrong clock (RED011).

Risk: a job that is pushed by hand may run beside its next tick.

Undo: delete it from its queue before it starts.

## Unknown when
A line is none that we read ("every hour"), its zone is not said and decides, it never ran and nobody says since when it
is registered; not every schedule could be read; Redis' clock and ours differ, and no beat tells which is right.

## Source
sidekiq-cron#111 and #463, its job.rb (a tick that is more than 60 s late is left out); sidekiq-scheduler's
scheduler.rb; our runtime's periodic.py.

- OURS: the kind of our own periodic jobs, whose entry stays when the job is gone.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.beside import PeriodicJob, PeriodicJobs
from kiqdoctor.doctor.facts.deployment import Schedules
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.hosts_clock import AGREE, by_hosts, untold
from kiqdoctor.doctor.ticks import Missed, UntoldError, missed, shown

OURS = "kiqdoctor"
SHOWN = 50
GRACE = Threshold(
    name="grace-s",
    default=120,
    unit="s",
    meaning="A tick that is younger may still be pushed.",
    source="sidekiq-cron polls every 15 to 45 s and pushes ticks up to 60 s late",
    least=1.0,
)


@check("QUE016", severity=Severity.HIGH, caused_by=("PRO001", "PRO017", "RED002", "RED007"), thresholds=(GRACE,))
def periodic_tick_missed(
    periodic: PeriodicJobs, fleet: Fleet, clock: ServerTime, thresholds: Thresholds, schedules: Schedules | Missing
) -> Iterator[Verdict]:
    youngest = max((one.started_at or 0.0 for one in fleet.live), default=0.0)
    left = [one for one in periodic.all if one.wanted is False]
    for job in periodic.all:
        if not job.enabled or job.wanted is False:
            continue
        now = clock if job.kind == OURS else by_hosts(clock, fleet)  # our runtime's ticks are Redis' own
        if now is None:
            yield Unknown(f"{job.name} ({job.kind}): {untold(clock)}", AGREE)
            continue
        try:
            found = missed(job, now.now, thresholds[GRACE])
        except UntoldError as error:
            yield Unknown(f"{job.name} ({job.kind}): {error}", "a cron line with its zone")
            continue
        if found is not None:
            yield _judged(job, found, now, fleet, youngest)
    if periodic.partial:
        yield Unknown(periodic.partial, "a smaller database")
    elif isinstance(schedules, Schedules):
        yield from _unregistered(schedules, periodic, fleet)
    yield Evidence("periodic jobs, each pushed when it was due", str(len(periodic.all)), "cron_job:*, schedules, kiq:*")
    if left:
        yield Evidence("entries that no live process has any more", ", ".join(one.name for one in left[:SHOWN]), OURS)


def _judged(job: PeriodicJob, found: Missed, clock: ServerTime, fleet: Fleet, youngest: float) -> Verdict:
    if job.kind == OURS and job.wanted is None and any(one.runtime for one in fleet.live):
        return Unknown(f"{job.name} missed {shown(found.tick)}, and no process says whether it is still wanted")
    changed = not found.more and youngest > found.tick
    evidence = [
        Evidence("due", f"{shown(found.tick)}, {clock.now - found.tick:.0f} s ago", job.kind),
        Evidence("last push", shown(job.last) if job.last is not None else "never", job.kind),
        Evidence("cron line", f"{job.cron or 'an interval'}, {job.zone or 'zone not said'}", job.kind),
    ]
    if job.registered is not None and job.last is None:
        evidence.append(Evidence("registered, or last tick", shown(job.registered), job.kind))
    if found.changing:
        evidence.append(Evidence("the zone's time was changed", "within three hours of it", "time zone database"))
    if changed:
        said = f"{shown(youngest)}: the line may be newer than the tick"
        evidence.append(Evidence("a process started since", said, "info.started_at"))
    return Finding(
        f"periodic:{job.name}",
        f"{job.name} was due at {shown(found.tick)} and was not pushed",
        "Start a process that polls the schedule, push what was missed by hand, and find out why nobody polled then.",
        tuple(evidence),
        Severity.HIGH.milder if found.changing or changed else Severity.HIGH,
    )


def _unregistered(schedules: Schedules, periodic: PeriodicJobs, fleet: Fleet) -> Iterator[Finding]:
    """Files with entries, live processes that should have registered them, and nothing of their kind in Redis."""
    there = {one.kind for one in periodic.all}
    for file in schedules.all:
        if file.entries and fleet.live and file.kind not in there:
            yield Finding(
                f"file:{file.path}",
                f"{file.path} schedules {counted(len(file.entries), 'job')}, and none of them is registered in Redis",
                f"Load it where the workers start ({file.kind}), into the Redis that was examined.",
                (
                    Evidence("entries", ", ".join(file.entries[:10]), file.path),
                    Evidence("live processes", str(len(fleet.live)), "processes, beat"),
                ),
                Severity.HIGH.milder,
            )
