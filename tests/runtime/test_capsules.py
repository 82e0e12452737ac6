"""Queues with threads of their own: their words on the command line, and what runs where."""

import json
import time
from pathlib import Path
from typing import Any

import pytest
from ledger import preamble
from servers import RedisServer, eventually
from workers import Worker

from kiqdoctor.runtime.capsule import Capsule, with_others

FIRST = Capsule("default", 5)
APP = """
@job(name="capsules.nap", queue="slow")
def nap(name):
    while not os.path.exists("rested"):
        time.sleep(0.01)
    note("nap", name)

@job(name="capsules.note")
def note_it(name):
    note("note", name)
"""


def test_queues_that_nobody_takes_are_told_at_the_start(redis: Any, redis_server: RedisServer, tmp_path: Path) -> None:
    app = preamble(tmp_path / "ledger") + APP
    with Worker.start(app, redis_server.url, "-q", "other") as worker:
        eventually(lambda: "not taken here" in worker.log(), worker.log())
        assert "not taken here: slow (capsules.nap), default (capsules.note); -q takes a queue" in worker.log()
    with Worker.start(app, redis_server.url, "--capsule", "slow:1:slow") as worker:
        eventually(lambda: worker.log().count(" threads on ") == 2, worker.log())
        assert "not taken here" not in worker.log()


def test_they_stand_beside_the_one_of_queues_and_concurrency() -> None:
    found = with_others(FIRST, ["mail:5:mail,default", "pdf:1:pdf"])

    assert found == (
        FIRST,
        Capsule("mail", 5, (("mail", 0), ("default", 0))),
        Capsule("pdf", 1, (("pdf", 0),)),
    )


@pytest.mark.parametrize(
    "word",
    [
        "", "mail", "mail:5", "mail:5:", ":5:mail", "mail:0:mail", "mail:-1:mail", "mail:x:mail", "mail:1001:mail",
        "mail:²:mail", "mail:" + "9" * 5000 + ":mail", "mail:5:mail,,default",
    ],
)  # fmt: skip
def test_another_form_is_one_line(word: str) -> None:
    with pytest.raises(ValueError, match="a capsule is NAME:THREADS:QUEUE,QUEUE"):
        with_others(FIRST, [word])


@pytest.mark.parametrize("words", [["default:1:mail"], ["mail:1:mail", "mail:2:other"]])
def test_each_has_a_name_of_its_own(words: list[str]) -> None:
    with pytest.raises(ValueError, match="two capsules are called"):
        with_others(FIRST, words)


def test_each_runs_its_own_queues_on_its_own_threads(tmp_path: Path, redis: Any, redis_server: RedisServer) -> None:
    ledger = tmp_path / "ledger"
    words = ("-c", "2", "-q", "default", "--capsule", "naps:1:slow")
    with Worker.start(preamble(ledger) + APP, redis_server.url, *words) as worker:
        eventually(lambda: len(worker.pids) == 2 and redis.scard("processes") == 2, worker.log())
        infos = [json.loads(redis.hget(name, "info")) for name in redis.smembers("processes")]
        assert {(one["concurrency"], *one["queues"]) for one in infos} == {(2, "default"), (1, "slow")}

        for number in range(3):
            _push(redis, "capsules.nap", "slow", f"nap{number}")
        _push(redis, "capsules.note", "default", "quick")

        eventually(lambda: ledger.exists() and "quick" in ledger.read_text(), worker.log())
        assert "nap" not in ledger.read_text()
        (worker.folder / "rested").touch()
        eventually(lambda: "nap2" in ledger.read_text(), worker.log())
        assert worker.stop() == 0


def _push(redis: Any, name: str, queue: str, argument: str) -> None:
    payload = {"class": name, "queue": queue, "args": [argument], "jid": f"{time.time_ns():024x}", "retry": False}
    redis.sadd("queues", queue)
    redis.lpush(f"queue:{queue}", json.dumps(payload))
