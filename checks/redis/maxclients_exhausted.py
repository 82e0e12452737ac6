"""Redis has no client slots left, or hardly any.

## Why it hurts
Each further connection is refused with `ERR max number of clients reached`: workers that restart do not come back,
web processes fail to enqueue, and the doctor itself may be shut out.

In the log: `ERR max number of clients reached`, from workers while they boot or reconnect, and from web processes when
they push.

## How it is found
Formula: fails if our connection was refused, or if rejected_connections rose within the window (critical), or if
connected_clients >= NEAR * limit (high)

`refused`: our own connection was refused with that text, or `rejected_connections` rose between two readings; a server
that restarted in between counts from nought.
`near`: `connected_clients >= 0.9 * limit`, where the limit is the smaller of `maxclients` and `--redis-limit`.

## When it is wrong
`rejected_connections` counts since the server started: a number that does not rise is history, told as info.

## Confirm by hand
`redis-cli info clients` and `redis-cli info stats | grep rejected`, twice, ten seconds apart.

## How to fix
Lower the concurrency or the pools, run fewer processes, or raise the limit; RED003 prints numbers that fit.

Risk: `CONFIG SET maxclients` takes file descriptors: Redis refuses what the process's `ulimit -n` does not hold, and
client buffers take memory. A lower concurrency makes queues longer.

Undo: `CONFIG SET maxclients` with the old number, which the evidence shows; the old concurrency.

## Unknown when
The server hides its limit and INFO, and refused nobody while we looked.

## Source
Redis: networking.c refuses before it reads a command, so `errorstat_*` does not count it.

- LATELY: seconds; a rise since an older recording is history.
"""

from collections import Counter
from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.redis import ClientLimit, Clients, Connection, Server

NEAR = Threshold(
    name="near",
    default=0.9,
    unit="of the limit",
    meaning="At this share of the limit the client slots are as good as taken.",
    source="ours: the last tenth is what a deploy, a console and the doctor need",
    least=0.1,
    most=1.0,
)
LATELY = 3600
REMEDY = "Lower concurrency or pool sizes, run fewer processes, or raise the limit; RED003 prints numbers that fit."


@check("RED002", severity=Severity.CRITICAL, caused_by=("RED003", "PRO003", "PRO004", "RED010"), thresholds=(NEAR,))
def maxclients_exhausted(
    connection: Connection,
    servers: Series[Server] | Missing,
    limit: ClientLimit | Missing,
    clients: Clients | Missing,
    thresholds: Thresholds,
) -> Iterator[Verdict]:
    if connection.failed_step == "limit":
        evidence = (Evidence("error", connection.error, "connecting"),)
        yield Finding("redis", "Redis refuses new clients: max number of clients reached", REMEDY, evidence)
        return
    if not isinstance(servers, Series):
        yield Unknown(servers.reason, getattr(servers, "unlock", ""))
        return
    server, lately = servers.last, servers.within(LATELY)
    used, rejected = server.number("connected_clients"), server.number("rejected_connections")
    rise = lately.rise(lambda one: one.number("rejected_connections"), lambda one: one.run)
    seen = tuple(_seen(used, rejected, limit, clients))
    if rise:
        title = f"Redis refused {rise:.0f} clients within {lately.window_s:.0f} s"
        yield Finding("redis", title, REMEDY, seen)
    elif isinstance(limit, ClientLimit) and used is not None and used >= thresholds[NEAR] * limit.limit:
        title = f"{used} of {limit.limit} client slots are taken"
        yield Finding("redis", title, REMEDY, seen, Severity.CRITICAL.milder, key="near")
    elif not isinstance(limit, ClientLimit) or used is None:
        yield Unknown("the client limit is hidden, and nobody was refused while we looked", _unlock(limit))
    elif rejected and rise is None:
        title = f"Redis refused {counted(rejected, 'client')} at some time since it started"
        yield Finding("redis", title, "Run again with --for 10 to see whether it still does.", seen, Severity.INFO,
                      key="history")  # fmt: skip
    elif rejected:
        title = f"Redis refused {rejected} clients in the past, and none while we looked"
        yield Finding("redis", title, "Nothing now; RED003 says whether it can come back.", seen, Severity.INFO,
                      key="history")  # fmt: skip
    else:
        yield from seen


def _seen(
    used: int | None, rejected: int | None, limit: ClientLimit | Missing, clients: Clients | Missing
) -> Iterator[Evidence]:
    if used is not None:
        yield Evidence("connected_clients", str(used), "INFO clients")
    if isinstance(limit, ClientLimit):
        yield Evidence("limit", str(limit.limit), limit.source)
    if rejected is not None:
        yield Evidence("rejected_connections", str(rejected), "INFO stats")
    if isinstance(clients, Clients):
        hosts = Counter(client.host for client in clients.all).most_common(5)
        yield Evidence("clients by host", ", ".join(f"{host}: {count}" for host, count in hosts), "CLIENT LIST")


def _unlock(limit: ClientLimit | Missing) -> str:
    return getattr(limit, "unlock", "") or "--redis-limit N"
