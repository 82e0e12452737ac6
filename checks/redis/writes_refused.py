"""This Redis takes no writes.

## Why it hurts
Every push is refused, no worker can take a job, no heartbeat arrives. After a failover clients often stay on what has
become a replica: all looks well, and nothing moves.

In the log: `READONLY You can't write against a read only replica`, or `NOREPLICAS Not enough good replicas to write`.

## How it is found
Formula: fails if role = replica, or if the primary has fewer good replicas than min-replicas-to-write, or if READONLY
or NOREPLICAS errors rose

The role is INFO's. A replica that can be written to (`replica-read-only no`) is no better: what is pushed there is gone
at its next synchronisation. Errors rise when `errorstat_READONLY` or `errorstat_NOREPLICAS` is higher at a later
reading; a server that restarted in between counts from nought.

## When it is wrong
Somebody examines a replica on purpose: suppress this check there, or examine the primary.

## Confirm by hand
`redis-cli role`, `redis-cli info replication`, `redis-cli info errorstats`. Never try a write.

## How to fix
Point the URL of clients and workers at the primary, or at Sentinel, which follows it. Where replicas are missing, bring
them back, or lower `min-replicas-to-write`.

Risk: `REPLICAOF NO ONE` on a replica whose primary lives makes two primaries, and jobs on both.

Undo: the old URL; `CONFIG SET min-replicas-to-write` with the old number.

## Unknown when
INFO is refused, or says no role; the primary counts good replicas, and CONFIG does not say how many it needs, and it
refused writes at some time.

## Source
Sidekiq retries READONLY, NOREPLICAS and UNBLOCKED once (lib/sidekiq/capsule.rb, redis_client_adapter.rb).

- LATELY: seconds; a rise since an older recording is history.
"""

from collections.abc import Iterator
from functools import partial

from kiqdoctor.doctor import Evidence, Finding, Missing, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.redis import Configuration, Server

LATELY = 3600
KINDS = ("READONLY", "NOREPLICAS")
ELSEWHERE = "Point clients and workers at the primary, or at Sentinel."


@check("RED007", severity=Severity.CRITICAL, caused_by=("RED005", "RED006"))
def writes_refused(servers: Series[Server], configuration: Configuration | Missing) -> Iterator[Verdict]:
    server = servers.last
    seen = tuple(_seen(server))
    if "role" not in server.info:
        yield Unknown("INFO does not say the server's role", "a server that does, or +info")
    elif server.replica:
        yield _replica(server, seen)
    yield from _good_replicas(server, configuration, seen)
    yield from _rising(servers, seen)
    yield from seen


def _replica(server: Server, seen: tuple[Evidence, ...]) -> Finding:
    writable = server.info.get("slave_read_only", server.info.get("replica_read_only")) == "0"
    title = "This Redis is a replica: it refuses every write"
    if writable:
        title = "This Redis is a replica that can be written to: what is pushed here is lost when it synchronises"
    return Finding("redis", title, ELSEWHERE, seen, key="replica")


def _good_replicas(
    server: Server, configuration: Configuration | Missing, seen: tuple[Evidence, ...]
) -> Iterator[Verdict]:
    """A primary that counts them (it does where a number is needed) and has too few refuses writes now."""
    good = server.number("min_slaves_good_slaves")
    if good is None or server.replica:
        return
    settings = configuration if isinstance(configuration, Configuration) else None
    needed = settings.number("min-replicas-to-write") if settings else None
    if needed is not None and good < needed:
        title = f"Redis refuses every write: {good} of the {needed} replicas that it needs are well"
        remedy = "Bring the replicas back, or lower min-replicas-to-write."
        evidence = Evidence("min-replicas-to-write", str(needed), "CONFIG GET")
        yield Finding("redis", title, remedy, (evidence, *seen), key="too-few-replicas")
    elif needed is None and server.errors("NOREPLICAS"):
        reason = f"{good} replicas are well, and how many the primary needs is not told"
        yield Unknown(reason, getattr(configuration, "unlock", "") or "+config|get")


def _rising(servers: Series[Server], seen: tuple[Evidence, ...]) -> Iterator[Finding]:
    lately = servers.within(LATELY)
    for kind in KINDS:
        rise = lately.rise(partial(Server.errors, kind=kind), lambda one: one.run)
        if rise:
            errors = Evidence(f"{kind} errors", f"{rise:.0f} within {lately.window_s:.0f} s", "INFO errorstats")
            title = f"Redis refused {rise:.0f} writes ({kind})"
            yield Finding("redis", title, ELSEWHERE, (errors, *seen), key=kind.lower())


def _seen(server: Server) -> Iterator[Evidence]:
    for name in ("role", "master_host", "master_link_status", "connected_slaves", "min_slaves_good_slaves"):
        if name in server.info:
            yield Evidence(name, server.info[name], "INFO replication")
    for kind in KINDS:
        if count := server.errors(kind):
            yield Evidence(f"{kind} errors since the start", str(count), "INFO errorstats")
