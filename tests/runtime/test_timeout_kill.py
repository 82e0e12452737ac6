"""Jobs with ``timeout_kill``: their process is killed for them, they have failed once, and the others run again."""

import json
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from ledger import Ledger, preamble
from servers import RedisServer, eventually
from workers import Worker

import kiqdoctor
from kiqdoctor.runtime.overrunning import UnsupervisedError
from kiqdoctor.wire.payload import Payload

APP = """
import re

@job(name="kill.sleep", queue="kill", timeout=1, timeout_kill=True, retry_in=lambda count, error: 3_600)
def sleep(seconds):
    with noted():
        time.sleep(seconds)

@job(name="kill.rest", queue="kill", timeout=60, timeout_kill=True)
def rest(seconds):
    with noted():
        time.sleep(seconds)

@job(name="kill.later", queue="kill", timeout=5, timeout_kill=True, retry_in=lambda count, error: 3_600)
def later():
    with noted():
        time.sleep(300)

@job(name="kill.hold", queue="kill", timeout=1, timeout_kill=True)
def hold():
    with noted():
        re.match("(a+)+$", "a" * 60 + "b")

@job(name="kill.once", queue="kill", timeout=1, timeout_kill=True, at_most_once=True)
def once():
    with noted():
        time.sleep(60)

@job(name="kill.beside", queue="kill")
def beside(seconds):
    with noted():
        time.sleep(seconds)
"""


@pytest.fixture
def worker(redis_server: RedisServer, redis: Any, tmp_path: Path) -> Iterator[Worker]:
    kiqdoctor.configure(redis=redis_server.url)
    app = preamble(tmp_path / "ledger") + APP
    with Worker.start(app, redis_server.url, "-q", "kill", "-c", "3", "--processes", "2") as found:
        eventually(lambda: len(found.pids) == 2 and len(redis.smembers("processes")) == 2)
        yield found


def push(redis: Any, name: str, *args: Any, jid: str, **fields: Any) -> None:
    fields = {"class": name, "args": list(args), "jid": jid, "queue": "kill", "retry": True, **fields}
    redis.lpush("queue:kill", json.dumps(fields))


def one(redis: Any, key: str) -> Payload:
    [raw] = eventually(lambda: redis.zrange(key, 0, -1), f"one in {key}")
    return Payload(json.loads(raw))


def test_its_process_is_dumped_and_killed_it_fails_once_and_the_others_run_again(
    worker: Worker, redis: Any, tmp_path: Path
) -> None:
    before = worker.pids
    assert len(before) == 2
    for number in range(6):
        push(redis, "kill.beside", 2.5, jid=f"beside{number}")
    push(redis, "kill.sleep", 60, jid="late")

    failed = one(redis, "retry")

    assert failed.jid == "late"
    assert failed.retry_count == 0
    assert failed.fields["error_class"] == "kiqdoctor.runtime.middleware.DeadlineExceededError"
    assert failed.fields["error_message"] == "it ran longer than 1 s, and its process was killed for it"
    assert failed.fields.get("recovered") is None
    eventually(lambda: Ledger.read(tmp_path / "ledger").ended >= {f"beside{number}" for number in range(6)})
    eventually(lambda: len(set(worker.pids) - set(before)) == 1, "another in its place")
    ledger = Ledger.read(tmp_path / "ledger")
    assert [pids for (jid, _), pids in ledger.begun.items() if jid == "late"] == [[*ledger.begun["late", "1"][:1]]]
    eventually(lambda: redis.get("stat:failed") == b"1", "it is counted, by whoever failed it")
    assert "kill.sleep late ran longer than 1 s" in worker.log()
    assert "time.sleep(seconds)" in worker.log()
    eventually(lambda: not redis.keys("kiq:taken:*"), "nothing is held")


def test_the_healthy_twin_ends_in_time(worker: Worker, redis: Any, tmp_path: Path) -> None:
    before = worker.pids
    for number in range(20):
        push(redis, "kill.rest", 0.2, jid=f"quick{number}")
    eventually(lambda: len(Ledger.read(tmp_path / "ledger").ended) == 20)

    assert worker.pids == before
    assert "ran longer" not in worker.log()


def test_one_that_holds_the_gil_is_killed_too_and_c_writes_its_stacks(worker: Worker, redis: Any) -> None:
    push(redis, "kill.hold", jid="held", retry=False)
    eventually(lambda: "ended: SIGABRT" in worker.log(), worker.log())

    assert "in hold" in worker.log()
    eventually(lambda: not redis.keys("kiq:taken:*") and not redis.llen("queue:kill"), "it is not tried again")
    assert not redis.exists("retry", "dead")


def test_what_may_run_once_is_among_the_dead_and_says_why(worker: Worker, redis: Any, tmp_path: Path) -> None:
    push(redis, "kill.once", jid="once", at_most_once=True)

    buried = one(redis, "dead")

    assert buried.jid == "once"
    assert "ran longer than 1 s" in buried.fields["error_message"]
    assert len(Ledger.read(tmp_path / "ledger").begun["once", "1"]) == 1


def test_while_redis_does_not_answer_nobody_is_killed(
    worker: Worker, redis: Any, redis_server: RedisServer, tmp_path: Path
) -> None:
    """Else whoever recovers would take the job for one whose process died of it, and run it again."""
    push(redis, "kill.later", jid="late")
    eventually(lambda: Ledger.read(tmp_path / "ledger").executions == 1)
    assert redis_server.process is not None
    redis_server.process.send_signal(signal.SIGSTOP)
    try:
        eventually(lambda: "a job that ran too long: " in worker.log(), worker.log())
        assert "SIGKILL" not in worker.log()
    finally:
        redis_server.process.send_signal(signal.SIGCONT)

    assert one(redis, "retry").retry_count == 0


def test_without_a_parent_it_is_refused_in_one_line(redis_server: RedisServer, redis: Any) -> None:
    kiqdoctor.configure(redis=redis_server.url)
    made = kiqdoctor.job(name="kill.embedded", queue="kill-embedded", timeout=1, timeout_kill=True)(lambda: None)
    said = r"^kill.embedded has timeout_kill=True: only under `kiqdoctor work`"
    with pytest.raises(UnsupervisedError, match=said), kiqdoctor.embed(queues=["kill-embedded"]):
        raise AssertionError("it started")
    with kiqdoctor.embed(queues=["other"]):  # whose jobs it is not
        made.perform_async()
        raw = redis.rpop("queue:kill-embedded")
        redis.lpush("queue:other", raw)
        failed = one(redis, "retry")
    assert failed.fields["error_class"].endswith("UnsupervisedError")


def test_it_needs_a_timeout() -> None:
    with pytest.raises(ValueError, match="timeout_kill needs a timeout"):
        kiqdoctor.job(name="kill.none", timeout_kill=True)(lambda: None)
