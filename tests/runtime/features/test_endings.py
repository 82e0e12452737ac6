"""How a job ends that nobody planned to end so: at the deadline, by SystemExit, with a payload that is hostile."""

import json
import signal
import sys
import threading
from typing import Any

import pytest
from ruby import Sidekiq
from servers import RedisServer, eventually
from workers import Worker

import kiqdoctor
from kiqdoctor.wire.payload import backtrace

APP = """
import redis, time
from kiqdoctor import configure, job
client = redis.Redis.from_url("{url}")

def died(fields, error):
    client.rpush("died", fields["jid"] + " " + type(error).__name__)

configure(death_handlers=[died])

@job(name="Once", at_most_once=True, unique_for=600)
def once(n):
    client.rpush("began", n)
    time.sleep(600)

@job(name="Again")
def again(n):
    client.rpush("began", n)
    time.sleep(600)

@job(name="Gone", at_most_once=True, dead=False)
def gone(n):
    client.rpush("began", n)
    time.sleep(600)

@job(name="After", queue="after")
def after(batch):
    pass
"""


@pytest.mark.parametrize("fetch", ["reliable", "basic"])
def test_at_the_deadline_what_may_run_once_is_buried_and_the_rest_goes_back(
    lab: Any, redis_server: RedisServer, fetch: str
) -> None:
    once = kiqdoctor.job(name="Once", at_most_once=True, unique_for=600)(lambda n: None)
    gone = kiqdoctor.job(name="Gone", at_most_once=True, dead=False)(lambda n: None)
    again = kiqdoctor.job(name="Again")(lambda n: None)
    again_jid, once_jid, gone_jid = again.perform_async(1), once.perform_async(2), gone.perform_async(3)
    app = APP.replace("{url}", redis_server.url)
    with Worker.start(app, redis_server.url, "-c", "3", "-t", "0.1", "--fetch", fetch) as worker:
        eventually(lambda: lab.redis.llen("began") == 3)
        assert worker.stop() == 0
        log = worker.log()

    assert [job["jid"] for job in lab.jobs("queue:default")] == [again_jid]
    [dead] = lab.jobs("dead")
    assert dead["jid"] == once_jid
    assert dead["error_class"] == "kiqdoctor.InterruptedOnce"
    assert "may run at most once" in dead["error_message"]
    told = {line.decode() for line in lab.redis.lrange("died", 0, -1)}
    assert told == {f"{once_jid} InterruptedOnceError", f"{gone_jid} InterruptedOnceError"}
    assert "gave 1 running jobs back to their queues; 2 were buried" in log
    assert f"class=Once jid={once_jid}" in log
    if fetch == "reliable":
        assert not list(lab.redis.scan_iter("kiq:*"))


def test_buried_at_the_deadline_it_has_failed_its_batch(lab: Any, redis_server: RedisServer) -> None:
    once = kiqdoctor.job(name="Once", at_most_once=True)(lambda n: None)
    after = kiqdoctor.job(name="After", queue="after")(lambda batch: None)
    with kiqdoctor.Batch(on_complete=after):
        once.perform_async(1)
    with Worker.start(APP.replace("{url}", redis_server.url), redis_server.url, "-t", "0.1") as worker:
        eventually(lambda: lab.redis.llen("began") == 1)
        assert worker.stop() == 0

    assert lab.redis.llen("queue:after") == 1


def test_a_second_term_gives_back_at_once(lab: Any, redis_server: RedisServer) -> None:
    kiqdoctor.job(name="Again")(lambda n: None).perform_async(1)
    with Worker.start(APP.replace("{url}", redis_server.url), redis_server.url, "-t", "600") as worker:
        eventually(lambda: lab.redis.llen("began") == 1)
        assert worker.process is not None
        worker.process.send_signal(signal.SIGTERM)
        eventually(lambda: "shutting down" in worker.log())
        assert worker.stop() == 0

    assert lab.redis.llen("queue:default") == 1


def test_an_embedded_worker_names_what_it_leaves_running(lab: Any, capsys: pytest.CaptureFixture[str]) -> None:
    go, began = threading.Event(), threading.Event()

    @kiqdoctor.job(name="Left")
    def left() -> None:
        began.set()
        go.wait(60)

    jid = left.perform_async()
    with kiqdoctor.embed(concurrency=1, timeout=0.05):
        assert began.wait(60)
    said = capsys.readouterr().err
    go.set()

    assert f"class=Left jid={jid}" in said
    assert "not given back" in said
    assert not lab.redis.exists("queue:default")


@pytest.mark.parametrize("error", [SystemExit, KeyboardInterrupt, GeneratorExit, MemoryError])
def test_whatever_a_job_raises_is_its_failure_and_the_thread_goes_on(lab: Any, error: type[BaseException]) -> None:
    @kiqdoctor.job(name="Exits")
    def exits() -> None:
        if error is SystemExit:
            sys.exit("out")
        raise error

    @kiqdoctor.job(name="After")
    def after() -> None:
        lab.note("after")

    exits.perform_async()
    after.perform_async()
    lab.work()

    assert lab.seen == ["after"]
    assert [job["error_class"] for job in lab.jobs("retry")] == [error.__name__]


class SpeechlessError(Exception):
    def __str__(self) -> str:
        raise ZeroDivisionError


@pytest.mark.parametrize(
    "error", [SpeechlessError(), ValueError("half \ud800"), ValueError("x" * 1_000_000), ValueError(b"\xff")]
)
def test_an_error_that_cannot_be_told_is_told_anyway(lab: Any, error: Exception) -> None:
    @kiqdoctor.job(name="Odd")
    def odd() -> None:
        raise error

    odd.perform_async()
    lab.work()

    [job] = lab.jobs("retry")
    assert job["error_message"]
    assert len(job["error_message"]) <= 10_000


def test_a_payload_of_a_megabyte(lab: Any) -> None:
    @kiqdoctor.job(name="Huge")
    def huge(text: str, n: int) -> None:
        lab.note((len(text), n))
        if n == 1:
            raise ValueError

    huge.perform_bulk([["é" * 500_000, n] for n in range(5)])
    lab.work(concurrency=3)

    assert sorted(lab.seen) == [(500_000, n) for n in range(5)]
    assert len(lab.jobs("retry")[0]["args"][0]) == 500_000


HOSTILE = "\x1b[31mRed\r\nFAKE: line \u202egnp.\u0000" + "x" * 5_000


def test_hostile_names_do_not_reach_the_log_as_they_are(lab: Any, capsys: pytest.CaptureFixture[str]) -> None:
    @kiqdoctor.job(name=HOSTILE)
    def hostile() -> None:
        lab.note("ran")

    lab.redis.lpush("queue:default", json.dumps({"class": HOSTILE, "args": [], "jid": HOSTILE}))
    lab.redis.lpush(
        "queue:default", json.dumps({"class": HOSTILE + "!", "args": [], "jid": "\u0661" * 24, "retry": False})
    )
    lab.redis.lpush("queue:default", json.dumps({"class": {"a": 1}, "args": [], "jid": [HOSTILE], "retry": False}))
    lab.redis.lpush(
        "queue:default", json.dumps({"class": "Wrapped", "display_class": HOSTILE, "args": [], "jid": "a" * 9000})
    )
    lab.work()
    said = capsys.readouterr().err

    assert lab.seen == ["ran"]
    assert not {"\x1b", "\r", "\u202e", "\0"} & set(said)
    assert "\nFAKE" not in said
    assert max(map(len, said.splitlines())) < 2_500


@pytest.mark.parametrize(
    "payload", ["", "[]", "null", "7", '"text"', "{not json", '{"class":"No"}', "{}", '{"args":[1]}', "\x00\xff"]
)
def test_what_is_no_job_is_kept_and_stops_nothing(lab: Any, payload: str) -> None:
    @kiqdoctor.job(name="After")
    def after() -> None:
        lab.note("after")

    lab.redis.lpush("queue:default", payload.encode("latin-1"))
    after.perform_async()
    lab.work()

    assert lab.seen == ["after"]
    kept = lab.redis.zrange("dead", 0, -1) + lab.redis.zrange("retry", 0, -1)
    assert len(kept) == 1


RUBY = """
Sidekiq::Client.push('class' => 'Everything', 'queue' => 'default',
  'args' => [1, 2.5, nil, true, 'ü', [1, {'a' => {}}], {'b' => []}], 'retry' => 3, 'backtrace' => 2, 'dead' => false,
  'tags' => ['a', 'b'], 'retry_queue' => 'patient', 'retry_for' => 3600,
  'locale' => 'de', 'cattr' => {'user' => 7}, 'trace_propagation_headers' => {'sentry-trace' => 'x-y-1'},
  'apartment' => 'acme', 'expiry' => (Time.now.to_f + 600), 'custom' => 10**20)
"""


@pytest.mark.ruby
def test_a_job_that_ruby_pushed_keeps_all_its_fields(lab: Any, sidekiq: Sidekiq) -> None:
    @kiqdoctor.job(name="Everything")
    def everything(*args: Any) -> None:
        lab.note(args)
        raise ValueError("no")

    sidekiq.run(RUBY, lab.url)
    [pushed] = lab.jobs("queue:default")
    lab.work()

    assert lab.seen == [(1, 2.5, None, True, "ü", [1, {"a": {}}], {"b": []})]
    [job] = lab.jobs("retry")
    ours = {"queue", "error_message", "error_class", "retry_count", "failed_at", "error_backtrace"}
    assert {name: job[name] for name in job.keys() - ours} == {name: pushed[name] for name in pushed.keys() - ours}
    assert pushed["custom"] == 10**20
    assert job["queue"] == "patient"
    assert len(backtrace(job["error_backtrace"])) == 2
