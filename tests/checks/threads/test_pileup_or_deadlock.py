"""THR002: rings of locks and piles at one line, and threads that only pass."""

import pytest
import redis as redis_py
from doctoring import check
from healthy import HEALTHY
from looked import NOT_DEEP, ONCE, REFUSED, looking
from servers import RedisServer, eventually
from states import payload
from workers import Worker

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.threads import Call, Frame, Thread
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot

FUTEX = Call("futex", endless=True)
PILED = tuple(
    Thread(f"w{number}", f"w{number}", (Frame("job", "/srv/app/jobs.py", 3),), state="sleeping", cpu_s=1.0, call=FUTEX)
    for number in range(3)
)


def test_threads_that_wait_for_jobs_are_no_pile() -> None:
    assert diagnose("THR002", HEALTHY).outcome is Outcome.PASS


def test_a_ring_of_locks() -> None:
    [found] = diagnose("THR002", looking(*PILED[:2], deadlocks=(("w0", "w1"),))).findings

    assert found.severity == "critical"
    assert found.fingerprint == "THR002:process:web-1:deadlock"


def test_a_pile_at_one_line() -> None:
    assert [one.severity for one in diagnose("THR002", looking(*PILED)).findings] == ["high"]
    assert diagnose("THR002", looking(*PILED[:2])).outcome is Outcome.PASS


def ruby(name: str, line: int, function: str) -> Thread:
    """A job's thread, as Sidekiq's own dump tells it."""
    standing = Frame(function, "/srv/app/jobs.rb", line)
    return Thread(name, name, (standing, Frame("perform", "/srv/app/jobs.rb", line)))


def test_two_threads_of_a_ruby_that_wait_for_locks_may_be_deadlocked() -> None:
    locked = [ruby("a", 3, "Thread::Mutex#synchronize"), ruby("b", 9, "synchronize")]
    asleep = [ruby("c", 12, "Kernel#sleep"), ruby("d", 12, "sleep")]

    doubted = diagnose("THR002", looking(*locked, *asleep, kind="sidekiq", count=2))
    assert doubted.outcome is Outcome.UNKNOWN
    assert "2 threads" in str(doubted.reason)
    for healthy in (asleep, [locked[0], *asleep]):
        assert diagnose("THR002", looking(*healthy, kind="sidekiq", count=2)).outcome is Outcome.PASS


@pytest.mark.parametrize("state", ["stopped", "frozen"])
def test_of_one_that_is_stopped_nothing_is_told(state: str) -> None:
    seen = looking(Thread("a", "a", (Frame("job", "/srv/app/jobs.py", 3),), state="sleeping"), state=state)

    assert diagnose("THR002", seen).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(
    ("seen", "outcome"),
    [(NOT_DEEP, Outcome.NOT_APPLICABLE), (REFUSED, Outcome.UNKNOWN), (ONCE, Outcome.UNKNOWN)],
)
def test_what_was_not_seen(seen: Snapshot, outcome: Outcome) -> None:
    assert diagnose("THR002", seen).outcome is outcome


APP = """
import threading, time
from kiqdoctor import job

A, B = threading.Lock(), threading.Lock()

@job
def one():
    with A:
        time.sleep(0.3)
        with B:
            pass

@job
def two():
    with B:
        time.sleep(0.3)
        with A:
            pass

@job
def sleeps():
    time.sleep(600)
"""


def test_a_real_deadlock_and_jobs_that_only_sleep(redis_server: RedisServer, redis: redis_py.Redis) -> None:
    def found() -> list[str]:
        return check(redis_server.url, "--deep", "--select", "THR002").severities("THR002")

    with Worker.start(APP, redis_server.url, "-c", "5") as worker:
        for _ in range(3):
            redis.lpush("queue:default", payload("app.sleeps", retry=False, args=[]))
        assert found() == []
        redis.lpush("queue:default", payload("app.one", retry=False, args=[]))
        redis.lpush("queue:default", payload("app.two", retry=False, args=[]))
        assert eventually(found, "a deadlock") == ["critical"]
        worker.kill()
