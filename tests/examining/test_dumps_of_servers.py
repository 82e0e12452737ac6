"""`kiqdoctor dump` of Celery's workers and gunicorn's, hung, deadlocked and idle."""

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
import roots
from hanging import dumped
from redis import Redis
from servers import RedisServer, eventually, free_port
from workers import children, ended

HANGING = """
import os, socket, threading, time

A, B, both = threading.Lock(), threading.Lock(), threading.Barrier(2)

def alone(secret):
    with A:
        with A:
            pass

def one(secret):
    with A:
        both.wait()
        with B:
            pass

def two(secret):
    with B:
        both.wait()
        with A:
            pass

def read(secret):
    server = socket.create_server(("127.0.0.1", 0))
    socket.create_connection(server.getsockname()).recv(1)
"""
TASKS = (
    HANGING
    + """
import celery

app = celery.Celery("tasks", broker=os.environ["BROKER"])
app.conf.broker_connection_retry_on_startup = True
for function in (alone, one, two, read):
    app.task(function, name=function.__name__)
"""
)
REQUESTS = (
    HANGING
    + """
def app(environ, start_response):
    name = environ["PATH_INFO"].strip("/")
    if name:
        globals()[name]("hunter2")
    start_response("200 OK", [("Content-Length", "2")])
    return [b"ok"]
"""
)


def environment(**more: str) -> dict[str, str]:
    """Where both can be imported: beside our own packages they would be those of each application that is examined."""
    folder = os.environ.get("KIQDOCTOR_TEST_SERVERS")
    if not folder:
        roots.absent("KIQDOCTOR_TEST_SERVERS names no folder (pip install --target FOLDER celery gunicorn)")
    return {**os.environ, "PYTHONPATH": folder, **more}


@contextmanager
def server(module: str, code: str, folder: Path, *words: str, **environ: str) -> Iterator[int]:
    """`python -m module words...` beside this code, and its children; all gone at the end."""
    (folder / "hung.py").write_text(code)
    os.utime(folder / "hung.py", (1_600_000_000, 1_600_000_000))
    with (folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", module, *words], cwd=folder, env=environment(**environ), stdout=log, stderr=log
        )
    with process:
        try:
            yield process.pid
        finally:
            process.send_signal(signal.SIGSTOP)  # it would start others in their place
            there = children(process.pid)
            for pid in there:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)
            process.kill()
    for pid in there:
        eventually(lambda pid=pid: ended(pid), f"{pid} was killed")


def celery(pool: str, number: int, url: str, folder: Path) -> Any:
    words = ("-A", "hung", "worker", "--pool", pool, "--concurrency", str(number), "--without-gossip")
    return server("celery", TASKS, folder, *words, BROKER=url)


def sent(folder: Path, url: str, *names: str) -> None:
    """These tasks, as an application pushes them."""
    code = f"import hung\nfor name in {names!r}: hung.app.send_task(name, args=['hunter2-argument'])"
    subprocess.run([sys.executable, "-c", code], cwd=folder, env=environment(BROKER=url), check=True)


def told(pids: list[int]) -> dict[int, dict[str, Any]]:
    found = {pid: dumped(pid) for pid in pids}
    assert "hunter2" not in json.dumps(found)
    return found


def kinds(pids: list[int]) -> list[list[str]]:
    """What is wrong with each, sorted."""
    return sorted([one["kind"] for one in found.get("diagnosis", ["unread"])] for found in told(pids).values())


def test_celery_s_processes(redis_server: RedisServer, redis: Redis, tmp_path: Path) -> None:
    with celery("prefork", 3, redis_server.url, tmp_path) as pid:
        eventually(lambda: len(children(pid)) == 3, "its children")
        assert kinds([pid, *children(pid)]) == [[]] * 4
        sent(tmp_path, redis_server.url, "alone", "read")
        eventually(lambda: kinds(children(pid)) == [[], ["deadlock"], ["socket-wait"]], "two hang, and one is idle")
        parent = dumped(pid)

    assert parent["diagnosis"] == []
    assert "dump each: " in parent["note"]


def test_celery_s_threads(redis_server: RedisServer, redis: Redis, tmp_path: Path) -> None:
    with celery("threads", 4, redis_server.url, tmp_path) as pid:
        eventually(lambda: kinds([pid]) == [[]], "it is idle")
        sent(tmp_path, redis_server.url, "one", "two", "read")
        eventually(lambda: kinds([pid]) == [["deadlock", "socket-wait"]], "two wait for each other, one for a socket")
        [deadlock, waiting] = dumped(pid)["diagnosis"]

    assert len(deadlock["threads"]) == 2
    assert deadlock["basis"] == "inferred"
    assert len(waiting["threads"]) == 1


def asked(port: int, name: str) -> None:
    """A request whose answer nobody waits for."""

    def ask() -> None:
        with suppress(OSError):
            urllib.request.urlopen(f"http://127.0.0.1:{port}/{name}", timeout=600).read()

    Thread(target=ask, daemon=True).start()


def listens(port: int) -> bool:
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
        return True
    return False


@pytest.mark.parametrize(
    ("words", "requests", "hung"),
    [
        (("--workers", "3"), ("alone", "read"), [[], ["deadlock"], ["socket-wait"]]),
        (("--worker-class", "gthread", "--threads", "6"), ("one", "two"), [["deadlock"]]),
    ],
    ids=["sync", "gthread"],
)
def test_gunicorn(words: tuple[str, ...], requests: tuple[str, ...], hung: list[list[str]], tmp_path: Path) -> None:
    port = free_port()
    with server("gunicorn", REQUESTS, tmp_path, "hung:app", "--bind", f"127.0.0.1:{port}", "--timeout", "600",
                *words) as pid:  # fmt: skip
        eventually(lambda: listens(port) and len(children(pid)) == len(hung), "its workers")
        assert kinds([pid, *children(pid)]) == [[]] * (len(hung) + 1)
        for name in requests:
            asked(port, name)
        eventually(lambda: kinds(children(pid)) == hung, f"what hangs: {hung}")
