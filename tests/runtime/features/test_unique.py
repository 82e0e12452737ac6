import subprocess
import sys
import time
from typing import Any

import pytest
from servers import RedisServer, eventually
from workers import Worker

import kiqdoctor
from kiqdoctor.runtime.job import Job


@pytest.fixture
def once(lab: Any) -> Job[..., None]:
    @kiqdoctor.job(name="Once", unique_for=600, retry=1)
    def once(what: str, *more: Any) -> None:
        lab.note(what)
        if what == "fail":
            raise ValueError(what)

    return once


def locks(lab: Any) -> int:
    return len(list(lab.redis.scan_iter("kiq:unique:*")))


def test_a_second_push_answers_the_first_jid(lab: Any, once: Job[..., None]) -> None:
    first = once.perform_async("a", {"x": 1, "y": 2})

    assert once.perform_async("a", {"y": 2, "x": 1}) == first
    assert once.perform_async("a", {"x": 1}) != first
    assert lab.redis.llen("queue:default") == 2


def test_the_lock_goes_when_it_has_succeeded(lab: Any, once: Job[..., None]) -> None:
    first = once.perform_async("a")
    lab.work()

    assert once.perform_async("a") != first
    assert locks(lab) == 1


def test_the_lock_holds_while_it_runs_and_while_it_waits_for_a_retry(lab: Any) -> None:
    inside: list[str] = []

    @kiqdoctor.job(name="Self", unique_for=600)
    def pushes_itself() -> None:
        inside.append(pushes_itself.perform_async())
        raise ValueError

    jid = pushes_itself.perform_async()
    lab.work()

    assert inside == [jid]
    assert pushes_itself.perform_async() == jid
    assert lab.redis.zcard("retry") == 1


def test_the_lock_goes_with_its_death(lab: Any, once: Job[..., None]) -> None:
    first = once.perform_async("fail")
    lab.work()
    assert once.perform_async("fail") == first
    lab.poll(ahead=1000)
    lab.work()

    assert lab.redis.zcard("dead") == 1
    assert locks(lab) == 0


@pytest.mark.parametrize("options", [{"retry_in": lambda count, error: "discard"}, {"retry": False}])
def test_the_lock_goes_with_a_discard(lab: Any, options: dict[str, Any]) -> None:
    @kiqdoctor.job(name="Discarded", unique_for=600, **options)
    def discarded() -> None:
        raise ValueError

    discarded.perform_async()
    assert locks(lab) == 1
    lab.work()

    assert locks(lab) == 0


def test_the_lock_goes_with_an_expired_one(lab: Any) -> None:
    @kiqdoctor.job(name="Late", unique_for=600, expires_in=0.01)
    def late() -> None:
        lab.note("late")

    late.perform_async()
    time.sleep(0.02)
    lab.work()

    assert (lab.seen, locks(lab)) == ([], 0)


def test_the_lock_lasts_no_longer_than_it_was_asked_for(lab: Any) -> None:
    @kiqdoctor.job(name="Short", unique_for=0.05)
    def short() -> None: ...

    first = short.perform_async()
    eventually(lambda: short.perform_async() != first)


def test_a_lock_that_ran_out_is_not_taken_from_who_has_it_now(lab: Any, once: Job[..., None]) -> None:
    once.perform_async("a")
    [key] = lab.redis.scan_iter("kiq:unique:*")
    lab.redis.set(key, "another")
    lab.work()

    assert lab.redis.get(key) == b"another"


def test_a_scheduled_one_holds_it_until_it_is_due_and_beyond(lab: Any, once: Job[..., None]) -> None:
    first = once.perform_in(3600, "a")

    assert once.perform_in(60, "a") == first
    assert once.perform_async("a") == first
    assert lab.redis.zcard("schedule") == 1
    [key] = lab.redis.scan_iter("kiq:unique:*")
    assert 4_190 < lab.redis.ttl(key) <= 4_200
    lab.poll(ahead=4000)
    assert once.perform_async("a") == first
    lab.work()
    assert locks(lab) == 0


def test_many_at_once_are_each_unique(lab: Any, once: Job[..., None]) -> None:
    held = once.perform_async("b")
    jids = once.perform_bulk([["a"], ["b"], ["a"], ["c"]])

    assert jids[0] == jids[2]
    assert jids[1] == held
    assert len(set(jids)) == 3
    assert lab.redis.llen("queue:default") == 3


def test_a_queue_that_refuses_leaves_no_lock(lab: Any, once: Job[..., None]) -> None:
    lab.redis.set("queue:default", "no list")
    with pytest.raises(Exception, match="WRONGTYPE"):
        once.perform_async("a")

    assert locks(lab) == 0


def test_in_a_pipeline_the_second_is_dropped_at_the_end(lab: Any, once: Job[..., None]) -> None:
    with kiqdoctor.pipelined():
        assert once.perform_async("a") != once.perform_async("a")

    assert lab.redis.llen("queue:default") == 1


APP = """
from kiqdoctor import configure, job
configure(redis="{url}")
@job(name="Raced", unique_for=600)
def raced(n):
    pass
"""


def test_two_processes_race(lab: Any, redis_server: RedisServer, tmp_path: Any) -> None:
    (tmp_path / "app.py").write_text(APP.replace("{url}", redis_server.url))
    code = "import app; print(*(app.raced.perform_async(n) for n in range(500)))"
    racers = [
        subprocess.Popen([sys.executable, "-c", code], cwd=tmp_path, stdout=subprocess.PIPE, text=True)
        for _ in range(2)
    ]
    answers = [racer.communicate(timeout=60)[0].split() for racer in racers]

    assert answers[0] == answers[1]
    assert lab.redis.llen("queue:default") == 500


@pytest.mark.parametrize("fetch", ["reliable", "basic"])
def test_a_worker_of_either_fetch_frees_it(lab: Any, redis_server: RedisServer, fetch: str) -> None:
    app = APP.replace("{url}", redis_server.url)
    with Worker.start(app, redis_server.url, "--fetch", fetch) as worker:

        @kiqdoctor.job(name="Raced", unique_for=600)
        def raced(n: int) -> None: ...

        raced.perform_async(1)
        eventually(lambda: not locks(lab), worker.log())
