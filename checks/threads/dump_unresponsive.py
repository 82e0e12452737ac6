"""A worker cannot answer whoever asks it for its threads.

## Why it hurts
It runs nothing, or only one thread: no job gets on, no signal is handled, its heartbeat stops, and Sidekiq's web UI
shows it as busy until its record expires.

In the log: nothing more, in the middle of a job.

## How it is found
Formula: fails if, in each of three looks, the process is stopped or one thread holds the GIL for itself; for Ruby if
TTIN is caught and no dump is written within 2 s

Only with `--deep`. A Python worker is looked at from outside, without a pause; a Ruby Sidekiq that catches TTIN is
asked for its dump, where what it writes can be read.

## When it is wrong
A debugger that holds the process on purpose. A GIL that is held for a second by a job that soon ends: look again.

## Confirm by hand
`kiqdoctor dump PID`; `grep State /proc/PID/status`.

## How to fix
Stopped: `kill -CONT PID`. GIL held: the dump names the job and the native library; upgrade or isolate that. Save what
it runs (PRO008) before `kill -9`.

Risk: a process that is killed gives back its jobs only with reliable fetch.

Undo: nothing to undo after CONT.

## Unknown when
a process may not be read, or what it writes cannot be; it ended, or waits in the kernel, so that none of its threads
shows.

## Source
Measured: with the GIL held in C, a Python handler runs only after release (faulthandler, py-spy documentation).
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.redis import Clients, Connection
from kiqdoctor.doctor.facts.threads import ThreadLooks
from kiqdoctor.doctor.hanging import Kind, diagnosed
from kiqdoctor.doctor.workers_here import Here, present

GRAVE = {Kind.STOPPED: Severity.HIGH, Kind.GIL_HOG: Severity.CRITICAL}


@check("THR001", severity=Severity.CRITICAL, caused_by=("PRO012", "THR003"))
def dump_unresponsive(
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
        if looked is None:
            yield Unknown(f"{one.named} was not looked at", "fewer workers on one host")
        elif looked.silent:
            yield _finding(one, Severity.CRITICAL, f"catches TTIN and writes no dump: {looked.refused}", ())
        elif looked.refused:
            yield Unknown(f"the threads of {one.named} were not seen: {looked.refused}", looked.unlock)
        elif wrong := [found for found in diagnosed(looked.looks) if found.kind in GRAVE]:
            yield _finding(one, GRAVE[wrong[0].kind], wrong[0].title, wrong[0].evidence)
        elif not (looked.looks and looked.looks[-1].threads):
            why = looked.looks[-1].state if looked.looks else "no look at it"
            yield Unknown(f"no thread of {one.named} was seen: {why or 'it shows none'}", "look again once it runs")
        else:
            yield Evidence(one.named, f"{len(looked.looks[-1].threads)} threads, which get on", looked.looks[-1].source)


def _finding(one: Here, severity: Severity, what: str, lines: tuple[str, ...]) -> Finding:
    return Finding(
        one.subject,
        f"{one.named} cannot answer: {what}",
        f"kiqdoctor dump {one.worker.pid}; kill -CONT where it was stopped; else save its jobs (PRO008), then kill -9.",
        tuple(Evidence("seen", line, f"/proc/{one.worker.pid}, py-spy") for line in lines),
        severity,
        lasting=one.lasting,
    )
