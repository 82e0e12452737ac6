"""Jobs on a real Redis: pushed, run, tried again, scheduled, buried; workers stopped and killed."""

import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from servers import RedisServer, eventually
from workers import Worker

import kiqdoctor
from kiqdoctor.runtime.fetching.seats import Fate, fate, here
from kiqdoctor.runtime.job import REGISTRY
from kiqdoctor.wire.account import Whereabouts
from kiqdoctor.wire.codec import ArgumentError

APP = """
import os, time
import kiqdoctor
from kiqdoctor import job
import redis
client = redis.Redis.from_url(os.environ.get("TEST_URL") or "{url}")

kiqdoctor.configure(on_quiet=[lambda: client.rpush("told", "quiet")])

@job
def note(text):
    client.rpush("noted", text)

@job(retry=1)
def fail(text):
    raise ValueError(text)

@job(name="RubyClass", queue="mail")
def slow(seconds):
    client.rpush("began", seconds)
    time.sleep(seconds)
    client.rpush("noted", "slept")
"""
BASICS = [("--fetch", "reliable"), ("--fetch", "basic")]


@pytest.fixture
def configured(redis_server: RedisServer) -> Iterator[None]:
    kiqdoctor.configure(redis=redis_server.url)
    before = dict(REGISTRY)
    yield
    REGISTRY.clear()
    REGISTRY.update(before)


def app(server: RedisServer) -> str:
    return APP.replace("{url}", server.url)


def push(client: Any, name: str, *args: Any, queue: str = "default", **more: Any) -> None:
    job = {"class": name, "args": list(args), "queue": queue, "jid": "ab" * 12, "retry": True, **more}
    client.sadd("queues", queue)
    client.lpush(f"queue:{queue}", json.dumps(job))


def noted(client: Any) -> list[bytes]:
    found: list[bytes] = client.lrange("noted", 0, -1)
    return found


def test_what_a_push_writes(redis: Any, configured: None) -> None:
    @kiqdoctor.job(queue="mail", retry=5, name="SendMail")
    def send(address: str) -> str:
        return address

    jid = send.perform_async("a@example.org")

    [raw] = redis.lrange("queue:mail", 0, -1)
    job = json.loads(raw)
    assert job == {"retry": 5, "queue": "mail", "class": "SendMail", "args": ["a@example.org"], "jid": jid,
                   "created_at": job["created_at"], "enqueued_at": job["enqueued_at"]}  # fmt: skip
    assert redis.smembers("queues") == {b"mail"}
    assert len(jid) == 24
    assert b'", ' not in raw
    assert send("b") == "b"


def test_a_push_for_later(redis: Any, configured: None) -> None:
    @kiqdoctor.job
    def later() -> None: ...

    when = datetime.now(UTC) + timedelta(hours=1)
    before = time.time()
    later.perform_in(timedelta(minutes=5))
    later.perform_at(when)
    later.perform_in(-1)

    [(first, soon), (_, late)] = redis.zrange("schedule", 0, -1, withscores=True)
    assert before + 299.999 <= soon <= time.time() + 300
    assert late == pytest.approx(when.timestamp(), abs=0.001)
    assert not {"at", "enqueued_at"} & json.loads(first).keys()
    assert redis.llen("queue:default") == 1
    with pytest.raises(ValueError, match="time zone"):
        later.perform_at(datetime.now())  # noqa: DTZ005


def test_many_in_order_and_bad_arguments_push_nothing(redis: Any, configured: None) -> None:
    @kiqdoctor.job
    def one(n: int) -> None: ...

    jids = one.perform_bulk([[n] for n in range(2500)])

    assert len(set(jids)) == 2500
    assert json.loads(redis.lindex("queue:default", -1))["jid"] == jids[0]
    with pytest.raises(ArgumentError, match=r"args\[0\]"):
        one.perform_bulk([[1], [{1, 2}]])
    assert redis.llen("queue:default") == 2500


@pytest.mark.parametrize("words", [{"queue": ""}, {"retry": -1}, {"retry": "x"}])
def test_wrong_options_are_told_at_once(words: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"queue|retry"):
        kiqdoctor.job(**words)


def test_an_embedded_worker_runs_and_leaves_nothing(redis: Any, configured: None) -> None:
    seen: list[int] = []

    @kiqdoctor.job(name="embedded.collect")
    def collect(n: int) -> None:
        seen.append(n)

    collect.perform_bulk([[n] for n in range(100)])
    with kiqdoctor.embed(concurrency=3):
        eventually(lambda: len(seen) == 100)
        assert redis.scard("processes") == 1

    assert sorted(seen) == list(range(100))
    assert not redis.smembers("processes")
    assert not list(redis.scan_iter("kiq:*"))
    assert redis.get("stat:processed") == b"100"


@pytest.mark.parametrize("fetch", BASICS, ids=["reliable", "basic"])
def test_a_worker_runs_fails_and_stops(redis: Any, redis_server: RedisServer, fetch: tuple[str, ...]) -> None:
    with Worker.start(app(redis_server), redis_server.url, *fetch) as worker:
        push(redis, "app.note", "hello")
        push(redis, "app.fail", "boom", extra="kept", retry=1)
        push(redis, "app.unheard_of")
        redis.lpush("queue:default", "{not json")
        eventually(lambda: redis.zcard("retry") == 2 and redis.zcard("dead") == 1 and noted(redis))
        assert worker.stop() == 0
        assert "class=app.note" in worker.log()

    assert noted(redis) == [b"hello"]
    entries = {
        json.loads(raw)["class"]: (json.loads(raw), due) for raw, due in redis.zrange("retry", 0, -1, withscores=True)
    }
    job, due = entries["app.fail"]
    assert (job["retry_count"], job["error_class"], job["error_message"], job["extra"]) == (
        0,
        "ValueError",
        "boom",
        "kept",
    )
    assert 14 < due - job["failed_at"] < 26
    assert "app" in entries["app.unheard_of"][0]["error_message"]
    assert redis.zrange("dead", 0, -1) == [b"{not json"]
    assert not redis.exists("processes")
    assert not list(redis.scan_iter("kiq:*"))


def test_the_last_retry_buries(redis: Any, redis_server: RedisServer) -> None:
    push(redis, "app.fail", "boom", retry=1, retry_count=0, failed_at=1.5)
    push(redis, "app.fail", "boom", retry=False)

    with Worker.start(app(redis_server), redis_server.url):
        eventually(lambda: redis.zcard("dead") == 1 and redis.llen("queue:default") == 0)

    [raw] = redis.zrange("dead", 0, -1)
    assert json.loads(raw)["retry_count"] == 1
    assert redis.zcard("retry") == 0


def test_due_jobs_run(redis: Any, redis_server: RedisServer) -> None:
    redis.zadd("schedule", {json.dumps({"class": "app.note", "args": ["due"], "queue": "default", "jid": "a"}): 1})

    with Worker.start(app(redis_server), redis_server.url):
        eventually(lambda: noted(redis) == [b"due"])


def test_a_namespace(redis: Any, redis_server: RedisServer) -> None:
    with Worker.start(app(redis_server), redis_server.url, namespace="shop"):
        redis.lpush("shop:queue:default", json.dumps({"class": "app.note", "args": ["x"], "jid": "a"}))
        eventually(lambda: noted(redis) == [b"x"])

    foreign = [key for key in redis.scan_iter() if not key.startswith(b"shop:") and key not in {b"noted", b"told"}]
    assert foreign == []


def test_at_the_deadline_a_running_job_is_given_back(redis: Any, redis_server: RedisServer) -> None:
    words = ("-q", "mail", "-t", "0.5", "-c", "1")
    with Worker.start(app(redis_server), redis_server.url, *words) as worker:
        push(redis, "RubyClass", 60, queue="mail")
        eventually(lambda: redis.llen("began"))
        assert worker.stop() == 0

    assert redis.llen("queue:mail") == 1
    assert not list(redis.scan_iter("kiq:*"))


def test_quiet_takes_nothing_more_and_a_dump_names_the_job(redis: Any, redis_server: RedisServer) -> None:
    words = ("-q", "mail", "-q", "default", "-c", "2", "-t", "0.1")
    with Worker.start(app(redis_server), redis_server.url, *words) as worker:
        push(redis, "RubyClass", 60, queue="mail")
        eventually(lambda: redis.llen("began"))
        assert worker.process is not None
        worker.process.send_signal(signal.SIGTTIN)
        eventually(lambda: "class=RubyClass" in worker.log() and " in slow" in worker.log())
        worker.process.send_signal(signal.SIGTSTP)
        eventually(lambda: redis.exists("told"), "it is quiet, and not only about to be")
        push(redis, "app.note", "late")
        time.sleep(0.5)  # in which it would run
        assert worker.stop() == 0
        assert "quiet: taking no more jobs" in worker.log()
    assert redis.llen("queue:default") == 1
    assert not noted(redis)


def test_a_killed_worker_s_jobs_run_again(redis: Any, redis_server: RedisServer) -> None:
    with Worker.start(app(redis_server), redis_server.url, "-q", "mail", "-c", "3") as worker:
        for _ in range(8):
            push(redis, "RubyClass", 300, queue="mail")
        eventually(lambda: redis.llen("began") == 3)
        worker.kill()
    quick = app(redis_server).replace("time.sleep(seconds)", "pass")
    with Worker.start(quick, redis_server.url, "-q", "mail", "-c", "8") as second:
        eventually(lambda: redis.llen("noted") >= 8, second.log())
        eventually(lambda: "recovered" in second.log(), second.log())
        eventually(lambda: redis.hlen("kiq:index") == 1)

    assert redis.llen("noted") == 8


def test_a_seat_knows_its_own() -> None:
    ours = here()

    assert fate(ours, here()) is Fate.ALIVE
    assert fate(ours, Whereabouts(ours.boot, ours.namespace, ours.pid, "1")) is Fate.DEAD
    assert fate(ours, Whereabouts("another boot", ours.namespace, ours.pid, "1")) is Fate.UNKNOWN


def test_a_wrong_type_on_one_queue_strands_nothing_of_another(redis: Any, redis_server: RedisServer) -> None:
    redis.set("queue:mail", "not a list")

    with Worker.start(app(redis_server), redis_server.url, "-q", "mail", "-q", "default"):
        push(redis, "app.note", "x")
        eventually(lambda: noted(redis) == [b"x"])


def test_pauses_that_nobody_can_read_keep_no_worker_from_starting(redis: Any, redis_server: RedisServer) -> None:
    redis.set("paused", "not a set")

    with Worker.start(app(redis_server), redis_server.url) as worker:
        push(redis, "app.note", "x")
        eventually(lambda: noted(redis) == [b"x"])
        assert "paused: WRONGTYPE" in worker.log()


def test_an_index_of_another_type_is_named_by_a_worker_that_cannot_start(
    redis: Any, redis_server: RedisServer, tmp_path: Path
) -> None:
    redis.set("kiq:index", "not a hash")
    (tmp_path / "app.py").write_text(app(redis_server))
    command = [sys.executable, "-m", "kiqdoctor", "work", "app", "--redis", redis_server.url]

    ended = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert ended.returncode == 1
    assert "cannot start: ResponseError: kiq:index: " in ended.stderr


def test_redis_goes_away_and_comes_back(tmp_path: Any) -> None:
    settings = {"appendonly": "yes", "appendfsync": "always", "dir": str(tmp_path)}
    with RedisServer.start(settings) as server:  # noqa: SIM117
        with Worker.start(app(server), server.url) as worker:
            with server.client() as client:
                push(client, "app.note", "before")
                eventually(lambda: noted(client) == [b"before"])  # its first beat is not yet the end of its start
            server.down(signal.SIGKILL)
            time.sleep(1)
            server.up()
            with server.client() as client:
                push(client, "app.note", "after")
                eventually(lambda: b"after" in noted(client), worker.log())
            assert worker.stop() == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["no_such_module"], "cannot import no_such_module"),
        (["json"], "no job is defined"),
        (["app", "-q", "a,0"], "NAME,WEIGHT"),
        (["app", "-c", "0"], "concurrency"),
        (["app", "--redis", "nonsense"], "Redis URL"),
        (["app", "--health", "99999"], "a port up to 65535"),
        (["app:f"], "cannot import app:f: a module is named as in Python's import"),
        (["../app"], "a module is named as in Python's import"),
        (["broken"], "cannot import broken: ModuleNotFoundError: No module named 'missing' (broken.py:2)"),
        (["wrapping"], "cannot import wrapping: RuntimeError: two lines (inner.py:1)"),
        (["leaving"], "cannot import leaving: SystemExit: 3 (leaving.py:1)"),
        ([], "MODULE"),
    ],
)
def test_wrong_words_are_one_line(words: list[str], said: str, tmp_path: Any) -> None:
    from doctoring import kiqdoctor as run

    (tmp_path / "app.py").write_text("from kiqdoctor import job\n@job\ndef f(): pass\n")
    (tmp_path / "broken.py").write_text("import json\nimport missing\n")
    (tmp_path / "wrapping.py").write_text("import json\nimport inner\n")
    (tmp_path / "inner.py").write_text("raise RuntimeError('two\\nlines')\n")
    (tmp_path / "leaving.py").write_text("raise SystemExit(3)\n")
    found = run("work", *words, cwd=tmp_path)

    assert found.status == 2
    assert said in found.err
    assert len(found.err.strip().splitlines()) == 1
