"""A process whose own clock is behind: its beat looks old, and its record was renewed just now."""

from typing import Final

from kiqdoctor.doctor.facts.fleet import LIVE_FOR, Fleet, Process
from kiqdoctor.doctor.facts.redis import Clients, Connection
from kiqdoctor.doctor.ownership import in_same_database
from kiqdoctor.doctor.popping import POPS
from kiqdoctor.doctor.snapshot import Missing

APART: Final = 30.0  # seconds between a beat's age and its record's renewal that no delay explains


def behind(process: Process, fleet: Fleet, connection: Connection | Missing, clients: Clients | Missing) -> str:
    """Why it may live though its beat is old; "" where nothing says so.

    Each beat renews the record's TTL, which no clock changes. A record alone may be anybody's writing: somebody must
    also pop here, more clients than the live processes have threads.
    """
    age_s, ttl_s = process.beat_age_s, process.ttl_s
    if not process.exists or age_s is None or ttl_s is None or not 0 < ttl_s <= LIVE_FOR:
        return ""
    renewed_s = LIVE_FOR - ttl_s
    if age_s - renewed_s < APART or not isinstance(connection, Connection) or not isinstance(clients, Clients):
        return ""
    pops = sum(one.command in POPS and in_same_database(one, connection) for one in clients.all)
    if pops <= sum(one.concurrency or 0 for one in fleet.live):
        return ""
    return (
        f"{process.identity} beat {age_s:.0f} s ago by its own clock, and its record was renewed {renewed_s:.0f} s ago:"
        " its clock is behind (RED011)"
    )
