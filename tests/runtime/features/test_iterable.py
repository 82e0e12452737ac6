import json
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from servers import RedisServer, eventually
from workers import Worker

import kiqdoctor
from kiqdoctor.runtime import iterating
from kiqdoctor.runtime.job import Job

APP = """
import redis, time
from kiqdoctor import job
client = redis.Redis.from_url("{url}")

@job(name="Steps")
def steps(count, *, cursor):
    client.rpush("resumed", repr(cursor))
    for n in range((cursor or 0) + 1, count + 1):
        client.rpush("steps", n)
        yield n
        while client.exists("hold") and n == 3:
            time.sleep(0.01)
"""


def test_the_cursor_is_passed_on_after_a_failure_and_the_rest_is_done_from_there(lab: Any, redis: Any) -> None:
    @kiqdoctor.job(name="Steps")
    def steps(count: int, *, cursor: Any = None) -> Iterator[Any]:
        lab.note(("from", cursor))
        for n in range((cursor or {"n": 0})["n"] + 1, count + 1):
            if n == 3 and ("from", {"n": 2}) not in lab.seen:
                raise ValueError("third")
            lab.note(n)
            yield {"n": n}

    jid = steps.perform_async(4)
    lab.work()
    kept = redis.hgetall(f"it-{jid}")
    assert json.loads(kept[b"c"]) == {"n": 2}
    assert kept[b"ex"] == b"1"
    assert float(kept[b"rt"]) >= 0
    assert 0 < redis.ttl(f"it-{jid}") <= 30 * 24 * 3600
    assert lab.jobs("retry")[0]["error_message"] == "third"

    lab.poll(ahead=1000)
    lab.work()
    assert lab.seen == [("from", None), 1, 2, ("from", {"n": 2}), 3, 4]
    assert not redis.exists(f"it-{jid}", "retry")


def test_a_worker_that_stops_saves_it_and_another_goes_on(lab: Any, redis: Any, redis_server: RedisServer) -> None:
    @kiqdoctor.job(name="Steps")
    def steps(count: int, *, cursor: Any = None) -> Iterator[Any]:
        yield

    redis.set("hold", 1)
    jid = steps.perform_async(6)
    app = APP.replace("{url}", redis_server.url)
    with Worker.start(app, redis_server.url, "-c", "1") as first:
        eventually(lambda: redis.llen("steps") == 3)
        assert first.process is not None
        first.process.terminate()
        eventually(lambda: any(redis.hget(one, "quiet") == b"true" for one in redis.smembers("processes")))
        redis.delete("hold")
        assert first.process.wait(120) == 0
        assert "interrupted" in first.log()

    assert redis.hget(f"it-{jid}", "c") == b"4"
    assert redis.llen("queue:default") == 1
    assert redis.get("stat:failed") in {None, b"0"}
    with Worker.start(app, redis_server.url, "-c", "1") as second:
        eventually(lambda: redis.llen("steps") == 6, second.log())
        eventually(lambda: not redis.exists(f"it-{jid}"))
    assert redis.lrange("steps", 0, -1) == [b"1", b"2", b"3", b"4", b"5", b"6"]
    assert redis.lrange("resumed", 0, -1) == [b"None", b"4"]


def test_as_sidekiq_cancels_it(lab: Any, redis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iterating, "SAVE", 0.0)
    ended = threading.Event()

    @kiqdoctor.job(name="Endless")
    def endless(*, cursor: Any = None) -> Iterator[int]:
        n = 0
        try:
            while True:
                n += 1
                lab.note(n)
                yield n
        finally:
            ended.set()

    jid = endless.perform_async()
    with kiqdoctor.embed(concurrency=1):
        eventually(lambda: lab.seen)
        assert redis.hsetnx(f"it-{jid}", "cancelled", 1_790_000_000)
        lab.idle()

    assert ended.is_set()
    assert not redis.exists(f"it-{jid}", "retry", "dead")
    assert redis.get("stat:failed") in {None, b"0"}


def test_one_that_was_cancelled_before_it_began_does_nothing(lab: Any, redis: Any) -> None:
    @kiqdoctor.job(name="Steps")
    def steps(*, cursor: Any = None) -> Iterator[int]:
        lab.note("began")
        yield 1

    jid = steps.perform_async()
    redis.hsetnx(f"it-{jid}", "cancelled", 1)
    lab.work()

    assert lab.seen == []
    assert not redis.exists(f"it-{jid}")


def test_it_goes_on_where_ruby_s_own_cursor_is(lab: Any, redis: Any) -> None:
    @kiqdoctor.job(name="Steps")
    def steps(*, cursor: Any = None) -> Iterator[int]:
        lab.note(cursor)
        yield 99
        raise ValueError

    jid = steps.perform_async()
    redis.hset(f"it-{jid}", mapping={"ex": 3, "c": '[12,"a"]', "rt": 1.25})
    lab.work()

    assert lab.seen == [[12, "a"]]
    kept = redis.hgetall(f"it-{jid}")
    assert (kept[b"ex"], kept[b"c"]) == (b"4", b"99")
    assert float(kept[b"rt"]) >= 1.25


def test_it_is_saved_now_and_then_while_it_runs(lab: Any, redis: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(iterating, "SAVE", 0.0)

    @kiqdoctor.job(name="Steps")
    def steps(*, cursor: Any = None) -> Iterator[int]:
        jid = kiqdoctor.current().jid
        yield 1
        lab.note(redis.hget(f"it-{jid}", "c"))
        yield 2
        lab.note(redis.hget(f"it-{jid}", "c"))

    steps.perform_async()
    lab.work()

    assert lab.seen == [b"1", b"2"]


def test_a_cursor_without_a_json_form_is_a_failure_and_the_last_good_one_is_kept(lab: Any, redis: Any) -> None:
    @kiqdoctor.job(name="Steps")
    def steps(*, cursor: Any = None) -> Iterator[Any]:
        yield "good"
        yield {1, 2}

    jid = steps.perform_async()
    lab.work()

    assert "cursor" in lab.jobs("retry")[0]["error_message"]
    assert redis.hget(f"it-{jid}", "c") == b'"good"'


def test_the_error_that_counts_is_the_job_s_own(lab: Any, redis: Any) -> None:
    @kiqdoctor.job(name="Steps")
    def steps(*, cursor: Any = None) -> Iterator[int]:
        key = f"it-{kiqdoctor.current().jid}"
        yield 1
        redis.set(key, "no hash")
        raise ZeroDivisionError

    steps.perform_async()
    lab.work()

    assert lab.jobs("retry")[0]["error_class"] == "ZeroDivisionError"


def test_what_cannot_be_iterated_is_told_where_it_stands() -> None:
    with pytest.raises(ValueError, match="keyword cursor"):

        @kiqdoctor.job
        def no_cursor(n: int) -> Iterator[int]:
            yield n

    with pytest.raises(ValueError, match="async generator"):

        @kiqdoctor.job
        async def both(*, cursor: Any = None) -> Any:
            yield 1


def test_any_keywords_will_do(lab: Any) -> None:
    @kiqdoctor.job(name="Steps")
    def steps(**words: Any) -> Iterator[int]:
        lab.note(words)
        yield 1

    job: Job[..., Any] = steps
    job.perform_async()
    lab.work()

    assert lab.seen == [{"cursor": None}]
