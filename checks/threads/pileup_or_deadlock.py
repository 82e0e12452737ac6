"""Threads of a worker wait for each other, or most of them at one line.

## Why it hurts
A deadlock never ends: its threads are lost until the process is. A pile-up is a pool or a lock that is too small.

In the log: nothing; jobs begin and do not end.

## How it is found
Formula: fails if threads wait for each other's locks in every look, or at least 3 and half of the threads that work
wait at one line for a lock, a pool or a socket in every look

Only with `--deep`. Three looks within a second, two for Ruby. Locks are inferred from the source that the frames stand
in; the one who holds a lock is told where one thread alone can be that. Of Ruby: each thread that is within a
`synchronize` of the program's own stands at another, in both looks.

## When it is wrong
Threads that wait for one slow answer: it passes. A batch whose jobs are meant to run one after the other.

## Confirm by hand
`kiqdoctor dump PID`, and again some seconds later.

## How to fix
Deadlock: take the locks in one order everywhere, or one lock. Pool: as many connections as threads. Import: import the
module when the worker boots.

Risk: none: the advice changes code.

Undo: take the change back.

## Unknown when
a process may not be read; fewer than two looks succeeded; two or more threads of a Ruby wait for locks in both looks,
and make up neither a pile nor a ring: Ruby does not tell who holds a lock.

## Source
Three samples tell what stands from what passes (py-spy's documentation; Sidekiq's wiki asks for a TTIN dump).
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.redis import Clients, Connection
from kiqdoctor.doctor.facts.threads import ThreadLooks
from kiqdoctor.doctor.hanging import Diagnosis, Kind, diagnosed, in_doubt
from kiqdoctor.doctor.workers_here import Here, present

SHOWN = 5
GRAVE = {
    Kind.DEADLOCK: Severity.CRITICAL,
    Kind.PILE_UP: Severity.HIGH,
    Kind.POOL_EXHAUSTED: Severity.HIGH,
    Kind.IMPORT_LOCK: Severity.HIGH,
}


@check("THR002", severity=Severity.CRITICAL, caused_by=("THR004",))
def pileup_or_deadlock(
    fleet: Fleet,
    local: LocalProcesses,
    looks: ThreadLooks,
    connection: Connection | Missing,
    clients: Clients | Missing,
) -> Iterator[Verdict]:
    seen = present(fleet, local, connection, clients)
    yield from seen.unseen()
    by_pid = {one.pid: one for one in looks.all}
    for one in seen.here:
        looked = by_pid.get(one.worker.pid)
        if looked is None or looked.refused:
            why, unlock = (looked.refused, looked.unlock) if looked else ("too many workers run here", "")
            yield Unknown(f"the threads of {one.named} were not seen: {why}", unlock)
            continue
        told = diagnosed(looked.looks)
        wrong = [found for found in told if found.kind in GRAVE]
        yield from (_finding(one, found) for found in wrong)
        halted = any(found.kind is Kind.STOPPED for found in told)
        if halted or (not wrong and len(looked.looks) < 2):  # noqa: PLR2004 - one look tells no standing from passing
            yield Unknown(f"{one.named} was seen once only, or stands still as a whole", "look again once it runs")
        elif not wrong and len(waiting := in_doubt(looked.looks)) > 1:  # one alone waits for a thread that gets on
            yield Unknown(
                f"{counted(len(waiting), 'thread')} of {one.named} waited"
                " for locks in every look, and who holds them is not told:"
                f" {'; '.join(waiting[:SHOWN])}",
                f"kiqdoctor dump {one.worker.pid} in a minute: threads that stand there still are deadlocked",
            )
        elif not wrong:
            yield Evidence(one.named, f"{len(looked.looks[-1].threads)} threads, which get on", looked.looks[-1].source)


def _finding(one: Here, found: Diagnosis) -> Finding:
    basis = "measured" if found.measured else "inferred from frames and source"
    return Finding(
        one.subject,
        f"{one.named}: {found.title}",
        "Take these locks in one order, or give the pool as many connections as there are threads."
        f" See all stacks: kiqdoctor dump {one.worker.pid}",
        (Evidence("basis", basis), *(Evidence("thread", line, "stacks") for line in found.evidence)),
        GRAVE[found.kind],
        key=found.kind.value,
        lasting=one.lasting,
    )
