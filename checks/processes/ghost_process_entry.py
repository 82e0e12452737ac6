"""Processes are registered that no longer exist.

## Why it hurts
Each ghost counts as a process: the pollers of schedules and retries spread themselves over all of them, so due jobs
run late, and dashboards show workers that are not there.

In the log: nothing; jobs of `schedule` and `retry` start later than their time says.

## How it is found
Formula: ghosts = members of processes without a record, read twice; ghosts >= MANY * members is medium, fewer are low

A member of `processes` without a record, still so when it is read again: a beat adds the member and gives the
record its 60 seconds in one transaction, so such a member has not beaten for a minute. One in ten or more is a
fault. Where its process lives on this host it is no ghost: it has lost its heartbeat, which is told as such.

## When it is wrong
A process that ends and removes its own member between two reads.

## Confirm by hand
`redis-cli smembers processes`, then `redis-cli exists IDENTITY`.

## How to fix
A worker prunes them some seconds after it starts, and so does opening the web UI; or SREM the listed members, after
they were looked at once more.

Risk: none: a process that lives adds itself again with its next beat.

Undo: `SADD processes IDENTITY`.

## Unknown when
The members may not be read.

## Source
Sidekiq's ProcessSet cleanup and poll interval (lib/sidekiq/scheduled.rb, api.rb).
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.redis import Clients, Connection, ServerTime
from kiqdoctor.doctor.workers_here import lost_beat
from kiqdoctor.wire.heartbeat import split_identity

MANY = Threshold(
    name="many",
    default=0.1,
    unit="of the members",
    meaning="From this share of ghosts on, they are a fault and not a remnant.",
    source="ours: pollers spread over all members, so one ghost in ten makes due jobs a tenth later",
    most=1.0,
)
SHOWN = 10


@check("PRO002", severity=Severity.MEDIUM, caused_by=("PRO009", "PRO011", "NAT004"), thresholds=(MANY,))
def ghost_process_entry(
    fleet: Fleet,
    local: LocalProcesses | Missing,
    clock: ServerTime | Missing,
    connection: Connection | Missing,
    clients: Clients | Missing,
    thresholds: Thresholds,
) -> Iterator[Verdict]:
    silent = lost_beat(fleet, local, clock, connection, clients)
    ghosts = [one for one in fleet.ghosts if one not in silent]
    yield from (_silent(one) for one in silent if one in fleet.ghosts)
    if ghosts:
        many = len(ghosts) >= thresholds[MANY] * fleet.members
        evidence = [Evidence("ghost", ghost.identity, "EXISTS") for ghost in ghosts[:SHOWN]]
        evidence.append(Evidence("members of processes", fleet.partial or str(fleet.members), "SSCAN processes"))
        yield Finding(
            "redis",
            f"{len(ghosts)} of {fleet.members} registered processes{_that_were_read(fleet)} do not exist",
            "Start a worker, which prunes them within 15 seconds, or SREM the listed members of `processes`.",
            tuple(evidence),
            Severity.MEDIUM if many else Severity.MEDIUM.milder,
        )
    elif fleet.partial and "members" in fleet.partial:
        yield Unknown(fleet.partial, "fewer members in processes")
    else:
        yield Evidence("members of processes", f"{fleet.members}, each with a record", "SCARD processes, EXISTS")


def _silent(process: Process) -> Finding:
    _, pid = split_identity(process.identity)
    return Finding(
        process.subject,
        f"{process.identity} lives on this host and has lost its heartbeat",
        f"See whether it reaches Redis, and what its heartbeat does: kiqdoctor dump {pid}. Then restart it.",
        (Evidence("process", f"pid {pid} lives, and its record ended a minute after its last beat", "/proc, EXISTS"),),
        key="lost-beat",
        lasting=process.lasting,
    )


def _that_were_read(fleet: Fleet) -> str:
    return " that were read" if "members" in fleet.partial else ""
