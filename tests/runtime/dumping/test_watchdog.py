"""A dump is made at TTIN, while the GIL is stuck, for who asks through Redis; nothing crashes or hangs for it."""

import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from doctoring import kiqdoctor
from servers import RedisServer, eventually, free_port

from kiqdoctor.clock import Clock
from kiqdoctor.probes.threads.signals import catches
from kiqdoctor.runtime.dumping import dump, watchdog
from kiqdoctor.runtime.dumping.dump import JobNow, PoolUse
from kiqdoctor.runtime.dumping.watchdog import Watchdog, answer, ask
from kiqdoctor.runtime.supervising.link import STACKS
from kiqdoctor.wire.heartbeat import RUNTIME, Info
from kiqdoctor.wire.keys import Keys

HEAD = '''
import asyncio, ctypes, os, signal, sys, threading, time
from kiqdoctor.runtime.dumping.dump import JobNow, PoolUse
from kiqdoctor.runtime.dumping.watchdog import Watchdog

def write(text):
    sys.stderr.write(text + "\\n")
    sys.stderr.flush()

def watch(stall_s=60.0, **more):
    jobs = lambda: {threading.main_thread().ident: JobNow("app.Send", "ab12", "mail", 99.0)}
    dog = Watchdog(jobs=jobs, pools=lambda: [PoolUse("redis", 5, 12)], write=write, stall_s=stall_s, **more)
    dog.start()
    return dog

def end(dog):
    write("ready")
    sys.stdin.readline()
    dog.stop()

def busy():
    def deep(left):
        return deep(left - 1) + 1 if left else 0
    while True:
        for _ in range(100):
            deep(20)
        time.sleep(0.002)

def deep_in_c():
    """Keeps no GIL, and no signal interrupts it, until standard input ends."""
    mutex = ctypes.create_string_buffer(64)
    libc = ctypes.CDLL(None)
    libc.pthread_mutex_lock(mutex)
    threading.Thread(target=lambda: (sys.stdin.readline(), libc.pthread_mutex_unlock(mutex))).start()
    libc.pthread_mutex_lock(mutex)

def hold(seconds):
    """Keeps the GIL, asleep."""
    ctypes.PyDLL(None).usleep(int(seconds * 1_000_000))
'''


@dataclass
class Program:
    """A process with a watchdog; what it says is in ``log``."""

    process: "subprocess.Popen[bytes]"
    file: Path

    @property
    def log(self) -> str:
        return self.file.read_text(errors="replace")

    def dumps(self) -> int:
        return self.log.count("thread dump (TTIN)")

    def stacks(self) -> bool:
        """Asked for as a parent does that hears nothing."""
        self.process.send_signal(STACKS)
        return True

    def ttin(self) -> None:
        assert catches(Path("/proc") / str(self.process.pid), signal.SIGTTIN)
        self.process.send_signal(signal.SIGTTIN)

    def end(self) -> int:
        assert self.process.stdin is not None
        self.process.stdin.close()
        return self.process.wait(120)


@contextmanager
def program(folder: Path, body: str, *words: str, said: str = "ready") -> Iterator[Program]:
    """Runs HEAD and ``body`` until it says so; gone at the end."""
    (folder / "kiqdoctor").write_text(HEAD + body)
    log = folder / "log"
    with log.open("ab") as file:
        command = [sys.executable, str(folder / "kiqdoctor"), *words]
        process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=file, stderr=file, process_group=0)
    try:
        made = Program(process, log)
        eventually(lambda: said in made.log or process.poll() is not None)
        assert said in made.log, made.log
        yield made
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)  # its children by fork too
        process.wait()
        if process.stdin is not None:
            process.stdin.close()


def test_ttin_tells_threads_jobs_and_pools_once_for_each_signal(tmp_path: Path) -> None:
    with program(tmp_path, "end(watch())") as running:
        running.ttin()
        eventually(lambda: running.dumps() == 1)
        running.ttin()
        eventually(lambda: running.dumps() == 2)

        assert running.end() == 0
        assert running.dumps() == 2
        assert "MainThread class=app.Send jid=ab12 queue=mail running=99.0s" in running.log
        assert "    sys.stdin.readline()" in running.log
        assert "pool redis: 5 of 12 connections in use" in running.log


def test_a_busy_process_survives_two_hundred_signals(tmp_path: Path) -> None:
    body = "for _ in range(5): threading.Thread(target=busy, daemon=True).start()\nend(watch(stall_s=10.0))"
    with program(tmp_path, body) as running:
        for count in range(200):
            running.ttin()
            eventually(lambda count=count: running.dumps() > count // 10)

        assert running.end() == 0, running.log[-2000:]
        assert "Fatal" not in running.log


def test_a_main_thread_deep_in_c_does_not_keep_a_dump_from_being_made(tmp_path: Path) -> None:
    with program(tmp_path, "dog = watch(); write('ready'); deep_in_c(); time.sleep(0.3); end(dog)") as running:
        for count in (1, 2):
            running.ttin()
            eventually(lambda count=count: running.dumps() == count)

        assert "in deep_in_c" in running.log
        assert running.end() == 0
        assert running.dumps() == 2  # not once more when Python's own handler runs at last


def test_a_stuck_gil_is_noticed_while_it_is_stuck(tmp_path: Path) -> None:
    with program(tmp_path, f"watch(stall_s=0.5, stacks={STACKS}); write('ready'); hold(3600)") as running:
        eventually(lambda: running.stacks() and "in hold" in running.log)

        assert "the GIL was stuck" not in running.log


def test_who_goes_on_after_it_was_stopped_walks_no_frames_of_threads_that_run(tmp_path: Path) -> None:
    body = (
        "for _ in range(5): threading.Thread(target=busy, daemon=True).start()\n"
        f"dog = watch(stall_s=0.1, stacks={STACKS}, on_stall=lambda s: write('noticed'))\nend(dog)"
    )
    with program(tmp_path, body) as running:
        for count in range(20):
            running.process.send_signal(signal.SIGSTOP)
            time.sleep(0.12)
            running.process.send_signal(signal.SIGCONT)
            eventually(lambda count=count: running.log.count("noticed") > count // 4)

        assert running.end() == 0, running.log[-2000:]
        assert "most recent call first" not in running.log


def test_after_a_stuck_gil_its_time_and_whose_the_stacks_are_is_told(tmp_path: Path) -> None:
    body = (
        f"dog = watch(stall_s=0.5, stacks={STACKS}, on_stall=lambda s: write(f'noticed {{s >= 1}}'))\n"
        "write('ready')\nthreading.Thread(target=hold, args=(3,)).start()\nend(dog)"
    )
    with program(tmp_path, body) as running:
        eventually(lambda: running.stacks() and "in hold" in running.log)
        eventually(lambda: "noticed True" in running.log)

        assert running.log.count("the GIL was stuck for ") >= 1  # more often where the machine is
        thread = running.log.partition("  thread 0x")[2].partition(" ")[0]
        assert f"hread 0x{thread} (most recent call first)" in running.log
        assert "class=app.Send jid=ab12" in running.log
        assert running.end() == 0


def test_an_idle_process_is_never_called_stuck() -> None:
    told, looks = list[str](), list[float]()

    def look() -> float:
        looks.append(0.0)
        return 0.0

    clock = Clock(monotonic=look)
    dog = Watchdog(jobs=dict, pools=tuple, write=told.append, stall_s=0.1, clock=clock)
    dog.start()
    try:
        eventually(lambda: len(looks) > 20, "it looks anew and anew")
    finally:
        dog.stop()

    assert told == []


@pytest.mark.parametrize("order", ["before", "after"])
def test_the_wakeup_fd_of_an_event_loop_stays_its_own(tmp_path: Path, order: str) -> None:
    body = f"""
async def main():
    loop, done = asyncio.get_running_loop(), asyncio.Event()
    dog = watch() if {order == "after"} else None
    loop.add_signal_handler(signal.SIGUSR1, lambda: (write("loop heard"), done.set()))
    dog = dog or watch()
    write("ready")
    await done.wait()
    dog.stop()
asyncio.run(main())
"""
    with program(tmp_path, body) as running:
        for count in (1, 2):
            running.ttin()
            eventually(lambda count=count: running.dumps() == count)
        running.process.send_signal(signal.SIGUSR1)

        assert running.process.wait(120) == 0, running.log
        assert "loop heard" in running.log
        assert running.dumps() == 2


def test_outside_the_main_thread_signals_are_left_alone_and_stuck_is_still_noticed(tmp_path: Path) -> None:
    body = f"""
made = []
thread = threading.Thread(target=lambda: made.append(watch(stall_s=0.5, stacks={STACKS})))
thread.start()
thread.join()
write("ready")
threading.Thread(target=hold, args=(3,)).start()
end(made[0])
"""
    with program(tmp_path, body) as running:
        assert not catches(Path("/proc") / str(running.process.pid), signal.SIGTTIN)
        eventually(lambda: running.stacks() and "in hold" in running.log)
        eventually(lambda: "the GIL was stuck for" in running.log)
        assert "in hold" in running.log
        assert running.end() == 0


def test_a_child_after_fork_watches_for_itself_and_ends(tmp_path: Path) -> None:
    body = """
dog = watch(stall_s=0.5)
for _ in range(20):
    child = os.fork()
    if not child:
        sys.exit(0)
    os.waitpid(child, 0)
child = os.fork()
if not child:
    hold(2)
    end(dog)
    sys.exit(0)
write(f"the child is {child} ")
os.waitpid(child, 0)
write("child ended")
end(dog)
"""
    with program(tmp_path, body, said="the GIL was stuck for") as running:
        child = int(running.log.partition("the child is ")[2].split()[0])
        eventually(lambda: "ready" in running.log)
        os.kill(child, signal.SIGTTIN)
        eventually(lambda: running.dumps() == 1)
        os.kill(running.process.pid, signal.SIGTTIN)
        eventually(lambda: running.dumps() == 2)

        assert running.end() == 0
        assert "child ended" in running.log


def test_stopping_gives_everything_back() -> None:
    before = signal.getsignal(signal.SIGTTIN)
    fds = len(list(Path("/proc/self/fd").iterdir()))
    dog = Watchdog(jobs=dict, pools=tuple, write=print)
    dog.start()
    assert signal.getsignal(signal.SIGTTIN) != before
    dog.stop()
    dog.stop()

    assert signal.getsignal(signal.SIGTTIN) == before
    assert signal.set_wakeup_fd(-1) == -1
    assert len(list(Path("/proc/self/fd").iterdir())) == fds
    assert dog.thread is not None
    assert not dog.thread.is_alive()


def test_in_somebody_else_s_program_no_signal_is_taken() -> None:
    before = signal.getsignal(signal.SIGTTIN)
    dog = Watchdog(jobs=dict, pools=tuple, write=print, signals=False, stall_s=0)
    dog.start()
    try:
        assert signal.getsignal(signal.SIGTTIN) == before
        assert signal.set_wakeup_fd(-1) == -1
    finally:
        dog.stop()


# --- Through Redis ----------------------------------------------------------------------------------------------------

KEYS = Keys("shop")
IDENTITY = f"{socket.gethostname()}:{os.getpid()}:ab12"


def made() -> dump.Dump:
    jobs = {threading.get_ident(): JobNow("app.Send", "ab12", "mail", 1.0)}
    return dump.here(lambda: jobs, lambda: [PoolUse("redis", 1, 2)], identity=IDENTITY)


@contextmanager
def beating(client: Any, keys: Keys, *, runtime: str = RUNTIME) -> Iterator[None]:
    """A process that is seen and answers, as the heartbeat does but more often."""
    info = Info(identity=IDENTITY, hostname=socket.gethostname(), pid=os.getpid(), started_at=1.0, runtime=runtime)
    client.sadd(keys.processes, IDENTITY)
    client.hset(keys.process(IDENTITY), "info", info.encode())
    stop = threading.Event()

    def beat() -> None:
        while not stop.wait(0.02):
            answer(client, keys, IDENTITY, made)

    thread = threading.Thread(target=beat)
    thread.start()
    try:
        yield
    finally:
        stop.set()
        thread.join()


def test_who_asks_is_answered(redis: Any) -> None:
    with beating(redis, KEYS):
        found = ask(redis, KEYS, IDENTITY)

    assert found.identity == IDENTITY
    assert found.threads[0].job is not None
    assert not list(redis.scan_iter("*kiq:*"))


def test_nobody_asked(redis: Any) -> None:
    assert not answer(redis, KEYS, IDENTITY, made)


def test_who_asks_a_process_that_is_gone_hears_so_and_leaves_nothing(redis: Any) -> None:
    with pytest.raises(TimeoutError, match=r"^[^\n]* did not answer within 0\.2 s[^\n]*$"):
        ask(redis, KEYS, IDENTITY, 0.2)

    assert not redis.keys("*")


def test_questions_and_answers_that_nobody_fetches_are_forgotten(redis: Any) -> None:
    token = "0123456789abcdef" * 2
    redis.lpush(KEYS.ask(IDENTITY), token, token)

    assert answer(redis, KEYS, IDENTITY, made)
    assert 0 < redis.ttl(KEYS.answer(token)) <= watchdog.ASK_TTL
    assert dump.read(redis.get(KEYS.answer(token))).identity == IDENTITY


@pytest.mark.parametrize("token", [b"", b"../x", b"0" * 33, b"\xff", b"0" * 31 + b"\n"])
def test_what_is_no_token_is_not_answered(redis: Any, token: bytes) -> None:
    redis.lpush(KEYS.ask(IDENTITY), token)

    assert not answer(redis, KEYS, IDENTITY, made)
    assert not redis.keys("*")


# --- The command ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("target", [IDENTITY, str(os.getpid())], ids=["identity", "pid"])
def test_dump_shows_a_worker_by_identity_and_by_pid(redis: Any, redis_server: RedisServer, target: str) -> None:
    with beating(redis, KEYS):
        found = kiqdoctor("dump", target, "--redis", redis_server.url, "--namespace", "shop")
        as_json = kiqdoctor("dump", target, "--redis", redis_server.url, "--namespace", "shop", "--format", "json")

    assert (found.status, as_json.status) == (0, 0), found.err
    assert f"process {IDENTITY}" in found.out
    assert "class=app.Send jid=ab12" in found.out
    plain = json.loads(as_json.out)
    assert (plain["schema"], plain["target"], plain["source"]) == ("kiqdoctor.dump/2", target, "own")
    [job] = [one["job"] for one in plain["threads"] if one["job"]]
    assert (job["class"], job["jid"]) == ("app.Send", "ab12")


@pytest.mark.parametrize("target", ["", "host", "host:12", "-1", "host:x:ab"])
def test_dump_of_what_is_no_target_is_wrong_usage(target: str) -> None:
    found = kiqdoctor("dump", "--", target)

    assert found.status == 2
    assert len(found.err.strip().splitlines()) == 1


def test_dump_of_a_process_that_is_not_there(redis: Any, redis_server: RedisServer) -> None:
    found = kiqdoctor("dump", "web-1:4711:ab12", "--redis", redis_server.url)

    assert found.status == 3
    assert "no process web-1:4711:ab12 beats in Redis" in found.err


def test_dump_without_redis() -> None:
    found = kiqdoctor("dump", "web-1:4711:ab12", "--redis", f"redis://127.0.0.1:{free_port()}/0")

    assert found.status == 3
    assert len(found.err.strip().splitlines()) == 1


def test_dump_of_another_runtime_s_worker_says_that_it_cannot_answer(redis: Any, redis_server: RedisServer) -> None:
    with beating(redis, Keys(), runtime=""):
        found = kiqdoctor("dump", IDENTITY, "--redis", redis_server.url)

    assert found.status == 3
    assert "is no worker of kiqdoctor's runtime" in found.err


def test_dump_of_a_worker_that_is_silent(redis: Any, redis_server: RedisServer) -> None:
    with beating(redis, KEYS):
        pass
    found = kiqdoctor("dump", IDENTITY, "--redis", redis_server.url, "--namespace", "shop", "--timeout", "0.3")

    assert found.status == 3
    assert "did not answer within 0.3 s" in found.err


def test_dump_of_a_pid_that_is_no_python_process_says_so(redis: Any, redis_server: RedisServer) -> None:
    found = kiqdoctor("dump", str(redis_server.pid), "--redis", redis_server.url)

    assert found.status == 3
    assert f"process {redis_server.pid} (redis-server) is no Python process" in found.err


def test_dump_of_a_pid_that_is_gone() -> None:
    gone = subprocess.Popen([sys.executable, "-c", ""])
    gone.wait()

    assert kiqdoctor("dump", str(gone.pid)).status == 3
