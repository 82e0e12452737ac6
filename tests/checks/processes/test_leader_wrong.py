"""PRO017: a leader that cannot lead, on plain facts and on a real Redis."""

from dataclasses import replace

import pytest
import redis as redis_py
from doctoring import check
from healthy import HEALTHY
from healthy.fleet import WORKER
from servers import RedisServer
from states import beat

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet, Leader, Process
from kiqdoctor.doctor.report import Outcome, Result

GONE = Leader("web-9:1:aabbccddeeff", 18)
QUIET = replace(WORKER, quiet=True)


def judged(*leaders: Leader, fleet: tuple[Process, ...] = (WORKER,), apart_s: float = 120.0) -> Result:
    ages = HEALTHY.over(apart_s, *leaders).over(apart_s, *[Fleet(fleet, len(fleet))] * len(leaders))
    return diagnose("PRO017", ages)


@pytest.mark.parametrize(
    ("leader", "process"), [(GONE, WORKER), (Leader(WORKER.identity), QUIET)], ids=["dead", "quiet"]
)
def test_it_cannot_lead_for_two_minutes(leader: Leader, process: Process) -> None:
    [found] = judged(leader, leader, fleet=(process,)).findings

    assert found.severity == "high"
    assert found.finding.subject == f"process:{leader.identity}"


def test_its_twin_leads() -> None:
    assert judged(Leader(WORKER.identity), Leader(WORKER.identity)).outcome is Outcome.PASS


def test_another_followed_it() -> None:
    assert judged(GONE, Leader(WORKER.identity)).outcome is Outcome.PASS


@pytest.mark.parametrize("apart_s", [0.0, 60.0])
def test_another_may_follow_it(apart_s: float) -> None:
    found = judged(*[GONE] * (2 if apart_s else 1), apart_s=apart_s)

    assert found.outcome is Outcome.UNKNOWN
    assert "--for 120" in (found.reason or "")


def test_it_is_another_application_s() -> None:
    fleet = (replace(WORKER, tag="shop"), replace(WORKER, identity="web-2:5:aabbccddeeff", tag="crm"))

    assert judged(Leader(WORKER.identity), fleet=fleet).outcome is Outcome.FAIL
    same = (fleet[0], replace(fleet[1], tag="shop"))
    assert judged(Leader(WORKER.identity), fleet=same).outcome is Outcome.PASS


@pytest.mark.parametrize(("one", "other"), [("shop-mail", "shop-web"), ("shop", "shop_bulk"), ("worker1", "worker2")])
def test_tags_that_begin_alike_may_be_of_one_application(one: str, other: str) -> None:
    fleet = (replace(WORKER, tag=one), replace(WORKER, identity="web-2:5:aabbccddeeff", tag=other))

    assert judged(Leader(WORKER.identity), fleet=fleet).outcome is Outcome.UNKNOWN
    third = (*fleet, replace(fleet[1], identity="web-3:5:aabbccddeeff", tag="crm"))
    assert judged(Leader(WORKER.identity), fleet=third).outcome is Outcome.FAIL


def test_it_changes_at_every_reading() -> None:
    one, other = (replace(WORKER, identity=f"web-{number}:5:aabbccddeeff") for number in (1, 2))
    turns = [Leader(one.identity), Leader(other.identity)] * 2

    assert judged(*turns, fleet=(one, other), apart_s=10.0).outcome is Outcome.FAIL
    assert judged(*[turns[0]] * 4, fleet=(one, other), apart_s=10.0).outcome is Outcome.PASS


def test_without_enterprise_there_is_none() -> None:
    assert judged(Leader()).outcome is Outcome.NOT_APPLICABLE


def test_on_a_real_redis(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    beat(redis, "web-1:71:0123456789ab")
    assert check(redis_server.url, "--select", "PRO017").outcome("PRO017") == "not-applicable"

    redis.set("dear-leader", "web-1:71:0123456789ab", ex=20)
    assert check(redis_server.url, "--select", "PRO017").outcome("PRO017") == "pass"

    redis.set("dear-leader", "web-9:9:0123456789ab", ex=20)
    assert check(redis_server.url, "--select", "PRO017").outcome("PRO017") == "unknown"
