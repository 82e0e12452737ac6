"""Workers were killed, or are about to be killed for want of memory.

## Why it hurts
A process that is killed says nothing and gives nothing back: with basic fetch whatever it ran is lost, with a
reliable one it runs again, and perhaps kills the next one (QUE013).

In the log: a `start` line without `done` or `fail`, then the lines of a new process; no `Bye!`.

## How it is found
Formula: fails if oom_kill of the worker's own cgroup > 0, or the kernel's log names its pid, or its service ended by
oom-kill, signal or core-dump; medium if its memory reaches its cgroup's limit within ahead-s at the rate of the window

A cgroup's count is a worker's where nothing but workers, their parents and their children is in it. Growth is judged of
processes that have run for WARM_S, over GROWTH_S or more.

## When it is wrong
A count that is older than the last mend of the cause: it stays until the service or container starts anew.

## Confirm by hand
`cat /sys/fs/cgroup/GROUP/memory.events` (version 1: `memory.oom_control`), `dmesg | grep -i 'killed process'`,
`systemctl show UNIT -p Result -p ExecMainStatus`.

## How to fix
Raise the limit, let processes be recycled before they reach it (`--max-rss` of our runtime), make jobs smaller; for
Ruby with glibc set MALLOC_ARENA_MAX=2 or use jemalloc.

Risk: a higher limit takes memory from its neighbours.

Undo: set the old limit.

## Unknown when
The live processes are on other hosts, their cgroups are not mounted here, or it cannot be told who was killed in a
cgroup of several; nine tenths of a limit are used and one sample cannot tell whether it grows.

## Source
memory.events and memory.oom_control of the kernel's cgroups (Documentation/admin-guide/cgroup-v2.rst).

- WARM_S: caches and code are loaded in a process's first half hour; ours.
- GROWTH_S: a slope of less than ten minutes is noise; ours.
- CLOSE: of the limit; beyond it, growth matters within hours; ours.
- RECENT_S: what the kernel's log says of the day before yesterday was dealt with; ours.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.host import KernelEvent, KernelLog, LocalProcesses, MemoryGroup, MemoryGroups, Unit, Units
from kiqdoctor.doctor.facts.redis import Clients, Connection, ServerTime
from kiqdoctor.doctor.workers_here import Here, Present, present

WARM_S = 1_800.0
GROWTH_S = 600.0
CLOSE = 0.9
RECENT_S = 86_400.0
SHOWN = 5
KILLED = frozenset({"oom-kill", "signal", "core-dump", "watchdog"})
AHEAD = Threshold(
    name="ahead-s",
    default=86_400,
    unit="s",
    meaning="Memory that reaches its limit within this time, at the rate at which it grows, is told.",
    source="ours: a day is the time in which somebody can act",
    per=("tag",),
)
REMEDY = (
    "Raise the limit, recycle processes before they reach it, or make the jobs smaller; MALLOC_ARENA_MAX=2 for Ruby."
)


@check("PRO009", severity=Severity.HIGH, thresholds=(AHEAD,))
def killed_or_oom(
    fleet: Series[Fleet],
    local: LocalProcesses,
    groups: MemoryGroups,
    log: KernelLog | Missing,
    units: Units | Missing,
    clock: ServerTime | Missing,
    connection: Connection | Missing,
    clients: Clients | Missing,
    thresholds: Thresholds,
) -> Iterator[Verdict]:
    seen = present(fleet.last, local, connection, clients)
    dead = _dead(fleet.last, seen, local)
    killed = [(event, one) for event in _events(log, clock) for one in dead if one.pid == event.pid]
    if not dead and not killed:
        yield from seen.unseen()
    for event, process in killed:
        yield _by_kernel(event, process)
    for unit in units.all if isinstance(units, Units) else ():
        if unit.result in KILLED and _ours(unit, seen, dead):
            yield _by_service(unit)
    groups_seen: dict[str, MemoryGroup] = {}
    for one in seen.here:
        group = next((other for other in groups.all if other.pid == one.worker.pid), None)
        if group is None:
            yield Unknown(f"the cgroup of {one.named} is not mounted here", "the doctor on its host")
        elif group.name not in groups_seen:
            groups_seen[group.name] = group
            yield from _counted(one, group, log)
            yield from _growing(one, group, fleet, thresholds.of(AHEAD, tag=one.worker.tag))
    yield seen.evidence
    yield from _told(list(groups_seen.values()), log)


def _dead(fleet: Fleet, seen: Present, local: LocalProcesses) -> list[Process]:
    """Processes of this host that Redis remembers and that do not run any more."""
    from kiqdoctor.doctor.death import proofs_of_death
    from kiqdoctor.wire.heartbeat import split_identity

    here = {one.process.identity for one in seen.here if one.process}
    gone = proofs_of_death([one for one in fleet.processes if one.exists], fleet, local)
    found = []
    for one in (*fleet.processes, *fleet.orphaned_work):
        host, pid = split_identity(one.identity)
        if one.identity not in here and host == local.hostname and (not one.exists or one.identity in gone):
            found.append(one if one.pid is not None else _with(one, host, pid))
    return found


def _with(process: Process, host: str, pid: int | None) -> Process:
    from dataclasses import replace

    return replace(process, hostname=host, pid=pid)


def _events(log: KernelLog | Missing, clock: ServerTime | Missing) -> list[KernelEvent]:
    if not isinstance(log, KernelLog):
        return []
    since = clock.local_now - RECENT_S if isinstance(clock, ServerTime) else 0.0
    return [one for one in log.events if one.kind == "oom-kill" and one.at >= since]


def _by_kernel(event: KernelEvent, process: Process) -> Finding:
    group = (Evidence("cgroup", event.group, "/dev/kmsg"),) if event.group else ()
    return Finding(
        process.subject,
        f"The kernel killed {process.identity} for want of memory",
        REMEDY,
        (Evidence("killed", f"pid {event.pid} ({event.name})", "/dev/kmsg"), *group),
        lasting=process.lasting,
        key="kernel",
    )


def _ours(unit: Unit, seen: Present, dead: list[Process]) -> bool:
    """Whether its process is a worker of this Redis, or was one."""
    inside = any(unit.holds(one.worker.cgroup) for one in seen.here)
    return inside or unit.pid in {one.pid for one in dead} or unit.pid in {one.worker.pid for one in seen.here}


def _by_service(unit: Unit) -> Finding:
    return Finding(
        f"process:{unit.name}",
        f"{unit.name} ended by {unit.result}",
        REMEDY if unit.result == "oom-kill" else f"See what ended it: journalctl -u {unit.name}; then NAT004.",
        (
            Evidence("Result", unit.result, f"systemctl show {unit.name}"),
            Evidence("ExecMainStatus", str(unit.status), f"systemctl show {unit.name}"),
        ),
        key="service",
    )


def _counted(one: Here, group: MemoryGroup, log: KernelLog | Missing) -> Iterator[Verdict]:
    if not group.oom_kills:
        return
    if group.alone:
        limit = f"{_mib(group.limit_bytes)} MiB" if group.limit_bytes else "none of its own"
        yield Finding(
            one.subject,
            counted(
                group.oom_kills,
                f"process of the cgroup of {one.named} was killed for want of memory",
                f"processes of the cgroup of {one.named} were killed for want of memory",
            ),
            REMEDY,
            (
                Evidence("oom_kill", str(group.oom_kills), group.name),
                Evidence("limit", limit, group.name),
                Evidence("used now", f"{_mib(group.used_bytes)} MiB", group.name),
            ),
            lasting=one.lasting,
            key="cgroup",
        )
    elif not isinstance(log, KernelLog):
        why = f"{group.oom_kills} processes of {group.name} were killed, where others than workers are too"
        yield Unknown(f"{why}; which ones cannot be told: {log.reason}", "root, CAP_SYSLOG")
    elif sum(event.group == group.name for event in log.events) < group.oom_kills:
        why = f"{group.oom_kills} processes of {group.name} were killed, where others than workers are too"
        yield Unknown(
            f"{why}; the kernel's log does not reach back to all of them", "a cgroup of their own for workers"
        )


def _growing(one: Here, group: MemoryGroup, fleet: Series[Fleet], ahead_s: float) -> Iterator[Verdict]:
    if group.limit_bytes is None or group.used_bytes is None or one.process is None:
        return
    used = group.used_bytes / group.limit_bytes
    rate = _rate(one.process, fleet)
    if rate is None:
        if used > CLOSE and group.alone:
            yield Unknown(f"{one.named} uses {used:.0%} of its limit; whether that grows", f"--for {GROWTH_S:g}")
    elif rate > 0 and (left := (group.limit_bytes - (one.process.rss_kb or 0) * 1024) / rate) < ahead_s:
        yield Finding(
            one.subject,
            f"{one.named} grows by {_mib(rate * 3600)} MiB an hour and reaches its limit within {left / 3600:.1f} h",
            REMEDY,
            (
                Evidence("rss", f"{(one.process.rss_kb or 0) // 1024} MiB", "heartbeat"),
                Evidence("limit", f"{_mib(group.limit_bytes)} MiB", group.name),
                Evidence("allocator", _allocator(one), f"/proc/{one.worker.pid}/environ"),
            ),
            Severity.HIGH.milder,
            lasting=one.lasting,
            key="growth",
        )


def _rate(process: Process, fleet: Series[Fleet]) -> float | None:
    """Bytes a second by which it grows; None where it is too young or was not watched for long enough."""

    def rss(moment: Fleet) -> float | None:
        own = next((one for one in moment.processes if one.identity == process.identity), None)
        return own.rss_kb * 1024.0 if own and own.rss_kb else None

    seen = [one for one in fleet.moments if rss(one.fact) is not None]
    if not seen or seen[-1].at - seen[0].at < GROWTH_S or process.started_at is None:
        return None
    if process.beat is None or process.beat - (seen[-1].at - seen[0].at) - process.started_at < WARM_S:
        return None
    grows = Series(tuple(seen)).grows(rss)
    return Series(tuple(seen)).rate(rss) if grows else 0.0


def _allocator(one: Here) -> str:
    if one.worker.settings is None:
        return "not readable"
    told = [name for name in ("MALLOC_ARENA_MAX", "LD_PRELOAD") if name in one.worker.settings]
    return f"{', '.join(told)} set" if told else "glibc's, without MALLOC_ARENA_MAX"


def _mib(count: float | None) -> str:
    return "?" if count is None else f"{count / 1024 / 1024:.0f}"


def _told(groups: list[MemoryGroup], log: KernelLog | Missing) -> Iterator[Evidence]:
    for group in groups[:SHOWN]:
        limit = f"{_mib(group.limit_bytes)} MiB" if group.limit_bytes else "no limit"
        kills = "not told" if group.oom_kills is None else str(group.oom_kills)
        yield Evidence(f"cgroup {group.name}", f"oom_kill {kills}; {_mib(group.used_bytes)} MiB of {limit}", "cgroup")
    yield Evidence("kernel's log", "read" if isinstance(log, KernelLog) else log.reason, "/dev/kmsg")
