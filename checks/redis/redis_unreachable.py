"""Redis cannot be reached, or is not ready to serve.

## Why it hurts
Every push fails in the face of a user, every worker stands still, and nothing else in this report can be trusted.

In the log: `Error fetching job: Connection refused` from each worker, once, and when it is over `Redis is online,
12.3 sec downtime`; web requests end in `RedisClient::CannotConnectError` or `redis.exceptions.ConnectionError`.

## How it is found
Formula: fails if a step of sentinel, dns, tcp, tls, auth, ping, select failed, or they took longer than 20 s (or
--timeout); or if loading = 1 for longer than SLOW_LOAD; or if role = replica and master_link_status = down

The connection is made step by step: where the address is one of sentinels, they tell the primary; the name is
resolved, the socket opened, TLS agreed, the user authenticated, PING answered, the database selected. Three tries, a
second apart, where a restart would explain the failure. A server that answers, but has been loading its data for more
than 30 seconds, or is a replica whose link to its primary is down, is not ready either.

## When it is wrong
A server that refuses for want of client slots is reachable: that is RED002.

## Confirm by hand
`redis-cli -u URL ping`, from this host, with the workers' own URL.

## How to fix
Mend the step that is named: the host name, the port and firewall, the certificate, the user or password. Workers try
again each second; they need no restart.

Risk: none in correcting an address. A primary that is started with an empty disk makes its replicas empty too: look at
its data before it is started.

Undo: put the old address, certificate or user back.

## Unknown when
Nobody named a Redis, and none listens at the default address; or the server loads its data, and began only just now.

## Source
Sidekiq's processor retries each second (lib/sidekiq/processor.rb); INFO persistence and INFO replication of Redis.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.redis import Connection, Server

SLOW_LOAD = Threshold(
    name="slow-load-s",
    default=30,
    unit="s",
    meaning="Loading its data for longer than this, Redis counts as unreachable.",
    source="ours: a restart that takes longer is one that people notice",
)

REMEDIES = {
    "sentinel": "Name sentinels that run, and a service of theirs: `redis-cli -p 26379 sentinel masters` shows them.",
    "dns": "Correct the host name in the URL, or the resolver of this host.",
    "tcp": "Start the server, or correct host, port and firewall; workers reconnect by themselves.",
    "tls": "Use rediss:// only where the server speaks TLS, and give it a certificate that this host trusts.",
    "auth": "Correct user and password in the URL; `ACL GETUSER` on the server shows what it expects.",
    "ping": "Find out what listens there and why it does not answer PING: a hung server, a proxy, another protocol.",
    "loading": "Wait until the server has loaded its data; `INFO persistence` shows how far it is.",
    "connecting": "See what is so slow there: a name server that is silent, a proxy, a server that is stopped.",
    "select": "Name a database that exists and that this user may SELECT.",
}


@check("RED001", severity=Severity.CRITICAL, thresholds=(SLOW_LOAD,))
def redis_unreachable(connection: Connection, server: Server | Missing, thresholds: Thresholds) -> Iterator[Verdict]:
    step = connection.failed_step
    address = Evidence("address", connection.url)
    if step == "limit":
        yield Unknown("the server answers, but has no client slot left (RED002)", "a free client slot")
    elif step and not connection.named:
        yield Unknown(f"no Redis at {connection.url}, and none was named: {connection.error}", "--redis URL")
    elif connection.loading_s is not None and connection.loading_s <= thresholds[SLOW_LOAD]:
        told = f"the server has been loading its data for {connection.loading_s} s, as after each start"
        yield Unknown(told, f"look again in {thresholds[SLOW_LOAD] - connection.loading_s:.0f} s")
    elif step:
        evidence = (address, Evidence("failed step", step), Evidence("error", connection.error))
        tries = f" ({counted(connection.tries, 'try', 'tries')})" if connection.tries > 1 else ""
        yield Finding(
            "redis",
            f"Redis cannot be reached: {step} failed{tries}: {connection.error}",
            REMEDIES.get(step, "Mend the step that failed; workers reconnect by themselves."),
            (*evidence, Evidence("tries", str(connection.tries))),
            key=step,
        )
    elif connection.broken:
        yield Unknown(f"Redis answered, and went away while it was read: {connection.broken}", "run it again")
    else:
        yield address
        if isinstance(server, Server):
            yield from _unready(server, thresholds[SLOW_LOAD])


def _unready(server: Server, slow_s: float) -> Iterator[Verdict]:
    seconds = _loading_for(server)
    if server.info.get("loading") == "1" and seconds > slow_s:
        yield Finding(
            "redis",
            f"Redis has been loading its data for {seconds} s and refuses commands meanwhile",
            REMEDIES["loading"],
            (Evidence("loading", "1", "INFO persistence"),),
            key="loading",
        )
    if server.info.get("role") in {"slave", "replica"} and server.info.get("master_link_status") == "down":
        yield Finding(
            "redis",
            "This Redis is a replica whose link to its primary is down: what it shows is old and it takes no writes",
            "Point the URL at the primary, or mend the replication link.",
            (Evidence("master_link_status", "down", "INFO replication"),),
            key="replica",
        )


def _loading_for(server: Server) -> int:
    """Seconds since loading began: what the server says, else since it started; a replica loads at each full resync."""
    since, now_us = server.number("loading_start_time"), server.number("server_time_usec")
    if since is not None and now_us is not None:
        return max(0, now_us // 1_000_000 - since)
    return server.number("uptime_in_seconds") or 0
