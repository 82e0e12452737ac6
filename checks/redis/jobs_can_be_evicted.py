"""Redis may throw jobs away to make room.

## Why it hurts
At `maxmemory` a policy other than `noeviction` deletes keys, and a queue is one key: all its jobs go at once, with no
error anywhere. Policies of the kind `volatile-*` spare queues and take heartbeats, locks and leases instead: workers
look dead, and what was unique runs twice.

In the log: nothing; in Redis `evicted_keys` rises.

## How it is found
Formula: policy allkeys-* is critical, and so is evicted_keys > 0 where policy != noeviction; policy volatile-* is
high; keys of others with a TTL > SHARED of all keys and >= cache-keys is high; each is one milder where maxmemory = 0

The policy is INFO's, else CONFIG's. Others' keys are what is neither Sidekiq's, nor one of its plug-ins', nor our
runtime's; how many of them have a TTL is told from a sample of each prefix. Where a cache shares the memory, it fills
it: then pushes are refused, or somebody turns eviction on.

## When it is wrong
A database of its own for jobs whose loss is of no matter. `evicted_keys` counts since the start: with `noeviction` in
force it is history.

## Confirm by hand
`redis-cli info memory | grep maxmemory_policy`, `redis-cli info stats | grep evicted`, `redis-cli info keyspace`.

## How to fix
`redis-cli config set maxmemory-policy noeviction`, and the same line in redis.conf; give the cache an instance of its
own, for the policy is the server's and not the database's.

Risk: with `noeviction` a full memory refuses pushes instead (RED005): move the cache out first.

Undo: `CONFIG SET maxmemory-policy` with the old name, which the evidence shows.

## Unknown when
INFO is refused, or neither INFO nor CONFIG tells the policy (Redis Enterprise leaves it empty).

## Source
Sidekiq warns of it at boot (lib/sidekiq/cli.rb); Sidekiq's wiki, Using Redis; Redis' eviction documentation.

- SHARED: of all keys that were looked at; more than half of them make the database somebody else's.
- PASSING: of a prefix's sampled keys have a TTL; fewer make it no cache.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.keyspace import Keyspace, Prefix
from kiqdoctor.doctor.facts.redis import Configuration, Server

CACHE_KEYS = Threshold(
    name="cache-keys",
    default=50,
    unit="keys",
    meaning="So many keys of others with a TTL make a cache; fewer are an application's odds and ends.",
    source="ours: a rate limit or a few sessions fill no memory",
    least=1,
)
SHARED = 0.5
PASSING = 0.5
SHOWN = 5
REMEDY = "`CONFIG SET maxmemory-policy noeviction`, the same in redis.conf, and an instance of its own for the cache."


@check("RED004", severity=Severity.CRITICAL, thresholds=(CACHE_KEYS,))
def jobs_can_be_evicted(
    server: Server, configuration: Configuration | Missing, keyspace: Keyspace | Missing, thresholds: Thresholds
) -> Iterator[Verdict]:
    policy, source = _policy(server, configuration)
    evicted, limit = server.number("evicted_keys"), server.number("maxmemory")
    seen = (
        Evidence("maxmemory-policy", policy or "not told", source),
        Evidence("maxmemory", "0, which is none" if limit == 0 else f"{limit} bytes", "INFO memory"),
        Evidence("evicted_keys", str(evicted) if evicted is not None else "not told", "INFO stats"),
    )
    if not policy:
        unlock = getattr(configuration, "unlock", "") or "+config|get, or a server that tells maxmemory_policy"
        yield Unknown("the server does not tell its eviction policy", unlock)
    elif policy != "noeviction":
        yield _evicts(policy, evicted or 0, seen, without_limit=limit == 0)
    if isinstance(keyspace, Keyspace):
        yield from _shared(keyspace, thresholds[CACHE_KEYS], seen, without_limit=limit == 0)
    yield from seen


def _policy(server: Server, configuration: Configuration | Missing) -> tuple[str, str]:
    if told := server.info.get("maxmemory_policy", ""):
        return told, "INFO memory"
    settings = configuration.settings if isinstance(configuration, Configuration) else {}
    return settings.get("maxmemory-policy", ""), "CONFIG GET maxmemory-policy"


def _evicts(policy: str, evicted: int, seen: tuple[Evidence, ...], *, without_limit: bool) -> Finding:
    spares = policy.startswith("volatile-") and not evicted
    severity = Severity.CRITICAL.milder if spares else Severity.CRITICAL
    what = "heartbeats, locks and leases" if policy.startswith("volatile-") else "whole queues"
    done = f", and evicted {evicted} keys already" if evicted else ""
    return Finding(
        "redis",
        f"Redis may evict {what} (maxmemory-policy {policy}){done}",
        REMEDY,
        seen,
        severity.milder if without_limit and not evicted else severity,
        key="policy",
    )


def _shared(keyspace: Keyspace, least: float, seen: tuple[Evidence, ...], *, without_limit: bool) -> Iterator[Finding]:
    others = [one for one in keyspace.prefixes if not one.own and not one.owner and one.sampled]
    caches = [one for one in others if _passing(one) > PASSING]
    keys = sum(one.keys for one in caches)
    if keys < least or keys <= SHARED * keyspace.scanned:
        return
    largest = sorted(caches, key=lambda one: -one.keys)[:SHOWN]
    severity = Severity.CRITICAL.milder
    yield Finding(
        "redis",
        f"{keys} of {keyspace.scanned} keys are a cache's, in the same database as the jobs",
        "Give the cache a Redis of its own: it shares the memory and the eviction policy.",
        (*(Evidence(f"{one.name}*", f"{counted(one.keys, 'key')} with a TTL", "SCAN, PTTL") for one in largest), *seen),
        severity.milder if without_limit else severity,
        key="cache",
    )


def _passing(prefix: Prefix) -> float:
    """The share of its sampled keys that have a TTL."""
    return 1 - prefix.lasting / prefix.sampled
