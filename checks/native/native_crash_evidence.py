"""A worker crashed in native code.

## Why it hurts
A crash takes every job of the process with it, and it comes again: with the same job, the same library, the same
order of threads.

In the log: `[BUG] Segmentation fault` and many lines of C frames; `Fatal Python error: Segmentation fault`; or
nothing but a new process.

## How it is found
Formula: fails if a crash of a worker lies less than recent-s back; critical where its time or its pid is known, else
high

Read are the logs that living workers write, log/*.log and core files under PATH and in their directories, what
systemd-coredump kept, and the kernel's lines about signals that nobody handled. A thread's line in the kernel's log
counts where a registered process of this host stopped beating in that moment.

## When it is wrong
A crash that somebody provoked to try this.

## Confirm by hand
`grep -a '\\[BUG\\]\\|Fatal Python error' LOG`, `coredumpctl list`, `dmesg | grep -i segfault`.

## How to fix
Upgrade the package that owns the library; until then give the class a queue and a process of its own. Keep the core
(NAT003).

Risk: a core holds what the process knew, secrets too.

Undo: take the class back.

## Unknown when
The kernel's log may not be read, or a worker's own log; the live processes are on other hosts.

## Source
Ruby's and CPython's own crash reports; core(5); sidekiq#2137, #4694.

- NEAR_S: a process that crashes has beaten within an interval of ten seconds.
- THREADS: the kernel names a thread, whose number follows its process's closely.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.death import proofs_of_death
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.host import KernelEvent, KernelLog, LocalProcesses
from kiqdoctor.doctor.facts.native import Crash, Crashes
from kiqdoctor.doctor.facts.redis import Clients, Connection, ServerTime
from kiqdoctor.doctor.workers_here import Here, present
from kiqdoctor.regex import regex
from kiqdoctor.wire.heartbeat import split_identity

NEAR_S = 15.0
THREADS = 200
SHOWN = 8
SYSTEMD = "coredumpctl"
PROGRAM = regex(r"ruby[\d.]*|python[\d.]*|sidekiq.*|processor|kiq.*|puma.*|heartbeat|scheduler")
RECENT = Threshold(
    name="recent-s",
    default=86_400,
    unit="s",
    meaning="A crash that lies further back was dealt with, or is forgotten.",
    source="the catalogue's: a day",
)
REMEDY = (
    "Upgrade the package that owns the library, and keep the core; run the class in a process of its own meanwhile."
)


@check("NAT004", severity=Severity.CRITICAL, caused_by=("NAT002",), thresholds=(RECENT,))
def native_crash_evidence(
    fleet: Fleet,
    crashes: Crashes,
    local: LocalProcesses,
    log: KernelLog | Missing,
    clock: ServerTime | Missing,
    connection: Connection | Missing,
    clients: Clients | Missing,
    thresholds: Thresholds,
) -> Iterator[Verdict]:
    seen = present(fleet, local, connection, clients)
    now = clock.local_now if isinstance(clock, ServerTime) else max((one.at for one in crashes.all), default=0.0)
    since = now - thresholds[RECENT]
    here = {one.worker.pid: one for one in seen.here}
    dead = _dead(fleet, local)
    told = False
    for crash in crashes.all:
        if crash.at >= since and (owner := _owner(crash, here, dead)) is not None:
            told = True
            yield _told(crash, owner)
        elif (
            crash.at >= since and crash.source == "coredumpctl" and PROGRAM.fullmatch(crash.program.rpartition("/")[2])
        ):
            yield Unknown(
                f"{crash.program} crashed with pid {crash.pid}; whose it was cannot be told", "coredumpctl info"
            )
    if not told:
        for event, process in _by_kernel(log, dead, since):
            yield _logged(event, process)
    if not isinstance(log, KernelLog) and (seen.here or dead):
        yield Unknown(log.reason, getattr(log, "unlock", ""))
    if unread := [one for one in crashes.unread if seen.here]:
        yield Unknown(f"{unread[0]}: a log may not be read", "the same user, or root")
    if not crashes.looked:
        yield from seen.unseen()
    yield seen.evidence
    yield Evidence("looked at", ", ".join(crashes.looked[:SHOWN]) or "no log", "crash reports, core files")


def _dead(fleet: Fleet, local: LocalProcesses) -> list[Process]:
    """Registered processes of this host that run no more; the record of one that has just died still looks alive."""
    own = [one for one in (*fleet.processes, *fleet.orphaned_work) if _of(one)[0] == local.hostname]
    gone = proofs_of_death(own, fleet, local)
    return [one for one in own if not one.live or one.identity in gone]


def _of(process: Process) -> tuple[str, int | None]:
    return (process.hostname, process.pid) if process.hostname else split_identity(process.identity)


def _owner(crash: Crash, here: dict[int, Here], dead: list[Process]) -> Here | Process | str | None:
    """Whose crash it is: the dead process's, that of the worker that writes the same log, or the application's."""
    for process in dead:
        if crash.pid is not None and _of(process)[1] == crash.pid:
            return process
    if crash.owner is not None:
        return here.get(crash.owner)
    return "the application" if crash.in_tree else None


def _told(crash: Crash, owner: Here | Process | str) -> Finding:
    where = f" in {crash.library.rpartition('/')[2]}" if crash.library else ""
    who = owner.identity if isinstance(owner, Process) else owner.named if isinstance(owner, Here) else owner
    what = f"{who} crashed" if isinstance(owner, Process) else f"A process of {who} crashed"
    jobs = owner.in_flight if isinstance(owner, Process) else ()
    lasting = "" if isinstance(owner, str) else owner.lasting
    evidence = [
        Evidence("crash", crash.what, crash.source),
        Evidence("at", f"{crash.at:.0f}{'' if crash.exact else ' at the latest'}", crash.source),
        *([Evidence("first foreign library", crash.library, crash.source)] if crash.library else []),
        *([Evidence("pid", str(crash.pid), crash.source)] if crash.pid is not None else []),
        *(Evidence("job in flight", f"{job.job_class or '?'} {job.jid} from {job.queue}") for job in jobs[:SHOWN]),
    ]
    sure = crash.exact or isinstance(owner, Process)
    subject = f"file:{crash.source}" if isinstance(owner, str) else owner.subject
    return Finding(
        subject,
        f"{what}{where}: {crash.what}",
        REMEDY,
        tuple(evidence),
        None if sure else Severity.CRITICAL.milder,
        key=crash.library.rpartition("/")[2] or crash.program or "native",
        lasting=lasting,
    )


def _by_kernel(log: KernelLog | Missing, dead: list[Process], since: float) -> Iterator[tuple[KernelEvent, Process]]:
    events = [one for one in log.events if one.kind in {"segfault", "trap"}] if isinstance(log, KernelLog) else []
    for event in events:
        for process in dead if event.at >= since and PROGRAM.fullmatch(event.name) else ():
            pid = _of(process)[1]
            if pid is None or not pid <= event.pid <= pid + THREADS:
                continue
            if event.pid == pid or process.beat is None or -1 <= event.at - process.beat <= NEAR_S:
                yield event, process


def _logged(event: KernelEvent, process: Process) -> Finding:
    where = f" in {event.library}" if event.library else ""
    jobs = [Evidence("job in flight", f"{one.job_class or '?'} {one.jid}") for one in process.in_flight[:SHOWN]]
    exact = event.pid == _of(process)[1] or process.beat is not None
    return Finding(
        process.subject,
        f"{process.identity} crashed{where}: {event.kind}",
        REMEDY,
        (Evidence("kernel", f"{event.name}[{event.pid}] {event.kind}{where}", "/dev/kmsg"), *jobs),
        None if exact else Severity.CRITICAL.milder,
        key=event.library or "native",
        lasting=process.lasting,
    )
