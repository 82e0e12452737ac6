"""When this worker hangs, nothing here can tell where.

## Why it hurts
A worker that hangs is killed, and with it the only answer to where it hung; it will hang again.

In the log: nothing, then a kill.

## How it is found
Formula: fails if the worker does not handle TTIN, and no debugger for its language is here that this user may attach

Sidekiq and our runtime write every thread's stack when they get TTIN; the kernel shows which signals a process handles.
Else py-spy (Python), or gdb or rbspy (Ruby) read the stacks from outside, where Yama and the process's user allow it.

## When it is wrong
A minimal image by design, which is looked into from a debug container beside it.

## Confirm by hand
`grep SigCgt /proc/PID/status` (bit 20 is TTIN); `cat /proc/sys/kernel/yama/ptrace_scope`; `which py-spy gdb rbspy`.

## How to fix
Let nothing replace the handler of TTIN, or give the container SYS_PTRACE and a debugger (`kubectl debug
--profile=general`).

Risk: SYS_PTRACE lets whoever has it read every process's memory.

Undo: take the capability away.

## Unknown when
The live processes are on other hosts, or what signals a process handles cannot be read.

## Source
Sidekiq's signals (lib/sidekiq/cli.rb keeps TTIN on Linux from 8.1.4 on); ptrace(2), access mode checking.

- TTIN: the bit of signal 21.
- SAME_USER: from this scope of Yama on the same user is not enough.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.host import Debugging, LocalProcesses
from kiqdoctor.doctor.facts.redis import Clients, Connection
from kiqdoctor.doctor.workers_here import Here, present

TTIN = 20
SAME_USER = 1
DEBUGGERS = {"sidekiq": ("gdb", "rbspy", "eu-stack"), "sidekiq-embedded": ("gdb", "rbspy", "eu-stack")}


@check("THR007", severity=Severity.MEDIUM)
def dump_path_missing(
    fleet: Fleet,
    local: LocalProcesses,
    debugging: Debugging,
    connection: Connection | Missing,
    clients: Clients | Missing,
) -> Iterator[Verdict]:
    seen = present(fleet, local, connection, clients)
    yield from seen.unseen()
    for one in seen.here:
        if one.worker.caught is None:
            yield Unknown(f"which signals {one.named} handles cannot be read", "a /proc that shows it")
        elif one.worker.kind != "sidekiq-embedded" and one.worker.caught >> TTIN & 1:
            yield Evidence(one.named, "handles TTIN", f"/proc/{one.worker.pid}/status")
        elif lacking := _lacking(one, debugging):
            yield _finding(one, lacking, debugging)
        else:
            yield Evidence(one.named, f"{', '.join(debugging.tools)} may attach", "ptrace(2)")


def _lacking(one: Here, debugging: Debugging) -> str:
    """What keeps a debugger from it; "" where one can."""
    wanted = DEBUGGERS.get(one.worker.kind, ("py-spy", "gdb"))
    if not set(wanted) & set(debugging.tools):
        return f"none of {', '.join(wanted)} is here"
    scope = debugging.ptrace_scope or 0
    if not debugging.privileged and one.worker.uid != debugging.uid:
        return f"it runs as uid {one.worker.uid}, and this user is {debugging.uid} without CAP_SYS_PTRACE"
    if not debugging.privileged and scope >= SAME_USER:
        return f"kernel.yama.ptrace_scope is {scope}, and this user has no CAP_SYS_PTRACE"
    return ""


def _finding(one: Here, lacking: str, debugging: Debugging) -> Finding:
    return Finding(
        one.subject,
        f"{one.named} does not answer TTIN, and {lacking}",
        "Keep the worker's own handler of TTIN, or give its container SYS_PTRACE and a debugger.",
        (
            Evidence("signals that it handles", f"{one.worker.caught or 0:016x}", f"/proc/{one.worker.pid}/status"),
            Evidence("debuggers", ", ".join(debugging.tools) or "none", "PATH"),
        ),
        Severity.MEDIUM.milder,
        lasting=one.lasting,
    )
