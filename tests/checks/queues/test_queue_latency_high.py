"""QUE002: the line grows."""

import time
from dataclasses import replace

import pytest
import redis as redis_py
from doctoring import check
from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.moment import NOW
from jobs import queues
from servers import RedisServer
from states import beat, payload

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.queues import Queue, Queues
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot


def reading(age: float | None, size: int = 1000) -> Queues:
    return queues(Queue("mail", size, oldest_at=None if age is None else NOW - age))


def over(*readings: Queues) -> Snapshot:
    return HEALTHY.over(10.0, *readings)


@pytest.mark.parametrize(("age", "severity"), [(61, "medium"), (301, "high")])
def test_it_waits_and_does_not_shrink(age: float, severity: str) -> None:
    [found] = diagnose("QUE002", over(reading(age), reading(age), reading(age, 1001))).findings

    assert (found.severity, found.finding.subject) == (severity, "queue:mail")


def test_its_twins_shrink() -> None:
    fewer = over(reading(301), reading(301, 950), reading(301, 900))
    younger = over(reading(400), reading(350))
    rising = over(reading(301), reading(301, 1050), reading(301, 900))

    assert diagnose("QUE002", fewer).outcome is Outcome.PASS
    assert diagnose("QUE002", younger).outcome is Outcome.PASS
    assert diagnose("QUE002", rising).outcome is Outcome.PASS


def test_noise_is_no_drain() -> None:
    noise = over(reading(301), reading(301, 1030), reading(301, 999))

    assert diagnose("QUE002", noise).outcome is Outcome.FAIL


def test_a_drain_of_days_is_told_milder() -> None:
    [found] = diagnose("QUE002", over(reading(301, 1_000_000), reading(301, 999_990))).findings

    assert found.severity == "medium"


def test_one_reading_and_an_unreadable_tail() -> None:
    assert "--for 1" in (diagnose("QUE002", HEALTHY.with_(reading(301))).reason or "")
    assert diagnose("QUE002", over(reading(None), reading(None))).outcome is Outcome.UNKNOWN
    assert diagnose("QUE002", HEALTHY.with_(reading(59))).outcome is Outcome.PASS


def test_a_queue_before_it_starves_it() -> None:
    strict = Fleet((replace(WORKER, queues=("default", "mail"), weights=((("default", 0), ("mail", 0)),)),), 1)
    [found] = diagnose("QUE002", over(reading(301), reading(301)).with_(strict)).findings
    assert found.finding.title.endswith("starved by default")

    weighted = Fleet((replace(WORKER, queues=("default", "mail")),), 1)
    [found] = diagnose("QUE002", over(reading(301), reading(301)).with_(weighted)).findings
    assert "starved" not in found.finding.title


@pytest.mark.parametrize("unit", [1.0, 1000])
def test_on_a_real_redis(redis: "redis_py.Redis", redis_server: RedisServer, unit: float) -> None:
    beat(redis)
    redis.sadd("queues", "default")

    def put(age: float) -> None:
        redis.delete("queue:default")
        redis.lpush("queue:default", payload(enqueued_at=type(unit)((time.time() - age) * unit)))

    put(30)
    assert check(redis_server.url, "--select", "QUE002", "--for", "1").outcome("QUE002") == "pass"
    put(600)
    assert check(redis_server.url, "--select", "QUE002", "--for", "1").severities("QUE002") == ["high"]
