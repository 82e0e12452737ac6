"""Worker processes that are forked from one that has imported the application."""

import os
import signal
from pathlib import Path
from typing import Any, Final

import pytest
from ledger import Ledger, preamble
from servers import RedisServer, eventually
from workers import Worker

import kiqdoctor

APP: Final = """
with open(imports, "a") as told:
    told.write(f"{os.getpid()}\\n")

@job(name="pre.note")
def note_it():
    with noted():
        time.sleep(0.2)
"""


@kiqdoctor.job(name="pre.note")
def note_it() -> None: ...


@pytest.fixture
def imports(tmp_path: Path, redis: Any, redis_server: RedisServer) -> Path:
    del redis
    kiqdoctor.configure(redis=redis_server.url)
    return tmp_path / "imports"


def app(imports: Path, more: str = "") -> str:
    return preamble(imports.parent / "ledger") + f"import os\nimports = {str(imports)!r}\n" + APP + more


def parent(worker: Worker) -> int:
    assert worker.process is not None
    return worker.process.pid


def importers(imports: Path) -> list[int]:
    return [int(line) for line in imports.read_text().split()]


def members(redis: Any) -> set[int]:
    return {int(name.decode().split(":")[1]) for name in redis.smembers("processes")}


def parent_of(pid: int) -> int:
    [line] = [one for one in Path(f"/proc/{pid}/status").read_text().splitlines() if one.startswith("PPid")]
    return int(line.split()[1])


def test_the_application_is_imported_once_and_each_process_is_the_parents(
    imports: Path, redis: Any, redis_server: RedisServer
) -> None:
    with Worker.start(app(imports), redis_server.url, "--processes", "2", "--preload") as worker:
        eventually(lambda: len(members(redis)) == 2, worker.log())
        first = members(redis)
        assert {parent_of(pid) for pid in first} == {parent(worker)}
        assert len(importers(imports)) == 1
        jids = note_it.perform_bulk([[]] * 30)
        eventually(lambda: set(Ledger.read(imports.parent / "ledger").ends) == set(jids), "they ran")

        killed = min(first)
        os.kill(killed, signal.SIGKILL)
        eventually(lambda: len(members(redis) - first) == 1, "it is replaced")
        assert len(importers(imports)) == 1

        os.kill(parent(worker), signal.SIGUSR2)
        eventually(lambda: len(members(redis)) == 2 and not members(redis) & first, "rolled")
        assert len(importers(imports)) == 2

        os.kill(importers(imports)[1], signal.SIGKILL)
        eventually(lambda: "from here each process imports for itself" in worker.log(), "its end is told")
        before = members(redis)
        os.kill(min(before), signal.SIGKILL)
        eventually(lambda: len(members(redis) - before) == 1, "it is replaced all the same")
        assert len(importers(imports)) == 3
        assert worker.stop() == 0


def test_a_stop_that_all_processes_are_told_is_no_fault(imports: Path, redis: Any, redis_server: RedisServer) -> None:
    """As systemd does it."""
    with Worker.start(app(imports), redis_server.url, "--preload") as worker:
        eventually(lambda: len(members(redis)) == 1, worker.log())
        for pid in (*importers(imports), *members(redis)):
            os.kill(pid, signal.SIGTERM)

        assert worker.stop() == 0
        assert "WARN" not in worker.log()


@pytest.mark.parametrize(
    ("more", "told"),
    [
        (
            "import threading\nthreading.Thread(target=time.sleep, args=(9,), name='mine', daemon=True).start()",
            "'mine'",
        ),
        ("import socket\nleft, right = socket.socketpair()", "a connection to"),
    ],
)
def test_what_was_opened_before_the_fork_is_named_and_nothing_is_forked(
    imports: Path, redis: Any, redis_server: RedisServer, more: str, told: str
) -> None:
    with Worker.start(app(imports, more), redis_server.url, "--processes", "2", "--preload") as worker:
        eventually(lambda: len(members(redis)) == 2, worker.log())

        assert "--preload: opened before the fork: " in worker.log()
        assert told in worker.log()
        assert members(redis) <= set(importers(imports))


def test_a_module_that_fails_is_told_once(tmp_path: Path, redis_server: RedisServer) -> None:
    worker = Worker("import nowhere_to_be_found", redis_server.url, ("--processes", "2", "--preload"))
    try:
        worker.begin()
        assert worker.process is not None
        assert worker.process.wait(60) == 2
        assert worker.log().count("cannot import app") == 1
    finally:
        worker.kill()
