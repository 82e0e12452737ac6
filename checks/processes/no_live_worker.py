"""No worker process is alive.

## Why it hurts
Jobs are accepted and never run. Nothing complains: pushes succeed, queues grow, schedules and retries stand still.

In the log: nothing new. The last worker's ends with `Bye!` where somebody stopped it, and in the middle where it was
killed.

## How it is found
Formula: live = members of processes whose beat is younger than 60 s; live = 0 is critical if anything waits or is
overdue, else high

No member of `processes` has a record whose beat is younger than 60 seconds, by Redis' own clock, while jobs wait in a
queue or are overdue in `schedule` or `retry`. Where nothing waits yet, it is a warning.

## When it is wrong
Workers that are started on demand; workers under another namespace or database (NSP001, NSP002 name them); a worker
of this Redis that started less than 15 seconds ago (its sockets or its environment tell whose it is); a Redis that
started anew within that time, whose clients already wait for jobs and have not beaten again.

## Confirm by hand
`redis-cli smembers processes`, then `redis-cli hget IDENTITY beat` for each.

## How to fix
Start a worker with the same Redis URL, database and namespace as the clients; then find out why the last one ended.

Risk: all that waited runs at once: databases and services behind the jobs get a burst. Start with a low concurrency.

Undo: TERM, which gives jobs that are not done back to their queues.

## Unknown when
The process records or queues may not be read, or there are too many members to look at them all; Redis' clock is far
from ours, and a process beats by ours; a host's clock is behind, its records are renewed, and somebody pops here.

## Source
Sidekiq's launcher gives each record 60 seconds (lib/sidekiq/launcher.rb).

- FAR: seconds between Redis' clock and ours, as RED011 has it.
- FORGOTTEN: seconds after which a record without a beat expires.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, NotApplicable, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.queues import Queues
from kiqdoctor.doctor.facts.redis import Clients, Connection, Server, ServerTime
from kiqdoctor.doctor.late_clock import behind
from kiqdoctor.doctor.ownership import in_same_database, works_for
from kiqdoctor.doctor.popping import POPS
from kiqdoctor.doctor.workers_here import lost_beat

BOOTING = Threshold(
    name="booting-s",
    default=15,
    unit="s",
    meaning="A worker of this host that started within this time is given time to beat.",
    source="a worker's first beat comes within one interval of 5 or 10 seconds after its start",
)
FAR = 30.0
FORGOTTEN = 60.0
REMEDY = "Start a worker on this Redis, database and namespace, and find out why the last one ended."
SILENT = "See whether it reaches Redis, and what its heartbeat does (kiqdoctor dump); then restart it."


@check(
    "PRO001",
    severity=Severity.CRITICAL,
    caused_by=("NSP001", "NSP002", "RED002", "RED007", "RED008", "PRO009", "PRO011"),
    thresholds=(BOOTING,),
)
def no_live_worker(
    processes: Series[Fleet],
    lately: Series[Queues],
    local: LocalProcesses | Missing,
    clock: ServerTime | Missing,
    connection: Connection | Missing,
    clients: Clients | Missing,
    server: Server | Missing,
    thresholds: Thresholds,
) -> Iterator[Verdict]:
    fleet, queues = processes.last, lately.last
    if fleet.live:
        yield Evidence("live processes", str(len(fleet.live)), "processes, beat")
        return
    unreadable = [one for one in fleet.processes if one.exists and one.error and one.beat_age_s is None]
    if unreadable or fleet.partial:
        reason = fleet.partial or f"{len(unreadable)} process records cannot be read: {unreadable[0].error}"
        yield Unknown(f"no live process among those that were read; {reason}", "readable process records")
    elif (age := _youngest(local, clock, connection, clients)) is not None and age < thresholds[BOOTING]:
        yield Unknown(f"a worker on this host started {age:.0f} s ago and has not beaten yet", "run it again")
    elif not queues.traces and not fleet.members:
        yield NotApplicable("no Sidekiq data lies here")
    elif reborn := _reborn(server, clients, connection, thresholds[BOOTING]):
        yield Unknown(reborn, "run it again")
    elif late := next(filter(None, (behind(one, fleet, connection, clients) for one in fleet.processes)), ""):
        yield Unknown(late, "clocks that agree")
    elif skewed := _skewed(fleet, clock):
        yield Unknown(skewed, "clocks that agree")
    else:
        yield _finding(fleet, queues, lost_beat(fleet, local, clock, connection, clients))


def _reborn(
    server: Server | Missing, clients: Clients | Missing, connection: Connection | Missing, booting_s: float
) -> str:
    """Whether a Redis that has just begun without its data has workers, whose next beat is to come."""
    up_s = server.number("uptime_in_seconds") if isinstance(server, Server) else None
    if up_s is None or up_s >= booting_s or not isinstance(clients, Clients) or not isinstance(connection, Connection):
        return ""
    pops = sum(one.blocked and one.command in POPS and in_same_database(one, connection) for one in clients.all)
    waits = counted(pops, "client waits", "clients wait")
    return f"Redis started {up_s} s ago, and {waits} for jobs: their next beat registers them" if pops else ""


def _skewed(fleet: Fleet, clock: ServerTime | Missing) -> str:
    """Why beats that are old by Redis' clock may be young: by ours, from which that one is far away, they are."""
    if (
        fleet.by_ours is not None
        or not isinstance(clock, ServerTime)
        or abs(clock.now - clock.local_now) - clock.round_trip_s <= FAR
    ):
        return ""
    ahead = clock.now - clock.local_now
    for one in fleet.processes:
        if one.exists and one.beat_age_s is not None and abs(one.beat_age_s - ahead) < FORGOTTEN:
            told = f"{one.identity} beat {max(one.beat_age_s - ahead, 0):.0f} s ago by our clock"
            return f"{told}, and {one.beat_age_s:.0f} s ago by Redis' (RED011)"
    return ""


def _youngest(
    local: LocalProcesses | Missing,
    clock: ServerTime | Missing,
    connection: Connection | Missing,
    clients: Clients | Missing,
) -> float | None:
    """Seconds since the last start of a worker that works for this Redis, or may."""
    if not isinstance(local, LocalProcesses) or not isinstance(clock, ServerTime):
        return None
    workers = [one for one in local.all if one.kind in {"sidekiq", "kiqdoctor"}]
    if isinstance(connection, Connection):
        workers = [one for one in workers if works_for(one, connection, clients, local) is not False]
    ages = [clock.local_now - one.started_at for one in workers]
    return min((age for age in ages if age >= 0), default=None)


def _finding(fleet: Fleet, queues: Queues, silent: list[Process]) -> Finding:
    overdue = {one.name: one.overdue for one in queues.sets if one.overdue}
    waiting = [f"{counted(queues.waiting, 'job waits', 'jobs wait')} in queues"] if queues.waiting else []
    waiting += [f"{count} are overdue in {name}" for name, count in overdue.items()]
    evidence = [Evidence("members of processes", str(fleet.members), "SCARD processes")]
    evidence += [Evidence(f"queue {one.name}", str(one.size), "LLEN") for one in queues.all if one.size][:10]
    stale = [one for one in fleet.processes if one.exists and one.beat_age_s is not None]
    evidence += [Evidence(one.identity, f"last beat {one.beat_age_s:.0f} s ago", "beat") for one in stale[:5]]
    what = " and ".join(waiting) if waiting else "nothing waits yet"
    severity = Severity.CRITICAL if waiting else Severity.CRITICAL.milder
    if silent:
        named = ", ".join(one.identity for one in silent[:5])
        evidence += [Evidence(one.identity, "its process lives on this host", "/proc") for one in silent[:5]]
        title = f"No worker beats, though {named} runs on this host: {what}"
        return Finding("redis", title, SILENT, tuple(evidence), severity)
    return Finding("redis", f"No worker is alive: {what}", REMEDY, tuple(evidence), severity)
