"""Redis cannot be reached, or is not ready to serve.

## Why it hurts
Every push fails in the face of a user, every worker stands still, and nothing else in this report can be trusted.

## How it is found
The connection is made step by step: the name is resolved, the socket opened, TLS agreed, the user authenticated, PING
answered, the database selected. Three tries, a second apart, where a restart would explain the failure. A server that
answers, but has been loading its data for more than 30 seconds, or is a replica whose link to its primary is down, is
not ready either.

## When it is wrong
A server that refuses for want of client slots is reachable: that is RED002.

## Confirm by hand
`redis-cli -u URL ping`, from this host, with the workers' own URL.

## How to fix
Mend the step that is named: the host name, the port and firewall, the certificate, the user or password. Workers try
again each second; they need no restart.

## Unknown when
Nobody named a Redis, and none listens at the default address.

## Source
Sidekiq's processor retries each second (lib/sidekiq/processor.rb); INFO persistence and INFO replication of Redis.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Connection, Evidence, Finding, Missing, Server, Severity, Unknown, Verdict, check

SLOW_LOAD = 30  # seconds

REMEDIES = {
    "dns": "Correct the host name in the URL, or the resolver of this host.",
    "tcp": "Start the server, or correct host, port and firewall; workers reconnect by themselves.",
    "tls": "Use rediss:// only where the server speaks TLS, and give it a certificate that this host trusts.",
    "auth": "Correct user and password in the URL; `ACL GETUSER` on the server shows what it expects.",
    "ping": "Find out what listens there and why it does not answer PING: a hung server, a proxy, another protocol.",
    "loading": "Wait until the server has loaded its data; `INFO persistence` shows how far it is.",
    "select": "Name a database that exists and that this user may SELECT.",
}


@check("RED001", severity=Severity.CRITICAL)
def redis_unreachable(connection: Connection, server: Server | Missing) -> Iterator[Verdict]:
    step = connection.failed_step
    address = Evidence("address", connection.url)
    if step == "limit":
        yield Unknown("the server answers, but has no client slot left (RED002)", "a free client slot")
    elif step and not connection.named:
        yield Unknown(f"no Redis at {connection.url}, and none was named: {connection.error}", "--redis URL")
    elif step:
        evidence = (address, Evidence("failed step", step), Evidence("error", connection.error))
        tries = f" ({connection.tries} tries)" if connection.tries > 1 else ""
        yield Finding(
            "redis",
            f"Redis cannot be reached: {step} failed{tries}: {connection.error}",
            REMEDIES.get(step, "Mend the step that failed; workers reconnect by themselves."),
            (*evidence, Evidence("tries", str(connection.tries))),
            key=step,
        )
    else:
        yield address
        if isinstance(server, Server):
            yield from _unready(server)


def _unready(server: Server) -> Iterator[Verdict]:
    seconds = _loading_for(server)
    if server.info.get("loading") == "1" and seconds > SLOW_LOAD:
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
    """Seconds since loading began, which is when it started."""
    return server.number("uptime_in_seconds") or 0
