"""A worker died with jobs in flight, and their last copy is about to expire.

## Why it hurts
Basic fetch removes a job from its queue before it runs. When the process is killed, the only copy left is the
heartbeat's record of what was in flight, and Redis drops that 60 seconds after the last beat: then the jobs are
gone without a trace.

In the log: a `start` line without a `done` or `fail` line of the same jid, and no `Bye!` of that process.

## How it is found
Formula: fails if the record holds jobs, fetch is not reliable, and the process is proven dead (critical) or its beat is
older than STALE_BEATS * interval (high); interval = OLD_BEAT or NEW_BEAT, by its version

`<identity>:work` (`:workers` up to 6.4.1) holds jobs, and the process is proven dead: its host name is ours and its
pid is gone or belongs to a process that started later, or the same host and pid registered again under a new
identity. For a process of another host, whose beat has been stale for three intervals, death is likely and told one
severity lower.

## When it is wrong
A process that is alive but starved beats late and looks the same from afar. Processes with reliable fetch keep
their jobs in a private list: they are left out, and what was taken back from dead ones is told as evidence.

## Confirm by hand
`redis-cli hgetall IDENTITY:work`, `redis-cli ttl IDENTITY:work`, and `ps -p PID` on that host.

## How to fix
Export the payloads now; find out which of them completed; LPUSH the others back into their queues. Use reliable
fetch.

Risk: a job that did complete runs a second time when its payload is pushed back: look at what it did first.

Undo: `LREM queue:NAME 1 PAYLOAD`, until a worker has taken it.

## Unknown when
The process records may not be read; Redis' clock is far from ours, and the process beats by ours.

## Source
A real Sidekiq 6.4.1 killed with 5 of 20 jobs running lost 5; its record lived 58 seconds more.

- OLD_BEAT: seconds between beats up to Sidekiq 6 and of our runtime; launcher.rb.
- NEW_BEAT: seconds between beats from Sidekiq 7.0 on; launcher.rb.
- FAR: seconds between Redis' clock and ours, as RED011 has it.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.death import proofs_of_death
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet, PrivateLists, Process, Recoveries
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.redis import Clients, Connection, ServerTime
from kiqdoctor.doctor.late_clock import behind
from kiqdoctor.doctor.ticks import shown
from kiqdoctor.wire import recovery
from kiqdoctor.wire.keys import Keys
from kiqdoctor.wire.numbers import whole

KEYS = Keys()
OLD_BEAT = 5.0  # seconds between beats up to Sidekiq 6, and of our runtime
NEW_BEAT = 10.0  # from 7.0 on
STALE_BEATS = Threshold(
    name="stale-beats",
    default=3,
    unit="intervals between beats",
    meaning="A process of another host that has not beaten for so long has probably died.",
    source="ours: one late beat is load, three are a death or a hang",
    least=1.0,
    per=("tag",),
)
SETTLED = Threshold(
    name="settled-s",
    default=2.0,
    unit="s",
    meaning="A quiet process that has beaten within this time may still be ending cleanly.",
    source="ours: a process that ends cleanly clears its record within these",
    per=("tag",),
)
FAR = 30.0
SHOWN = 10
REMEDY = (
    "Export the in-flight hash now, verify which jobs did not complete, and LPUSH their payloads back; use reliable"
    " fetch so that the next kill loses nothing."
)


@check("PRO008", severity=Severity.CRITICAL, caused_by=("PRO009", "NAT004"), thresholds=(STALE_BEATS, SETTLED))
def inflight_jobs_of_dead_worker(
    fleet: Fleet,
    local: LocalProcesses | Missing,
    recoveries: Recoveries | Missing,
    private: PrivateLists | Missing,
    clock: ServerTime | Missing,
    connection: Connection | Missing,
    clients: Clients | Missing,
    thresholds: Thresholds,
) -> Iterator[Verdict]:
    holding = [one for one in fleet.processes if one.in_flight]
    proofs = proofs_of_death(holding, fleet, local)
    for process in holding:
        if process.reliable or (isinstance(private, PrivateLists) and private.keeps(process)):
            continue
        proof = proofs.get(process.identity)
        if proof and not _ending(process, thresholds.of(SETTLED, tag=process.tag)):
            yield _finding(process, proof, Severity.CRITICAL)
        elif _stale(process, thresholds.of(STALE_BEATS, tag=process.tag)) and not _alive_here(process, local):
            if fleet.by_ours is None and _skewed(process, clock, thresholds.of(STALE_BEATS, tag=process.tag)):
                told = f"{process.identity} holds jobs, and its beat is old by Redis' clock and young by ours (RED011)"
                yield Unknown(told, "clocks that agree")
            elif late := behind(process, fleet, connection, clients):
                yield Unknown(f"jobs are in flight, and {late}", "clocks that agree")
            else:
                yield _finding(process, _likely(process, local), Severity.CRITICAL.milder)
        elif process.beat_age_s is None and process.error:
            yield Unknown(f"{process.identity} holds jobs, and {process.error}", "a readable process record")
    if fleet.partial:
        yield Unknown(fleet.partial, "fewer members in processes")
    yield Evidence("processes with jobs in flight", str(len(holding)), "HGETALL <identity>:work")
    if isinstance(recoveries, Recoveries):
        yield from _recovered(recoveries)


def _recovered(found: Recoveries) -> Iterator[Evidence]:
    """What our runtime lost processes with, and took back: nobody has to do anything, and everybody should know."""
    if found.jobs:
        yield Evidence("jobs taken back from dead processes, ever", str(found.jobs), f"GET {KEYS.recovered}")
    for one in found.last[:SHOWN]:
        when = shown(one.at) if one.at is not None else "?"
        said = f"{counted(one.jobs, 'job')} of {one.identity} by {one.by}, {one.buried} of them buried"
        yield Evidence(f"recovered at {when}", said, f"LRANGE {KEYS.recoveries} 0 {recovery.REMEMBERED - 1}")


def _interval(process: Process) -> float:
    major = process.version.split(".")[0]
    return NEW_BEAT if (whole(major) or 0) >= 7 and not process.runtime else OLD_BEAT  # noqa: PLR2004


def _stale(process: Process, beats: float) -> bool:
    if not process.exists:
        return True
    return process.beat_age_s is not None and process.beat_age_s >= beats * _interval(process)


def _skewed(process: Process, clock: ServerTime | Missing, beats: float) -> bool:
    """Whether Redis' clock, far from ours, makes its beat look old."""
    if not process.exists or process.beat_age_s is None or not isinstance(clock, ServerTime):
        return False
    ahead = clock.now - clock.local_now
    return abs(ahead) - clock.round_trip_s > FAR and abs(process.beat_age_s - ahead) < beats * _interval(process)


def _ending(process: Process, settled_s: float) -> bool:
    """Quiet, and there a moment ago: it may be ending cleanly."""
    return process.quiet and process.beat_age_s is not None and process.beat_age_s < settled_s


def _alive_here(process: Process, local: LocalProcesses | Missing) -> bool:
    if not isinstance(local, LocalProcesses) or local.hostname != process.hostname:
        return False
    return any(process.pid in {one.pid, *one.namespace_pids} for one in local.all)


def _likely(process: Process, local: LocalProcesses | Missing) -> str:
    age = "its record has expired" if process.beat_age_s is None else f"its last beat is {process.beat_age_s:.0f} s old"
    here = isinstance(local, LocalProcesses) and local.hostname == process.hostname
    return f"{age}, and {'not all processes of this host can be seen' if here else 'its host is not this one'}"


def _finding(process: Process, proof: str, severity: Severity) -> Finding:
    count = len(process.in_flight)
    left = f"{process.in_flight_ttl_s} s are left to copy them" if process.in_flight_ttl_s is not None else "no TTL"
    jobs = [
        Evidence("job in flight", f"{one.job_class or '?'} {one.jid} from {one.queue}", process.in_flight_key)
        for one in process.in_flight[:SHOWN]
    ]
    sure = "died" if severity is Severity.CRITICAL else "has probably died"
    return Finding(
        process.subject,
        f"{process.identity} {sure} with {count} job{'s' if count != 1 else ''} in flight; {left}",
        REMEDY,
        (Evidence("proof", proof), *jobs),
        severity,
        lasting=process.lasting,
    )
