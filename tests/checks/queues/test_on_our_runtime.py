"""The checks of queues, sets and payloads on what our own runtime does."""

import json
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import pytest
import redis as redis_py
from doctoring import Examination, kiqdoctor
from servers import RedisServer, eventually
from states import payload
from workers import Worker

APP: Final = """\
import os
import signal

from kiqdoctor import job


class DoesNotExist(Exception):
    pass


@job
def fine(*args): pass


@job(retry=5)
def boom(*args): raise LookupError(f"boom of {args[1]}")


@job(retry=5)
def missing(user): raise DoesNotExist(f"no user {user}")


@job(retry=5)
def arity(a, b): pass


@job
def deadly(): os.kill(os.getpid(), signal.SIGKILL)
"""
ALL: Final = ("--select", "QUE,SEC002", "--ignore", "QUE001")


def check(server: RedisServer, tree: Path, *words: str) -> Examination:
    return kiqdoctor("check", str(tree), *ALL, "--redis", server.url, "--format", "json", *words)


def push(client: redis_py.Redis, job_class: str, number: int, **fields: Any) -> None:
    client.sadd("queues", "default")
    client.lpush("queue:default", payload(job_class, jid=f"{number:024x}", **{"args": [number], "retry": 5, **fields}))


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tree")
    (folder / "app.py").write_text(APP)
    (folder / "requirements.txt").write_text("kiqdoctor==0.1.0\n")
    (folder / "kiqdoctor.toml").write_text("[checks.QUE005]\nwithin-s = 300  # a busy machine takes its time\n")
    return folder


@pytest.fixture(scope="module")
def broken(tree: Path) -> Iterator[Examination]:
    with RedisServer.start() as server, Worker.start(APP, server.url), server.client() as client:
        push(client, "app.fine", 1)
        eventually(lambda: client.llen("queue:default") == 0, "the healthy job was run")
        healthy = check(server, tree, "--for", "1")
        ill = {one["check"] for one in healthy.report["results"] if one["outcome"] in {"fail", "unknown"}}
        assert ill == {"QUE005"}, "it is told by jobs that failed, and none has"
        push(client, "app.gone", 20)
        push(client, "app.arity", 30, created_at=time.time() - 3600.5)
        for number in range(250):
            push(client, "app.boom", 100 + number, args=[number, "hunter2"])
        for number in range(3):
            push(client, "app.missing", 10 + number)
        day, minute = (time.strftime(form, time.gmtime(time.time() - 120)) for form in ("%Y%m%d", "%Y-%m-%dT%H:%M:00Z"))
        client.hset(f"{day}-marks", minute, "a release")
        eventually(lambda: client.zcard("retry") == 255, "all have failed")
        yield check(server, tree)


@pytest.mark.parametrize(
    ("check", "subjects"),
    [
        ("QUE004", {"set:retry": "high"}),
        ("QUE005", {"job:app.missing": "medium"}),
        ("QUE006", {"job:app.gone": "high"}),
        ("QUE010", {}),
        ("QUE021", {"job:app.arity": "high"}),
    ],
)
def test_a_fault(broken: Examination, check: str, subjects: dict[str, str]) -> None:
    found = broken.result(check)

    assert {one["subject"]: one["severity"] for one in found["findings"]} == subjects, found["reason"]


def test_no_value_is_told(broken: Examination) -> None:
    assert "hunter2" not in json.dumps(broken.report)


@pytest.mark.long
def test_a_poison_pill(tree: Path) -> None:
    """It kills three processes of a supervisor, and is buried."""
    with RedisServer.start() as server, server.client() as client:
        with Worker.start(APP, server.url, "--processes", "2"):
            push(client, "app.deadly", 1, args=[])
            eventually(lambda: client.zcard("dead") == 1, "it was buried")
        found = check(server, tree)

    assert found.severities("QUE013") == ["high"]
    assert found.result("QUE013")["findings"][0]["subject"] == "job:app.deadly"
