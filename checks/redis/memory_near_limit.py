"""Redis has hardly any memory left.

## Why it hurts
At `maxmemory` each push is refused with `OOM command not allowed`: web requests that enqueue fail, and workers cannot
store retries. Where a limit of the host is met first, the kernel kills the server with all that it had not saved.

In the log: `OOM command not allowed when used memory > 'maxmemory'`, from web processes when they push and from workers
when a job fails.

## How it is found
Formula: used >= FULL * maxmemory is critical, and so are OOM errors that rise; used >= NEAR * maxmemory is high, and so
is rss >= HOST * the host's limit

`used` and `rss` are `used_memory` and `used_memory_rss`. Errors rise when `errorstat_OOM` is higher at a later
reading; a server that restarted in between counts from nought. The host's limit is the smallest of the server's
cgroups, else the host's memory, where the server runs on this host; it alone decides where `maxmemory` is 0. With a
window (--for) the evidence says how fast memory grows and when it is full.

## When it is wrong
A cache that evicts is full by design; jobs do not belong in one. Fragmentation makes `rss` larger than what the keys
hold.

## Confirm by hand
`redis-cli info memory`, `redis-cli info errorstats`, twice, ten seconds apart; `redis-cli memory usage KEY` for the
largest keys.

## How to fix
Drain or export what is oversized (the evidence lists the largest keys), or give the server more memory before producers
are refused.

Risk: `CONFIG SET maxmemory` above what the host has lets the kernel kill the server instead.

Undo: `CONFIG SET maxmemory` with the old number, which the evidence shows.

## Unknown when
INFO is refused; `maxmemory` is 0 and the server runs on another host, or its cgroup cannot be seen; the server does not
count its errors (before Redis 6.2), or it counted some and one reading cannot show whether they rise (--for).

## Source
Redis: server.c refuses what `denyoom` marks once used memory is above `maxmemory`; seen on 7.0.15.

- READINGS: two show a rise.
- APART: seconds between them, as long as RED002 looks.
- LATELY: seconds; a rise since an older recording is history.
- MIB: bytes that a MiB has.
- SHOWN: the largest keys that are listed.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Refused, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.redis import LargestKeys, MemoryCeiling, Server
from kiqdoctor.wire.numbers import whole

FULL = Threshold(
    name="full",
    default=0.95,
    unit="of maxmemory",
    meaning="At this share the next burst is refused.",
    source="ours: a twentieth is what buffers and one burst of pushes take",
    least=0.5,
    most=1.0,
)
NEAR = Threshold(
    name="near",
    default=0.8,
    unit="of maxmemory",
    meaning="From this share on it is time to act.",
    source="ours: a fifth is what an outage of the workers fills within hours",
    least=0.1,
    most=1.0,
)
HOST = Threshold(
    name="host",
    default=0.85,
    unit="of the host's limit",
    meaning="At this share of what the host lets the server have, a fork to save may end it.",
    source="ours: copy on write while saving takes a part of the memory again",
    least=0.1,
    most=1.0,
)
READINGS = 2
APART = 10
LATELY = 3600
MIB = 1024 * 1024
SHOWN = 5
REMEDY = "Drain or export what is oversized, or give the server more memory before producers are refused."


@check("RED005", severity=Severity.CRITICAL, caused_by=("RED012", "QUE011"), thresholds=(FULL, NEAR, HOST))
def memory_near_limit(
    servers: Series[Server], ceiling: MemoryCeiling | Missing, keys: LargestKeys | Missing, thresholds: Thresholds
) -> Iterator[Verdict]:
    used, limit = servers.last.number("used_memory"), servers.last.number("maxmemory")
    rss = servers.last.number("used_memory_rss")
    if used is None or limit is None:
        yield Unknown("INFO does not say used_memory and maxmemory", "a server that does, or +info")
        return
    seen = tuple(_seen(servers, used, limit, keys))
    if limit:
        yield from _against_maxmemory(used / limit, thresholds, seen)
    if isinstance(ceiling, MemoryCeiling):
        yield from _against_host(rss, ceiling, thresholds, seen)
    elif isinstance(ceiling, Refused):
        yield Unknown(ceiling.reason, ceiling.unlock)
    elif not limit:
        yield Unknown(f"maxmemory is 0, and {ceiling.reason}", "a maxmemory, or the doctor on the server's host")
    yield from _refusals(servers, seen)
    yield from seen


def _against_maxmemory(share: float, thresholds: Thresholds, seen: tuple[Evidence, ...]) -> Iterator[Finding]:
    title = f"{share:.0%} of Redis' maxmemory are used"
    if share >= thresholds[FULL]:
        yield Finding("redis", title, REMEDY, seen)
    elif share >= thresholds[NEAR]:
        yield Finding("redis", title, REMEDY, seen, Severity.CRITICAL.milder, key="near")


def _against_host(
    rss: int | None, ceiling: MemoryCeiling, thresholds: Thresholds, seen: tuple[Evidence, ...]
) -> Iterator[Verdict]:
    host = Evidence("the host lets it have", _size(ceiling.limit_bytes), ceiling.source)
    if rss is None:
        yield Unknown("INFO does not say used_memory_rss", "a server that does")
    elif rss >= thresholds[HOST] * ceiling.limit_bytes:
        title = f"Redis takes {rss / ceiling.limit_bytes:.0%} of what its host lets it have"
        evidence = (Evidence("resident", _size(rss), "INFO memory"), host, *seen)
        yield Finding("redis", title, REMEDY, evidence, Severity.CRITICAL.milder, key="host")
    else:
        yield host


def _refusals(servers: Series[Server], seen: tuple[Evidence, ...]) -> Iterator[Verdict]:
    """Writes that were refused for want of memory: those of the window are a fault, older ones may still go on."""
    count = _refused(servers.last)
    if count is None:
        yield Unknown("the server does not count errors by their kind", "Redis 6.2 or later")
        return
    lately = servers.within(LATELY)
    rise = lately.rise(_refused, lambda server: server.info.get("run_id"))
    if rise:
        evidence = (Evidence("OOM errors", f"{rise:.0f} within {lately.window_s:.0f} s", "INFO errorstats"), *seen)
        yield Finding("redis", f"Redis refused {rise:.0f} writes for want of memory", REMEDY, evidence, key="oom")
    elif count and (lacks := lately.lacks(READINGS, APART)) is not None:
        yield Unknown(f"{count} writes were refused at some time; whether they still are: {lacks.reason}", lacks.unlock)
    elif count and rise is None:
        yield Unknown(
            f"{count} writes were refused at some time, and not every reading counts them", "Redis 6.2 or later"
        )
    else:
        yield Evidence("OOM errors", f"{count}, none of them new", "INFO errorstats")


def _refused(server: Server) -> int | None:
    """OOM errors so far; a server that counts errors names only the kinds that there were."""
    if server.number("total_error_replies") is None:
        return None
    return whole(server.info.get("errorstat_OOM", "count=0").removeprefix("count="))


def _seen(servers: Series[Server], used: int, limit: int, keys: LargestKeys | Missing) -> Iterator[Evidence]:
    of = f" of {_size(limit)}" if limit else ", without a maxmemory"
    yield Evidence("used memory", f"{_size(used)}{of}", "INFO memory")
    growth = servers.rate(lambda server: server.number("used_memory"))
    if growth is not None:
        until = f", full in {(limit - used) / growth / 60:.0f} min" if growth > 0 and limit > used else ""
        yield Evidence("growth", f"{growth * 60 / MIB:+.1f} MiB a minute{until}", f"over {servers.window_s:.0f} s")
    if isinstance(keys, LargestKeys):
        for one in keys.all[:SHOWN]:
            yield Evidence(one.name, f"{_size(one.size_bytes)}, {counted(one.members, 'member')}", "MEMORY USAGE")


def _size(count: int) -> str:
    return f"{count / MIB:.1f} MiB" if count >= MIB else f"{count / 1024:.0f} KiB"
