"""A worker with threads forked a child that goes on running the worker's own code.

## Why it hurts
Only the thread that forks lives on in the child; what the others held stays locked for ever, in libraries too: the
child hangs in malloc, in logging, in a TLS library, at some time and not at another. It also keeps the worker's
connections open (THR005).

In the log: Python from 3.12 on warns `This process is multi-threaded, use of fork() may lead to deadlocks in the
child`.

## How it is found
Formula: fails if a child of a worker has its parent's memory layout, is older than young-s, and at least THREADS
threads of the parent are older than the child; or if the source has a job that runs in threads fork (COD008, which
names all its ways)

A program that was executed has a stack of its own at an address of its own; a child that was only forked has its
parent's. Children that were forked before there were threads, as of a pre-forking master, are sound.

## When it is wrong
A child that does nothing but wait for a signal, or leaves at once.

## Confirm by hand
`ps --ppid PID -o pid,lstart,cmd`, and `ls /proc/PID/task | wc -l`.

## How to fix
Start children by spawn or forkserver (Python: `multiprocessing.set_start_method("spawn")`), or execute a program:
`subprocess`, `Process.spawn`.

Risk: spawn imports the module anew in the child: what is not under `if __name__ == "__main__"` runs there too.

Undo: set the start method as it was.

## Unknown when
The worker is of another user, so that its memory layout may not be seen; the live processes are on other hosts; nothing
was found and files could not be parsed.

## Source
fork(2), "the child is created with a single thread"; CPython's issue 100228.

- THREADS: the one that forks and one more, which may hold a lock.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, NotApplicable, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.code import Code, Execution, Forks
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.host import ForkedChild, Inheritance, LocalProcesses
from kiqdoctor.doctor.facts.redis import Clients, Connection
from kiqdoctor.doctor.halves import beside, unseen
from kiqdoctor.doctor.rules import apart, how_it_runs, led_to, settled, sharing, told
from kiqdoctor.doctor.workers_here import ROOT, Here, present

THREADS = 2
YOUNG = Threshold(
    name="young-s",
    default=5,
    unit="s",
    meaning="A forked child that is younger may be about to execute a program, or to leave.",
    source="ours: an exec follows its fork within milliseconds",
    per=("tag",),
)
SHOWN = 8


@check("THR004", severity=Severity.HIGH, thresholds=(YOUNG,), caused_by=("COD008",))
def fork_with_threads(
    fleet: Fleet | Missing,
    inheritance: Inheritance | Missing,
    local: LocalProcesses | Missing,
    connection: Connection | Missing,
    clients: Clients | Missing,
    thresholds: Thresholds,
    code: Code | Missing,
    forks: Forks | Missing,
    execution: Execution | Missing,
) -> Iterator[Verdict]:
    judged = False
    if isinstance(code, Code) and isinstance(forks, Forks) and isinstance(execution, Execution):
        judged = True
        yield from beside(_in_source(code, forks, execution), fleet, inheritance, local)
    if isinstance(fleet, Fleet) and isinstance(inheritance, Inheritance) and isinstance(local, LocalProcesses):
        yield from _live(fleet, inheritance, local, connection, clients, thresholds)
    else:
        yield from unseen(fleet, inheritance, local, judged=judged)


def _in_source(code: Code, forks: Forks, execution: Execution) -> Iterator[Verdict]:
    if alone := apart(code, execution):
        yield NotApplicable(alone)
        return
    sites = [(one, sharing(code, execution, one)) for one in led_to(code, forks.sites)]
    sure = [(one, shared) for one, shared in sites if shared.truth]
    for one, shared in sure:
        fix = "Start children by spawn or forkserver, or execute a program of its own."
        title = f"A job forks by {one.name} in a process that has threads"
        yield told(code, one, Severity.HIGH, title, fix, how_it_runs(shared), key=f"source:{one.name}")
    yield from settled(code, forks, found=bool(sure))


def _live(
    fleet: Fleet,
    inheritance: Inheritance,
    local: LocalProcesses,
    connection: Connection | Missing,
    clients: Clients | Missing,
    thresholds: Thresholds,
) -> Iterator[Verdict]:
    seen = present(fleet, local, connection, clients)
    yield from seen.unseen()
    registered = {one.worker.pid for one in seen.here if one.process}
    for one in seen.here:
        old = thresholds.of(YOUNG, tag=one.worker.tag)
        forked = [
            child for child in inheritance.children
            if child.parent == one.worker.pid and child.threads >= THREADS and child.pid not in registered
        ]  # fmt: skip
        late = [child for child in forked if child.age_s > old]
        if late:
            yield _finding(one, late)
        elif forked:
            age = forked[0].age_s
            yield Unknown(f"{one.named} forked pid {forked[0].pid} {age:.0f} s ago", f"look again in {old - age:.0f} s")
        if one.worker.settings is None:
            yield Unknown(f"{one.named} is another user's; how its children came to be cannot be seen", ROOT)
    yield seen.evidence
    yield Evidence("children that workers forked", str(len(inheritance.children)), "/proc/PID/stat")


def _finding(one: Here, late: list[ForkedChild]) -> Finding:
    pids = ", ".join(str(child.pid) for child in late[:SHOWN])
    return Finding(
        one.subject,
        f"{one.named} forked while it had {late[0].threads} threads: pid {pids} runs on in its image",
        "Start children by spawn or forkserver, or execute a program of its own.",
        tuple(
            Evidence(f"pid {child.pid}", f"{child.age_s:.0f} s old, same image as pid {child.parent}", "/proc/PID/stat")
            for child in late[:SHOWN]
        ),
        lasting=one.lasting,
    )
