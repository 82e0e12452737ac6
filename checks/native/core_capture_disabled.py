"""A crash of this worker would leave nothing to learn from.

## Why it hurts
A native crash ends the process in the middle of a machine instruction. Without a core, or at least the stack that
faulthandler writes, nobody can tell which library did it, and it happens again.

In the log: of Python without faulthandler `Segmentation fault` from the shell, or nothing.

## How it is found
Formula: low if the core limit is 0 and core_pattern is no pipe; low if a Python worker does not handle SIGSEGV

The limit is the process's own (`/proc/PID/limits`); core_pattern is the host's, also for containers. A pipe's program
(systemd-coredump, apport) decides for itself. A Python that handles SIGSEGV has faulthandler on; Ruby always does.

## When it is wrong
Cores that are not wanted, since they hold what the process knew, secrets too.

## Confirm by hand
`grep core /proc/PID/limits`, `cat /proc/sys/kernel/core_pattern`.

## How to fix
`LimitCORE=infinity` in the unit, or `ulimit -c unlimited` before the start; PYTHONFAULTHANDLER=1 for Python.

Risk: a core holds the arguments of jobs and every secret that the process knew: keep it where only root reads.

Undo: LimitCORE=0.

## Unknown when
The live processes are on other hosts, or a process's limits may not be read.

## Source
core(5); Python's faulthandler; measured: the soft limit is 0 by default.

- SEGV: the bit of signal 11.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.host import Debugging, LocalProcesses
from kiqdoctor.doctor.facts.redis import Clients, Connection
from kiqdoctor.doctor.workers_here import Here, present

SEGV = 10


@check("NAT003", severity=Severity.MEDIUM)
def core_capture_disabled(
    fleet: Fleet,
    local: LocalProcesses,
    debugging: Debugging,
    connection: Connection | Missing,
    clients: Clients | Missing,
) -> Iterator[Verdict]:
    seen = present(fleet, local, connection, clients)
    yield from seen.unseen()
    for one in seen.here:
        yield from _core(one, debugging.core_pattern)
        yield from _faulthandler(one)
    yield seen.evidence
    yield Evidence("core_pattern", debugging.core_pattern or "empty", "/proc/sys/kernel/core_pattern, the host's")


def _core(one: Here, pattern: str) -> Iterator[Verdict]:
    limit = one.worker.core_bytes
    source = f"/proc/{one.worker.pid}/limits"
    if pattern.startswith("|"):
        return
    if limit is None:
        yield Unknown(f"the core limit of {one.named} cannot be read", "a /proc that shows it")
    elif limit == 0 or not pattern:
        why = "its core limit is 0" if limit == 0 else "core_pattern is empty"
        yield Finding(
            one.subject,
            f"{one.named} leaves no core when it crashes: {why}",
            "LimitCORE=infinity in its unit, or ulimit -c unlimited before it starts.",
            (Evidence("core limit", str(limit), source), Evidence("core_pattern", pattern, "the host's")),
            Severity.MEDIUM.milder,
            key="core",
            lasting=one.lasting,
        )


def _faulthandler(one: Here) -> Iterator[Finding]:
    """Python's, where nothing handles SIGSEGV."""
    if one.worker.kind == "kiqdoctor" and one.worker.caught is not None and not one.worker.caught >> SEGV & 1:
        yield Finding(
            one.subject,
            f"{one.named} writes no stack when it crashes: faulthandler is off",
            "Set PYTHONFAULTHANDLER=1 in its environment.",
            (Evidence("signals that it handles", f"{one.worker.caught:016x}", f"/proc/{one.worker.pid}/status"),),
            Severity.MEDIUM.milder,
            key="faulthandler",
            lasting=one.lasting,
        )
