"""`kiqdoctor dump` of our own workers that cannot answer: their jobs are told all the same, and no secret."""

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from hanging import told
from redis import Redis
from servers import RedisServer, eventually, free_port
from workers import Worker

from kiqdoctor.probes.threads.running import running

PROC = Path("/proc")
APP = """
import ctypes, time
from kiqdoctor import job

@job
def stuck(secret):
    hidden = "hunter2-local"
    time.sleep(600)

@job
def hog(secret):
    ctypes.PyDLL(None).sleep(600)
"""


def pushed(redis: Redis, name: str, jid: str) -> None:
    payload = {"class": f"app.{name}", "args": ["hunter2-argument"], "jid": jid, "queue": "default", "retry": 0}
    redis.lpush("queue:default", json.dumps({**payload, "created_at": 1.0, "enqueued_at": 1.0}))


def runs(worker: Worker) -> bool:
    return bool(running(worker.pid, PROC))


def test_a_stopped_worker_tells_its_job_without_a_redis(redis_server: RedisServer, redis: Redis) -> None:
    with Worker.start(APP, redis_server.url, "-c", "2") as worker:
        pushed(redis, "stuck", "b" * 24)
        eventually(lambda: runs(worker), "the job runs")
        os.kill(worker.pid, signal.SIGSTOP)
        found = told(worker.pid, "stopped")
        os.kill(worker.pid, signal.SIGCONT)

    [job] = [one["job"] for one in found["threads"] if one["job"]]
    assert found["status"] == 0
    assert (job["jid"], job["class"], job["queue"]) == ("b" * 24, "app.stuck", "default")
    assert 0 <= job["since_s"] < 600
    assert "hunter2" not in json.dumps(found)


def test_one_whose_gil_is_held_tells_by_which_job(redis_server: RedisServer, redis: Redis) -> None:
    with Worker.start(APP, redis_server.url, "-c", "2") as worker:
        pushed(redis, "hog", "c" * 24)
        eventually(lambda: runs(worker), "the job runs")
        found = told(worker.pid, "gil-hog")

    [job] = [one["job"] for one in found["threads"] if one["job"]]
    assert (job["jid"], job["class"]) == ("c" * 24, "app.hog")
    assert "hunter2" not in json.dumps(found)


def test_that_it_is_stopped_is_told_without_the_permission(redis_server: RedisServer, redis: Redis) -> None:
    """Its stacks may not be read; its state may, and what it last told Redis."""
    if os.geteuid() or shutil.which("setpriv") is None:
        pytest.skip("only root can give a capability up")
    without = ("setpriv", "--bounding-set", "-sys_ptrace", "--inh-caps", "-sys_ptrace")
    words = [*without, sys.executable, "-m", "kiqdoctor", "dump", "--format", "json", "--redis"]
    with Worker.start(APP, redis_server.url, "-c", "2") as worker:
        pushed(redis, "stuck", "d" * 24)
        [identity] = [one for one in map(os.fsdecode, redis.smembers("processes")) if f":{worker.pid}:" in one]
        eventually(lambda: redis.hlen(f"{identity}:work"), "a beat that tells of the job")
        os.kill(worker.pid, signal.SIGSTOP)
        near, far = (
            subprocess.run([*words, url, str(worker.pid)], capture_output=True, text=True, check=False, timeout=120)
            for url in (redis_server.url, f"redis://127.0.0.1:{free_port()}/0")
        )
        os.kill(worker.pid, signal.SIGCONT)

    found, alone = json.loads(near.stdout), json.loads(far.stdout)
    assert [one["kind"] for one in found["diagnosis"]] == [one["kind"] for one in alone["diagnosis"]] == ["stopped"]
    assert (near.returncode, far.returncode) == (3, 3)
    assert "has capabilities that this one has not" in near.stderr
    assert [one["job"]["jid"] for one in found["threads"]] == ["d" * 24]
    assert "which jobs they run is not known" in alone["note"]
