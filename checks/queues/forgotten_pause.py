"""A queue is paused, or a process quiet, and jobs wait for it.

## Why it hurts
A pause that was meant for minutes holds jobs for days, and a process that was quieted takes nothing more until it is
started anew. Both look alive in every list.

In the log: nothing. Whoever paused it saw a line in their own console.

## How it is found
Formula: medium if a paused queue's oldest job, or one of a quiet process's queues, waits longer than waiting-s; high
beyond long-s, or if every live process is quiet and a job waits longer than quieted-s

Paused queues are members of `paused`, which Sidekiq Pro and kiqdoctor's runtime heed; Sidekiq itself ignores it. A
quiet process says so in its record. One that is quiet while a process that started after it takes the same queues is a
deploy that is under way, and is no finding.

## When it is wrong
A queue that is paused for days on purpose: raise `waiting-s` and `long-s` for that queue. Since when it is paused is
written nowhere; how long its oldest job waits stands in for it.

## Confirm by hand
`redis-cli smembers paused`, `redis-cli lindex queue:NAME -1`, and `redis-cli hget IDENTITY quiet` for each member of
`processes`.

## How to fix
Unpause the queue where it was paused (Pro's web page, `Sidekiq::Queue.new(NAME).unpause!`, kiqdoctor's `top`). A quiet
process cannot be told to go on: start it anew.

Risk: all that waited runs at once, in its old order.

Undo: pause it again.

## Unknown when
The set `paused`, the queues or the process records may not be read; the oldest job of a paused queue, or of a quiet
process's, does not say when it was enqueued; every process is quiet, and the jobs have not waited long enough for the
next one to come; Redis' clock and ours differ, and no beat tells which is right.

## Source
Sidekiq's launcher writes `quiet` with each beat (lib/sidekiq/launcher.rb); there is no signal that ends it.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, NotApplicable, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.queues import Queue, Queues
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.hosts_clock import AGREE, by_hosts, untold

WAITING = Threshold(
    name="waiting-s",
    default=600,
    unit="s",
    meaning="A paused queue's oldest job may wait so long.",
    source="ours: a pause of minutes is meant",
    per=("queue",),
)
LONG = Threshold(
    name="long-s",
    default=3600,
    unit="s",
    meaning="Beyond this a pause is forgotten.",
    source="ours: nobody pauses for an hour and looks away",
    per=("queue",),
)
QUIETED = Threshold(
    name="quieted-s",
    default=60,
    unit="s",
    meaning="Where every process is quiet, jobs may wait so long for the next one.",
    source="a stop takes 25 s by default, and a start a few more",
)
RESTART = "Start it anew: a quiet process never takes jobs again."
SHOWN = 5


@check("QUE003", severity=Severity.HIGH, thresholds=(WAITING, LONG, QUIETED))
def forgotten_pause(
    lately: Series[Queues], processes: Series[Fleet], clocks: Series[ServerTime], thresholds: Thresholds
) -> Iterator[Verdict]:
    queues, fleet = lately.last, processes.last
    clock = by_hosts(clocks.last, fleet)
    if not queues.pausing and not queues.pauses_unread and not fleet.live and not fleet.partial:
        yield NotApplicable("nothing is paused, and no process is alive that could be quiet")
        return
    if queues.pauses_unread:
        yield Unknown(f"which queues are paused is not known: {queues.pauses_unread}", "+type +scard +sscan on paused")
    holding = [one for one in queues.all if one.kind == "list" and one.size]
    if clock is not None:
        for queue in (one for one in holding if one.paused):
            yield from _paused(queue, clock, thresholds)
        yield from _quiet(fleet, [one for one in holding if not one.paused], clock, thresholds)
    elif holding:
        yield Unknown(f"how long jobs wait is not known: {untold(clocks.last)}", AGREE)
        return
    if queues.partial or fleet.partial:
        yield Unknown(queues.partial or fleet.partial, "a budget that reaches all queues and processes")
    paused = [one.name for one in queues.all if one.paused]
    yield Evidence("paused queues", ", ".join(paused[:SHOWN]) or "none", "paused")
    yield Evidence("quiet processes", f"{sum(one.quiet for one in fleet.live)} of {len(fleet.live)}", "processes")


def _paused(queue: Queue, clock: ServerTime, thresholds: Thresholds) -> Iterator[Verdict]:
    if queue.oldest_at is None:
        why = queue.unread or "its oldest job does not say when it was enqueued"
        yield Unknown(f"{queue.name} is paused, and how long its jobs wait is not known: {why}")
        return
    age = clock.now - queue.oldest_at
    if age > thresholds.of(WAITING, queue=queue.name):
        yield Finding(
            queue.subject,
            f"{queue.name} is paused, and {counted(queue.size, 'job waits', 'jobs wait')},"
            f" the oldest for {age / 60:.0f} min",
            "Unpause it, or say in the configuration that it is paused on purpose.",
            (Evidence("waiting", str(queue.size), f"LLEN {queue.subject}"), _waits(age)),
            _severity(age, queue, thresholds),
            key="paused",
        )


def _severity(age: float, queue: Queue, thresholds: Thresholds) -> Severity:
    return Severity.HIGH if age > thresholds.of(LONG, queue=queue.name) else Severity.HIGH.milder


def _waits(age: float) -> Evidence:
    return Evidence("oldest job waits for", f"{age:.0f} s", "enqueued_at, TIME")


def _quiet(fleet: Fleet, holding: list[Queue], clock: ServerTime, thresholds: Thresholds) -> Iterator[Verdict]:
    quiet = [one for one in fleet.live if one.quiet]
    aged = {one.name: clock.now - one.oldest_at for one in holding if one.oldest_at is not None}
    if quiet and len(quiet) == len(fleet.live) and not fleet.partial:
        yield from _all_quiet(quiet, aged, holding, thresholds)
        return
    for process in quiet:
        left = [one for one in holding if one.name in (process.queues or ()) and not _succeeded(process, one, fleet)]
        if ageless := [one for one in left if one.name not in aged]:
            why = ageless[0].unread or "its oldest job does not say when it was enqueued"
            told = f"{process.identity} is quiet, and how long jobs of {ageless[0].name} wait is not known: {why}"
            yield Unknown(told)
        late = [one for one in left if aged.get(one.name, 0.0) > thresholds.of(WAITING, queue=one.name)]
        if late:
            worst = max(late, key=lambda one: aged[one.name])
            yield _forgotten(process, worst, aged[worst.name], _severity(aged[worst.name], worst, thresholds))


def _succeeded(process: Process, queue: Queue, fleet: Fleet) -> bool:
    """Whether a process that started after it takes the queue: a deploy is under way."""
    return any(
        not one.quiet
        and queue.name in (one.queues or ())
        and (process.started_at or 0.0) < (one.started_at or 0.0)
        for one in fleet.live
    )  # fmt: skip


def _forgotten(process: Process, queue: Queue, age: float, severity: Severity) -> Finding:
    return Finding(
        process.subject,
        f"{process.identity} is quiet, and"
        f" {counted(queue.size, f'job of {queue.name} waits', f'jobs of {queue.name} wait')},"
        f" the oldest for {age / 60:.0f} min",
        RESTART,
        (Evidence("quiet", "true", "its record"), Evidence("waiting", str(queue.size), queue.subject), _waits(age)),
        severity,
        key="quiet",
        lasting=process.lasting,
    )


def _all_quiet(
    quiet: list[Process], aged: dict[str, float], holding: list[Queue], thresholds: Thresholds
) -> Iterator[Verdict]:
    if not holding:
        return
    age = max(aged.values(), default=0.0)
    waiting = sum(one.size for one in holding)
    if age > thresholds[QUIETED]:
        names = ", ".join(one.identity for one in quiet[:SHOWN])
        yield Finding(
            "redis",
            f"Every live process is quiet: {counted(waiting, 'job waits', 'jobs wait')}, and nobody takes any",
            RESTART,
            (Evidence("quiet", names, "processes"), _waits(age)),
            key="quiet",
        )
    else:
        wait = f"look again in {max(thresholds[QUIETED] - age, 1):.0f} s"
        yield Unknown(
            f"every live process is quiet, and {counted(waiting, 'job waits', 'jobs wait')} for the next one to start",
            wait,
        )
