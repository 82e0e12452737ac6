"""QUE005: faster than the commit."""

import time
from typing import Any

import pytest
import redis as redis_py
from doctoring import check
from healthy.code import CODE, ENQUEUE
from healthy.moment import NOW
from jobs import failed, retrying
from servers import RedisServer
from states import payload

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.code import Enqueues, Inside, Transaction, Transactions
from kiqdoctor.doctor.facts.queues import Sample
from kiqdoctor.doctor.report import Outcome

ERROR = "ActiveRecord::RecordNotFound"


def missed(count: int = 3, **fields: object) -> list[Sample]:
    return [failed(number, **{"error_class": ERROR, **fields}) for number in range(count)]


@pytest.mark.parametrize(
    "error",
    [
        ERROR,
        "Mongoid::Errors::DocumentNotFound",
        "ActiveJob::DeserializationError",
        "shop.models.User.DoesNotExist",
        "DoesNotExist",
        "sqlalchemy.exc.NoResultFound",
        "sqlalchemy.orm.exc.ObjectDeletedError",
    ],
)
def test_at_once_and_at_the_first_try_only(error: str) -> None:
    [found] = diagnose("QUE005", retrying(*missed(error_class=error))).findings

    assert (found.severity, found.fingerprint) == ("medium", "QUE005:job:SendMail")


def test_a_stamp_of_whole_milliseconds_may_lie_before_the_enqueue() -> None:
    at = NOW - 60.0004

    assert diagnose("QUE005", retrying(*missed(enqueued_at=at, failed_at=at - 0.0009))).findings


@pytest.mark.parametrize(
    "jobs",
    [
        missed(2),
        missed(error_class="Stripe::RateLimitError"),
        missed(failed_at=NOW - 37),
        missed(retry_count=1),
        [*missed(3), *missed(2, retry_count=4)],
    ],
)
def test_its_twins(jobs: list[Sample]) -> None:
    assert diagnose("QUE005", retrying(*jobs)).outcome is Outcome.PASS


def test_failures_without_stamps_tell_nothing() -> None:
    assert diagnose("QUE005", retrying(*missed(enqueued_at=None))).outcome is Outcome.UNKNOWN


def test_the_place_in_the_source_is_shown() -> None:
    opened = Transaction(1, 3, 5, "transaction")
    inside = Transactions((opened,), inside=(Inside(0, 0),))
    [found] = diagnose("QUE005", retrying(*missed()).with_(CODE, Enqueues((ENQUEUE,)), inside)).findings

    assert "app/controllers/orders.rb:5" in [one.value for one in found.finding.evidence]


@pytest.mark.parametrize("unit", [1.0, 1000])
def test_on_a_real_redis(redis: "redis_py.Redis", redis_server: RedisServer, unit: float) -> None:
    now = time.time()

    def stamp(age: float) -> float:
        return type(unit)((now - age) * unit)

    for number in range(3):
        fields: dict[str, Any] = {
            "error_class": ERROR,
            "retry_count": 0,
            "enqueued_at": stamp(40),
            "failed_at": stamp(39.7),
        }
        redis.zadd("retry", {payload(jid=f"{number:024x}", created_at=stamp(40), **fields): now + 20})

    assert check(redis_server.url, "--select", "QUE005").severities("QUE005") == ["medium"]


def test_where_nothing_fails_nothing_tells() -> None:
    found = diagnose("QUE005", retrying())

    assert found.outcome is Outcome.UNKNOWN
    assert "empty" in (found.reason or "")
