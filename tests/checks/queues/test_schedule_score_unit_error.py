"""QUE009: a due time in the wrong unit."""

import time

import pytest
import redis as redis_py
from doctoring import check
from healthy import HEALTHY
from healthy.moment import NOW
from jobs import queues
from servers import RedisServer
from states import payload

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.queues import JobSet
from kiqdoctor.doctor.report import Outcome


def test_a_set_that_was_not_read() -> None:
    unread = JobSet("schedule", 9, unread="NOPERM")

    assert diagnose("QUE009", HEALTHY.with_(queues(sets={"schedule": unread}))).outcome is Outcome.UNKNOWN


def test_it_says_which_unit_would_make_sense() -> None:
    far = JobSet("schedule", 9, far=1, strange_scores=((NOW + 86_400) * 1000,))
    [found] = diagnose("QUE009", HEALTHY.with_(queues(sets={"schedule": far}))).findings

    assert found.severity == "high"
    assert found.finding.evidence[1].source == "as milliseconds: 1.0 days ahead"


@pytest.mark.parametrize(
    ("score", "outcome"),
    [
        (lambda now: now + 9 * 365 * 86_400, "pass"),
        (lambda now: now - 3600, "pass"),
        (lambda _: 0, "pass"),
        (lambda now: now * 1000, "fail"),
        (lambda now: now * 1e6, "fail"),
        (lambda _: "inf", "fail"),
        (lambda _: 300, "fail"),
    ],
)
def test_on_a_real_redis(redis: "redis_py.Redis", redis_server: RedisServer, score: object, outcome: str) -> None:
    assert callable(score)
    redis.zadd("schedule", {payload(): score(time.time())})

    assert check(redis_server.url, "--select", "QUE009").outcome("QUE009") == outcome
