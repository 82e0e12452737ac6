import threading
import time
from typing import Any

import pytest
from servers import RedisServer, eventually
from workers import Worker

import kiqdoctor
from kiqdoctor.clock import Clock
from kiqdoctor.runtime.job import Job


@pytest.fixture
def told(lab: Any) -> Job[..., None]:
    @kiqdoctor.job(name="Told", status=True, retry=1)
    def told(what: str = "") -> None:
        jid = kiqdoctor.current().jid
        eventually(lambda: state(jid) == "running")  # it is told soon, not at once
        if what == "fail":
            raise ValueError

    return told


def state(jid: str) -> str:
    found = kiqdoctor.Status(jid).read()
    return found.state if found is not None else "unknown"


def version(jid: str) -> int:
    found = kiqdoctor.Status(jid).read()
    assert found is not None
    return found.version


def test_from_the_push_to_its_end(lab: Any, told: Job[..., None]) -> None:
    before = time.time()
    jid = told.perform_async()
    queued = kiqdoctor.Status(jid).read()
    assert queued is not None
    assert (queued.state, queued.version) == ("queued", 1)
    assert before - 1 < queued.at < time.time() + 1
    lab.work()

    assert (state(jid), version(jid)) == ("done", 3)
    assert 0 < lab.redis.ttl(f"kiq:status:{jid}") <= 24 * 3600


def test_a_scheduled_one_says_so(told: Job[..., None]) -> None:
    assert state(told.perform_in(60)) == "scheduled"


def test_many_at_once(told: Job[..., None]) -> None:
    assert {state(jid) for jid in told.perform_bulk([[], [], []])} == {"queued"}


def test_a_failure_a_retry_and_a_death(lab: Any, told: Job[..., None]) -> None:
    jid = told.perform_async("fail")
    lab.work()
    assert (state(jid), version(jid)) == ("retry", 3)
    lab.poll(ahead=1000)
    lab.work()

    assert (state(jid), version(jid)) == ("dead", 5)


@pytest.mark.parametrize(
    ("options", "ends"),
    [({"retry": False}, "dead"), ({"retry_in": lambda c, e: "discard"}, "dead"), ({"expires_in": 0.001}, "gone")],
)
def test_other_ends(lab: Any, options: dict[str, Any], ends: str) -> None:
    @kiqdoctor.job(name="Ends", status=True, **options)
    def end() -> None:
        raise ValueError

    jid = end.perform_async()
    time.sleep(0.01)
    lab.work()

    assert state(jid) == ends


def test_over_its_limit_it_is_scheduled(lab: Any) -> None:
    @kiqdoctor.job(name="Few", status=True, rate=(1, 60))
    def few() -> None: ...

    first, second = few.perform_bulk([[], []])
    lab.work()

    assert (state(first), state(second)) == ("done", "scheduled")


def test_of_unique_ones_only_the_one_that_is_there_has_a_state(lab: Any) -> None:
    @kiqdoctor.job(name="Once", status=True, unique_for=60)
    def once() -> None: ...

    jid = once.perform_async()
    assert once.perform_async() == jid
    assert (state(jid), version(jid)) == ("queued", 1)
    assert len(list(lab.redis.scan_iter("kiq:status:*"))) == 1
    lab.work()
    assert state(jid) == "done"


def test_whoever_sees_it_done_may_push_it_again(lab: Any) -> None:
    @kiqdoctor.job(name="Once", status=True, unique_for=60)
    def once() -> None: ...

    with kiqdoctor.embed(concurrency=1):
        jids = set()
        for _ in range(50):
            jid = once.perform_async()
            jids.add(jid)
            found = kiqdoctor.Status(jid).wait(timeout=20, clock=Clock(sleep=lambda _: None))
            assert found is not None
            assert found.state == "done"

    assert len(jids) == 50


def test_how_far_it_is(lab: Any) -> None:
    go = threading.Event()

    @kiqdoctor.job(name="Far", status=True)
    def far() -> None:
        kiqdoctor.current().at(3, 10)
        go.wait(60)

    jid = far.perform_async()
    with kiqdoctor.embed(concurrency=1):
        found = eventually(lambda: (now := kiqdoctor.Status(jid).read()) and now.done and now)
        assert (found.state, found.done, found.total) == ("running", 3, 10)
        go.set()
        ended = kiqdoctor.Status(jid).wait(timeout=60)

    assert ended is not None
    assert (ended.state, ended.done, ended.total) == ("done", 3, 10)


def test_how_far_it_came_at_last_is_told_though_it_ends_at_once(lab: Any) -> None:
    @kiqdoctor.job(name="Far", status=True, retry=0)
    def far(fails: int) -> None:
        kiqdoctor.current().at(10, 10)
        if fails:
            raise ValueError

    jids = far.perform_bulk([[number % 2] for number in range(40)])
    lab.work(concurrency=3)

    found = [kiqdoctor.Status(jid).read() for jid in jids]
    assert [one and (one.state, one.done) for one in found] == [("done", 10), ("dead", 10)] * 20


def test_that_it_runs_never_comes_after_its_end(lab: Any) -> None:
    @kiqdoctor.job(name="Soon", status=True)
    def soon(millis: int) -> None:
        time.sleep(millis / 1000)

    jids = soon.perform_bulk([[number % 23] for number in range(400)])
    lab.work(concurrency=10)

    assert {state(jid) for jid in jids} == {"done"}


def test_without_it_how_far_says_nothing(lab: Any) -> None:
    @kiqdoctor.job(name="Silent")
    def silent() -> None:
        kiqdoctor.current().at(1, 2)

    jid = silent.perform_async()
    lab.work()

    assert kiqdoctor.Status(jid).read() is None


def test_waiting_ends_with_its_time(told: Job[..., None]) -> None:
    jid = told.perform_async()
    passed = iter([0.0, 5.0, 11.0])
    turned = Clock(monotonic=lambda: next(passed), sleep=lambda _: None)
    found = kiqdoctor.Status(jid).wait(timeout=10, clock=turned)

    assert found is not None
    assert found.state == "queued"
    assert kiqdoctor.Status("nobody").wait(timeout=0) is None


APP = """
import time
from kiqdoctor import job
@job(name="Long", status=True)
def long():
    time.sleep(600)
"""


def test_given_back_at_the_deadline_it_is_queued_again(lab: Any, redis_server: RedisServer) -> None:
    @kiqdoctor.job(name="Long", status=True)
    def long() -> None: ...

    jid = long.perform_async()
    with Worker.start(APP, redis_server.url, "-t", "0.1") as worker:
        eventually(lambda: state(jid) == "running")
        assert worker.stop() == 0

    assert state(jid) == "queued"
    assert lab.redis.llen("queue:default") == 1
