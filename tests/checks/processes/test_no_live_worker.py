"""PRO001: nobody beats."""

from dataclasses import replace

import pytest
import redis as redis_py
from doctoring import check
from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.host import LOCAL
from healthy.moment import NOW
from healthy.redis import SERVER
from servers import RedisServer
from states import push

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.queues import JobSet, Queue, Queues
from kiqdoctor.doctor.facts.redis import Client, Clients, Server, ServerTime
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Absent

ALONE = HEALTHY.without(LocalProcesses, Absent("elsewhere"))
STALE = Fleet((replace(WORKER, beat_age_s=61.0, ttl_s=1),), 1)
EMPTY = Queues(traces=("queues",))


def test_jobs_wait_and_nobody_lives() -> None:
    [finding] = diagnose("PRO001", ALONE.with_(Fleet())).findings

    assert finding.severity == "critical"
    assert "1 job waits" in finding.finding.title


def test_a_beat_of_a_minute_ago_is_none() -> None:
    assert diagnose("PRO001", ALONE.with_(STALE)).outcome is Outcome.FAIL
    assert diagnose("PRO001", ALONE.with_(Fleet((replace(WORKER, beat_age_s=59.0),), 1))).outcome is Outcome.PASS


def test_overdue_jobs_count() -> None:
    late = Queues((Queue("default", 0),), (JobSet("retry", 3, overdue=2),), traces=("retry",))

    assert diagnose("PRO001", ALONE.with_(Fleet(), late)).findings[0].severity == "critical"


def test_nothing_waits_yet() -> None:
    assert diagnose("PRO001", ALONE.with_(Fleet(), EMPTY)).findings[0].severity == "high"


def test_an_empty_redis_holds_no_installation() -> None:
    assert diagnose("PRO001", ALONE.with_(Fleet(), Queues())).outcome is Outcome.NOT_APPLICABLE


def test_a_worker_that_boots_is_waited_for() -> None:
    booting = LocalProcesses("web-1", (replace(LOCAL, started_at=NOW - 5),))

    assert diagnose("PRO001", HEALTHY.with_(Fleet(), booting)).outcome is Outcome.UNKNOWN


def test_a_redis_that_started_anew_is_not_yet_known_to_its_workers() -> None:
    waits = Client(7, "10.0.0.9:5000", flags="b", command="brpop", age_s=2)

    def outcome(up_s: int, *clients: Client) -> Outcome:
        up = Server({**SERVER.info, "uptime_in_seconds": str(up_s)})
        return diagnose("PRO001", ALONE.with_(Fleet(), up, Clients(clients))).outcome

    assert outcome(5, waits) is Outcome.UNKNOWN
    assert outcome(16, waits) is Outcome.FAIL
    assert outcome(5) is Outcome.FAIL
    assert outcome(5, replace(waits, flags="N")) is Outcome.FAIL
    assert outcome(5, replace(waits, database=3)) is Outcome.FAIL


def test_records_that_could_not_be_read() -> None:
    unread = replace(WORKER, beat_age_s=None, error="Redis refuses HMGET: WRONGTYPE")

    assert diagnose("PRO001", ALONE.with_(Fleet((unread,), 1))).outcome is Outcome.UNKNOWN
    assert diagnose("PRO001", ALONE.with_(Fleet((), 9, "too many members"))).outcome is Outcome.UNKNOWN


def test_exq_without_a_namespace_registers_elsewhere(redis: redis_py.Redis, redis_server: RedisServer) -> None:
    push(redis, "mail")
    assert check(redis_server.url, "--select", "PRO001").severities("PRO001") == ["critical"]
    redis.sadd(":processes", "node-1")

    found = check(redis_server.url, "--select", "PRO001").result("PRO001")
    assert found["outcome"] == "unknown"
    assert "1 Exq nodes register in :processes" in found["reason"]


@pytest.mark.parametrize(("ahead", "age", "outcome"), [(120, 121, "unknown"), (120, 240, "fail"), (10, 61, "fail")])
def test_redis_clock_makes_beats_look_old(ahead: float, age: float, outcome: str) -> None:
    stale = Fleet((replace(WORKER, beat_age_s=float(age), ttl_s=None),), 1)
    apart = ALONE.with_(stale, ServerTime(NOW, NOW - ahead, 0.0))

    assert diagnose("PRO001", apart).outcome == outcome
