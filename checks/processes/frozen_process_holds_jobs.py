"""A process that is stopped or frozen holds jobs.

## Why it hurts
What it was running stands still, and what Redis has already delivered into its connection lies there unread: out of its
queue, in no list, on no page. Who kills it then loses those jobs without a trace; who waits for it waits for ever.

In the log: nothing at all from that process since it was stopped.

## How it is found
Formula: stopped = state T, or a frozen cgroup, or state D with a beat older than STALE_S; holds = bytes unread on one
Redis socket > NIL_REPLIES, or jobs in flight for longer than BEAT_S; both are critical where they last, else high

It lasts where two readings APART_S apart show it, or where the beat is older than STALE_S: a debugger stops a process
for moments. Replies of pops that ran out are unread bytes too, but few.

## When it is wrong
A debugger that holds it for longer, on purpose.

## Confirm by hand
`grep State /proc/PID/status`; `ss -tnp | grep pid=PID` shows Recv-Q; `redis-cli hgetall IDENTITY:work`.

## How to fix
`kill -CONT PID` (or unpause its container): it goes on where it stood and runs what lies in its socket. If it may not
live, first write down what it holds.

Risk: after a long stop its jobs run late, and those that were given to others meanwhile run twice.

Undo: `kill -STOP PID`.

## Unknown when
It is another user's, so that its sockets may not be read and Redis knows no job of it; a process of another host is
late; its jobs began so shortly ago that they may have ended before it was stopped.

## Source
A real Sidekiq 6.4.1 that was stopped: two jobs were delivered into its socket, and kill -9 lost both.

- NIL_REPLIES: up to five replies of pops that ran out, measured with Sidekiq 6.4.1.
- STALE_S: one beat of Sidekiq 7 and a half.
- BEAT_S: a beat of Sidekiq 7; until then a job in flight may have ended.
- APART_S: a debugger's stop of a moment is over by then; ours.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, NotApplicable, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.fleet import Fleet, InFlight, Process
from kiqdoctor.doctor.facts.host import LocalProcess, LocalProcesses
from kiqdoctor.doctor.facts.redis import Clients, Connection
from kiqdoctor.doctor.ownership import redis_sockets, works_for
from kiqdoctor.doctor.workers_here import KINDS, ROOT, Here, Present, present

NIL_REPLIES = 64
STALE_S = 15.0
BEAT_S = 10.0
APART_S = 5.0
SHOWN = 10
STOPPED = frozenset({"T", "t"})


@check("PRO012", severity=Severity.CRITICAL)
def frozen_process_holds_jobs(
    fleet: Series[Fleet],
    local: Series[LocalProcesses],
    connection: Connection | Missing,
    clients: Clients | Missing,
) -> Iterator[Verdict]:
    seen = present(fleet.last, local.last, connection, clients)
    yield from _late(seen)
    for one in seen.here:
        if why := _stopped(one):
            yield from _judged(one, why, local, redis_sockets(one.worker, connection, clients, local.last))
    yield from _strangers(local.last, seen.here, connection, clients)
    running = sum(not _stopped(one) for one in seen.here)
    yield Evidence("workers that run", f"{running} of {len(seen.here)} on this host", "/proc/PID/stat")


def _late(seen: Present) -> Iterator[Unknown | NotApplicable]:
    """Who beats in time is not stopped, wherever it runs; of who is late and not here nothing can be told."""
    late = [one for one in seen.elsewhere if one.beat_age_s is None or one.beat_age_s > STALE_S]
    if late or not seen.elsewhere:
        yield from Present(seen.here, tuple(late), seen.veiled).unseen()


def _stopped(one: Here) -> str:
    """What shows that it does not run; a moment in state D is an ordinary wait for a disk."""
    age = one.process.beat_age_s if one.process else None
    stale = one.process is not None and (age is None or age > STALE_S)
    if one.worker.frozen:
        return "its cgroup is frozen"
    if one.worker.state in STOPPED or (one.worker.state == "D" and stale):
        return f"state {one.worker.state}"
    return ""


def _judged(one: Here, why: str, local: Series[LocalProcesses], redis: tuple[str, ...]) -> Iterator[Verdict]:
    unread = [(address, count) for address, count in one.worker.unread if address in redis and count > NIL_REPLIES]
    jobs = _jobs(one.process) if one.process is not None else []
    if unread or jobs:
        yield _finding(one, why, unread, jobs, _lasts(one, local))
    elif one.process is not None and one.process.in_flight:
        young = f"{len(one.process.in_flight)} jobs that may have ended before it was"
        yield Unknown(f"{one.named} is stopped ({why}), and its last beat tells {young}", f"--for {BEAT_S:g}")
    elif one.worker.settings is None:
        yield Unknown(f"{one.named} is stopped ({why}), and what lies in its sockets may not be read", ROOT)
    else:
        yield Evidence("stopped, and holds nothing", f"{one.named}: {why}", f"/proc/{one.worker.pid}")


def _jobs(process: Process) -> list[InFlight]:
    """In flight for longer than a beat, by Redis' clock as its last beat was measured against it."""
    if process.beat is None or process.beat_age_s is None:
        return list(process.in_flight)
    now = process.beat + process.beat_age_s
    return [job for job in process.in_flight if job.run_at is None or now - job.run_at > BEAT_S]


def _lasts(one: Here, local: Series[LocalProcesses]) -> bool:
    """Whether it has stood for longer than a debugger's moment."""
    if one.process is not None and one.process.beat_age_s is not None and one.process.beat_age_s > STALE_S:
        return True
    states = [_state(one.worker, moment) for moment in local.apart(APART_S).facts]
    return len(states) > 1 and all(state in STOPPED or state == "D" for state in states[-2:])


def _state(worker: LocalProcess, moment: LocalProcesses) -> str:
    return next((other.state for other in moment.all if other.pid == worker.pid), "")


def _finding(one: Here, why: str, unread: list[tuple[str, int]], jobs: list[InFlight], lasting: bool) -> Finding:
    total = sum(count for _, count in unread)
    holds = [f"{counted(len(jobs), 'job')} in flight"] if jobs else []
    holds += [f"{counted(total, 'byte')} from Redis that nobody has read"] if total else []
    pid = one.worker.pid
    return Finding(
        one.subject,
        f"{one.named} is stopped ({why}) and holds {' and '.join(holds)}",
        f"kill -CONT {pid} lets it go on; before anybody kills it, write down what it holds.",
        (
            Evidence("process", f"pid {pid}: {why}", f"/proc/{pid}/stat"),
            *(
                Evidence("unread", f"{counted(count, 'byte')} on {address}", f"/proc/{pid}/net/tcp")
                for address, count in unread[:SHOWN]
            ),
            *(Evidence("job in flight", f"{job.job_class or '?'} {job.jid} from {job.queue}") for job in jobs[:SHOWN]),
        ),
        Severity.CRITICAL if lasting else Severity.CRITICAL.milder,
        lasting=one.lasting,
    )


def _strangers(
    local: LocalProcesses, here: tuple[Here, ...], connection: Connection | Missing, clients: Clients | Missing
) -> Iterator[Unknown]:
    """Stopped workers of which it cannot be told whose they are."""
    known = {one.worker.pid for one in here}
    for worker in local.all:
        stopped = worker.state in STOPPED or worker.frozen
        if worker.kind in KINDS and worker.pid not in known and stopped:
            own = works_for(worker, connection, clients, local) if isinstance(connection, Connection) else None
            if own is None:
                yield Unknown(
                    f"a worker with pid {worker.pid} is stopped; which Redis it works for cannot be told", ROOT
                )
