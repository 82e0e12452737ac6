"""Left-over workers and hidden poppers, with real processes: the real Sidekiq, and connections that really block."""

import shutil
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from doctoring import check
from ruby import Sidekiq
from servers import RedisServer, eventually
from workers import Worker

APP = "class Note\n  include Sidekiq::Worker\n  def perform(text)\n  end\nend\n"


OURS: Final = "from kiqdoctor import job\n@job\ndef note(text): pass\n"
POPPER: Final = """\
import sys, redis
with redis.Redis.from_url(sys.argv[1], socket_timeout=None) as client:
    while True:
        client.brpop([sys.argv[2]], timeout=5)  # as workers wait: a second or some
"""


@contextmanager
def stranger(server: RedisServer, name: str) -> Iterator[int]:
    """The pid of a process that takes from this list, once Redis has known it for longer than a worker boots."""

    def ages() -> list[int]:
        with server.client() as client:
            return [int(one["age"]) for one in client.client_list() if one["cmd"] == "brpop"]

    with subprocess.Popen([sys.executable, "-c", POPPER, server.url, name]) as process:
        try:
            eventually(lambda: ages() and min(ages()) >= 15, "it is no booting worker")
            yield process.pid
        finally:
            process.kill()


def popping(
    server: RedisServer, count: int, stop: threading.Event, queue: str = "queue:default"
) -> list[threading.Thread]:
    """Connections that wait for jobs and send no heartbeat."""

    def pop() -> None:
        with server.client(socket_timeout=None) as client:
            while not stop.is_set():
                client.brpop([queue], timeout=1)

    threads = [threading.Thread(target=pop) for _ in range(count)]
    for thread in threads:
        thread.start()
    return threads


@pytest.mark.ruby
def test_a_worker_whose_release_was_removed(redis: Any, redis_server: RedisServer, sidekiq: Sidekiq) -> None:
    with sidekiq.start(APP, redis_server.url, concurrency=2) as worker:
        assert check(redis_server.url).outcome("PRO003") == "pass"
        shutil.rmtree(worker.folder)
        worker.folder.mkdir()

        found = check(redis_server.url)

    assert found.severities("PRO003") == ["high"]
    assert "is deleted" in str(found.result("PRO003")["findings"][0]["evidence"])


@pytest.mark.ruby
def test_a_worker_of_a_release_that_is_not_current(redis: Any, redis_server: RedisServer, sidekiq: Sidekiq) -> None:
    deployed = sidekiq.place.folder("test-deployed-")
    old, new = deployed / "releases/1", deployed / "releases/2"
    for folder in (old, new):
        folder.mkdir(parents=True)
    current = deployed / "current"
    current.symlink_to(old)
    with sidekiq.start(APP, redis_server.url, concurrency=1, folder=old):
        assert check(redis_server.url).outcome("PRO003") == "pass"
        current.unlink()
        current.symlink_to(new)

        assert check(redis_server.url).severities("PRO003") == ["high"]
    shutil.rmtree(deployed)


@pytest.mark.long
def test_connections_that_nobody_explains(redis: Any, redis_server: RedisServer) -> None:
    stop = threading.Event()
    redis.sadd("queues", "default")
    redis.set("stat:processed", 1)
    threads = popping(redis_server, 3, stop)
    try:
        found = eventually(lambda: (one := check(redis_server.url)).severities("PRO004") and one)
    finally:
        stop.set()
        for thread in threads:
            thread.join()

    assert found.severities("PRO004") == ["high"]
    assert "3 clients wait for jobs, but the live processes have 0 threads" in str(found.report)


@pytest.mark.long
@pytest.mark.ruby
def test_a_worker_that_was_forgotten_by_redis_is_proven(
    redis: Any, redis_server: RedisServer, sidekiq: Sidekiq
) -> None:
    def ages() -> list[int]:
        return [int(one["age"]) for one in redis.client_list() if one["cmd"] == "brpop"]

    with sidekiq.start(APP, redis_server.url, concurrency=2) as worker:
        eventually(lambda: len(ages()) == 2 and min(ages()) >= 15)
        assert check(redis_server.url).outcome("PRO004") == "pass"
        redis.sadd("queues", "default")
        redis.set("stat:processed", 1)

        def forgotten() -> Any:
            """Until we look between two of its beats."""
            redis.srem("processes", worker.identity)
            redis.delete(worker.identity)
            found = check(redis_server.url)
            return found if found.severities("PRO004") else None

        found = eventually(forgotten)

    assert found.severities("PRO004") == ["critical"]
    assert f"pid {worker.pid}" in str(found.report)


@pytest.mark.long
def test_a_process_that_takes_jobs_beside_a_worker_is_named_by_its_connection(
    redis: Any, redis_server: RedisServer
) -> None:
    with Worker.start(OURS, redis_server.url, "-c", "5"):
        redis.sadd("queues", "default")
        with stranger(redis_server, "events"):
            assert check(redis_server.url).outcome("PRO004") == "pass"
        with stranger(redis_server, "queue:default") as pid:
            found = check(redis_server.url)

    assert found.severities("PRO004") == ["high"]
    assert f"pid {pid} of this host is registered nowhere" in str(found.report)


def test_a_program_that_only_bears_a_worker_s_name_is_none(
    redis: Any, redis_server: RedisServer, tmp_path: Path
) -> None:
    folder = tmp_path / "gone"
    folder.mkdir()
    with Worker.start(OURS, redis_server.url), subprocess.Popen(
        ["sidekiq 6.4.1 shop [0 of 5 busy]", "-c", "print(flush=True)\nimport time\ntime.sleep(600)"],
        executable=sys.executable, cwd=folder, env={"REDIS_URL": redis_server.url}, stdout=subprocess.PIPE,
    ) as named:  # fmt: skip
        assert named.stdout is not None
        named.stdout.readline()
        folder.rmdir()
        found = check(redis_server.url)
        named.kill()

    assert found.outcome("PRO003") == "pass"
    assert str(named.pid) not in str(found.report)
