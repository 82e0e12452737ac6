"""RED004: what the policy may throw away, who shares the memory; on plain facts and on a real Redis."""

from collections.abc import Iterator

import pytest
import redis as redis_py
from doctoring import check
from healthy import HEALTHY
from healthy.redis import SERVER
from servers import RedisServer
from states import push

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.keyspace import Keyspace, Prefix
from kiqdoctor.doctor.facts.redis import Configuration, Server
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Refused, Snapshot


def told(policy: str | None, *, evicted: int = 0, limit: int = 100_000) -> Snapshot:
    fields = {"maxmemory": str(limit), "evicted_keys": str(evicted), "maxmemory_policy": policy or ""}
    return HEALTHY.with_(Server({**SERVER.info, **fields}))


@pytest.mark.parametrize(
    ("policy", "evicted", "limit", "severity"),
    [
        ("allkeys-lru", 0, 100_000, "critical"),
        ("allkeys-lru", 0, 0, "high"),
        ("volatile-lru", 0, 100_000, "high"),
        ("volatile-lru", 0, 0, "medium"),
        ("volatile-ttl", 3, 100_000, "critical"),
        ("allkeys-random", 3, 0, "critical"),
        ("eviction", 0, 100_000, "critical"),
    ],
)
def test_a_policy_that_evicts(policy: str, evicted: int, limit: int, severity: str) -> None:
    [found] = diagnose("RED004", told(policy, evicted=evicted, limit=limit)).findings

    assert (found.severity, found.fingerprint) == (severity, "RED004:redis:policy")


def test_its_twin_evicts_nothing_and_what_was_evicted_under_another_policy_is_history() -> None:
    assert diagnose("RED004", told("noeviction")).outcome is Outcome.PASS
    assert diagnose("RED004", told("noeviction", evicted=9)).outcome is Outcome.PASS


def test_configuration_tells_where_info_does_not() -> None:
    hidden = told(None)
    refused = hidden.without(Configuration, Refused("NOPERM", "+config|get"))

    assert diagnose("RED004", hidden.with_(Configuration({"maxmemory-policy": "allkeys-lru"}))).findings
    assert diagnose("RED004", hidden.with_(Configuration({"maxmemory-policy": "noeviction"}))).outcome is Outcome.PASS
    assert "+config|get" in (diagnose("RED004", refused).reason or "")
    assert diagnose("RED004", hidden.with_(Configuration({}))).outcome is Outcome.UNKNOWN


def shared(*prefixes: Prefix, limit: int = 100_000) -> Snapshot:
    keys = sum(one.keys for one in prefixes)
    return told("noeviction", limit=limit).with_(Keyspace(scanned=keys, total=keys, prefixes=prefixes))


CACHE = Prefix("cache:", 90, sampled=20, lasting=0)
JOBS = Prefix("queue:", 9, sampled=9, lasting=9, own=True)


def test_a_cache_beside_the_jobs() -> None:
    [found] = diagnose("RED004", shared(CACHE, JOBS)).findings

    assert (found.severity, found.fingerprint) == ("high", "RED004:redis:cache")
    assert diagnose("RED004", shared(CACHE, JOBS, limit=0)).findings[0].severity == "medium"


@pytest.mark.parametrize(
    "other",
    [
        Prefix("cache:", 90, sampled=20, lasting=20),  # no TTL: no cache
        Prefix("j|", 90, sampled=20, lasting=0, own=True),  # Sidekiq's own metrics
        Prefix("celery-task-meta-", 90, sampled=20, lasting=0, owner="Celery"),
        Prefix("limit:", 20, sampled=20, lasting=0),
    ],
)
def test_what_is_no_cache(other: Prefix) -> None:
    assert diagnose("RED004", shared(other, JOBS)).outcome is Outcome.PASS


@pytest.fixture(scope="module")
def server() -> Iterator[RedisServer]:
    with RedisServer.start({"maxmemory": "30mb"}) as server:
        yield server


@pytest.mark.parametrize(
    ("name", "outcome"),
    [
        ("Shop::Mail-27-08:{}", "pass"),  # the durations of Sidekiq 7, a key a class and minute
        ("h|Shop::Mail-27-8:{}", "pass"),  # of 8
        ("j|20261127|8:{}", "pass"),
        ("SIDEKIQ_REGISTERED_INSTANCE::pod-{}", "pass"),
        ("views/shop-{}", "fail"),
    ],
)
def test_keys_that_end_by_themselves_are_not_all_a_cache_s(
    name: str, outcome: str, redis: redis_py.Redis, redis_server: RedisServer
) -> None:
    push(redis, "default")
    for number in range(60):
        redis.set(name.format(number), "x", ex=28_800)

    assert check(redis_server.url, "--select", "RED004").outcome("RED004") == outcome


def test_a_real_redis(server: RedisServer) -> None:
    with server.client() as client:
        push(client)
        assert check(server.url, "--select", "RED004").outcome("RED004") == "pass"

        client.config_set("maxmemory-policy", "allkeys-lru")
        assert check(server.url, "--select", "RED004").severities("RED004") == ["critical"]

        client.config_set("maxmemory-policy", "noeviction")
        for number in range(80):
            client.set(f"views/products/{number}", "x", ex=60)
        assert check(server.url, "--select", "RED004").severities("RED004") == ["high"]
