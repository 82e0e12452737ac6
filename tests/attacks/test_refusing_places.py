"""A job's new place refuses it: it waits in its private list, others run on, and it goes there once it can."""

import json
from pathlib import Path
from typing import Any

import pytest
from ledger import Ledger, preamble
from servers import RedisServer, eventually
from workers import Worker

APP = """
@job(name="refused.fail", queue="refused", retry_in=lambda count, error: 3_600)
def fail(seconds):
    with noted():
        time.sleep(seconds)
        raise ValueError

@job(name="refused.note", queue="refused")
def note_it():
    with noted():
        pass
"""


@pytest.mark.parametrize("seconds", [0, 0.1])  # a short job's end is told with others, a long one's at once
def test_what_was_refused_goes_there_once_the_key_is_mended(
    redis: Any, redis_server: RedisServer, tmp_path: Path, seconds: float
) -> None:
    with Worker.start(preamble(tmp_path / "ledger") + APP, redis_server.url, "-q", "refused", "-c", "2") as worker:
        redis.set("retry", "no place")
        fields = {"class": "refused.fail", "args": [seconds], "jid": "refused", "queue": "refused"}
        redis.lpush("queue:refused", json.dumps(fields))
        eventually(lambda: "keeps a job that its new place refuses" in worker.log())
        for number in range(20):
            fields = {"class": "refused.note", "args": [], "jid": f"other{number}", "queue": "refused"}
            redis.lpush("queue:refused", json.dumps(fields))
        others = {f"other{number}" for number in range(20)}
        eventually(lambda: others <= Ledger.read(tmp_path / "ledger").ended, "the others run")

        redis.delete("retry")

        eventually(lambda: not redis.keys("kiq:taken:*"), worker.log())
        assert redis.zcard("retry") == 1
        assert Ledger.read(tmp_path / "ledger").executions == 21
