"""A process beats, has threads to spare, and takes no jobs.

## Why it hurts
It counts as capacity everywhere: on the dashboard, for the autoscaler, for whoever deploys. Its queue stands all the
same, and nothing says that it does.

In the log: nothing new from that process, and no error.

## How it is found
Formula: the oldest job of a queue is the same in READINGS readings APART_S apart, processes that take the queue have
idle threads in each, and fewer clients wait in a pop than there are idle threads, by a whole process or more

Threads of a capsule that does not take the queue are not idle for it.

An idle thread of basic fetch waits in a blocking pop, which CLIENT LIST shows by the flag `b`. Fetchers that ask
again and again (super_fetch, our runtime) hold none; of them the job that nobody takes is what tells.

## When it is wrong
A limit that keeps the oldest job waiting on purpose: suppress it for that queue.

## Confirm by hand
`redis-cli lindex queue:NAME -1` twice; `redis-cli client list | grep -c 'flags=b'`; `kiqdoctor dump PID` shows where
its threads are.

## How to fix
Take a thread dump, then restart that process.

Risk: a restart gives back what it runs after --timeout seconds.

Undo: none is needed.

## Unknown when
CLIENT LIST is not allowed; there was one reading; a beat is old; jobs stand still although threads wait for jobs; a
process has capsules, and does not say how many threads each has.

## Source
sidekiq#3690, celery#10302; idle connections of a real Sidekiq 6.4.1 show `flags=b cmd=brpop`.

- READINGS: one that stands between two looks may be unlucky; three are not; the catalogue's.
- APART_S: a beat comes every 5 or 10 seconds.
- FRESH_S: a beat of Sidekiq 7 and a half.
- WAITED_S: a job that an idle thread may take waits for milliseconds; ours.
- RECENT_S: an earlier recording is of another time.
"""

from collections.abc import Iterator, Sequence

from kiqdoctor.doctor import Evidence, Finding, Missing, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.queues import Queue, Queues
from kiqdoctor.doctor.facts.redis import Clients, ServerTime
from kiqdoctor.wire.heartbeat import RUNTIME

READINGS = 3
APART_S = 10.0
FRESH_S = 15.0
WAITED_S = 10.0
RECENT_S = 600.0
POPS = frozenset({"brpop", "blpop", "blmove", "brpoplpush", "blmpop"})
SHOWN = 8


@check("PRO015", severity=Severity.CRITICAL, caused_by=("PRO012", "THR002", "THR006", "THR003"))
def beating_not_fetching(
    fleet: Series[Fleet], queues: Series[Queues], clock: Series[ServerTime], clients: Clients | Missing
) -> Iterator[Verdict]:
    if partial := fleet.last.partial or queues.last.partial:
        yield Unknown(partial, "a budget that reaches them all")
    moments, seen = queues.within(RECENT_S).apart(APART_S), fleet.within(RECENT_S).facts
    standing = 0
    for queue in queues.last.all:
        pool = _idle(seen, queue)
        waited = None if queue.oldest_at is None else clock.last.now - queue.oldest_at
        if not queue.size or queue.paused or not pool or not _same(moments.facts, queue):
            continue
        told = [one for one in pool if one.spare(queue.name) is not None]
        if waited is None:
            yield Unknown(f"how long the jobs of {queue.name} wait is not known, and threads that take it are idle")
        elif waited > WAITED_S:
            standing += 1
            yield from _judged(queue, told, moments, fleet.last, clients) if told else _capsules(queue, pool)
    yield Evidence("queues that stand though threads are idle", str(standing), "LINDEX, heartbeats")
    yield Evidence("idle threads", str(sum(map(_spare, fleet.last.live))), "busy, concurrency")


def _idle(seen: Sequence[Fleet], queue: Queue) -> list[Process]:
    """Processes that take a queue and had a thread to spare for it in every reading, or do not say it."""
    pools = [{one.identity: one for one in moment.takers(queue.name) if one.spare(queue.name) != 0} for moment in seen]
    return [one for identity, one in pools[-1].items() if all(identity in pool for pool in pools)]


def _capsules(queue: Queue, pool: list[Process]) -> Iterator[Unknown]:
    """Who has capsules and does not say their threads (7.x) may have those of this queue busy, and others idle."""
    first = pool[0].identity
    yield Unknown(
        f"the oldest job of {queue.name} stands, and {first} does not say how many threads of it take that queue",
        "Sidekiq 8.0.9 or later, which tells the threads of each capsule",
    )


def _spare(process: Process) -> int:
    return 0 if process.quiet else max(0, (process.concurrency or 0) - (process.busy or 0))


def _same(moments: Sequence[Queues], queue: Queue) -> bool:
    """Whether its oldest job was the oldest in each reading."""
    found = [moment.queue(queue.name) for moment in moments]
    oldest = [one.oldest_at if one else None for one in found]
    return all(one is not None and one == queue.oldest_at for one in oldest) or queue.oldest_at is None


def _judged(
    queue: Queue, pool: list[Process], moments: Series[Queues], fleet: Fleet, clients: Clients | Missing
) -> Iterator[Verdict]:
    if stale := [one for one in pool if (one.beat_age_s or 0.0) > FRESH_S]:
        yield Unknown(f"{stale[0].identity} beat {stale[0].beat_age_s:.0f} s ago; what it does now is not known")
    elif short := moments.lacks(READINGS, APART_S):
        yield Unknown(f"{queue.name} waits though threads that take it are idle: {short.reason}", short.unlock)
    elif all(one.reliable or one.runtime == RUNTIME for one in pool):
        yield _finding(queue, pool, "they ask by polling")
    elif not isinstance(clients, Clients):
        yield Unknown(f"{queue.name} stands though threads are idle; {clients.reason}", getattr(clients, "unlock", ""))
    else:
        pops = sum(one.blocked and one.command in POPS for one in clients.all)
        idle = sum(_spare(one) for one in fleet.live if not (one.reliable or one.runtime == RUNTIME))
        if idle - pops >= min(one.concurrency or 0 for one in pool):
            yield _finding(
                queue, pool, f"{counted(pops, 'client waits', 'clients wait')} in a pop, {idle} threads are idle"
            )
        else:
            why = (
                f"{counted(pops, 'client waits', 'clients wait')} in a"
                " pop as idle threads do: a limit, or another namespace's"
            )
            yield Unknown(
                f"the oldest job of {queue.name} is not taken, and {why}", "a look at what those pops wait for"
            )


def _finding(queue: Queue, pool: list[Process], why: str) -> Finding:
    [first, *others] = pool
    who = counted(len(pool), "process beats", "processes beat") if others else f"{first.identity} beats"
    return Finding(
        queue.subject if others else first.subject,
        f"{who} with threads to spare, and nobody takes the oldest of {queue.size} jobs of {queue.name}",
        "Take a thread dump of it (kiqdoctor dump), then restart it.",
        (
            Evidence("fetching", why, "CLIENT LIST, heartbeats"),
            *(Evidence(one.identity, f"{one.busy} of {one.concurrency} busy", "heartbeat") for one in pool[:SHOWN]),
        ),
        key=queue.name,
        lasting="" if others else first.lasting,
    )
