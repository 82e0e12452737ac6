"""QUE004: one error fills the retry set."""

import time

import pytest
import redis as redis_py
from doctoring import check
from jobs import failed, queues, retrying
from servers import RedisServer
from states import payload

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.queues import JobSet, Queues
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot


def mixed(count: int) -> list[str]:
    return [f"Error{number % 7}" for number in range(count)]


def retries(errors: list[str], size: int) -> Snapshot:
    return retrying(*(failed(number, error_class=name) for number, name in enumerate(errors)), size=size)


def sized(size: int) -> Queues:
    return queues(sets={"retry": JobSet("retry", size)})


def test_one_class_and_error_dominate() -> None:
    [found] = diagnose("QUE004", retries(["Timeout"] * 130 + mixed(70), 400)).findings

    assert (found.severity, found.fingerprint) == ("high", "QUE004:set:retry:SendMail:Timeout")
    assert found.finding.title == "About 260 of 400 retries are SendMail failing with Timeout"


def test_its_twins_are_mixed_or_few() -> None:
    assert not diagnose("QUE004", retries(mixed(200), 400)).findings
    assert not diagnose("QUE004", retries(["Timeout"] * 100, 200)).findings


def test_a_large_set_is_told() -> None:
    assert [one.severity for one in diagnose("QUE004", retries(mixed(200), 1001)).findings] == ["medium"]


@pytest.mark.parametrize(("sizes", "outcome"), [((400, 481), Outcome.FAIL), ((400, 470), Outcome.PASS)])
def test_growth_within_five_minutes(sizes: tuple[int, int], outcome: Outcome) -> None:
    grown = retries(mixed(200), sizes[1]).over(240.0, *map(sized, sizes))

    assert diagnose("QUE004", grown).outcome is outcome


def test_growth_takes_two_readings() -> None:
    assert "--for 1" in (diagnose("QUE004", retries(mixed(200), 900)).reason or "")
    assert diagnose("QUE004", retries(mixed(100), 100)).outcome is Outcome.PASS


def test_a_steady_set_is_no_surge() -> None:
    steady = retries(["Timeout"] * 200, 1500).over(300.0, sized(1500), sized(1510))

    assert [one.severity for one in diagnose("QUE004", steady).findings] == ["info"]


def test_entries_that_cannot_be_read_tell_nothing() -> None:
    broken = [failed(number, error="not JSON") for number in range(3)]

    assert diagnose("QUE004", retrying(*broken, failed(4), size=4)).outcome is Outcome.UNKNOWN


def test_those_near_death_are_named() -> None:
    [found] = diagnose("QUE004", retrying(*(failed(n, retry_count=23) for n in range(200)), size=300)).findings

    assert any("tries of death" in one.label for one in found.finding.evidence)


def test_on_a_real_redis(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    now = time.time()
    entries = {
        payload(jid=f"{n:024x}", retry_count=1, error_class="Net::ReadTimeout", failed_at=now): now + 60
        for n in range(201)
    }
    redis.zadd("retry", entries)

    assert check(redis_server.url, "--select", "QUE004").severities("QUE004") == ["high"]
