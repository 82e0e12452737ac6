"""Workers start and end, again and again.

## Why it hurts
Each start loads the application and connects anew, takes jobs and ends with them: with basic fetch each round loses
what ran, and between two rounds nobody works.

In the log: the same boot lines every few minutes, and before each the error that ended the round before.

## How it is found
Formula: fails if at least LOOPS processes of one host and tag lived for less than lived-s each and are gone, started
at different times, seen over WATCHED_S or more; or its service was restarted LOOPS times within the window, and
medium where it was restarted so often in all and is young

Each process has an identity of its own, so that a recording and `--for` show who came and went. systemd counts restarts
by itself. Several that start together are a deploy or an autoscaler.

## When it is wrong
A deploy that is rolled back and forth; processes that are recycled by purpose (`--max-jobs`).

## Confirm by hand
`redis-cli smembers processes`, again after some minutes; `systemctl show UNIT -p NRestarts`; `kubectl get pods`.

## How to fix
Read the error at the end of the last round's log; look at NAT004 for a native crash, at PRO009 for memory, at CFG001
and RED008 for a boot that fails.

Risk: none in reading. A supervisor that is stopped starts nothing more.

Undo: start the service again.

## Unknown when
It was watched for less than WATCHED_S, and a process is young, or may be by clocks that differ, or a dead one is still
registered.

## Source
Sidekiq's identity: host, pid and six random bytes for each start (lib/sidekiq/component.rb).

- LOOPS: two restarts are a deploy and its mend; three are a loop.
- WATCHED_S: over ten minutes a loop comes round at least three times, as the catalogue has it.
- TOGETHER_S: processes that start within it are one deploy's; ours.
"""

from collections import defaultdict
from collections.abc import Iterator

from kiqdoctor.doctor import (
    Evidence,
    Finding,
    Missing,
    NotApplicable,
    Refused,
    Series,
    Severity,
    Unknown,
    Verdict,
    check,
)
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.host import LocalProcesses, Unit, Units
from kiqdoctor.doctor.facts.redis import Clients, Connection, ServerTime
from kiqdoctor.doctor.hosts_clock import by_hosts
from kiqdoctor.doctor.workers_here import Present, present
from kiqdoctor.wire.heartbeat import split_identity

LOOPS = 3
WATCHED_S = 600.0
TOGETHER_S = 10.0
SHOWN = 10
LIVED = Threshold(
    name="lived-s",
    default=300,
    unit="s",
    meaning="A process that lived for less and is gone crashed, or was stopped at once.",
    source="ours: a process that is wanted runs until the next deploy",
    per=("tag",),
)


@check("PRO011", severity=Severity.HIGH, caused_by=("PRO009", "NAT004", "RED008"), thresholds=(LIVED,))
def crash_loop(
    fleet: Series[Fleet],
    units: Series[Units] | Missing,
    local: LocalProcesses | Missing,
    clock: ServerTime,
    connection: Connection | Missing,
    clients: Clients | Missing,
    thresholds: Thresholds,
) -> Iterator[Verdict]:
    if not any(moment.processes for moment in fleet.facts):
        yield NotApplicable("no process is registered")
    rounds = _rounds(fleet, thresholds)
    found = [(seat, lives) for seat, lives in rounds.items() if len(lives) >= LOOPS]
    watched = fleet.window_s >= WATCHED_S * 0.95
    for (host, tag), lives in found:
        if watched:
            yield _finding(host, tag, lives, fleet.window_s)
    if isinstance(units, Series) and isinstance(local, LocalProcesses):
        yield from _services(units, present(fleet.last, local, connection, clients), clock, thresholds)
    elif isinstance(units, Refused):
        yield Unknown(units.reason, units.unlock)
    hosts = by_hosts(clock, fleet.last)
    if not watched:
        yield from _too_short(fleet.last, hosts, thresholds)
    starts = [one.started_at for one in fleet.last.live if one.started_at is not None]
    if starts and hosts is not None:
        yield Evidence("youngest process started", f"{hosts.now - max(starts):.0f} s ago", "info, started_at")
    yield Evidence("came and went", str(sum(map(len, rounds.values()))), f"processes, over {fleet.window_s:.0f} s")


def _rounds(fleet: Series[Fleet], thresholds: Thresholds) -> dict[tuple[str, str], list[tuple[float, float, Process]]]:
    """Start, life and record of those that are gone after a short life, by host and tag, each start once."""
    known: dict[str, Process] = {}
    for moment in fleet.facts:
        known |= {one.identity: one for one in moment.processes if one.exists or one.identity not in known}
    here = {one.identity for one in fleet.last.live}
    seen = [(moment.at, {one.identity: one for one in moment.fact.processes}) for moment in fleet.moments]
    found: dict[tuple[str, str], list[tuple[float, float, Process]]] = defaultdict(list)
    for identity, told in known.items():
        life = None if identity in here else _life(told, seen)
        host = told.hostname or split_identity(identity)[0]
        if life is not None and life[1] < thresholds.of(LIVED, tag=told.tag):
            found[host, told.tag].append((*life, told))
    return {seat: _apart(sorted(lives, key=lambda one: one[0])) for seat, lives in found.items()}


def _life(told: Process, moments: list[tuple[float, dict[str, Process]]]) -> tuple[float, float] | None:
    """When it began, and how long it lived at most: until it was seen to be gone, or until the last beat of its record.

    A ghost that came within the window began after the reading in which it was not there. None: nothing tells.
    """
    seen = [at for at, processes in moments if told.identity in processes]
    alive = [at for at, processes in moments if (one := processes.get(told.identity)) and one.live]
    before = [at for at, _ in moments if at < seen[0]]
    began = told.started_at if told.started_at is not None else before[-1] if before else None
    if began is None:
        return None
    ends = [at for at, _ in moments if at > (alive[-1] if alive else seen[0])]
    bounds = [ends[0]] if ends and alive else [seen[0]] if before or alive else []
    bounds += [told.beat] if told.beat is not None and not told.live else []
    return (began, min(bounds) - began) if bounds else None


def _apart(lives: list[tuple[float, float, Process]]) -> list[tuple[float, float, Process]]:
    """One for each time at which any of them started."""
    kept: list[tuple[float, float, Process]] = []
    for one in lives:
        if not kept or one[0] - kept[-1][0] > TOGETHER_S:
            kept.append(one)
    return kept


def _finding(host: str, tag: str, lives: list[tuple[float, float, Process]], window_s: float) -> Finding:
    subject = ":".join(word for word in ("process", host, tag) if word)
    rows = [Evidence(one.identity, f"lived for {life:.0f} s", "started_at, beat") for _, life, one in lives[:SHOWN]]
    longest = max(life for _, life, _ in lives)
    return Finding(
        subject,
        f"{counted(len(lives), 'process', 'processes')} of {host} started and ended within {longest:.0f} s each",
        "Read the end of the last one's log; see NAT004, PRO009 and CFG001 for what ends a process early.",
        (Evidence("watched for", f"{window_s:.0f} s", "processes"), *rows),
        lasting=subject,
    )


def _services(units: Series[Units], seen: Present, clock: ServerTime, thresholds: Thresholds) -> Iterator[Finding]:
    for unit in units.last.all:
        own = next((one for one in seen.here if unit.holds(one.worker.cgroup)), None)
        if own is None or unit.restarts is None:
            continue
        before = next((one.restarts for one in units.first.all if one.name == unit.name), None)
        risen = unit.restarts - (before or 0) if before is not None and before <= unit.restarts else 0
        young = unit.since is not None and clock.local_now - unit.since < thresholds.of(LIVED, tag=own.worker.tag)
        if risen >= LOOPS or (unit.restarts >= LOOPS and young):
            yield _restarted(unit, risen, Severity.HIGH if risen >= LOOPS else Severity.MEDIUM)


def _restarted(unit: Unit, risen: int, severity: Severity) -> Finding:
    often = f"{risen} times while it was watched" if risen >= LOOPS else f"{unit.restarts} times, and just now"
    return Finding(
        f"process:{unit.name}",
        f"systemd restarted {unit.name} {often}",
        f"Read journalctl -u {unit.name}; see NAT004, PRO009 and CFG001 for what ends a process early.",
        (Evidence("NRestarts", str(unit.restarts), f"systemctl show {unit.name}"),),
        severity,
        key="service",
    )


def _too_short(fleet: Fleet, hosts: ServerTime | None, thresholds: Thresholds) -> Iterator[Unknown]:
    """Where nobody is young and nobody dead is registered, no loop goes on; else it takes a longer look."""
    young = [
        one for one in fleet.live
        if one.started_at is None or hosts is None or hosts.now - one.started_at < thresholds.of(LIVED, tag=one.tag)
    ]  # fmt: skip
    gone = [one for one in fleet.processes if not one.live]
    if young or gone:
        who = f"{young[0].identity} is young" if young else f"{gone[0].identity} is registered and dead"
        if young and hosts is None:
            who = f"how old {young[0].identity} is, no clock tells"
        yield Unknown(
            f"a loop shows over {WATCHED_S:.0f} s, and {who}", f"--for {WATCHED_S:.0f}, or --baseline-run FILE"
        )
