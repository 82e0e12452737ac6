"""THR001: stopped, silent, or one thread has the GIL; and a worker that only rests."""

import os
import signal

import pytest
import redis as redis_py
from doctoring import check
from healthy import HEALTHY
from looked import NOT_DEEP, REFUSED, SILENT, looking
from servers import RedisServer, eventually
from workers import Worker

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.threads import Call, Frame, Thread
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot

HELD = Thread("a", "a", (Frame("job", "/srv/app/jobs.py", 3),), state="sleeping", cpu_s=1.0, owns_gil=True)


def test_a_worker_that_rests_answers() -> None:
    assert diagnose("THR001", HEALTHY).outcome is Outcome.PASS


def test_a_stopped_worker() -> None:
    [found] = diagnose("THR001", looking(HELD, state="stopped")).findings

    assert found.severity == "high"
    assert found.fingerprint == "THR001:process:web-1"


def test_the_gil_is_held_asleep() -> None:
    [found] = diagnose("THR001", looking(HELD)).findings

    assert found.severity == "critical"
    assert diagnose("THR001", looking(HELD, kind="sidekiq")).outcome is Outcome.FAIL


def test_ruby_that_writes_no_dump() -> None:
    assert [one.severity for one in diagnose("THR001", SILENT).findings] == ["critical"]


@pytest.mark.parametrize(("seen", "outcome"), [(NOT_DEEP, Outcome.NOT_APPLICABLE), (REFUSED, Outcome.UNKNOWN)])
def test_what_was_not_seen(seen: Snapshot, outcome: Outcome) -> None:
    assert diagnose("THR001", seen).outcome is outcome


@pytest.mark.parametrize("state", ["zombie", "disk sleep", ""])
def test_without_a_thread_that_was_seen_nothing_is_proven(state: str) -> None:
    found = diagnose("THR001", looking(kind="sidekiq", count=1, state=state))

    assert found.outcome is Outcome.UNKNOWN
    assert state in (found.reason or "")


def test_waiting_for_the_gil_alone_is_nothing() -> None:
    waits = Thread("b", "b", HELD.frames, state="sleeping", cpu_s=1.0, call=Call("futex", gil=True))

    assert diagnose("THR001", looking(waits)).outcome is Outcome.PASS


def _outcomes(server: RedisServer) -> set[str]:
    found = check(server.url, "--deep", "--select", "THR001,THR002,THR003")
    assert found.report["summary"]["fail"] == 0, found.out
    return {one["outcome"] for one in found.report["results"]}


def test_a_real_worker_stopped_and_going_on(redis: redis_py.Redis, redis_server: RedisServer) -> None:
    with Worker.start(
        "import kiqdoctor\n\n@kiqdoctor.job\ndef nothing():\n    pass\n", redis_server.url, "-c", "2"
    ) as worker:
        eventually(lambda: _outcomes(redis_server) == {"pass"}, "a machine that has time for two looks")
        os.kill(worker.pid, signal.SIGSTOP)
        stopped = check(redis_server.url, "--deep", "--select", "THR001")
        os.kill(worker.pid, signal.SIGCONT)

    assert stopped.severities("THR001") == ["high"]
