"""PRO008: what proves a death, and what does not."""

import socket
from dataclasses import replace

import pytest
import redis as redis_py
from doctoring import check
from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.host import LOCAL
from healthy.moment import NOW
from servers import RedisServer
from states import in_flight

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet, InFlight, PrivateLists, Recoveries
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Absent, Snapshot
from kiqdoctor.wire.recovery import RecoveryEntry

JOB = InFlight("t1", "default", "a" * 24, "SendMail", NOW - 5)
BUSY = replace(WORKER, reliable=False, in_flight=(JOB,), in_flight_key="work", in_flight_ttl_s=50)
ELSEWHERE = HEALTHY.without(LocalProcesses, Absent("another host"))


def busy(here: Snapshot = HEALTHY, **changes: object) -> Snapshot:
    return here.with_(Fleet((replace(BUSY, **changes),), 1))  # type: ignore[arg-type]


def gone(**changes: object) -> Snapshot:
    return busy(HEALTHY.with_(LocalProcesses("web-1", (), pids=frozenset({1}))), **changes)


def test_its_pid_is_gone() -> None:
    [finding] = diagnose("PRO008", gone()).findings

    assert finding.severity == "critical"
    assert "died with 1 job in flight; 50 s are left" in finding.finding.title
    assert "no process with pid 4711 lives" in finding.finding.evidence[0].value


def test_a_gem_s_private_list_has_them() -> None:
    """gitlab-sidekiq-fetcher signs with a nonce of its own, by which no identity is found."""
    assert diagnose("PRO008", gone().with_(PrivateLists(seats=("web-1:4711",)))).outcome is Outcome.PASS
    assert diagnose("PRO008", gone().with_(PrivateLists(seats=("web-1:4712",)))).outcome is Outcome.FAIL


def test_its_pid_belongs_to_somebody_else_now() -> None:
    reused = LocalProcesses("web-1", (), pids=frozenset({4711}), start_times={4711: NOW + 20})

    assert diagnose("PRO008", busy(HEALTHY.with_(reused))).outcome is Outcome.FAIL


def test_alive_here_is_healthy_however_late_it_beats() -> None:
    assert diagnose("PRO008", busy()).outcome is Outcome.PASS
    assert diagnose("PRO008", busy(beat_age_s=45.0)).outcome is Outcome.PASS


def test_a_container_s_pid_is_known_by_its_own_number() -> None:
    inside = LocalProcesses(
        "web-1", (replace(LOCAL, pid=90001, namespace_pids=(90001, 4711)),), pids=frozenset({90001})
    )

    assert diagnose("PRO008", busy(HEALTHY.with_(inside))).outcome is Outcome.PASS


def test_the_same_seat_was_taken_again() -> None:
    heir = replace(WORKER, identity="web-1:4711:ffffffffffff", started_at=NOW - 1)
    state = ELSEWHERE.with_(Fleet((BUSY, heir), 2))

    assert diagnose("PRO008", state).findings[0].severity == "critical"


def test_another_host_is_only_likely() -> None:
    assert diagnose("PRO008", busy(ELSEWHERE, beat_age_s=31.0)).findings[0].severity == "high"
    assert diagnose("PRO008", busy(ELSEWHERE, beat_age_s=12.0)).outcome is Outcome.PASS


def test_reliable_fetch_loses_nothing() -> None:
    assert diagnose("PRO008", gone(reliable=True)).outcome is Outcome.PASS


def test_a_clean_exit_a_moment_ago_is_no_death() -> None:
    assert diagnose("PRO008", gone(quiet=True, beat_age_s=1.0)).outcome is Outcome.PASS


def test_a_partial_reading_is_no_pass() -> None:
    state = HEALTHY.with_(Fleet((WORKER,), 3000, "2000 of 3000 process records were read"))

    assert diagnose("PRO008", state).outcome is Outcome.UNKNOWN


def test_what_our_runtime_took_back_is_told() -> None:
    last = RecoveryEntry(NOW - 60, "web-1:1:aa", "web-2:2:bb", 5, 1)
    judged = diagnose("PRO008", HEALTHY.with_(Recoveries(7, (last,))))

    assert judged.outcome is Outcome.PASS
    told = [f"{one.label}: {one.value}" for one in judged.evidence]
    assert "jobs taken back from dead processes, ever: 7" in told
    assert any("5 jobs of web-1:1:aa by web-2:2:bb, 1 of them buried" in one for one in told)


@pytest.mark.parametrize(("ahead", "age", "outcome"), [(120, 121, "unknown"), (120, 160, "fail"), (10, 40, "fail")])
def test_redis_clock_makes_beats_look_old(ahead: float, age: float, outcome: str) -> None:
    apart = busy(ELSEWHERE.with_(ServerTime(NOW, NOW - ahead, 0.0)), beat_age_s=float(age), ttl_s=None)

    assert diagnose("PRO008", apart).outcome == outcome


def test_a_ghost_of_this_host_is_known_by_its_name_alone(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    host, pid = socket.gethostname(), 4_194_000  # beyond what Linux numbers processes with by default
    ghost = f"{host}:{pid}:0123456789ab"
    redis.sadd("processes", ghost)
    in_flight(redis, ghost, 2)
    assert check(redis_server.url, "--select", "PRO008").outcome("PRO008") == "fail"  # proven where /proc is the host's

    redis.lpush(f"working:queue:default:{host}:{pid}:ba9876543210", "{}")  # a gem's, which names itself
    assert check(redis_server.url, "--select", "PRO008").outcome("PRO008") == "pass"
