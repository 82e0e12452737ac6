"""How long a killed worker's jobs wait until another one runs them. The times are printed."""

import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from ledger import Ledger, preamble
from servers import RedisServer, eventually
from workers import Worker

import kiqdoctor

pytestmark = pytest.mark.long

JOBS: Final = 3
SAME_HOST: Final = 60.0  # seconds; 5 are promised, to a machine that is not busy with others
OTHER_HOST: Final = 120.0  # seconds; 30 are promised
APP: Final = """
@job(name="times.hold")
def hold():
    with noted():
        time.sleep(300)

@job(name="times.note")
def note_it():
    with noted():
        pass
"""


@kiqdoctor.job(name="times.hold")
def hold() -> None: ...


@kiqdoctor.job(name="times.note")
def note_it() -> None: ...


@pytest.fixture
def ledger(tmp_path: Path, redis: Any, redis_server: RedisServer) -> Path:
    kiqdoctor.configure(redis=redis_server.url)
    return tmp_path / "ledger"


def begun(ledger: Path) -> int:
    return Ledger.read(ledger).executions


def account(redis: Any) -> bytes:
    """The one identity in the index."""
    [identity] = redis.hkeys("kiq:index")
    assert isinstance(identity, bytes)
    return identity


def measured(ledger: Path, what: str, seconds: float) -> None:
    since = time.monotonic()
    eventually(lambda: begun(ledger) == 2 * JOBS, what, seconds=seconds)
    print(f"{what}: {time.monotonic() - since:.1f} s")


def test_on_the_same_host_they_run_again_at_once(ledger: Path, redis: Any, redis_server: RedisServer) -> None:
    app = preamble(ledger) + APP
    with Worker.start(app, redis_server.url, "-c", str(JOBS)) as victim:
        hold.perform_bulk([[] for _ in range(JOBS)])
        eventually(lambda: begun(ledger) == JOBS)
        with Worker.start(app, redis_server.url) as heir:
            time.sleep(1)  # past its first look, which comes early
            victim.kill()
            measured(ledger, "same host", SAME_HOST)
            eventually(lambda: f"recovered {JOBS} jobs" in heir.log())
            eventually(lambda: redis.get("kiq:recovered") == b"%d" % JOBS)


def move_to_another_host(redis: Any) -> None:
    """For its neighbours the one worker sits elsewhere: they cannot see its pid, only its lease."""
    name = account(redis)
    entry = json.loads(redis.hget("kiq:index", name))
    entry["seat"]["boot"] = "another"
    redis.hset("kiq:index", name, json.dumps(entry))


def test_on_another_host_they_wait_for_the_lease(ledger: Path, redis: Any, redis_server: RedisServer) -> None:
    app = preamble(ledger) + APP
    with Worker.start(app, redis_server.url, "-c", str(JOBS)) as victim:
        hold.perform_bulk([[] for _ in range(JOBS)])
        eventually(lambda: begun(ledger) == JOBS)
        move_to_another_host(redis)
        with Worker.start(app, redis_server.url):
            victim.kill()
            measured(ledger, "another host, by a worker that has just begun", OTHER_HOST)


@contextmanager
def in_a_pid_namespace(app: str, url: str, folder: Path) -> Iterator[int]:
    """A worker that no neighbour can look at by pid; its pid as we see it."""
    if os.geteuid() != 0 or shutil.which("unshare") is None:
        pytest.skip("needs root and unshare: a pid namespace of its own")
    isolate = ["unshare", "--pid", "--fork", "--mount-proc"]
    if (tried := subprocess.run([*isolate, "true"], capture_output=True, text=True, check=False)).returncode:
        pytest.skip(f"no pid namespace here: {tried.stderr.strip()}")
    (folder / "app.py").write_text(app)
    words = [*isolate, sys.executable, "-m", "kiqdoctor", "work", "app", "--redis", url, "-c", str(JOBS)]
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(words, stdout=log, stderr=log, cwd=folder)
    try:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
        pid = int(eventually(lambda: children.read_text().split())[0])
        yield pid
    finally:
        for one in children.read_text().split():
            os.kill(int(one), signal.SIGKILL)
        process.wait()


def test_in_another_pid_namespace_of_this_host_they_wait_for_the_lease(
    ledger: Path, redis: Any, redis_server: RedisServer, tmp_path: Path
) -> None:
    app = preamble(ledger) + APP
    with in_a_pid_namespace(app, redis_server.url, tmp_path) as pid:
        hold.perform_bulk([[] for _ in range(JOBS)])
        eventually(lambda: begun(ledger) == JOBS)
        with Worker.start(app, redis_server.url):
            os.kill(pid, signal.SIGKILL)
            measured(ledger, "another pid namespace", OTHER_HOST)


def test_the_looker_that_died_too_does_not_hold_up_the_others(
    ledger: Path, redis: Any, redis_server: RedisServer
) -> None:
    app = preamble(ledger) + APP
    with Worker.start(app, redis_server.url, "-c", str(JOBS)) as victim:
        hold.perform_bulk([[] for _ in range(JOBS)])
        eventually(lambda: begun(ledger) == JOBS)
        move_to_another_host(redis)
        with Worker.start(app, redis_server.url) as one, Worker.start(app, redis_server.url) as other:
            holder = eventually(lambda: redis.get("kiq:recovering")).decode()
            (one if f":{one.pid}:" in holder else other).kill()
            victim.kill()
            measured(ledger, "another host, and who looked for the dead died too", OTHER_HOST)


def test_records_of_the_dead_do_not_slow_down_what_is_due(ledger: Path, redis: Any, redis_server: RedisServer) -> None:
    redis.sadd("processes", *(f"gone:{number}:0123456789ab" for number in range(1000)))
    with Worker.start(preamble(ledger) + APP, redis_server.url) as worker:
        note_it.perform_in(0.01)
        eventually(lambda: begun(ledger) == 1, worker.log())

        note_it.perform_in(0.01)
        eventually(lambda: begun(ledger) == 2, "the scheduler waits for processes that are gone")


def test_a_killed_worker_leaves_the_list_of_processes(ledger: Path, redis: Any, redis_server: RedisServer) -> None:
    app = preamble(ledger) + APP
    with Worker.start(app, redis_server.url) as victim, Worker.start(app, redis_server.url):
        hold.perform_async()
        victim.kill()
        eventually(lambda: redis.hlen("kiq:index") == 1)
        eventually(lambda: redis.scard("processes") == 1, "the dead process is still listed", seconds=180)
