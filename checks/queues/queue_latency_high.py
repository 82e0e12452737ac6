"""Jobs wait long in a queue, and the wait does not become shorter.

## Why it hurts
It is what users feel: the mail that comes an hour later, the page that waits for a result.

In the log: nothing; each job runs as fast as ever once it has begun.

## How it is found
Formula: latency = now - enqueued_at of the oldest job; medium beyond waiting-s, high beyond late-s, unless over a
window the jobs become fewer or the oldest younger; one severity under that where it drains and needs longer than
drain-s

A queue whose process takes others before it, in strict order, and one of those never is empty, is said to be starved.

## When it is wrong
A queue of work that may wait: set `waiting-s` and `late-s` for it. What a window of seconds shows of a queue that
fills and drains over hours is a part.

## Confirm by hand
`redis-cli lindex queue:NAME -1` and its `enqueued_at` (float seconds up to Sidekiq 7, integer milliseconds from 8 on),
`redis-cli time`, `redis-cli llen queue:NAME` twice.

## How to fix
Give that queue more processes or threads, or a weight; where another queue starves it, weights instead of strict order,
or a process of its own.

Risk: more threads open more connections to Redis and to the database (RED003, DBC001).

Undo: the old number.

## Unknown when
There is only one reading; the queues may not be read; the oldest job cannot be read or does not say when it was
enqueued; Redis' clock and ours differ, and no beat tells which is right.

## Source
Sidekiq's own latency (lib/sidekiq/api.rb).

- FALLEN: share by which the oldest job's wait must fall to count as shorter; a choice.
"""

from collections.abc import Iterator
from itertools import pairwise

from kiqdoctor.doctor import Evidence, Finding, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.queues import Queue, Queues
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.hosts_clock import AGREE, by_hosts, untold

WAITING = Threshold(
    name="waiting-s",
    default=60,
    unit="s",
    meaning="A job may wait so long in its queue.",
    source="ours: a minute is felt",
    per=("queue",),
)
LATE = Threshold(
    name="late-s",
    default=300,
    unit="s",
    meaning="Beyond this wait the queue is late.",
    source="ours: five minutes are told on the telephone",
    per=("queue",),
)
DRAIN = Threshold(
    name="drain-s",
    default=3600,
    unit="s",
    meaning="A queue that drains may need so long for what is in it.",
    source="ours: what needs longer needs help",
    per=("queue",),
)
FALLEN = 0.05
CAUSES = (
    "PRO001",
    "QUE001",
    "QUE003",
    "PRO004",
    "PRO005",
    "PRO012",
    "PRO013",
    "PRO015",
    "QUE019",
    "RED002",
    "RED005",
    "RED007",
    "RED009",
)


@check("QUE002", severity=Severity.HIGH, caused_by=CAUSES, thresholds=(WAITING, LATE, DRAIN))
def queue_latency_high(
    queues: Series[Queues], clock: Series[ServerTime], fleet: Fleet, thresholds: Thresholds
) -> Iterator[Verdict]:
    holding = [one for one in queues.last.all if one.size and one.kind == "list"]
    hosts = by_hosts(clock.last, fleet)
    if hosts is None and holding:
        yield Unknown(f"how long jobs of {holding[0].name} wait is not known: {untold(clock.last)}", AGREE)
        return
    ageless = [one for one in holding if one.oldest_at is None]
    aged = [(one, hosts.now - one.oldest_at) for one in holding if hosts is not None and one.oldest_at is not None]
    for queue, age in aged:
        if age > thresholds.of(WAITING, queue=queue.name):
            yield from _late(queues, queue, age, fleet, thresholds)
    if ageless:
        why = ageless[0].unread or "its oldest job does not say when it was enqueued"
        more = f" and of {len(ageless) - 1} more queues" if len(ageless) > 1 else ""
        yield Unknown(f"how long jobs of {ageless[0].name}{more} wait is not known: {why}")
    if queues.last.partial:
        yield Unknown(queues.last.partial, "a budget that reaches all queues")
    yield Evidence(
        "longest wait", f"{max((age for _, age in aged), default=0.0):.0f} s", "LINDEX queue:<name> -1, TIME"
    )


def _late(queues: Series[Queues], queue: Queue, age: float, fleet: Fleet, thresholds: Thresholds) -> Iterator[Verdict]:
    said = f"the oldest of {counted(queue.size, 'job')} of {queue.name} waits for {age:.0f} s"
    if (lacks := queues.lacks()) is not None:
        yield Unknown(f"{said}; whether it becomes better: {lacks.reason}", lacks.unlock)
        return
    severity = Severity.HIGH if age > thresholds.of(LATE, queue=queue.name) else Severity.HIGH.milder
    trend, drain_s = _trend(queues, queue.name, age)
    if trend and (drain_s is None or drain_s <= thresholds.of(DRAIN, queue=queue.name)):
        yield Evidence(f"{queue.name} drains", f"{said}; {trend}", f"within {queues.window_s:.0f} s")
        return
    starving = _starving(queue.name, queues, fleet)
    tail = f", starved by {starving}" if starving else ", and only slowly fewer" if trend else ""
    evidence = (
        Evidence("oldest job waits for", f"{age:.0f} s", "enqueued_at, TIME"),
        Evidence("jobs", _sizes(queues, queue.name), f"LLEN, within {queues.window_s:.0f} s"),
        *([Evidence("drains", trend, "LLEN")] if trend else []),
        *([Evidence("starved by", f"{starving}, which was never empty", "strict order, LLEN")] if starving else []),
    )
    remedy = f"Take {queue.name} by weight, or with a process of its own." if starving else (
        f"Give {queue.name} more processes or threads, or a weight."
    )  # fmt: skip
    title = f"Jobs of {queue.name} wait for {age:.0f} s{tail}"
    yield Finding(queue.subject, title, remedy, evidence, severity.milder if trend else severity)


def _trend(queues: Series[Queues], name: str, age: float) -> tuple[str, float | None]:
    """How it becomes better, "" where it does not; and seconds until it is empty at that rate."""
    found = [one.queue(name) for one in queues.facts]
    sizes = [one.size if one is not None else 0 for one in found]
    fell, rose = sizes[0] - sizes[-1], max(after - before for before, after in pairwise(sizes))
    if fell > max(rose, 0):
        drain_s = sizes[-1] * queues.window_s / fell
        return f"{fell / queues.window_s:.1f} jobs fewer a second, empty in {drain_s:.0f} s", drain_s
    first, last = found[0], found[-1]
    if first is None or last is None or first.oldest_at is None or last.oldest_at is None:
        return "", None
    younger = last.oldest_at - first.oldest_at - queues.window_s
    return (f"the wait is {younger:.0f} s shorter", None) if younger > FALLEN * age else ("", None)


def _sizes(queues: Series[Queues], name: str) -> str:
    found = [queue.size if (queue := one.queue(name)) is not None else 0 for one in (queues.first, queues.last)]
    return f"{found[0]}, then {found[1]}"


def _starving(name: str, queues: Series[Queues], fleet: Fleet) -> str:
    """A queue that each process which takes this one takes before it, and that was never empty."""
    takers = [one for one in fleet.live if name in (one.queues or ())]
    before = [
        {other for order in one.orders if name in order for other in order[: order.index(name)]} for one in takers
    ]
    always = {
        queue.name
        for queue in queues.last.all
        if all((found := one.queue(queue.name)) is not None and found.size for one in queues.facts)
    }
    common = set.intersection(*before) if before else set()
    return min(common & always, default="")
