"""One thread holds the interpreter's lock (GIL, GVL), and the others starve.

## Why it hurts
Only one thread runs; the heartbeat comes late, leases run out, and the other threads' jobs take many times as long.

In the log: late heartbeats; our runtime's watchdog writes the stacks.

## How it is found
Formula: fails if one thread owns the GIL in each of three looks while another waits for it in each and gets no CPU, or
owns it asleep

Only with `--deep`. Who owns the GIL is read by py-spy, who waits for it from the system call that each thread stands
in. Threads that take turns are no hogs.

A Ruby worker is asked for its threads by TTIN: it writes them in Ruby, on its main thread, which takes Ruby's own lock
(GVL). Whoever answers has no thread that keeps it.

## When it is wrong
A job of pure Python that is alone in its process: nobody waits for the GIL then, and nothing is said.

## Confirm by hand
`kiqdoctor dump PID`.

## How to fix
A library that releases the GIL, a process of its own for that queue (`--processes`), or a smaller input: an expression
that backtracks is the usual cause.

Risk: none: the advice changes code.

Undo: take the change back.

## Unknown when
a process may not be read; who has the GIL in each look got no core meanwhile, for the host is busy; a Ruby worker did
not answer (THR001 says so), or its log cannot be read.

## Source
py-spy's documentation on the GIL; measured on CPython 3.11 to 3.14.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.redis import Clients, Connection
from kiqdoctor.doctor.facts.threads import ProcessLooks, ThreadLooks
from kiqdoctor.doctor.hanging import Diagnosis, Kind, diagnosed, held_up
from kiqdoctor.doctor.workers_here import Here, present


@check("THR003", severity=Severity.HIGH)
def gil_hog(
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
        if one.worker.kind != "kiqdoctor":
            yield _of_ruby(one, looked)
        elif looked is None or looked.refused or len(looked.looks) < 2:  # noqa: PLR2004 - who always has it takes two
            why, unlock = (looked.refused, looked.unlock) if looked else ("too many workers run here", "")
            yield Unknown(f"who has the GIL of {one.named} was not seen: {why or 'one look only'}", unlock)
        elif hogs := [found for found in diagnosed(looked.looks) if found.kind in {Kind.GIL_HOG, Kind.STOPPED}]:
            halted = hogs[0].kind is Kind.STOPPED
            yield Unknown(f"{one.named} is stopped", "look again once it runs") if halted else _finding(one, hogs[0])
        elif owner := held_up(looked.looks):
            yield Unknown(f"{owner} of {one.named} had the GIL, and this host no core for it", "a calmer host")
        else:
            yield Evidence(one.named, "no thread kept the GIL from another", looked.looks[-1].source)


def _of_ruby(one: Here, looked: ProcessLooks | None) -> Verdict:
    """What its own dump proves: it is written under the lock that a hog would keep."""
    if looked is None or looked.refused or len(looked.looks) < 2:  # noqa: PLR2004
        why, unlock = (looked.refused, looked.unlock) if looked else ("too many workers run here", "")
        silent = "it was asked for its threads and did not answer (THR001)" if looked and looked.silent else ""
        why = silent or why or (looked.looks[-1].state if looked and looked.looks else "") or "one look only"
        return Unknown(f"whether a thread keeps Ruby's lock (GVL) in {one.named} was not seen: {why}", unlock)
    return Evidence(one.named, "its main thread wrote each dump: no thread kept the GVL", looked.looks[-1].source)


def _finding(one: Here, found: Diagnosis) -> Finding:
    return Finding(
        one.subject,
        f"{one.named}: {found.title}",
        f"Run that job in a process of its own, or by a library that releases the GIL: kiqdoctor dump {one.worker.pid}",
        tuple(Evidence("seen", line, "py-spy, /proc") for line in found.evidence),
        lasting=one.lasting,
    )
