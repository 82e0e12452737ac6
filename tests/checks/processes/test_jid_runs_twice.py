"""PRO016: one job in two places, on plain facts and on a real Redis."""

import json
import time
from dataclasses import replace

import redis as redis_py
from doctoring import check
from healthy import HEALTHY
from healthy.fleet import WORKER
from servers import RedisServer
from states import beat, payload

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet, InFlight
from kiqdoctor.doctor.report import Outcome, Result

JOB = InFlight("t1", "default", "a" * 24, "Charge", 1_795_499_990.0)
ONE = replace(WORKER, in_flight=(JOB,), in_flight_key="work")
OTHER = replace(ONE, identity="web-2:4711:ffeeddccbbaa", hostname="web-2")


def beating(fleet: Fleet, seconds: float) -> Fleet:
    """The same so much later."""
    moved = tuple(replace(one, beat=(one.beat or 0) + seconds) for one in fleet.processes)
    return replace(fleet, processes=moved)


def judged(*processes: object, apart_s: float = 20.0, later: float = 20.0) -> Result:
    fleet = Fleet(processes, len(processes))  # type: ignore[arg-type]
    return diagnose("PRO016", HEALTHY.over(apart_s, fleet, beating(fleet, later)))


def test_it_runs_in_two_processes_over_two_beats() -> None:
    [found] = judged(ONE, OTHER).findings

    assert found.severity == "critical"
    assert found.finding.title == f"Charge {'a' * 24} runs 2 times at once"


def test_its_twin_is_another_job() -> None:
    other = replace(OTHER, in_flight=(replace(JOB, jid="b" * 24),))

    assert judged(ONE, other).outcome is Outcome.PASS


def test_a_dead_owner_s_record_does_not_beat() -> None:
    assert judged(ONE, OTHER, later=0.0).outcome is Outcome.PASS


def test_who_died_a_while_ago_does_not_count() -> None:
    assert judged(ONE, replace(OTHER, beat_age_s=61.0)).outcome is Outcome.PASS


def test_two_beats_are_waited_for() -> None:
    once = diagnose("PRO016", HEALTHY.with_(Fleet((ONE, OTHER), 2)))

    assert once.outcome is Outcome.UNKNOWN
    assert "--for 20" in (once.reason or "")
    assert judged(ONE, OTHER, apart_s=9.0).outcome is Outcome.UNKNOWN


def test_one_of_two_threads_of_a_process() -> None:
    twice = replace(ONE, in_flight=(JOB, replace(JOB, thread="t2")))

    assert judged(twice).outcome is Outcome.FAIL


def test_a_hash_that_was_not_read_whole_is_no_pass() -> None:
    assert judged(replace(ONE, in_flight=(replace(JOB, jid=""),))).outcome is Outcome.UNKNOWN


def test_on_a_real_redis(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    for identity in ("web-1:71:0123456789ab", "web-2:72:0123456789ab"):
        beat(redis, identity)
        redis.hset(f"{identity}:work", "t1", json.dumps({"queue": "q", "payload": payload(), "run_at": time.time()}))

    found = check(redis_server.url, "--select", "PRO016")
    assert found.outcome("PRO016") == "unknown"
    assert "is in flight 2 times" in str(found.result("PRO016")["reason"])
