"""Whether the jobs that locks and batches name lie anywhere: one bounded search for all of them."""

from collections.abc import Iterator
from typing import Final

from kiqdoctor.doctor.facts.beside import Batches, Locks, Sightings
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.probe import Lane, Read, probe
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.beside.places import Budget, Place, pages, places
from kiqdoctor.probes.names import shared
from kiqdoctor.regex import regex
from kiqdoctor.text import clean, decode
from kiqdoctor.wire.keys import DEAD

MOST_BYTES: Final = 32 * 1024 * 1024
MOST_SECONDS: Final = 5.0
_JID: Final = regex(rb'"jid"\s*:\s*"([^"\\]{1,100})"')


@probe(
    Read("SCAN", "+scan", "shared with Keyspace"),
    Read("SSCAN queues, LLEN, ZCARD", "+sscan +scard +llen +zcard +type", "O(1) each"),
    Read("MEMORY USAGE, LRANGE, ZSCAN of all jobs", "+memory|usage +lrange +zscan", "up to 32 MiB, 5 s, for locks"),
    lane=Lane.REDIS,
    deadline_s=20.0,
)
def sightings(redis: Redis, locks: Locks, batches: Batches, fleet: Fleet) -> Sightings:
    """Which of them lie nowhere, and which only among the dead."""
    wanted = {one.jid for one in locks.all} | {jid for one in batches.all for jid in one.remaining}
    if not wanted:
        return Sightings()
    missing = wanted - {job.jid for process in fleet.processes for job in process.in_flight}
    where, short = places(redis, shared(redis))
    budget = Budget(MOST_BYTES, MOST_SECONDS)
    ordered = sorted(where, key=lambda one: (one.name == DEAD, one.size))
    total = sum(one.size for one in where)
    dead: set[str] = set()
    for place in ordered:
        found = missing & _named(redis, place, missing, budget)
        missing -= found
        dead |= found if place.name == DEAD else set()
    ended = f"{budget.looked_at} of {total} jobs were looked at" if budget.unread else ""
    parts = [short, fleet.partial or _unread(fleet), ended]
    partial = "; ".join(filter(None, parts)) if missing or dead else ""
    return Sightings(len(wanted), frozenset(missing), frozenset(dead), budget.looked_at, partial)


def _named(redis: Redis, place: Place, sought: set[str], budget: Budget) -> set[str]:
    """The jids that stand in a place's members, wherever in them: what names a job may bring it back."""
    found: set[str] = set()
    for page in pages(redis, place, budget) if sought else ():
        found.update(_jids(page))
        if found >= sought:
            break
    return found


def _jids(page: list[bytes]) -> Iterator[str]:
    return (clean(decode(jid)) for jid in _JID.findall(b"\n".join(page)))


def _unread(fleet: Fleet) -> str:
    odd = next((one for one in fleet.processes if any(not job.jid for job in one.in_flight)), None)
    return f"what {odd.identity} has in flight was not read whole" if odd else ""
