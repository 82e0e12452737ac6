"""The threads of real workers: their own dump through Redis, else their stacks, else what would open either."""

import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from doctoring import kiqdoctor
from servers import RedisServer, eventually, free_port
from workers import Worker

from kiqdoctor.connection import Address, resolve_url
from kiqdoctor.doctor.facts.threads import Thread, Threads
from kiqdoctor.doctor.snapshot import Refused
from kiqdoctor.examining.threads import ITS_OWN, threads_of
from kiqdoctor.wire.heartbeat import RUNTIME
from kiqdoctor.wire.keys import Keys

APP = """
import threading, time
from kiqdoctor import job

@job
def nap():
    with threading.Lock():
        time.sleep(600)
"""
JID = "ab" * 12
ASKER = "asker"


def address(url: str) -> Address:
    return resolve_url(url, {})


@pytest.fixture(scope="module")
def worker() -> Iterator[Worker]:
    """A worker, and a Redis of its own, with a job in progress."""
    with RedisServer.start() as server, Worker.start(APP, server.url, "-c", "2") as one:
        client = server.client()
        client.lpush("queue:default", json.dumps({"class": "app.nap", "args": [], "jid": JID, "retry": False}))
        identity = _identity(client, one.pid)
        eventually(lambda: client.hlen(Keys().work(identity)), "a job in progress")
        client.close()
        yield one


def _identity(client: Any, pid: int) -> str:
    [found] = [name.decode() for name in client.smembers("processes") if f":{pid}:".encode() in name]
    return str(found)


@contextmanager
def client_of(worker: Worker) -> Iterator[Any]:
    import redis

    with redis.Redis.from_url(worker.url) as client:
        yield client


@pytest.fixture
def identity(worker: Worker) -> str:
    with client_of(worker) as client:
        return _identity(client, worker.pid)


@pytest.fixture
def asker(worker: Worker) -> Iterator[str]:
    """The URL of a user who may read everything and write nothing."""
    with client_of(worker) as client:
        client.execute_command("ACL", "SETUSER", ASKER, "reset", "on", ">secret", "~*", "+@read", "+ping", "+select")
        yield worker.url.replace("redis://", f"redis://{ASKER}:secret@")
        client.execute_command("ACL", "DELUSER", ASKER)


Ask = Callable[..., Threads | Refused]


@pytest.fixture
def ask(worker: Worker, identity: str) -> Ask:
    def asked(url: str = "", *, here: bool = True, runtime: str = RUNTIME, **more: Any) -> Threads | Refused:
        return threads_of(identity, runtime, worker.pid, here, address(url or worker.url), None, **more)

    return asked


def processors(found: Threads | Refused) -> dict[str, Thread]:
    assert isinstance(found, Threads), found
    return {one.name: one for one in found.threads if one.name.startswith("kiq.processor")}


def read(ask: Callable[[], Threads | Refused]) -> Threads:
    """A worker that runs meanwhile is not read at each try."""
    result: Threads = eventually(lambda: found if isinstance(found := ask(), Threads) else None, "its stacks")
    return result


def test_our_worker_tells_its_own_threads_from_anywhere(ask: Ask, identity: str) -> None:
    found = ask(here=False, timeout=60.0)

    assert isinstance(found, Threads), found
    assert (found.identity, found.source, found.note) == (identity, ITS_OWN, "")
    assert len(processors(found)) == 2
    [napping] = [one for one in found.threads if one.jid]
    assert (napping.job_class, napping.jid, napping.queue) == ("app.nap", JID, "default")
    assert napping.running_s is not None
    assert napping.frames[0].function == "nap"
    assert napping.frames[0].source == "time.sleep(600)"


def test_what_it_says_and_what_the_kernel_says_are_of_the_same_threads(worker: Worker) -> None:
    ran = kiqdoctor("dump", str(worker.pid), "--redis", worker.url, "--timeout", "60", "--format", "json")
    found = json.loads(ran.out)
    [napping] = [one for one in found["threads"] if one["job"]]

    assert found["source"] == "own"
    assert (napping["job"]["jid"], napping["state"]) == (JID, "sleeping")


def test_without_the_permission_to_ask_its_stacks_are_read_by_the_ids_of_its_jobs(ask: Ask, asker: str) -> None:
    own, outside = ask(timeout=60.0), read(lambda: ask(asker))

    assert outside.source.startswith("py-spy dump")
    assert "could not be asked" in outside.note
    assert "secret" not in outside.note
    mine, theirs = processors(own), processors(outside)
    assert {name: one.id for name, one in theirs.items()} == {name: one.id for name, one in mine.items()}


def test_the_permission_that_is_named_is_the_one_that_opens_it(ask: Ask, asker: str, worker: Worker) -> None:
    found = ask(asker, here=False)

    assert isinstance(found, Refused)
    assert "secret" not in found.reason + found.unlock
    rules, there = found.unlock.split(", or ")
    assert there == f"kiqdoctor dump {worker.pid} on {socket.gethostname()}"
    with client_of(worker) as client:
        # Of what the user had, only connecting is left.
        client.execute_command("ACL", "SETUSER", ASKER, "resetkeys", "-@all", "+ping", "+select")
        client.execute_command(*rules.split())
    assert isinstance(ask(asker, here=False, timeout=60.0), Threads)


@pytest.mark.parametrize("runtime", [RUNTIME, ""])
def test_who_may_not_write_does_not(ask: Ask, worker: Worker, runtime: str) -> None:
    with client_of(worker) as client:
        before = client.info("commandstats").get("cmdstat_lpush", {}).get("calls")
        found = read(lambda: ask(may_ask=False, runtime=runtime))
        assert client.info("commandstats").get("cmdstat_lpush", {}).get("calls") == before

    assert found.source.startswith("py-spy dump")
    assert len(processors(found)) == 2


@pytest.mark.parametrize(("runtime", "may_ask"), [("", True), ("", False), (RUNTIME, False)])
def test_elsewhere_what_cannot_be_asked_is_refused(ask: Ask, worker: Worker, runtime: str, may_ask: bool) -> None:
    found = ask(here=False, runtime=runtime, may_ask=may_ask)

    assert isinstance(found, Refused)
    assert found.reason
    assert found.unlock == f"kiqdoctor dump {worker.pid} on {socket.gethostname()}"


def test_without_redis_its_stacks_are_read(ask: Ask) -> None:
    found = read(lambda: ask(f"redis://127.0.0.1:{free_port()}/0"))

    assert "could not be asked" in found.note
    assert len(processors(found)) == 2


def test_a_redis_that_hangs_is_left(ask: Ask) -> None:
    with RedisServer.start() as server:
        os.kill(server.pid, signal.SIGSTOP)
        found = ask(server.url, here=False, timeout=0.2)

    assert isinstance(found, Refused)
    assert "did not answer within 0.2 s" in found.reason


def test_a_worker_that_is_silent_and_gone(redis_server: RedisServer, redis: Any) -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()
    found = threads_of(f"a:{gone.pid}:b", RUNTIME, gone.pid, True, address(redis_server.url), None, timeout=0.2)

    assert isinstance(found, Refused)
    assert "did not answer within 0.2 s" in found.reason
    assert f"no process {gone.pid} " in found.reason
    assert not redis.keys("*")


@pytest.mark.parametrize("identity", ["", "\x1b[2J", "a:b:c", "x" * 100_000])
def test_whatever_stands_in_redis_is_answered(redis_server: RedisServer, redis: Any, identity: str) -> None:
    found = threads_of(identity, RUNTIME, None, True, address(redis_server.url), "shop:", timeout=0.1)

    assert isinstance(found, Refused)
    assert "\x1b" not in found.reason + found.unlock
    assert len(found.reason) < 1_000


# --- The command ------------------------------------------------------------------------------------------------------


@contextmanager
def stranger(*, code: str = "import sys; print('ready', flush=True); sys.stdin.read()") -> Iterator[int]:
    """A Python process that has never heard of us."""
    command = [sys.executable, "-c", code]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process.pid
        finally:
            process.kill()


def test_dump_of_any_python_process(redis_server: RedisServer, redis: Any) -> None:
    with stranger() as pid:
        text = kiqdoctor("dump", str(pid), "--redis", redis_server.url)
        plain = kiqdoctor("dump", str(pid), "--redis", redis_server.url, "--format", "json")

    assert (text.status, plain.status, text.err, plain.err) == (0, 0, "", "")
    head, wrong, note, thread, frame = text.out.splitlines()
    assert head == f"process {pid} (sleeping), by py-spy dump --nonblocking --pid {pid}: 1 thread"
    assert wrong.startswith("nothing wrong was seen")
    assert note.startswith(f"note: no worker of this host with pid {pid} beats in Redis")
    assert thread.startswith("Thread 0x")
    assert frame == "  <string>:1 in <module>"
    found = json.loads(plain.out)
    assert (found["schema"], found["target"], found["source"]) == ("kiqdoctor.dump/2", str(pid), "py-spy")
    assert found["threads"][0]["frames"][0]["function"] == "<module>"
    assert (found["threads"][0]["state"], found["diagnosis"]) == ("sleeping", [])


def test_dump_of_a_worker_that_does_not_answer_shows_its_stacks_too(
    worker: Worker, redis_server: RedisServer, redis: Any
) -> None:
    def shown() -> str:
        found = kiqdoctor("dump", str(worker.pid), "--redis", redis_server.url)
        assert found.status == 3
        assert "the dump is in its own log" in found.err
        return found.out

    out = eventually(shown, "its stacks")
    assert "in nap" in out
    eventually(lambda: "(TTIN)" in worker.log())


def test_dump_by_identity_says_where_stacks_can_be_read(redis_server: RedisServer, redis: Any) -> None:
    found = kiqdoctor("dump", "web-1:4711:ab12", "--redis", redis_server.url)

    assert "on its host, or in its container, kiqdoctor dump 4711" in found.err


BECOME_NOBODY = """
import contextlib, encodings.idna, io, os, sys
from kiqdoctor.cli import run

for pid in (sys.argv[2], "4194303"):  # all that it loads is loaded by root: nobody may not be able to read it
    with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(io.StringIO()):
        with contextlib.suppress(SystemExit):
            run(["dump", pid, *sys.argv[3:]])
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
sys.exit(run(sys.argv[1:]))
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can mount a /proc with hidepid and become somebody else")
def test_a_process_that_proc_hides_is_told_from_none() -> None:
    proc = 'mount -t proc -o hidepid=2 proc /proc && exec "$@"'
    private = ["unshare", "--mount", "--propagation", "private", "sh", "-c", proc, "sh"]

    def dumped(pid: int) -> "subprocess.CompletedProcess[str]":
        words = ["dump", str(pid), "--redis", f"redis://127.0.0.1:{free_port()}/0"]
        return subprocess.run(
            [*private, sys.executable, "-c", BECOME_NOBODY, *words], capture_output=True, text=True, check=False
        )

    with stranger() as pid:
        there = dumped(pid)
    gone = dumped(pid)

    assert (there.returncode, gone.returncode) == (3, 3)
    assert (
        f"process {pid} is hidden from uid 65534: /proc is mounted with hidepid; what helps: run as root"
        in there.stderr
    )
    assert f"no process {pid} " in gone.stderr
