"""Jobs of schedule or retry are overdue, and nobody moves them.

## Why it hurts
Retries and scheduled jobs stand still while everything else runs, so nobody looks there.

In the log: at most `enq` errors of one process; more often nothing.

## How it is found
Formula: fails if a set's oldest entry is overdue by more than max(overdue-s, 3 x interval-s x members of processes),
and over a window it neither leaves nor do the overdue become fewer

Every process polls both sets; how often depends on how many members `processes` has, ghosts among them (PRO002), since
they share one average. After an outage the backlog leaves entry by entry, so that only no progress at all is a finding.

## When it is wrong
`average_scheduled_poll_interval` or `poll_interval_average` were raised elsewhere than in sidekiq.yml, which is read:
set `interval-s` to match.

## Confirm by hand
`redis-cli zrange schedule 0 0 withscores` and the same of `retry`, twice, some seconds apart; `redis-cli time`;
`redis-cli scard processes`.

## How to fix
Start a worker anew, one that is not quiet; remove ghosts; look for errors of the scheduler in its log. An entry that
cannot be pushed holds up all behind it in some versions: look at the first.

Risk: all that is overdue is pushed at once.

Undo: nothing to undo.

## Unknown when
The sets or the process records may not be read; there is only one reading; the clocks of Redis and of a process differ
by more than skew-s (RED011); every process that could poll has only just started.

## Source
Sidekiq's poller (lib/sidekiq/scheduled.rb): each process sleeps about interval x members of processes.

- OLD_INTERVAL: seconds between two polls up to Sidekiq 5.0, whose records no later 5.x can be told from.
- POLLS: of the poller's longest sleeps, after which it stands still; a choice.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.config import WorkerSettings
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.queues import JobSet, Queues
from kiqdoctor.doctor.facts.redis import ServerTime

OVERDUE = Threshold(
    name="overdue-s",
    default=60,
    unit="s",
    meaning="A due job may wait so long for the scheduler, however few processes there are.",
    source="ours: a dozen polls of a small fleet",
)
INTERVAL = Threshold(
    name="interval-s",
    default=5,
    unit="s",
    meaning="Seconds between two polls of the whole fleet, on average.",
    source="Sidekiq's average_scheduled_poll_interval: 5 from 5.1 on, 15 before",
    least=0.1,
)
SKEW = Threshold(
    name="skew-s",
    default=5,
    unit="s",
    meaning="Clocks that differ by more make lateness a guess.",
    source="ours",
)
OLD_INTERVAL = 15.0
POLLS = 3
POLLED = ("schedule", "retry")
CAUSES = ("PRO001", "PRO002", "QUE003", "RED001", "RED002", "RED005", "RED007", "RED011")


@check("QUE008", severity=Severity.CRITICAL, caused_by=CAUSES, thresholds=(OVERDUE, INTERVAL, SKEW))
def scheduler_stalled(
    queues: Series[Queues],
    clock: Series[ServerTime],
    fleet: Fleet,
    settings: WorkerSettings | Missing,
    thresholds: Thresholds,
) -> Iterator[Verdict]:
    limit = max(thresholds[OVERDUE], POLLS * _average(settings, fleet, thresholds))
    now = clock.last.now
    for name in POLLED:
        last = queues.last.set(name)
        if last.unread or (last.overdue and last.lowest_score is None):
            yield Unknown(f"how late {name} is was not read: {last.unread or 'its scores are not there'}")
        elif last.lowest_score is not None and last.size and now - last.lowest_score > limit:
            yield from _late(queues, last, now - last.lowest_score, clock.last, fleet, thresholds, limit)
        else:
            yield Evidence(f"{name}: overdue by a minute", str(last.overdue), f"ZCOUNT {name}")
    yield Evidence("a due job may wait for", f"{limit:.0f} s", f"{counted(fleet.members, 'member')} of processes")


def _average(settings: WorkerSettings | Missing, fleet: Fleet, thresholds: Thresholds) -> float:
    """Seconds between two polls of one process: what the application's file says, if it is more than the default."""
    interval, fixed = thresholds[INTERVAL], 0.0
    if interval == INTERVAL.default and any(_of_five(one) for one in fleet.live):
        interval = OLD_INTERVAL
    if isinstance(settings, WorkerSettings):
        interval = max([interval, *(value for value, _ in settings.numbers("average_scheduled_poll_interval"))])
        fixed = max([fixed, *(value for value, _ in settings.numbers("poll_interval_average"))])
    return max(interval * max(fleet.members, 1), fixed)


def _of_five(process: Process) -> bool:
    """Whether it may be Sidekiq 5.0, which polls more seldom: up to 5.2 a process tells neither version nor memory."""
    return not process.version and not process.runtime and process.rss_kb is None


def _late(
    queues: Series[Queues],
    last: JobSet,
    late_s: float,
    clock: ServerTime,
    fleet: Fleet,
    thresholds: Thresholds,
    limit: float,
) -> Iterator[Verdict]:
    said = (
        f"{counted(last.overdue, f'entry of {last.name} is', f'entries of {last.name} are')}"
        f" overdue, the oldest by {late_s:.0f} s"
    )
    if (lacks := queues.lacks()) is not None:
        yield Unknown(f"{said}; whether they move: {lacks.reason}", lacks.unlock)
    elif _moves(queues.first.set(last.name), last):
        yield Evidence(f"{last.name} moves", said, f"within {queues.window_s:.0f} s")
    elif (skew := _skew(clock, fleet)) > thresholds[SKEW]:
        yield Unknown(f"{said}, but clocks differ by {skew:.0f} s (RED011)", "clocks that agree")
    elif (young := _eldest_s(fleet, clock)) is not None and young < limit:
        yield Unknown(f"{said}, and the oldest process that polls has run for {young:.0f} s", "look again in a minute")
    else:
        yield _finding(queues, last, late_s, fleet, limit)


def _moves(first: JobSet, last: JobSet) -> bool:
    """Whether what was at the front left, or fewer are overdue."""
    if first.lowest_score is None or last.lowest_score is None:
        return False
    return last.lowest_score > first.lowest_score or last.overdue < first.overdue


def _skew(clock: ServerTime, fleet: Fleet) -> float:
    """How far clocks are apart, as far as it can be seen: ours, and those of processes whose beat is to come."""
    ahead = [-one.beat_age_s for one in fleet.live if one.beat_age_s is not None]
    return max([abs(clock.now - clock.local_now) - clock.round_trip_s, *ahead])


def _eldest_s(fleet: Fleet, clock: ServerTime) -> float | None:
    """Seconds since the first start among those that poll; None where nobody does, or one does not say."""
    starts = [one.started_at for one in fleet.live if not one.quiet]
    known = [one for one in starts if one is not None]
    return clock.now - min(known) if known and len(known) == len(starts) else None


def _finding(queues: Series[Queues], last: JobSet, late_s: float, fleet: Fleet, limit: float) -> Finding:
    polling = sum(not one.quiet for one in fleet.live)
    ghosts = f", {len(fleet.ghosts)} of them ghosts (PRO002)" if fleet.ghosts else ""
    evidence = (
        Evidence("oldest is overdue by", f"{late_s:.0f} s, {limit:.0f} may be", f"ZRANGE {last.name} 0 0, TIME"),
        Evidence("left within", f"none in {queues.window_s:.0f} s", f"ZRANGE, ZCOUNT {last.name}"),
        Evidence("processes that poll", f"{polling} of {fleet.members} members{ghosts}", "processes"),
    )
    title = (
        f"{counted(last.overdue, f'job of {last.name} is', f'jobs of {last.name} are')}"
        f" overdue, the oldest by {late_s:.0f} s, and none is moved"
    )
    return Finding(last.subject, title, "Start a worker anew, and look for errors of its scheduler.", evidence)
