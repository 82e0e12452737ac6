"""Redis goes away in every way that it has, and workers go on without a restart: nothing is lost or runs twice."""

import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
import redis as redis_py
from ledger import Ledger, preamble
from servers import RedisServer, eventually, free_port
from workers import Worker

import kiqdoctor

pytestmark = pytest.mark.long

APP: Final = """
@job(name="outages.note")
def note_it():
    with noted():
        pass

@job(name="outages.wait", queue="slow")
def wait(seconds):
    with noted():
        time.sleep(seconds)

@job(name="outages.fail", queue="slow", retry_in=lambda count, error: 1)
def fail_once(seconds):
    with noted():
        time.sleep(seconds)
        if kiqdoctor.current().attempt == 1:
            raise ValueError("not yet")
"""
WORDS: Final = ("-q", "default", "-q", "slow", "-c", "4")
PATIENCE: Final = 60.0  # seconds in which all must have run after an outage


@kiqdoctor.job(name="outages.note")
def note_it() -> None: ...


@kiqdoctor.job(name="outages.wait", queue="slow")
def wait(seconds: float) -> None: ...


@kiqdoctor.job(name="outages.fail", queue="slow")
def fail_once(seconds: float) -> None: ...


@contextmanager
def served(**settings: str) -> Iterator[RedisServer]:
    """A server whose acknowledged writes outlive it."""
    lines = {"appendonly": "yes", "appendfsync": "always", "enable-debug-command": "local"}
    with RedisServer.start({**lines, **{name.replace("_", "-"): value for name, value in settings.items()}}) as server:
        kiqdoctor.configure(redis=server.url)
        yield server


@contextmanager
def loaded(refusals: set[str] | None = None) -> Iterator[list[str]]:
    """Jobs are pushed all the time; the jids of those that Redis took. ``refusals`` get the errors' names."""
    sure: list[str] = []
    stop = threading.Event()

    def push() -> None:
        while not stop.wait(0.002):
            try:
                sure.append(note_it.perform_async())
            except (redis_py.RedisError, kiqdoctor.MaybeEnqueued) as error:
                if refusals is not None:
                    refusals.add(type(error).__name__)

    thread = threading.Thread(target=push)
    thread.start()
    try:
        yield sure
    finally:
        stop.set()
        thread.join()


def all_ran_once(server: RedisServer, path: Path, jids: list[str], *workers: Worker) -> None:
    """By workers that live on; nobody was taken for dead, and nothing stays behind."""
    missing = eventually(
        lambda: (ledger := Ledger.read(path)).ended >= set(jids) and ledger, "all jobs", seconds=PATIENCE
    )
    with server.client() as client:
        eventually(lambda: not client.keys("kiq:taken:*"), "nothing stays in private lists", seconds=PATIENCE)
        assert not client.exists("kiq:recovered")
        assert client.hlen("kiq:index") == len(workers)
    assert missing.repeated == {}
    assert Ledger.read(path).repeated == {}
    for worker in workers:
        assert worker.process is not None
        assert worker.process.poll() is None
        assert "goes on as" not in worker.log()
        assert worker.stop() == 0


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL], ids=["restarted", "crashed"])
def test_redis_restarts_while_jobs_run(tmp_path: Path, number: signal.Signals) -> None:
    path = tmp_path / "ledger"
    with served() as server, Worker.start(preamble(path) + APP, server.url, *WORDS) as worker:
        jids = [wait.perform_async(2.0), fail_once.perform_async(1.0), *wait.perform_bulk([[0.02]] * 200)]
        eventually(lambda: len(Ledger.read(path).ended) > 20)
        with loaded() as sure:
            server.down(number)
            time.sleep(3)
            server.up()
            eventually(lambda: len(sure) > 20)
        all_ran_once(server, path, jids + sure, worker)


def test_a_redis_that_stands_still_is_nobody_s_death(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with (
        served() as server,
        Worker.start(preamble(path) + APP, server.url, *WORDS) as one,
        Worker.start(preamble(path) + APP, server.url, *WORDS) as other,
    ):
        time.sleep(17)  # both have renewed for a whole lease: from now on they might judge
        jids = [wait.perform_async(25.0), wait.perform_async(3.0), *wait.perform_bulk([[0.05]] * 100)]
        eventually(lambda: len(Ledger.read(path).ended) > 10)
        os.kill(server.pid, signal.SIGSTOP)
        time.sleep(20)
        os.kill(server.pid, signal.SIGCONT)
        jids += note_it.perform_bulk([[] for _ in range(50)])
        all_ran_once(server, path, jids, one, other)


def test_connections_that_are_cut_again_and_again(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with served() as server, Worker.start(preamble(path) + APP, server.url, *WORDS) as worker:
        jids = [wait.perform_async(4.0), *wait.perform_bulk([[0.01]] * 300)]
        with loaded() as sure, server.client() as client:
            for _ in range(40):
                client.execute_command("CLIENT", "KILL", "TYPE", "normal")
                time.sleep(0.15)
        all_ran_once(server, path, jids + sure, worker)


def test_memory_is_full_while_jobs_run(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with (
        served(maxmemory_policy="noeviction") as server,
        Worker.start(preamble(path) + APP, server.url, *WORDS) as worker,
        server.client() as client,
    ):
        jids = [fail_once.perform_async(2.0), wait.perform_async(3.0), *wait.perform_bulk([[0.02]] * 300)]
        eventually(lambda: len(Ledger.read(path).ended) > 20)
        client.config_set("maxmemory", 1)
        with pytest.raises(redis_py.exceptions.OutOfMemoryError):
            note_it.perform_async()
        time.sleep(18)  # longer than a lease
        client.config_set("maxmemory", 0)
        jids.append(note_it.perform_async())
        assert "maxmemory" in worker.log()
        all_ran_once(server, path, jids, worker)


def test_redis_reloads_its_data(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with served() as server, Worker.start(preamble(path) + APP, server.url, *WORDS) as worker:
        jids = [wait.perform_async(2.0), *wait.perform_bulk([[0.02]] * 200)]
        eventually(lambda: len(Ledger.read(path).ended) > 20)
        with loaded() as sure, server.client() as client:
            for _ in range(3):
                client.execute_command("DEBUG", "RELOAD")
                time.sleep(0.5)
        all_ran_once(server, path, jids + sure, worker)


def test_redis_is_loading_for_a_while_after_a_crash(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    slow = {"key_load_delay": "1000", "loading_process_events_interval_bytes": "1024"}
    with served(**slow) as server, Worker.start(preamble(path) + APP, server.url, *WORDS) as worker:
        with server.client() as client, client.pipeline(transaction=False) as pipe:
            for number in range(3000):  # loading waits a millisecond for each command
                pipe.set(f"ballast:{number}", "x" * 100)
            pipe.execute()
        jids = [wait.perform_async(2.0), *wait.perform_bulk([[0.02]] * 200)]
        eventually(lambda: len(Ledger.read(path).ended) > 20)
        refusals: set[str] = set()
        with loaded(refusals) as sure:
            server.down(signal.SIGKILL)
            server.up()
            eventually(lambda: len(sure) > 20)
        assert "BusyLoadingError" in refusals
        all_ran_once(server, path, jids + sure, worker)


def test_redis_loses_all_its_data(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with (
        served() as server,
        Worker.start(preamble(path) + APP, server.url, *WORDS) as worker,
        server.client() as client,
    ):
        running = wait.perform_async(4.0)
        eventually(lambda: Ledger.read(path).jids == {running})
        client.flushall()  # as an empty replica that became the primary
        jids = [fail_once.perform_async(0.1), *wait.perform_bulk([[0.02]] * 200)]
        eventually(lambda: Ledger.read(path).ended >= {running, *jids}, "all jobs", seconds=PATIENCE)
        eventually(lambda: not client.keys("kiq:taken:*"), "nothing stays in private lists", seconds=PATIENCE)
        assert Ledger.read(path).repeated == {}
        assert "others have our jobs, or Redis lost its data" in worker.log()
        assert worker.stop() == 0


def test_a_primary_that_is_a_replica_for_a_while(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with (
        served() as server,
        Worker.start(preamble(path) + APP, server.url, *WORDS) as worker,
        server.client() as client,
    ):
        jids = [fail_once.perform_async(2.0), wait.perform_async(3.0), *wait.perform_bulk([[0.02]] * 200)]
        eventually(lambda: len(Ledger.read(path).ended) > 20)
        refusals: set[str] = set()
        with loaded(refusals) as sure:
            client.replicaof("127.0.0.1", free_port())  # nobody is there: it keeps its data, and refuses to write
            time.sleep(5)
            client.replicaof("NO", "ONE")
            eventually(lambda: len(sure) > 20)
        assert "ReadOnlyError" in refusals
        all_ran_once(server, path, jids + sure, worker)


def test_a_worker_that_is_told_to_stop_while_redis_is_away_leaves_its_jobs_to_others(tmp_path: Path) -> None:
    path = tmp_path / "ledger"
    with served() as server:
        with Worker.start(preamble(path) + APP, server.url, *WORDS, "-t", "2") as worker:
            jids: list[Any] = [wait.perform_async(1.0), *wait.perform_bulk([[0.1]] * 50)]
            eventually(lambda: Ledger.read(path).ended)
            server.down(signal.SIGKILL)
            assert worker.stop() == 0
        server.up()
        with Worker.start(preamble(path) + APP, server.url, *WORDS):
            eventually(lambda: Ledger.read(path).ended >= set(jids), "all jobs", seconds=PATIENCE)
