"""QUE008: what is due stays where it is."""

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
from kiqdoctor.doctor.facts.config import Setting, WorkerFile, WorkerSettings
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.queues import JobSet, Queues
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot


def late(by: float, overdue: int = 3, **fields: object) -> Queues:
    one = JobSet("schedule", 5, overdue=overdue, lowest_score=NOW - by)
    return queues(sets={"schedule": replace(one, **fields)})  # type: ignore[arg-type]


def over(*readings: Queues) -> Snapshot:
    return HEALTHY.over(10.0, *readings)


def test_nothing_moves() -> None:
    [found] = diagnose("QUE008", over(late(61), late(61))).findings

    assert (found.severity, found.finding.subject) == ("critical", "set:schedule")


@pytest.mark.parametrize("then", [late(59), late(61, overdue=2), late(50, overdue=9)])
def test_its_twin_moves(then: Queues) -> None:
    assert diagnose("QUE008", over(late(70), then)).outcome is Outcome.PASS


def test_one_reading_shows_no_standstill() -> None:
    found = diagnose("QUE008", HEALTHY.with_(late(61)))

    assert found.outcome is Outcome.UNKNOWN
    assert "--for 1" in (found.reason or "")


def test_ghosts_stretch_the_polls() -> None:
    ghosts = tuple(Process(f"gone:{number}:aa", exists=False) for number in range(9))
    many = Fleet((WORKER, *ghosts), 10)

    assert diagnose("QUE008", over(late(149), late(149)).with_(many)).outcome is Outcome.PASS
    [found] = diagnose("QUE008", over(late(151), late(151)).with_(many)).findings
    assert any("9 of them ghosts" in one.value for one in found.finding.evidence)


def test_sidekiq_5_0_polls_every_fifteen_seconds() -> None:
    five = Fleet(tuple(replace(WORKER, identity=f"web:{pid}:aa", version="", rss_kb=None) for pid in range(3)), 3)

    assert diagnose("QUE008", over(late(134), late(134)).with_(five)).outcome is Outcome.PASS
    assert diagnose("QUE008", over(late(136), late(136)).with_(five)).outcome is Outcome.FAIL


def test_the_applications_own_interval() -> None:
    file = WorkerFile("config/sidekiq.yml", (Setting("average_scheduled_poll_interval", 4, "number", "60"),))
    slow = WorkerSettings((file,))

    assert diagnose("QUE008", over(late(179), late(179)).with_(slow)).outcome is Outcome.PASS
    assert diagnose("QUE008", over(late(181), late(181)).with_(slow)).outcome is Outcome.FAIL


def test_who_has_just_started_is_given_time() -> None:
    young = Fleet((replace(WORKER, started_at=NOW - 20),), 1)

    assert diagnose("QUE008", over(late(61), late(61)).with_(young)).outcome is Outcome.UNKNOWN


def test_clocks_that_differ_tell_nothing() -> None:
    snapshot = over(late(61), late(61)).with_(ServerTime(NOW, NOW - 6))

    assert diagnose("QUE008", snapshot).outcome is Outcome.UNKNOWN


def test_a_set_that_was_not_read() -> None:
    assert diagnose("QUE008", HEALTHY.with_(late(61, lowest_score=None))).outcome is Outcome.UNKNOWN


def test_on_a_real_redis(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    beat(redis)
    redis.zadd("schedule", {payload(): redis.time()[0] - 30})
    assert check(redis_server.url, "--select", "QUE008", "--for", "1").outcome("QUE008") == "pass"

    redis.zadd("schedule", {payload("Second"): redis.time()[0] - 300})

    assert check(redis_server.url, "--select", "QUE008", "--for", "1").severities("QUE008") == ["critical"]
