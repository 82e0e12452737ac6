"""`fix PRO003`: a leftover worker of this host is quieted, and ended once it is idle; that process and no other."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
from servers import RedisServer, eventually
from workers import Worker

from kiqdoctor.actions.exact import Leaving
from kiqdoctor.actions.stopping import started, stop
from kiqdoctor.clock import SYSTEM
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.fixing import Fixed, fix, undo

APP = """
import time
from kiqdoctor import job
@job(queue="mail")
def nap(seconds): time.sleep(seconds)
"""


@pytest.fixture
def releases(tmp_path: Path) -> Path:
    """Two of them, the second one current."""
    for name in ("1", "2"):
        (tmp_path / "releases" / name).mkdir(parents=True)
    (tmp_path / "current").symlink_to(tmp_path / "releases" / "2")
    return tmp_path


@pytest.fixture
def old(releases: Path, redis: "redis_py.Redis", redis_server: RedisServer) -> Iterator[Worker]:
    del redis  # it is flushed before they start
    yield from _worker(releases / "releases" / "1", redis_server)


@pytest.fixture
def new(old: Worker, releases: Path, redis_server: RedisServer) -> Iterator[Worker]:
    del old
    yield from _worker(releases / "releases" / "2", redis_server)


def _worker(folder: Path, server: RedisServer) -> Iterator[Worker]:
    worker = Worker(APP, server.url, ("-q", "mail"), folder=folder)
    try:
        worker.up()
        yield worker
    finally:
        worker.kill()


def run(server: RedisServer, file: Path | None = None) -> Fixed:
    asked = Asked(redis=server.url, live=True, select=("PRO003",))
    return fix(asked, apply=file is not None, export=file or Path())


def test_it_ends_when_its_jobs_have(
    old: Worker, new: Worker, redis: "redis_py.Redis", redis_server: RedisServer, tmp_path: Path
) -> None:
    went, stays = old.pid, new.pid
    plan = run(redis_server)
    assert [one.step.leaving.pid for one in plan.steps if one.step.leaving] == [went], plan
    assert (plan.status, plan.export) == (1, None)

    done = run(redis_server, tmp_path / "e")
    assert (done.status, [one.state for one in done.steps]) == (0, ["done"]), done
    assert not Path(f"/proc/{went}/cwd").exists()
    assert Path(f"/proc/{stays}/cwd").exists()
    assert run(redis_server).status == 0
    assert undo(tmp_path / "e", Asked(redis=redis_server.url)).status == 1
    assert redis.scard("processes") == 1


def test_killed_once_the_worker_is_quiet_a_second_run_ends_it_and_each_job_runs_once(
    old: Worker, new: Worker, redis: "redis_py.Redis", redis_server: RedisServer, tmp_path: Path
) -> None:
    went = old.pid
    for number in range(20):
        fields = {"class": "app.nap", "args": [4], "queue": "mail", "jid": f"{number:024x}", "retry": False}
        redis.lpush("queue:mail", json.dumps({**fields, "created_at": 1.5}))
    names = map(os.fsdecode, redis.smembers("processes"))
    [mine] = [one for one in names if f":{went}:" in one]
    words = ["fix", "PRO003", "--apply", "--redis", redis_server.url, "--export", str(tmp_path / "e")]
    first = subprocess.Popen([sys.executable, "-m", "kiqdoctor", *words], stdout=subprocess.DEVNULL)
    eventually(lambda: redis.hget(mine, "quiet") == b"true", "it was told to be quiet")
    first.kill()
    first.wait()
    assert Path(f"/proc/{went}/cwd").exists()

    again = run(redis_server, tmp_path / "f")
    assert (again.status, [one.state for one in again.steps]) == (0, ["done"]), again
    assert not Path(f"/proc/{went}/cwd").exists()
    assert Path(f"/proc/{new.pid}/cwd").exists()
    eventually(lambda: redis.get("stat:processed") == b"20", "every job ran")
    assert (redis.get("stat:failed"), redis.llen("queue:mail")) == (b"0", 0)


def test_who_alone_takes_a_queue_is_left_to_people(old: Worker, redis_server: RedisServer, tmp_path: Path) -> None:
    found = run(redis_server, tmp_path / "e")
    assert (found.status, found.steps) == (1, ())
    assert "no step by machine is safe" in found.notes[-1]
    assert Path(f"/proc/{old.pid}/cwd").exists()


def sleeper(handled: str) -> "subprocess.Popen[bytes]":
    setting = f"for one in ({handled}): signal.signal(one, lambda *_: None)"
    code = f"import signal, time\n{setting}\nprint(flush=True); time.sleep(600)"
    process = subprocess.Popen([sys.executable, "-c", code], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    return process


def leaving(process: "subprocess.Popen[bytes]", **changes: Any) -> Leaving:
    born = started(process.pid)
    assert born is not None
    return Leaving(**{"pid": process.pid, "started": born, "identities": (), **changes})


@pytest.mark.parametrize(
    ("handled", "changes", "why"),
    [
        ("signal.SIGTERM,", {}, "does not handle TSTP"),
        ("signal.SIGTSTP,", {}, "does not handle TSTP and TERM"),
        ("signal.SIGTSTP, signal.SIGTERM", {"started": 1}, "another process by now"),
    ],
)
def test_whom_it_does_not_touch(handled: str, changes: dict[str, Any], why: str) -> None:
    process = sleeper(handled)
    try:
        found = stop(leaving(process, **changes), lambda: True)
        assert (found.ended, why in found.why) == (False, True), found
        state = Path(f"/proc/{process.pid}/stat").read_text("utf-8").rpartition(")")[2].split()[0]
        assert state != "T"
        assert process.poll() is None
    finally:
        process.kill()
        process.communicate()


def test_who_still_runs_jobs_stays_quiet() -> None:
    process = sleeper("signal.SIGTSTP, signal.SIGTERM")
    later = [0.0]

    def sleep(seconds: float) -> None:
        later[0] += seconds

    clock = replace(SYSTEM, monotonic=lambda: later[0], sleep=sleep)
    try:
        assert "still runs jobs" in stop(leaving(process), lambda: False, clock).why
        assert "has not yet" in stop(leaving(process), lambda: True, clock).why
        process.kill()
        eventually(lambda: process.poll() is not None, "it was killed")
        assert stop(Leaving(process.pid, 1, ()), lambda: True).ended
    finally:
        process.kill()
        process.communicate()
