"""THR003: a thread that keeps the GIL, and threads that take turns."""

from dataclasses import replace

import pytest
import redis as redis_py
from doctoring import check
from healthy import HEALTHY
from healthy.threads import LOOKS
from looked import NOT_DEEP, REFUSED, looking
from servers import RedisServer, eventually
from states import payload
from workers import Worker

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.threads import Call, Frame, ProcessLooks, Thread, ThreadLooks
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot

HOG = Thread("a", "a", (Frame("job", "/srv/app/jobs.py", 3),), state="sleeping", cpu_s=1.0, owns_gil=True)
STARVED = Thread("b", "b", HOG.frames, state="sleeping", cpu_s=1.0, call=Call("futex", gil=True))


def test_one_keeps_it_and_another_starves() -> None:
    [found] = diagnose("THR003", looking(HOG, STARVED)).findings

    assert found.severity == "high"
    assert diagnose("THR003", looking(replace(HOG, state="running"))).outcome is Outcome.PASS


def test_on_a_host_without_a_core_for_it_nobody_is_accused() -> None:
    found = diagnose("THR003", looking(replace(HOG, state="running"), STARVED))

    assert found.outcome is Outcome.UNKNOWN
    assert "no core for it" in (found.reason or "")


def test_a_ruby_that_answers_has_no_thread_that_keeps_its_lock() -> None:
    found = diagnose("THR003", HEALTHY)

    assert found.outcome is Outcome.PASS
    assert any("no thread kept the GVL" in one.value for one in found.evidence)


@pytest.mark.parametrize(
    ("looks", "why"),
    [
        (ProcessLooks(4711, (), "no dump within 5 s", silent=True), "did not answer (THR001)"),
        (ProcessLooks(4711, (), "its log is another user's", "root"), "another user's"),
        (ProcessLooks(4711, LOOKS[:1]), "sleeping"),
    ],
)
def test_of_a_ruby_that_does_not_answer_nothing_is_told(looks: ProcessLooks, why: str) -> None:
    found = diagnose("THR003", HEALTHY.with_(ThreadLooks((looks,))))

    assert found.outcome is Outcome.UNKNOWN
    assert why in (found.reason or "")


@pytest.mark.parametrize("state", ["stopped", "frozen"])
def test_of_one_that_is_stopped_nothing_is_told(state: str) -> None:
    seen = looking(Thread("a", "a", (Frame("job", "/srv/app/jobs.py", 3),), state="sleeping"), state=state)

    assert diagnose("THR003", seen).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(("seen", "outcome"), [(NOT_DEEP, Outcome.NOT_APPLICABLE), (REFUSED, Outcome.UNKNOWN)])
def test_what_was_not_seen(seen: Snapshot, outcome: Outcome) -> None:
    assert diagnose("THR003", seen).outcome is outcome


def test_one_look_tells_nothing() -> None:
    assert diagnose("THR003", looking(HOG, STARVED, count=1)).outcome is Outcome.UNKNOWN


APP = """
import re, time
from kiqdoctor import job

@job
def backtracks():
    re.match(r"(a+)+$", "a" * 40 + "b")

@job
def turns():
    ends = time.monotonic() + 60
    while time.monotonic() < ends:
        sum(range(1000))
"""


def test_a_real_expression_that_backtracks_and_jobs_that_take_turns(
    redis_server: RedisServer, redis: redis_py.Redis
) -> None:
    def found() -> list[str]:
        """Severities; where this machine has no core for a worker, or for a second look, nothing can be told of it."""
        one = check(redis_server.url, "--deep", "--select", "THR003").result("THR003")
        busy = any(why in (one["reason"] or "") for why in ("no core for it", "one look only"))
        assert one["findings"] or one["outcome"] == "pass" or busy
        return [told["severity"] for told in one["findings"]]

    with Worker.start(APP, redis_server.url, "-c", "5") as worker:
        for _ in range(2):
            redis.lpush("queue:default", payload("app.turns", retry=False, args=[]))
        assert found() == []
        redis.lpush("queue:default", payload("app.backtracks", retry=False, args=[]))
        assert eventually(found, "a hog") == ["high"]
        worker.kill()
