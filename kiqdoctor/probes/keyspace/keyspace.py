"""Whose keys lie in a database: Sidekiq's by prefix, and other queue systems'."""

from typing import Final

from kiqdoctor.doctor.facts.keyspace import Databases, Installation, Keyspace
from kiqdoctor.doctor.facts.redis import Clients, Server, ServerTime
from kiqdoctor.doctor.probe import Lane, Read, RefusalError, probe
from kiqdoctor.doctor.snapshot import Absent, Refused
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes import names
from kiqdoctor.probes.keyspace.foreign import strangers
from kiqdoctor.probes.keyspace.installations import installations, time_of
from kiqdoctor.probes.keyspace.prefixes import prefixes

MOST_DATABASES: Final = 64

_READS: Final = (
    Read("SCAN", "+scan", "O(keys), COUNT 1000, up to 500,000 keys or 3 s"),
    Read("DBSIZE", "+dbsize", "O(1)"),
    Read("TYPE, LLEN, SCARD, ZCARD, HLEN of marks", "+type +llen +scard +zcard +hlen", "O(1) each"),
    Read("SSCAN, LINDEX, HMGET, PTTL, MEMORY USAGE", "+sscan +lindex +hmget +pttl +memory|usage", "a few a prefix"),
    Read("HGETALL, ZRANGE, GET of liveness marks", "+hgetall +zrange +get", "small"),
    Read("SISMEMBER queues of lists that no page of it had", "+sismember", "O(1) each, up to 20,000"),
)


@probe(
    *_READS,
    Read("PTTL, TYPE of 20 keys of the 40 largest prefixes", "+pttl +type", "O(1) each"),
    Read("XLEN, XINFO GROUPS of streams", "+xlen +xinfo|groups", "O(1) each"),
    lane=Lane.REDIS,
    deadline_s=20.0,
)
def keyspace(redis: Redis, clients: Clients | Refused | Absent, clock: ServerTime | Refused | Absent) -> Keyspace:
    """The examined database: every prefix that holds Sidekiq's data, and every other owner told by two marks."""
    seen = names.shared(redis)
    total = redis.ask("DBSIZE")
    found = installations(redis, seen.all, clock, redis.database)
    foreign = strangers(
        redis, seen.all, clients if isinstance(clients, Clients) else None, time_of(clock), redis.database
    )
    lying = prefixes(redis, seen.all)
    return Keyspace(found, foreign, len(seen.all), total, seen.complete, redis.database, lying)


@probe(
    Read("INFO", "+info", "shared with Server"),
    Read("SELECT", "+select", "O(1), only databases that hold keys"),
    *_READS,
    lane=Lane.REDIS,
    deadline_s=60.0,
)
def databases(redis: Redis, server: Server, clock: ServerTime | Refused | Absent) -> Databases:
    """Sidekiq's data in the other databases that hold keys."""
    others = sorted(number for number, keys in server.keyspace.items() if number != redis.database and keys)
    found: list[Installation] = []
    skipped: list[tuple[int, str]] = [(number, "too many databases") for number in others[MOST_DATABASES:]]
    for number in others[:MOST_DATABASES]:
        refusal = _elsewhere(redis, number, clock, found)
        if refusal:
            skipped.append((number, refusal))
    return Databases(tuple(found), tuple(skipped))


def _elsewhere(redis: Redis, number: int, clock: ServerTime | Refused | Absent, found: list[Installation]) -> str:
    """Look at another database and come back; why it could not be looked at, or ""."""
    [reply] = redis.ask_all([("SELECT", number)])
    if isinstance(reply, Refused):
        return f"{reply.reason} (to settle it: {reply.unlock})" if reply.unlock else reply.reason
    try:
        seen = names.scanned(redis)
        found += installations(redis, seen.all, clock, number)
    except RefusalError as error:
        return error.refused.reason
    finally:
        redis.ask("SELECT", redis.database)
    return "" if seen.complete else f"only {len(seen.all)} of its keys were looked at"
