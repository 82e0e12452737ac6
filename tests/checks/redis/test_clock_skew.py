"""RED011: this host's clock, a worker's, a producer's; on plain facts and on a real Redis."""

import time
from dataclasses import replace

import pytest
import redis as redis_py
from doctoring import check
from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.moment import NOW
from healthy.queues import QUEUE, SAMPLE
from msgspec import structs
from servers import RedisServer
from states import beat, payload

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.queues import Queues
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Refused, Snapshot


def clock(ahead: float, round_trip: float = 0.0) -> Snapshot:
    return HEALTHY.with_(ServerTime(NOW, NOW - ahead, round_trip))


def worker(age: float, ttl: int | None = 57, host: str = "web-1") -> Snapshot:
    return HEALTHY.with_(Fleet((replace(WORKER, hostname=host, beat=NOW - age, beat_age_s=age, ttl_s=ttl),), 1))


@pytest.mark.parametrize(("ahead", "severity"), [(2.1, "low"), (-2.1, "low"), (30.1, "medium"), (-4000, "medium")])
def test_redis_and_this_host(ahead: float, severity: str) -> None:
    [found] = diagnose("RED011", clock(ahead)).findings

    assert (found.severity, found.fingerprint) == (severity, "RED011:redis:local")


def test_what_the_round_trip_hides_is_no_skew() -> None:
    assert diagnose("RED011", clock(1.9)).outcome is Outcome.PASS
    assert diagnose("RED011", clock(2.3, 0.8)).outcome is Outcome.PASS
    assert diagnose("RED011", clock(2.5, 0.8)).outcome is Outcome.FAIL
    assert diagnose("RED011", clock(99, 1.1)).outcome is Outcome.UNKNOWN


def test_a_beat_from_the_future() -> None:
    [found] = diagnose("RED011", worker(-6, 60)).findings

    assert (found.severity, found.finding.subject) == ("medium", "host:web-1")
    assert "6 s ahead" in found.finding.title
    assert diagnose("RED011", worker(-4, 60)).outcome is Outcome.PASS


@pytest.mark.parametrize(("age", "ttl", "ahead"), [(1, 52, 6), (-2, 53, 8), (2, 52, 0), (1, 40, 0)])
def test_a_clock_that_is_ahead_is_told_whenever_it_beat(age: float, ttl: int, ahead: int) -> None:
    found = diagnose("RED011", worker(age, ttl)).findings

    assert [one.finding.title for one in found] == [f"The clock of web-1 is {ahead} s ahead of Redis'"][: len(found)]
    assert bool(found) is bool(ahead)


def test_a_clock_that_is_behind_is_told_by_the_record_s_ttl() -> None:
    assert "behind" in diagnose("RED011", worker(45, 57)).findings[0].finding.title
    assert diagnose("RED011", worker(45, 16)).outcome is Outcome.PASS  # it has not beaten since
    assert diagnose("RED011", worker(45, None)).outcome is Outcome.PASS
    assert diagnose("RED011", worker(30, 57)).outcome is Outcome.PASS


@pytest.mark.parametrize(("ahead", "found"), [(31, 1), (29, 0), (90_000, 0)])
def test_a_producer_whose_clock_is_ahead(ahead: float, found: int) -> None:
    queues = Queues((replace(QUEUE, sample=(structs.replace(SAMPLE, enqueued_at=NOW + ahead),)),), traces=("queues",))

    assert len(diagnose("RED011", HEALTHY.with_(queues)).findings) == found


def test_without_redis_clock_hosts_are_compared() -> None:
    beats = [
        replace(WORKER, identity=f"{host}:1:a", hostname=host, beat=at) for host, at in (("a", NOW), ("b", NOW + 40))
    ]
    refused = HEALTHY.without(ServerTime, Refused("NOPERM", "+time"))
    apart = refused.with_(Fleet(tuple(beats), 2))

    assert diagnose("RED011", apart).findings[0].finding.key == "spread"
    assert "+time" in (diagnose("RED011", refused).reason or "")


def test_a_real_redis(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    beat(redis)
    assert check(redis_server.url, "--select", "RED011").outcome("RED011") == "pass"

    beat(redis, "fast:9:0123456789ab", age=-20)
    redis.lpush("queue:default", payload(enqueued_at=time.time() + 120))
    redis.sadd("queues", "default")
    found = check(redis_server.url, "--select", "RED011").result("RED011")

    assert [one["subject"] for one in found["findings"]] == ["host:fast", "queue:default"]
