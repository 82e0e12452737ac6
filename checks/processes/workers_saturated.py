"""Every thread that takes a queue is busy, and its jobs wait.

## Why it hurts
Whatever is pushed now waits for all that was pushed before. Latency grows with every minute in which more comes than
goes.

In the log: a worker's `start` lines follow its `done` lines at once, and each job starts long after it was enqueued.

## How it is found
Formula: busy = threads in each process that takes the queue, in READINGS readings APART_S apart, and the queue's oldest
job waits longer than waiting-s in the last

Judged for the processes of each queue together: one pool may be full while another idles; of a process with capsules
the threads of those that take the queue count. Processes that are quiet take nothing and are left out.

## When it is wrong
Batches that are meant to use all there is: raise `waiting-s` for their queue.

## Confirm by hand
`redis-cli hmget IDENTITY busy concurrency` for each of `processes`, again after ten seconds; `redis-cli lindex
queue:NAME -1` for the oldest job.

## How to fix
See first whether jobs are stuck (PRO006). Else add processes before threads: more threads in one process share one
interpreter.

Risk: more processes open more connections, to Redis (RED003) and to the database (DBC001).

Undo: stop the added ones with TERM.

## Unknown when
Only one reading was taken in which all are busy; a process's beat is older than STALE_S, so that its numbers are old;
Redis' clock and ours differ, and no beat tells which is right; a process has capsules, and does not say how many
threads each has.

## Source
Each beat writes `busy` and `concurrency` (lib/sidekiq/launcher.rb).

- READINGS: one full moment is a burst; three in a row are not; ours.
- APART_S: a beat comes every 5 or 10 seconds (lib/sidekiq/launcher.rb).
- STALE_S: two beats of Sidekiq 7.
- RECENT_S: what an earlier recording saw before tells nothing of now; ours.
"""

from collections.abc import Iterator, Sequence

from kiqdoctor.doctor import Evidence, Finding, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.queues import Queue, Queues
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.hosts_clock import by_hosts, untold

READINGS = 3
APART_S = 10.0
STALE_S = 20.0
RECENT_S = 600.0
SHOWN = 10
WAITING = Threshold(
    name="waiting-s",
    default=60,
    unit="s",
    meaning="A queue's oldest job may wait so long though all who take it are busy.",
    source="ours, as QUE002's: a minute is what a queue of mails may be late",
    per=("queue",),
)


@check("PRO005", severity=Severity.HIGH, caused_by=("PRO006", "THR002", "PRO018"), thresholds=(WAITING,))
def workers_saturated(
    fleet: Series[Fleet], queues: Series[Queues], clock: Series[ServerTime], thresholds: Thresholds
) -> Iterator[Verdict]:
    if partial := fleet.last.partial or queues.last.partial:
        yield Unknown(partial, "a budget that reaches them all")
    hosts = by_hosts(clock.last, fleet.last)
    moments = fleet.within(RECENT_S).apart(APART_S)
    pools: dict[tuple[str, ...], list[tuple[float, Queue]]] = {}
    for queue in queues.last.all:
        pool = fleet.last.takers(queue.name)
        full = [_full(one, queue) for one in (*moments.facts, fleet.last)]
        if queue.size and False not in full:
            waited = None if queue.oldest_at is None or hosts is None else hosts.now - queue.oldest_at
            if waited is None:
                why = f": {untold(clock.last)}" if hosts is None else ""
                yield Unknown(f"all who take {queue.name} are busy; how long its jobs wait is not known{why}")
            elif waited <= thresholds.of(WAITING, queue=queue.name):
                continue
            elif None in full:
                told = (
                    f"jobs of {queue.name} wait, and how many threads take it is not told: its processes have capsules"
                )
                yield Unknown(told, "Sidekiq 8.0.9 or later, which tells the threads of each")
            else:
                pools.setdefault(tuple(one.identity for one in pool), []).append((waited, queue))
    for waiting in pools.values():
        yield _verdict(max(waiting, key=lambda one: one[0]), waiting, fleet.last, moments)
    busy, threads = (sum(numbers) for numbers in zip((0, 0), *map(_load, fleet.last.live), strict=True))
    yield Evidence("busy threads", f"{busy} of {threads}", "busy, concurrency")


def _load(process: Process) -> tuple[int, int]:
    return process.busy or 0, process.concurrency or 0


def _full(fleet: Fleet, queue: Queue) -> bool | None:
    """Whether no process has a thread to spare for it; one that does not say how many it has may. None: not told."""
    spare = [one.spare(queue.name) if one.concurrency else 1 for one in fleet.takers(queue.name)]
    if not spare or any(spare):
        return False
    return None if None in spare else True


def _verdict(
    worst: tuple[float, Queue], waiting: list[tuple[float, Queue]], fleet: Fleet, moments: Series[Fleet]
) -> Verdict:
    waited, queue = worst
    pool = fleet.takers(queue.name)
    if stale := [one for one in pool if (one.beat_age_s or 0.0) > STALE_S]:
        return Unknown(f"{stale[0].identity} last said how busy it is {stale[0].beat_age_s:.0f} s ago", "a fresh beat")
    if short := moments.lacks(READINGS, APART_S):
        return Unknown(f"all who take {queue.name} are busy now: {short.reason}", short.unlock)
    busy = sum(one.threads(queue.name) or one.busy or 0 for one in pool)
    others = f" and {counted(len(waiting) - 1, 'more queue')}" if len(waiting) > 1 else ""
    evidence = [
        Evidence(
            "busy", f"{busy} of {busy} threads in {counted(len(moments.moments), 'reading')}", "busy, concurrency"
        ),
        Evidence("oldest job waits for", f"{waited:.0f} s", f"LINDEX queue:{queue.name} -1, enqueued_at"),
        *(Evidence(one.identity, f"{one.busy} of {one.concurrency}", "heartbeat") for one in pool[:SHOWN]),
        *(Evidence("longest job", text, "run_at") for text in _longest(pool)),
    ]
    return Finding(
        queue.subject,
        f"All {busy} threads that take {queue.name}{others} stay busy, and its oldest job waits for {waited:.0f} s",
        "See whether jobs are stuck (PRO006); else add processes, before threads.",
        tuple(evidence),
        Severity.HIGH.milder,
    )


def _longest(pool: Sequence[Process]) -> list[str]:
    jobs = sorted(
        (job for one in pool for job in one.in_flight if job.run_at is not None), key=lambda one: one.run_at or 0
    )
    return [f"{job.job_class or '?'} {job.jid}" for job in jobs[:3]]
