"""Redis answers slowly.

## Why it hurts
Each push and each fetch waits for it: web requests that enqueue take longer, a worker does fewer jobs, and beyond some
time clients give up and try again, which makes it worse.

In the log: Sidekiq warns `Your Redis network connection is performing extremely poorly` with its round trips; clients
raise `Redis::TimeoutError`, `RedisClient::ReadTimeoutError` or `Waited 1 sec`.

## How it is found
Formula: fails if the median of 20 PINGs, less our own lag, > SLOW, or if rtt_us of all live processes > SLOW on two
hosts or more (high); the same above NEAR is medium

Our own lag is the median of the same system calls without a server. `rtt_us` is what each process measured at its last
beat. Who slowed it is told by SLOWLOG's entries of the last ten minutes, by command.

## When it is wrong
Slow round trips on one host only are that host's: it has too little CPU, or a way of its own. That is shown and no
finding. A doctor far from the server measures the way: run it where the workers are.

## Confirm by hand
`redis-cli --latency`, `redis-cli slowlog get 10`, `redis-cli hget IDENTITY rtt_us` for each member of `processes`.

## How to fix
Put workers and Redis into one zone; replace what the evidence names (`KEYS`, `SMEMBERS` and `LRANGE 0 -1` of something
large, long scripts); lower the concurrency where all cores of the server's host are busy.

Risk: an index of your own in place of `KEYS` has to be kept true.

Undo: the old code, the old place.

## Unknown when
Fewer than five PINGs were answered; our own host held the doctor up; the only host with workers says that it is slow
and here it is not.

## Source
Sidekiq warns above 50,000 µs (lib/sidekiq/launcher.rb); Redis' latency documentation.

- ENOUGH: answers, fewer make no median.
- RECENT: seconds; older entries of SLOWLOG explain nothing that is slow now.
- HOSTS: on one alone the host may be slow, and not Redis.
"""

from collections import Counter
from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.redis import Pings, ServerTime, SlowCommand, SlowCommands
from kiqdoctor.doctor.median import median

SLOW = Threshold(
    name="slow-ms",
    default=50,
    unit="ms",
    meaning="Round trips that take longer make everything wait.",
    source="Sidekiq's own warning, lib/sidekiq/launcher.rb",
    least=1,
)
NEAR = Threshold(
    name="near-ms",
    default=10,
    unit="ms",
    meaning="Round trips of one zone are far below this.",
    source="ours: ten times what a network within a zone takes",
    least=0.1,
)
ENOUGH = 5
RECENT = 600
HOSTS = 2
SHOWN = 5
REMEDY = "Put workers and Redis into one zone, and replace the slow commands that the evidence names."


@check("RED009", severity=Severity.HIGH, thresholds=(SLOW, NEAR))
def redis_slow(
    pings: Pings | Missing,
    fleet: Fleet | Missing,
    log: SlowCommands | Missing,
    clock: ServerTime | Missing,
    thresholds: Thresholds,
) -> Iterator[Verdict]:
    if not isinstance(pings, Pings):
        yield Unknown(pings.reason, getattr(pings, "unlock", ""))
        return
    slow, near = thresholds[SLOW], thresholds[NEAR]
    took = _median(pings)
    by_host = _round_trips(fleet)
    seen = (*_seen(pings, by_host), *_attributed(log, clock))
    if took is None or median(pings.own_ms) > near:
        yield Unknown("our own host held the doctor up, or too few PINGs were answered", "a calmer host")
        took = None
    severity = _severity(took, slow, near)
    if severity is not None:
        yield Finding("redis", f"Redis takes {took:.0f} ms to answer a PING", REMEDY, seen, severity)
    else:
        yield from _told_by_processes(by_host, slow, near, seen)
    yield from seen


def _median(pings: Pings) -> float | None:
    """Of a round trip in ms, without what the doctor's own process waited."""
    if len(pings.round_trips_ms) < ENOUGH or not pings.own_ms:
        return None
    return max(0.0, median(pings.round_trips_ms) - median(pings.own_ms))


def _severity(took_ms: float | None, slow: float, near: float) -> Severity | None:
    if took_ms is None or took_ms <= near:
        return None
    return Severity.HIGH if took_ms > slow else Severity.HIGH.milder


def _round_trips(fleet: Fleet | Missing) -> dict[str, float]:
    """The fastest that a live process of each host measured, in ms: one slow process is not its host."""
    found: dict[str, float] = {}
    for one in fleet.live if isinstance(fleet, Fleet) else ():
        if one.rtt_us is not None:
            found[one.hostname] = min(one.rtt_us / 1000, found.get(one.hostname, float("inf")))
    return found


def _told_by_processes(
    by_host: dict[str, float], slow: float, near: float, seen: tuple[Evidence, ...]
) -> Iterator[Verdict]:
    """A PING from here is fast, or tells nothing."""
    severity = _severity(min(by_host.values(), default=None), slow, near)
    if severity is not None and len(by_host) >= HOSTS:
        title = f"Every live process waits {min(by_host.values()):.0f} ms or more for Redis"
        yield Finding("redis", title, REMEDY, seen, severity, key="processes")
    elif severity is Severity.HIGH:
        [(host, took)] = by_host.items()
        reason = f"{host}, the only host with workers, waits {took:.0f} ms for Redis: the host may be slow, or the way"
        yield Unknown(reason, "workers on another host, or the doctor there")


def _attributed(log: SlowCommands | Missing, clock: ServerTime | Missing) -> Iterator[Evidence]:
    """Who was slow lately, the longest in all first; without a clock or the log nobody is named."""
    if not isinstance(log, SlowCommands) or not isinstance(clock, ServerTime):
        return
    recent = [one for one in log.calls if clock.now - one.at < RECENT]
    spent: Counter[str] = Counter()
    for one in recent:
        spent[one.command] += one.took_us
    for command, took_us in spent.most_common(SHOWN):
        calls = [one for one in recent if one.command == command]
        yield Evidence(command, f"{len(calls)} x, {took_us / 1000:.0f} ms in all{_by(calls)}", "SLOWLOG")


def _by(calls: list[SlowCommand]) -> str:
    clients = list(dict.fromkeys(one.client for one in calls if one.client))
    return f", by {', '.join(clients[:SHOWN])}" if clients else ""


def _seen(pings: Pings, by_host: dict[str, float]) -> Iterator[Evidence]:
    trips = sorted(pings.round_trips_ms)
    if trips and pings.own_ms:
        told = f"median {median(trips):.1f} ms, longest {trips[-1]:.1f} ms, own lag {median(pings.own_ms):.1f} ms"
        yield Evidence(f"{len(trips)} PINGs", told, "PING")
    for host, took in sorted(by_host.items(), key=lambda one: -one[1])[:SHOWN]:
        yield Evidence(f"round trip on {host}", f"{took:.1f} ms", "rtt_us")
