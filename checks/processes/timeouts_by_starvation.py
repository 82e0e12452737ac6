"""Jobs fail because Redis or a pool timed out, while Redis is fast.

## Why it hurts
Who raises the time-out then mends nothing: it is the worker that does not come to read the answer in time. Its
threads are too many for its cores, its quota of CPU is used up, or one thread holds the interpreter.

In the log: `RedisClient::ReadTimeoutError`, `ConnectionPool::TimeoutError: Waited 5 sec`,
`redis.exceptions.TimeoutError`.

## How it is found
Formula: fails if at least many time-outs of Redis or a pool are in retry that failed within the hour, PING takes less
than FAST_MS, and no command of the last hour took SLOW_US or more. Time-outs from before Redis was last started, and
within SETTLED_S of it, are that restart's

The other side of RED009: there Redis is slow, here it is not.

## When it is wrong
A network that was down for a while and is well again.

## Confirm by hand
`redis-cli --latency`, `redis-cli slowlog get`; `top -H -p PID`, and `cpu.stat` of the worker's cgroup.

## How to fix
Lower the concurrency or raise the CPU that the worker may use; not the time-out.

Risk: less concurrency drains queues more slowly.

Undo: set the concurrency as it was.

## Unknown when
SLOWLOG or PING is not allowed while there are such errors; too few of the retries were looked at; Redis' clock
and ours differ, and no beat tells which is right.

## Source
sidekiq#6783; names of the errors in redis-client, redis-rb, connection_pool, redis-py and SQLAlchemy.

- HOUR_S: failures of one hour.
- SETTLED_S: Sidekiq asks again each second while Redis is away.
- FAST_MS: a network within one zone takes far less.
- SLOW_US: microseconds; a tenth of a second is no time-out, and no calm either.
"""

from collections import Counter
from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.queues import Sample, Samples
from kiqdoctor.doctor.facts.redis import Clients, Connection, Pings, Server, ServerTime, SlowCommands
from kiqdoctor.doctor.hosts_clock import AGREE, by_hosts, untold
from kiqdoctor.doctor.median import median
from kiqdoctor.doctor.workers_here import present
from kiqdoctor.regex import regex

HOUR_S = 3600.0
SETTLED_S = 10.0
FAST_MS = 10.0
SLOW_US = 100_000
SHOWN = 5
TIMEOUT = regex(
    r"RedisClient::(?:Read|Write|Connect)?TimeoutError|Redis::TimeoutError|ConnectionPool::TimeoutError"
    r"|ActiveRecord::ConnectionTimeoutError|redis\.exceptions\.TimeoutError|sqlalchemy\.exc\.TimeoutError"
    r"|(?:psycopg_pool\.)?PoolTimeout"
)
MANY = Threshold(
    name="many",
    default=5,
    unit="time-outs",
    meaning="So many in retry that failed within the hour are no accident.",
    source="the catalogue's; a restart of Redis gives some",
    least=1,
)


@check("PRO018", severity=Severity.HIGH, caused_by=("THR003", "PRO012"), thresholds=(MANY,))
def timeouts_by_starvation(
    samples: Samples,
    server: Server,
    clock: ServerTime,
    pings: Pings | Missing,
    log: SlowCommands | Missing,
    fleet: Fleet | Missing,
    local: LocalProcesses | Missing,
    connection: Connection | Missing,
    clients: Clients | Missing,
    thresholds: Thresholds,
) -> Iterator[Verdict]:
    place = samples.place("retry")
    hosts = by_hosts(clock, fleet)
    if hosts is None and any(TIMEOUT.fullmatch(one.error_class) for one in place.sample):
        yield Unknown(f"when jobs timed out is not known: {untold(clock)}", AGREE)
        return
    now = hosts.now if hosts is not None else clock.now
    late = [one for one in place.sample if _timed_out(one, now)]
    up = server.number("uptime_in_seconds")
    started = now - (HOUR_S if up is None else up)
    found = [one for one in late if (one.last_failed_at or 0.0) > started + SETTLED_S]
    seen = Evidence(
        "time-outs of Redis or a pool", f"{len(found)} of {len(place.sample)} retries looked at", "ZRANGE retry"
    )
    few = len(found) < thresholds[MANY]
    if place.unread or (few and found and not place.whole):
        yield Unknown(f"{len(place.sample)} of {place.size} retries were looked at; {place.unread}", "fewer retries")
    elif not few:
        yield from _judged(found, clock, pings, log, tuple(_starved(fleet, local, connection, clients)), seen)
    yield seen
    if len(late) > len(found):
        told = f"{len(late) - len(found)} time-outs until Redis was started, {now - started:.0f} s ago"
        yield Evidence("explained by a restart", told, "INFO server")


def _timed_out(sample: Sample, now: float) -> bool:
    when = sample.last_failed_at
    return when is not None and now - when < HOUR_S and TIMEOUT.fullmatch(sample.error_class) is not None


def _judged(
    found: list[Sample],
    clock: ServerTime,
    pings: Pings | Missing,
    log: SlowCommands | Missing,
    starved: tuple[Evidence, ...],
    seen: Evidence,
) -> Iterator[Verdict]:
    if not isinstance(pings, Pings) or not pings.round_trips_ms or not isinstance(log, SlowCommands):
        lacking = pings if not isinstance(pings, Pings) else log
        why = getattr(lacking, "reason", "no PING was answered")
        yield Unknown(
            f"{counted(len(found), 'job timed out', 'jobs timed out')}; whether Redis is slow is not known: {why}",
            "+ping +slowlog|get",
        )
        return
    took = max(0.0, median(pings.round_trips_ms) - (median(pings.own_ms) if pings.own_ms else 0.0))
    slow = [one for one in log.calls if clock.now - one.at < HOUR_S and one.took_us >= SLOW_US]
    if took >= FAST_MS or slow:
        why = f"PING {took:.0f} ms, {len(slow)} slow commands within the hour (RED009)"
        yield Evidence("Redis is slow itself", why, "PING, SLOWLOG")
        return
    classes = Counter(one.error_class for one in found).most_common(SHOWN)
    yield Finding(
        "set:retry",
        f"{counted(len(found), 'job timed out', 'jobs timed out')} on Redis"
        f" or a pool within the hour, and Redis answers in {took:.1f} ms",
        "Lower the concurrency or raise the workers' CPU; leave the time-out.",
        (seen, *(Evidence(name, str(count), "error_class") for name, count in classes), *starved),
    )


def _starved(
    fleet: Fleet | Missing,
    local: LocalProcesses | Missing,
    connection: Connection | Missing,
    clients: Clients | Missing,
) -> Iterator[Evidence]:
    """What this host tells of its workers' share of CPU."""
    if not isinstance(fleet, Fleet) or not isinstance(local, LocalProcesses):
        return
    for one in present(fleet, local, connection, clients).here[:SHOWN]:
        threads = one.process.concurrency if one.process else one.worker.concurrency
        yield Evidence(one.named, f"{threads} threads for jobs on {counted(local.cores, 'core')}", "heartbeat, /proc")
        if one.worker.throttled:
            yield Evidence("throttled by its quota", "in {} of {} periods".format(*one.worker.throttled), "cpu.stat")
        if one.worker.waited_s is not None:
            yield Evidence("waited for a core", f"{one.worker.waited_s:.1f} s in all", "schedstat")
