"""A small parent and its worker processes: who dies, stands still or is told to end, and what becomes of the jobs."""

import json
import os
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import pytest
from faults import Proxy
from ledger import Ledger, preamble
from servers import RedisServer, eventually
from workers import Worker, children, ended

import kiqdoctor
from kiqdoctor.probes.threads.signals import catches
from kiqdoctor.runtime.supervising.child import Child
from kiqdoctor.runtime.supervising.link import STACKS, Link
from kiqdoctor.runtime.supervising.orders import Orders
from kiqdoctor.runtime.supervising.supervisor import Supervisor
from kiqdoctor.wire.payload import read

APP: Final = """
import ctypes

@job(name="sup.note")
def note_it():
    with noted():
        pass

@job(name="sup.nap")
def nap(seconds):
    with noted():
        time.sleep(seconds)

@job(name="sup.hold_once")
def hold_once():
    with noted():
        if len(open(ledger_path).read().split("begin")) < 3:
            time.sleep(300)

@job(name="sup.hog")
def hog(seconds):
    with noted():
        ctypes.PyDLL(None).sleep(int(seconds))  # holds the GIL, as a regular expression or a C extension does

@job(name="sup.crash")
def crash():
    ctypes.string_at(0)

@job(name="sup.grow")
def grow(mib):
    with noted():
        kept.append(b"x" * (mib << 20))

kept = []
"""
SMALL: Final = 20 * 1024  # kB that a parent may hold


@kiqdoctor.job(name="sup.note")
def note_it() -> None: ...


@kiqdoctor.job(name="sup.nap")
def nap(seconds: float) -> None: ...


@kiqdoctor.job(name="sup.hold_once")
def hold_once() -> None: ...


@kiqdoctor.job(name="sup.hog")
def hog(seconds: float) -> None: ...


@kiqdoctor.job(name="sup.crash")
def crash() -> None: ...


@kiqdoctor.job(name="sup.grow")
def grow(mib: int) -> None: ...


@pytest.fixture
def ledger(tmp_path: Path, redis: Any, redis_server: RedisServer) -> Path:
    kiqdoctor.configure(redis=redis_server.url)
    return tmp_path / "ledger"


@contextmanager
def workers(ledger: Path, url: str, *words: str) -> Iterator[Worker]:
    app = preamble(ledger) + f"ledger_path = {str(ledger)!r}\n" + APP
    with Worker.start(app, url, *words) as worker:
        eventually(
            lambda: "supervises" in worker.log(), "its parent heard that it is ready, which jobs do not wait for"
        )
        yield worker


def parent(worker: Worker) -> int:
    assert worker.process is not None
    return worker.process.pid


def told(redis: Any, pid: int) -> dict[str, Any]:
    """What the beat of this process tells of its parent."""
    for key in redis.keys(f"kiq:about:*:{pid}:*"):
        if raw := redis.hget(key, "supervisor"):
            found: dict[str, Any] = json.loads(raw)
            return found
    return {}


def another(worker: Worker, before: list[int]) -> list[int]:
    """Once none of these is there and as many others are."""
    return [pid for pid in worker.pids if pid not in before] if not set(before) & set(worker.pids) else []


# -- what it is ------------------------------------------------------------------------------------------------------


def test_the_parent_is_small_and_each_child_is_a_process_of_its_own(
    ledger: Path, redis: Any, redis_server: RedisServer
) -> None:
    with workers(ledger, redis_server.url, "--processes", "2") as worker:
        eventually(lambda: len(worker.pids) == 2 and redis.scard("processes") == 2, worker.log())
        status = Path(f"/proc/{parent(worker)}/status").read_text()
        [rss] = [int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS")]
        members = {name.decode().split(":")[1] for name in redis.smembers("processes")}
        assert members == {str(pid) for pid in worker.pids}
        assert b"supervise" in Path(f"/proc/{parent(worker)}/cmdline").read_bytes()
        eventually(lambda: told(redis, worker.pid).get("processes") == 2)
        assert told(redis, worker.pid)["pid"] == parent(worker)
        assert worker.stop() == 0
    assert rss < SMALL
    assert not redis.keys("kiq:lease:*")


def test_a_killed_childs_job_runs_again_and_its_place_is_taken(
    ledger: Path, redis: Any, redis_server: RedisServer
) -> None:
    with workers(ledger, redis_server.url, "--processes", "2", "-c", "1") as worker:
        eventually(lambda: len(worker.pids) == 2)
        before = worker.pids
        hold_once.perform_async()
        [victim] = eventually(lambda: [pids[0] for pids in Ledger.read(ledger).begun.values()])
        os.kill(victim, signal.SIGKILL)
        killed = time.monotonic()
        eventually(lambda: Ledger.read(ledger).ends.total() == 1, worker.log())
        print(f"killed, and run again after {time.monotonic() - killed:.2f} s")  # under 1 s is promised
        eventually(lambda: len(worker.pids) == 2 and victim not in worker.pids, worker.log())
        assert len(set(worker.pids) & set(before)) == 1
        assert "SIGKILL; another starts" in worker.log()
        eventually(lambda: told(redis, worker.pid).get("restarts") == 1)
        assert worker.stop() == 0
    assert not redis.keys("kiq:taken:*")


def test_a_crash_says_what_became_of_its_core_and_starts_are_put_off(
    ledger: Path, redis: Any, redis_server: RedisServer
) -> None:
    with workers(ledger, redis_server.url, "-c", "1") as worker:
        crash.perform_async()
        try:
            eventually(lambda: redis.zcard("dead") == 1)
        finally:
            log = worker.log()
            print(log)
    assert "SIGSEGV, no core was written" in log or "SIGSEGV, core written" in log
    assert "another starts in 1 s" in log
    [raw] = redis.zrange("dead", 0, -1)
    assert json.loads(raw)["error_message"] == "in flight when 3 processes died"


# -- what it is told -------------------------------------------------------------------------------------------------


def test_signals_go_on_to_the_children(ledger: Path, redis: Any, redis_server: RedisServer) -> None:
    with workers(ledger, redis_server.url, "--processes", "2") as worker:
        eventually(lambda: all(told(redis, pid) for pid in worker.pids) and len(worker.pids) == 2, "both are ready")
        os.kill(parent(worker), signal.SIGTTIN)
        eventually(lambda: worker.log().count("thread dump") >= 2 or worker.log().count("TTIN") >= 2, worker.log())
        os.kill(parent(worker), signal.SIGTSTP)
        eventually(lambda: worker.log().count("quiet: taking no more jobs") == 2)
        assert worker.stop() == 0
        assert worker.log().count("Bye!") == 3


def test_a_dump_that_is_asked_for_before_a_child_listens_is_made_when_it_does(
    ledger: Path, redis_server: RedisServer
) -> None:
    worker = Worker(preamble(ledger) + APP, redis_server.url)
    worker.begin()
    try:
        eventually(lambda: catches(Path("/proc") / str(parent(worker)), signal.SIGTTIN), "its parent listens")
        os.kill(parent(worker), signal.SIGTTIN)
        eventually(lambda: "(TTIN)" in worker.log(), worker.log())
    finally:
        worker.kill()


def test_a_terminal_that_tells_all_of_them_makes_nobody_hurry(
    ledger: Path, redis: Any, redis_server: RedisServer
) -> None:
    with workers(ledger, redis_server.url) as worker:
        nap.perform_async(1.0)
        eventually(lambda: Ledger.read(ledger).executions == 1)
        for pid in (worker.pid, parent(worker)):
            os.kill(pid, signal.SIGINT)
        assert worker.process is not None
        assert worker.process.wait(120) == 0
        assert "gave" not in worker.log()
    assert Ledger.read(ledger).ends.total() == 1


def test_a_second_signal_gives_back_at_once(ledger: Path, redis: Any, redis_server: RedisServer) -> None:
    with workers(ledger, redis_server.url, "-t", "600") as worker:
        nap.perform_async(300)
        eventually(lambda: Ledger.read(ledger).executions == 1)
        os.kill(parent(worker), signal.SIGTERM)
        eventually(lambda: worker.log().count("shutting down") == 2)
        assert worker.stop() == 0
    assert redis.llen("queue:default") == 1


def test_new_processes_come_first_where_it_rolls(ledger: Path, redis: Any, redis_server: RedisServer) -> None:
    with workers(ledger, redis_server.url, "--processes", "2") as worker:
        eventually(lambda: len(worker.pids) == 2)
        before = worker.pids
        seen: list[int] = []
        os.kill(parent(worker), signal.SIGUSR2)
        while not another(worker, before):
            seen.append(len(worker.pids))
            time.sleep(0.02)
        eventually(lambda: len(worker.pids) == 2)
        jid = note_it.perform_async()
        eventually(lambda: jid in Ledger.read(ledger).ended)
        assert worker.stop() == 0
    assert min(seen) >= 2
    assert max(seen) > 2


@pytest.mark.parametrize(
    ("words", "reason"), [(("--max-jobs", "3"), "it ran 3 jobs"), (("--max-rss", "200"), "MiB")], ids=["jobs", "memory"]
)
def test_a_process_that_had_its_share_is_replaced(
    ledger: Path, redis: Any, redis_server: RedisServer, words: tuple[str, ...], reason: str
) -> None:
    with workers(ledger, redis_server.url, *words) as worker:
        before = worker.pids
        jids = {note_it.perform_async() for _ in range(2)} | {grow.perform_async(300)}
        eventually(lambda: another(worker, before), worker.log())
        eventually(lambda: Ledger.read(ledger).ended == jids)
        assert worker.stop() == 0
        assert reason in worker.log()


def test_stop_in_the_web_ui_ends_one_process_and_the_last_ends_the_parent(
    ledger: Path, redis: Any, redis_server: RedisServer
) -> None:
    with workers(ledger, redis_server.url) as worker:
        [identity] = redis.smembers("processes")
        redis.lpush(identity.decode() + "-signals", "TERM")
        assert worker.process is not None
        assert worker.process.wait(120) == 0
        assert "was told to stop, and is not replaced" in worker.log()


# -- who is alive ----------------------------------------------------------------------------------------------------


def test_a_parent_that_dies_leaves_children_that_end_their_jobs(
    ledger: Path, redis: Any, redis_server: RedisServer
) -> None:
    with workers(ledger, redis_server.url) as worker:
        nap.perform_async(1.5)
        eventually(lambda: Ledger.read(ledger).executions == 1)
        child = worker.pid
        os.kill(parent(worker), signal.SIGKILL)
        eventually(lambda: ended(child))
        assert "our parent is gone" in worker.log()
    assert Ledger.read(ledger).ends.total() == 1
    assert not redis.keys("kiq:taken:*")


@dataclass
class Signalled(Child):
    """One that is our own process, gets no signal, and stands still when a test says so."""

    still: bool = False
    sent: list[int] = field(default_factory=list)

    def judged(self, supervisor: Supervisor, silence: float) -> bool:
        """Whether it is called silent after so many seconds."""
        supervisor._judge(self, self.heard + silence)
        return self.silent

    def send(self, number: int) -> None:
        self.sent.append(number)

    def catches(self, number: int) -> bool:
        return number == STACKS

    @property
    def stands_still(self) -> bool:
        return self.still


@contextmanager
def watched(stuck_after_s: float = 0.0) -> Iterator[tuple[Supervisor, Signalled]]:
    """A parent, and a child that was heard just now."""
    ours, theirs = socket.socketpair()
    now = time.monotonic()
    with ours, theirs:
        child = Signalled(os.getpid(), Link(ours), 0, now, now, ready=True)
        supervisor = Supervisor(Orders(["nothing"], stuck_after_s=stuck_after_s))
        supervisor.places[0].child = child
        yield supervisor, child


def test_a_parent_that_stood_still_itself_calls_nobody_silent() -> None:
    with watched(stuck_after_s=11) as (supervisor, child):
        supervisor._looked -= 30
        child.heard -= 30
        supervisor._tend()

        assert not child.silent
        assert child.sent == []


def test_who_goes_on_after_it_was_stopped_has_a_moment_to_say_so() -> None:
    with watched() as (supervisor, child):
        child.still = True
        assert not child.judged(supervisor, 9.9)
        child.still = False
        assert not child.judged(supervisor, 10.1)
        assert child.judged(supervisor, 12.1)
        assert child.sent == [STACKS]


@pytest.mark.parametrize("still", [False, True])
def test_who_is_silent_for_long_is_asked_for_its_stacks_unless_it_was_stopped(*, still: bool) -> None:
    with watched() as (supervisor, child):
        child.still = still
        assert not child.judged(supervisor, 9.0)
        assert child.judged(supervisor, 10.1)
        assert child.sent == ([] if still else [STACKS])


@pytest.mark.long
@pytest.mark.parametrize("how", ["a job that keeps the GIL", "SIGSTOP"])
def test_who_stands_still_keeps_its_jobs(ledger: Path, redis: Any, redis_server: RedisServer, how: str) -> None:
    with workers(ledger, redis_server.url, "-c", "3") as worker:
        naps = {nap.perform_async(3.0) for _ in range(2)}
        eventually(lambda: Ledger.read(ledger).executions == 2)
        if how == "SIGSTOP":
            os.kill(worker.pid, signal.SIGSTOP)
        else:
            naps.add(hog.perform_async(25))
        with workers(ledger, redis_server.url) as neighbour:  # who would take them, were they anybody's
            eventually(lambda: "has been silent" in worker.log())
            time.sleep(11)
            if how == "SIGSTOP":
                os.kill(worker.pid, signal.SIGCONT)
            eventually(lambda: Ledger.read(ledger).ended == naps, worker.log())
            eventually(lambda: "is awake again" in worker.log())
            assert neighbour.stop() == 0
        assert worker.stop() == 0
        log = worker.log()
    assert not Ledger.read(ledger).repeated
    assert not redis.exists("dead", "kiq:recovered")
    assert ("it was stopped" if how == "SIGSTOP" else "keeps its GIL") in log


@pytest.mark.long
def test_who_is_stuck_for_too_long_is_killed_where_that_was_said(
    ledger: Path, redis: Any, redis_server: RedisServer
) -> None:
    with workers(ledger, redis_server.url, "--stuck-after", "12", "-c", "2") as worker:
        before = worker.pids
        jid = hog.perform_async(60)
        eventually(lambda: Ledger.read(ledger).executions == 1)
        eventually(lambda: another(worker, before), worker.log())
        eventually(lambda: len(Ledger.read(ledger).begun[jid, "1"]) == 2, worker.log())
        assert "--stuck-after 12" in worker.log()
        [raw] = [raw for key in redis.keys("kiq:taken:*") for raw in redis.lrange(key, 0, -1)]
        assert read(raw).deaths(time.time()) == 1


@pytest.mark.long
def test_one_connection_into_a_black_hole_costs_no_job_a_second_run(
    ledger: Path, redis: Any, redis_server: RedisServer
) -> None:
    with Proxy.start(redis_server.port) as proxy, workers(ledger, proxy.url, "-c", "2") as worker:
        nap.perform_async(20.0)
        eventually(lambda: Ledger.read(ledger).executions == 1)
        holes = [proxy.hold_request(b"EXPIRE") for _ in range(2)]  # never let go: the renewing connection hears nothing
        holes[0].wait()
        with workers(ledger, redis_server.url):
            eventually(lambda: Ledger.read(ledger).ends.total() == 1, worker.log())
        assert not redis.exists("kiq:recovered")
        for hole in holes:
            hole.go_on.set()
    assert not Ledger.read(ledger).repeated


def test_children_of_nobody_are_none() -> None:
    assert children(2**22 + 1) == []
