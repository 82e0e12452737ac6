"""A worker of an older deploy is still running.

## Why it hurts
It takes jobs and runs them with yesterday's code: jobs fail for reasons that the new code does not have, or do the
wrong thing, and the new deploy's log shows nothing.

In the log: of the old process, errors that the new code cannot raise (`uninitialized constant`, `wrong number of
arguments`); in the new one's, nothing.

## How it is found
Formula: signs = [cwd deleted] + [release != current] + [a second worker of its tag in a login session] + [version older
than most of its tag, or started more than window-s before the last deploy mark]; 1 is high, 2 or more are critical

On this host: the process's working directory was deleted, or lies in another release than `current` points to, or
two workers of one tag run side by side, one under a service and one in a login session. Elsewhere: its version is
older than that of most live processes of its tag, or it started well before the last deploy that Sidekiq's API marked
(`YYYYMMDD-marks`), unless only processes of other tags were started since. One sign alone is high; two are critical. A
deleted executable or library is what a package upgrade leaves, and is told as low.

## When it is wrong
During a rolling deploy: a worker that is quiet or stopping, and drains, is told as info; versions differ for a
quarter of an hour after the newest process has started.

## Confirm by hand
`readlink /proc/PID/cwd`, and `readlink -f APP/current`.

## How to fix
TSTP, wait until it is idle, then TERM; let one supervisor own every worker, so that a deploy replaces them all.

Risk: TERM gives its jobs its --timeout (25 seconds by default) and pushes back what is not done: those start again on
another worker.

Undo: start it again from its release, where that still exists.

## Unknown when
The process belongs to another user, whose working directory may not be read; whether a deploy goes on, for want of a
clock.

## Source
A real Sidekiq 6.4.1 whose release was removed: /proc shows its directory as deleted.
"""

from collections import Counter
from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.host import LocalProcess, LocalProcesses
from kiqdoctor.doctor.facts.queues import Marks
from kiqdoctor.doctor.facts.redis import Clients, Connection, ServerTime
from kiqdoctor.doctor.hosts_clock import by_hosts, untold
from kiqdoctor.doctor.ownership import works_for
from kiqdoctor.doctor.versions import version_of
from kiqdoctor.doctor.workers_here import ROOT, Here, registered

WINDOW = Threshold(
    name="window-s",
    default=900,
    unit="s",
    meaning="Within this time after the newest process has started, versions may differ.",
    source="ours: a rolling deploy is given a quarter of an hour",
    per=("tag",),
)
REMEDY = "Send it TSTP, wait until it is idle, then TERM; let one supervisor own every worker."


@check("PRO003", severity=Severity.CRITICAL, thresholds=(WINDOW,))
def leftover_old_worker(
    fleet: Fleet,
    local: LocalProcesses,
    clock: ServerTime | Missing,
    connection: Connection | Missing,
    clients: Clients | Missing,
    marks: Marks | Missing,
    thresholds: Thresholds,
) -> Iterator[Verdict]:
    workers = []
    for worker in (one for one in local.all if one.kind in {"sidekiq", "kiqdoctor", "sidekiq-embedded"}):
        own = works_for(worker, connection, clients, local) if isinstance(connection, Connection) else None
        process = registered(worker, fleet, local) if own is not False else None
        if own or process is not None:
            workers.append((worker, process))
        elif own is None and (worker.sockets or worker.cwd is None):
            yield from _doubtful(worker, [one for one, _ in workers])
    for worker, process in workers:
        yield from _judged(worker, [one for one, _ in workers], fleet, process)
    unseen = [one for one, _ in workers if one.cwd is None]
    if unseen:
        yield Unknown(f"pid {unseen[0].pid} belongs to another user; its directory may not be read", ROOT)
    if local.partial:
        yield Unknown(local.partial, "root, or a /proc mounted without hidepid")
    here = {one.pid for one, _ in workers}
    elsewhere = [one for one in fleet.live if one.pid not in here or one.hostname != local.hostname]
    hosts = by_hosts(clock, fleet) if isinstance(clock, ServerTime) else None
    found = [*_minorities(elsewhere, fleet, hosts, thresholds)]
    if isinstance(marks, Marks) and marks.all:
        found += _before_mark(elsewhere, fleet, hosts, marks, thresholds)
    if found and hosts is None:
        why = untold(clock) if isinstance(clock, ServerTime) else clock.reason
        yield Unknown(f"{found[0].title}; whether a deploy goes on is not known: {why}", "+time, or clocks that agree")
    else:
        yield from found
    yield Evidence("workers on this host", str(len(workers)), "/proc")


def _doubtful(worker: LocalProcess, workers: list[LocalProcess]) -> Iterator[Unknown]:
    """One that has connections, of which none can be told to be to this Redis."""
    if worker.cwd is None:
        yield Unknown(f"pid {worker.pid} belongs to another user; whose worker it is may not be read", ROOT)
    elif signs := list(_signs(worker, workers)):
        why = f"pid {worker.pid} runs an old deploy's code ({signs[0].value}); which Redis it works for cannot be told"
        yield Unknown(why, "+client|list, or its Redis in its environment")


def _judged(
    worker: LocalProcess, workers: list[LocalProcess], fleet: Fleet, process: Process | None
) -> Iterator[Finding]:
    signs = list(_signs(worker, workers))
    if signs:
        draining = worker.stopping or _quiet(worker, fleet)
        sure = Severity.CRITICAL if len(signs) > 1 else Severity.CRITICAL.milder
        yield _finding(Here(worker, process), signs, Severity.INFO if draining else sure)
    elif worker.exe_deleted or worker.deleted_libraries:
        gone = [worker.exe or "its executable"] if worker.exe_deleted else list(worker.deleted_libraries)
        evidence = tuple(Evidence("deleted", path, f"/proc/{worker.pid}") for path in gone[:5])
        title = f"{_named(worker)} runs with files that an upgrade has replaced"
        one = Here(worker, process)
        remedy = "Restart it when it suits."
        yield Finding(one.subject, title, remedy, evidence, Severity.LOW, key="upgraded", lasting=one.lasting)


def _signs(worker: LocalProcess, workers: list[LocalProcess]) -> Iterator[Evidence]:
    where = f"/proc/{worker.pid}/cwd"
    if worker.cwd_deleted:
        yield Evidence("working directory", f"{worker.cwd} is deleted", where)
    if worker.current_release and worker.release != worker.current_release:
        yield Evidence("release", f"{worker.release}, but current is {worker.current_release}", where)
    elif worker.cwd_deleted and any(_newer(other, worker) for other in workers):
        yield Evidence("a newer worker", "runs beside it from a directory that exists", "/proc")
    if _by_hand(worker) and any(_same(other, worker) and _served(other) for other in workers):
        yield Evidence(
            "started by hand", f"{worker.cgroup}, beside one that a service owns", f"/proc/{worker.pid}/cgroup"
        )


def _newer(other: LocalProcess, worker: LocalProcess) -> bool:
    return _same(other, worker) and other.started_at > worker.started_at and not other.cwd_deleted


def _same(other: LocalProcess, worker: LocalProcess) -> bool:
    return other.pid != worker.pid and (other.kind, other.tag) == (worker.kind, worker.tag)


def _by_hand(worker: LocalProcess) -> bool:
    return "/session-" in worker.cgroup and worker.cgroup.endswith(".scope")


def _served(worker: LocalProcess) -> bool:
    return worker.cgroup.endswith(".service")


def _quiet(worker: LocalProcess, fleet: Fleet) -> bool:
    return any(one.quiet and one.pid in {worker.pid, *worker.namespace_pids} for one in fleet.live)


def _named(worker: LocalProcess) -> str:
    return f"The worker with pid {worker.pid}" + (f" ({worker.tag})" if worker.tag else "")


def _finding(one: Here, signs: list[Evidence], severity: Severity) -> Finding:
    worker, draining = one.worker, severity is Severity.INFO
    title = f"{_named(worker)} runs an old deploy's code" + (" and drains" if draining else "")
    evidence = (*signs, Evidence("title", worker.title, f"/proc/{worker.pid}/cmdline"))
    key = worker.release.rpartition("/")[2] or "old"
    remedy = "" if draining else REMEDY
    return Finding(one.subject, title, remedy, evidence, severity, key=key, lasting=one.lasting)


def _minorities(
    processes: list[Process], fleet: Fleet, hosts: ServerTime | None, thresholds: Thresholds
) -> Iterator[Finding]:
    fleets: dict[str, list[Process]] = {}
    for one in fleet.live:
        if one.version:
            fleets.setdefault(one.tag, []).append(one)
    counts = {tag: Counter(one.version for one in peers) for tag, peers in fleets.items()}
    young = {tag: _young(peers, hosts, thresholds.of(WINDOW, tag=tag)) for tag, peers in fleets.items()}
    for process in processes:
        if not process.version or process.quiet or young[process.tag]:
            continue
        most, count = counts[process.tag].most_common(1)[0]
        mine = counts[process.tag][process.version]
        if mine < count and _older(process.version, most):
            evidence = (Evidence("versions", f"{mine} at {process.version}, {count} at {most}", "info"),)
            title = f"{process.identity} runs Sidekiq {process.version}, most of its fleet {most}"
            yield Finding(
                process.subject,
                title,
                REMEDY,
                evidence,
                Severity.CRITICAL.milder,
                key="version",
                lasting=process.lasting,
            )


def _before_mark(
    processes: list[Process], fleet: Fleet, hosts: ServerTime | None, marks: Marks, thresholds: Thresholds
) -> Iterator[Finding]:
    """Those that started well before the last deploy, once that is over; another application's deploy is not theirs."""
    at, label = marks.all[-1]
    deployed = {one.tag for one in fleet.live if one.started_at is not None and one.started_at >= at}
    for process in processes:
        window_s = thresholds.of(WINDOW, tag=process.tag)
        started = process.started_at
        ago_s = None if hosts is None else hosts.now - at
        if not process.live or started is None or started > at - window_s or (ago_s is not None and ago_s < window_s):
            continue
        if deployed and process.tag not in deployed:
            continue
        evidence = (
            Evidence("started", f"{(at - started) / 60:.0f} min before the last deploy", "info"),
            Evidence("deploy", f"{label or 'without a label'}, {(ago_s or 0.0) / 60:.0f} min ago", "its mark"),
        )
        severity = Severity.INFO if process.quiet else Severity.CRITICAL.milder
        title = f"{process.identity} was started before the last deploy" + (" and drains" if process.quiet else "")
        remedy = "" if process.quiet else REMEDY
        yield Finding(process.subject, title, remedy, evidence, severity, key="mark", lasting=process.lasting)


def _young(peers: list[Process], hosts: ServerTime | None, window_s: float) -> bool:
    """Whether a deploy is going on, as far as it is known: somebody has just started."""
    return hosts is not None and any(
        one.started_at is not None and hosts.now - one.started_at < window_s for one in peers
    )


def _older(one: str, other: str) -> bool:
    older, newer = version_of(one), version_of(other)
    return older is not None and newer is not None and older < newer
