"""A queue holds jobs that no live process takes.

## Why it hurts
Its jobs never run. Nothing complains: pushes succeed, workers are alive and busy with other queues, and only this one
grows.

In the log: nothing, neither the client's nor any worker's.

## How it is found
Formula: fails if a queue's length > 0 and no live process names it among its queues and its oldest job waits longer
than waiting-s

The queues that processes take are in their heartbeats: `capsules` from Sidekiq 8.0.9 on, `queues` before; both are
read. A list that nobody registered in `queues` (NSP005) is looked at like the others. A queue of almost the same name
that somebody does take is shown, for a slip of the pen is the usual cause.

## When it is wrong
A pool of workers that is started for this queue on demand: suppress it for that queue, or set `waiting-s` above the
time that the pool takes to start.

## Confirm by hand
`redis-cli llen queue:NAME`, `redis-cli lindex queue:NAME -1` for its oldest job, then
`redis-cli hget IDENTITY info` for each member of `processes`.

## How to fix
Add the queue to a worker (`-q NAME`, `:queues:` of sidekiq.yml), or mend its name where jobs are pushed.

Risk: all that waited runs at once, in its old order.

Undo: take the queue out of the worker's list again.

## Unknown when
The queues, their oldest jobs or the process records may not be read; no process is alive at all (PRO001 says so);
Redis' clock and ours differ, and no beat tells which is right; the oldest job has not waited long enough for a worker
to come.

## Source
Each process writes the queues that it takes with every beat (lib/sidekiq/launcher.rb).

- ALMOST: letters that two names may differ by and still be the same slip of the pen; a choice.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.keyspace import Keyspace, ReservedKeys
from kiqdoctor.doctor.facts.queues import Queue, Queues
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.hosts_clock import AGREE, by_hosts, untold

ALMOST = 2
SHOWN = 10
WAITING = Threshold(
    name="waiting-s",
    default=60,
    unit="s",
    meaning="A queue's oldest job may wait so long until a worker that takes it must have come.",
    source="a process that is restarted is forgotten after 60 s",
    per=("queue",),
)


@check("QUE001", severity=Severity.CRITICAL, caused_by=("NSP001", "NSP002", "PRO001"), thresholds=(WAITING,))
def queue_without_consumer(
    lately: Series[Queues],
    processes: Series[Fleet],
    clocks: Series[ServerTime],
    reserved: ReservedKeys | Missing,
    keyspace: Keyspace | Missing,
    thresholds: Thresholds,
) -> Iterator[Verdict]:
    queues, fleet = lately.last, processes.last
    clock = by_hosts(clocks.last, fleet)
    taken = {name for process in fleet.live for name in process.queues or ()}
    holding = [queue for queue in queues.all if queue.kind == "list" and queue.size]
    holding += _unregistered(reserved, keyspace)
    unserved = [queue for queue in holding if queue.name not in taken]
    if queues.partial:
        yield Unknown(f"not every queue was looked at: {queues.partial}", "a budget that reaches all queues")
    if unserved and (reason := _untold(fleet)):
        yield Unknown(f"{_named(unserved)}: no process that was read takes it, and {reason}", "process records")
        return
    if unserved and clock is None:
        yield Unknown(f"no live process takes {_named(unserved)}; how long they wait: {untold(clocks.last)}", AGREE)
        return
    waiting: list[Unknown] = []
    for queue in unserved:
        age = None if queue.oldest_at is None or clock is None else clock.now - queue.oldest_at
        limit = thresholds.of(WAITING, queue=queue.name)
        if age is None:
            why = queue.unread or "its oldest job does not say when it was enqueued"
            told = f"no live process takes {queue.name}, and how long its jobs wait is not known: {why}"
            waiting.append(Unknown(told))
        elif age <= limit:
            wait = f"look again in {limit - age:.0f} s"
            told = f"no live process takes {queue.name}, whose oldest job waits for {max(age, 0):.0f} s"
            waiting.append(Unknown(told, wait))
        else:
            yield _finding(queue, age, fleet.live, taken)
    yield from waiting[:SHOWN]
    if len(waiting) > SHOWN:
        yield Unknown(f"the same of {len(waiting) - SHOWN} more queues")
    yield Evidence("queues that hold jobs", _named(holding) or "none", "LLEN")
    yield Evidence("queues that live processes take", ", ".join(sorted(taken)[:SHOWN]) or "none", "processes, info")


def _unregistered(reserved: ReservedKeys | Missing, keyspace: Keyspace | Missing) -> list[Queue]:
    """Queues of the examined namespace whose pusher did not register them: workers would take them all the same."""
    if not isinstance(reserved, ReservedKeys) or not isinstance(keyspace, Keyspace):
        return []
    mine = [stray for one in keyspace.installations if one.prefix == reserved.prefix for stray in one.strays]
    return [Queue(one.queue, one.size, registered=False, oldest_at=one.oldest_at) for one in mine if not one.foreign]


def _untold(fleet: Fleet) -> str:
    """Why a queue may be taken although nobody who was read takes it."""
    if fleet.partial:
        return fleet.partial
    for one in fleet.processes:
        if one.exists and (one.beat_age_s is None or (one.live and not one.queues)):
            return f"{one.identity} does not say which queues it takes{f': {one.error}' if one.error else ''}"
    return "" if fleet.live else "no process is alive at all (PRO001)"


def _named(queues: list[Queue]) -> str:
    more = f" and {len(queues) - SHOWN} more" if len(queues) > SHOWN else ""
    return ", ".join(f"{queue.name} ({queue.size})" for queue in queues[:SHOWN]) + more


def _finding(queue: Queue, age: float, live: tuple[Process, ...], taken: set[str]) -> Finding:
    near = next((name for name in sorted(taken) if _alike(name, queue.name)), "")
    slip = f"; {near} is taken" if near else ""
    evidence = [
        Evidence("waiting", str(queue.size), f"LLEN queue:{queue.name}"),
        Evidence("oldest job waits for", f"{age:.0f} s", "enqueued_at, TIME"),
        *(Evidence(one.identity, ", ".join(one.queues or ()), "processes, info") for one in live[:SHOWN]),
    ]
    rename = f"push to {near}, or " if near else ""
    return Finding(
        queue.subject,
        f"{counted(queue.size, 'job waits', 'jobs wait')} in {queue.name}, which no live process takes{slip}",
        f"If the name is right, add {queue.name} to a worker's queues; else {rename}mend it where jobs are pushed.",
        tuple(evidence),
    )


def _alike(one: str, other: str) -> bool:
    """The same but for case and separators, or within ``ALMOST`` letters (Levenshtein's distance)."""
    one, other = (name.lower().replace("-", "_") for name in (one, other))
    if abs(len(one) - len(other)) > ALMOST:
        return False
    row = list(range(len(other) + 1))
    for at, letter in enumerate(one, 1):
        before, row[0] = row[0], at
        for to, against in enumerate(other, 1):
            before, row[to] = row[to], min(row[to] + 1, row[to - 1] + 1, before + (letter != against))
    return row[-1] <= ALMOST < max(len(one), len(other))
