"""QUE021: old payloads, new signature."""

import time
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
import redis as redis_py
from doctoring import check
from healthy.fleet import WORKER
from healthy.moment import NOW
from jobs import failed, retrying
from servers import RedisServer
from states import beat, payload

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.queues import Marks
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot

MARK = NOW - 600
ARITY = "wrong number of arguments (given 1, expected 2)"
SINCE = Fleet((replace(WORKER, started_at=NOW - 590),), 1)


def refused(created: float, first: float, message: str = ARITY, fleet: Fleet = SINCE) -> Snapshot:
    one = failed(1, message=message, error_class="ArgumentError", created_at=created, failed_at=first)
    return retrying(one).with_(Marks(((MARK, "a1b2c3d"),), 30), fleet)


@pytest.mark.parametrize(
    "message",
    [
        ARITY,
        "unknown keyword: :locale",
        "missing keyword: :locale",
        "send() takes 1 positional argument but 2 were given",
        "send() missing 1 required positional argument: ***",
        "send() got an unexpected keyword argument ***",
    ],
)
def test_older_than_the_deploy(message: str) -> None:
    [found] = diagnose("QUE021", refused(MARK - 60, MARK + 60, message)).findings

    assert (found.severity, found.finding.subject) == ("high", "job:SendMail")


def test_newer_than_the_deploy_and_an_old_worker_lives() -> None:
    old = Fleet((replace(WORKER, started_at=MARK - 3600),), 1)

    assert diagnose("QUE021", refused(MARK + 60, MARK + 90, fleet=old)).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    "twin",
    [
        refused(MARK - 900, MARK - 600),
        refused(MARK + 60, MARK + 90),
        refused(MARK - 60, MARK + 60, "boom"),
    ],
)
def test_its_twins(twin: Snapshot) -> None:
    assert diagnose("QUE021", twin).outcome is Outcome.PASS


def test_another_error_that_the_class_had_before_says_nothing() -> None:
    old = failed(2, message="wrong number of arguments (given 4, expected 1)", error_class="ArgumentError",
                 created_at=MARK - 9000, failed_at=MARK - 8000)  # fmt: skip
    new = failed(1, message=ARITY, error_class="ArgumentError", created_at=MARK - 60, failed_at=MARK + 60)
    snapshot = retrying(old, new).with_(Marks(((MARK, "a1b2c3d"),), 30), SINCE)

    [found] = diagnose("QUE021", snapshot).findings
    assert found.finding.subject == "job:SendMail"


def test_no_deploy_is_known() -> None:
    found = diagnose("QUE021", refused(MARK - 60, MARK + 60).with_(Marks((), 30)))

    assert found.outcome is Outcome.UNKNOWN


def test_a_release_of_the_fleet_is_a_deploy() -> None:
    told = Fleet((replace(WORKER, started_at=MARK, deploy="v42"),), 1)

    assert diagnose("QUE021", refused(MARK - 60, MARK + 60, fleet=told).with_(Marks())).outcome is Outcome.FAIL


def test_on_a_real_redis(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    now = time.time()
    deploy = datetime.fromtimestamp(now - 600, UTC)
    beat(redis)
    fields: dict[str, Any] = {"error_class": "ArgumentError", "error_message": ARITY, "retry_count": 1, "args": [1]}
    redis.zadd("retry", {payload(created_at=now - 3600, failed_at=now - 300, **fields): now + 60})
    assert check(redis_server.url, "--select", "QUE021").outcome("QUE021") == "unknown"

    redis.hset(f"{deploy:%Y%m%d}-marks", f"{deploy:%Y-%m-%dT%H:%M:00Z}", "a1b2c3d release")

    assert check(redis_server.url, "--select", "QUE021").severities("QUE021") == ["high"]
