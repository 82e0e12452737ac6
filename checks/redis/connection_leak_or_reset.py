"""Connections are leaked, or cut while they are idle.

## Why it hurts
A process that opens connections and never closes them takes the slots of all others (RED002). A server that closes idle
connections makes the next command of a pool fail, at night first, when nobody pushes.

In the log: `Connection reset by peer`, `Broken pipe` or `Error connecting to Redis` in the first job after a quiet
time; later `ERR max number of clients reached`.

## How it is found
Formula: a process of this host has more connections than its pools allow; or the connections of one address rise by
LEAKED or more within APART s or longer and never fall; or 0 < timeout <= RESET; or tcp-keepalive = 0 and several hosts
come from one address; severity low

A process's connections are those of its sockets that CLIENT LIST shows too. Its pools are RED003's. Several live hosts
behind one address are a NAT or a proxy, which forgets what is silent.

## When it is wrong
A web server that warms up after a deploy: its pools fill and stay. Code of jobs that opens connections of its own on
purpose.

## Confirm by hand
`redis-cli client list` twice, a minute apart, counted by `addr`; `redis-cli config get timeout`,
`redis-cli config get tcp-keepalive`.

## How to fix
One pool a process, made once; from Sidekiq 8.1 on `reap_idle_redis_connections`. `CONFIG SET timeout 0`,
`CONFIG SET tcp-keepalive 60`.

Risk: with `timeout 0` connections of clients that vanished stay until keepalive finds them.

Undo: `CONFIG SET` with the old numbers, which the evidence shows.

## Unknown when
CLIENT LIST or CONFIG is refused; growth takes readings a minute apart (--for 60).

## Source
Sidekiq's changes, 8.1.0 and 7.0.7; Redis' timeout.c closes idle clients, and never one that waits in a blocking pop.

- APART: seconds over which growth is growth.
- READINGS: two ends show a jump, three show growth.
- LEAKED: connections; pools that fill open fewer.
- RESET: seconds; what is idle for a minute is an ordinary pool.
"""

from collections import Counter
from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.host import LocalProcess, LocalProcesses
from kiqdoctor.doctor.facts.redis import Clients, Configuration
from kiqdoctor.doctor.facts.settings import RedisSettings
from kiqdoctor.doctor.ownership import is_of
from kiqdoctor.doctor.versions import version_of
from kiqdoctor.wire.connections import of_sidekiq

APART = 60
READINGS = 3
LEAKED = 20
RESET = 60
SHOWN = 5
WARN = Severity.MEDIUM.milder
ONE_POOL = "Make one pool a process, once; from Sidekiq 8.1 on set reap_idle_redis_connections."


@check("RED010", severity=Severity.MEDIUM)
def connection_leak_or_reset(
    lists: Series[Clients],
    configuration: Configuration | Missing,
    fleet: Fleet | Missing,
    local: LocalProcesses | Missing,
    settings: RedisSettings | Missing,
) -> Iterator[Verdict]:
    yield from _beyond_their_pools(lists.last, fleet, local, settings)
    yield from _growing(lists)
    if isinstance(configuration, Configuration):
        yield from _cut(configuration, lists.last, fleet)
    else:
        yield Unknown(configuration.reason, getattr(configuration, "unlock", ""))
    for host, count in _by_host(lists.last).most_common(SHOWN):
        yield Evidence(f"clients of {host}", str(count), "CLIENT LIST")


def _by_host(clients: Clients) -> "Counter[str]":
    return Counter(one.host for one in clients.all)


def _growing(lists: Series[Clients]) -> Iterator[Verdict]:
    """An address whose connections become more and more from reading to reading."""
    if lists.lacks(2, APART) is not None or len(lists.moments) < READINGS:
        yield Unknown(f"whether connections leak takes {READINGS} readings over {APART} s", f"--for {APART}")
        return
    counts = [_by_host(one) for one in lists.facts]
    for host, last in counts[-1].most_common():
        series = [one[host] for one in counts]
        if last - series[0] >= LEAKED and series == sorted(series) and last > series[len(series) // 2]:
            yield Finding(
                "redis",
                f"The connections of {host} rose from {series[0]} to {last} in {lists.window_s:.0f} s and none ended",
                ONE_POOL,
                (Evidence("readings", ", ".join(map(str, series)), "CLIENT LIST"), *_ages(lists.last, host)),
                WARN,
                key=f"growth-{host}",
            )


def _ages(clients: Clients, host: str) -> Iterator[Evidence]:
    ages = sorted(one.idle_s for one in clients.all if one.host == host)
    yield Evidence("idle, the median and the longest", f"{ages[len(ages) // 2]} s, {ages[-1]} s", "CLIENT LIST")


def _beyond_their_pools(
    clients: Clients, fleet: Fleet | Missing, local: LocalProcesses | Missing, settings: RedisSettings | Missing
) -> Iterator[Finding]:
    """A worker of this host whose own sockets are more than its pools may open."""
    live = fleet.live if isinstance(fleet, Fleet) else ()
    for process in live:
        own = _own(process, local)
        count = sum(is_of(client, own) for client in clients.all) if own else 0
        most = _most(process, settings)
        if most is not None and count > most:
            yield Finding(
                process.subject,
                f"{process.identity} has {counted(count, 'connection')}, and its pools open {most} at most",
                ONE_POOL,
                (Evidence("connections", str(count), "/proc, CLIENT LIST"), Evidence("pools", str(most), "RED003")),
                WARN,
                lasting=process.lasting,
                key="beyond-its-pools",
            )


def _own(process: Process, local: LocalProcesses | Missing) -> LocalProcess | None:
    if not isinstance(local, LocalProcesses) or local.hostname != process.hostname:
        return None
    return next((one for one in local.all if process.pid in one.namespace_pids[-1:]), None)


def _most(process: Process, settings: RedisSettings | Missing) -> int | None:
    """None where nothing tells: an odd version, or a size that only the process knows."""
    if process.runtime or process.concurrency is None:
        return process.connections
    sizes = [one.pool_size for one in settings.all] if isinstance(settings, RedisSettings) else []
    version = version_of(process.version)
    if version is None:
        return None
    size = max((one for one in sizes if one is not None), default=None)
    return of_sidekiq(version.release, size).peak(process.concurrency) if isinstance(settings, RedisSettings) else None


def _cut(configuration: Configuration, clients: Clients, fleet: Fleet | Missing) -> Iterator[Verdict]:
    timeout, alive = configuration.number("timeout"), configuration.number("tcp-keepalive")
    seen = Evidence("timeout, tcp-keepalive", f"{_told(timeout)}, {_told(alive)}", "CONFIG GET")
    if timeout is not None and 0 < timeout <= RESET:
        title = f"Redis closes connections that are idle for {timeout} s: pools meet it in their next command"
        yield Finding(
            "redis", title, "`CONFIG SET timeout 0`, and the same in redis.conf.", (seen,), WARN, key="timeout"
        )
    hosts = {one.hostname for one in fleet.live} if isinstance(fleet, Fleet) else set()
    addresses = {one.host for one in clients.all if one.blocked}
    if alive == 0 and len(hosts) > len(addresses) == 1:
        title = (
            f"{counted(len(hosts), 'host comes', 'hosts come')} from one"
            " address, and tcp-keepalive is 0: what is in between forgets them"
        )
        yield Finding("redis", title, "`CONFIG SET tcp-keepalive 60`.", (seen,), WARN, key="keepalive")
    if timeout is None or alive is None:
        yield Unknown("the server does not tell timeout and tcp-keepalive", "a server that does")
    yield seen


def _told(number: int | None) -> str:
    return "?" if number is None else f"{number} s"
