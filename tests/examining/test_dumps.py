"""`kiqdoctor dump` of real processes that hang, each in a way of its own, and of sound ones that only look like it."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest
from doctoring import kiqdoctor
from hanging import (
    DEADLOCK,
    HEAD,
    HELD_ASLEEP,
    HOG,
    IDLE,
    INSTANCES,
    INSTANCES_APART,
    NATIVE,
    NOTHING_TO_DO,
    PILE,
    RING,
    SHARED,
    SOCKET,
    SOCKET_TIMED,
    SPINNING,
    TAIL,
    dumped,
    running,
    told,
    written,
)
from ruby import Sidekiq
from servers import RedisServer, eventually, free_port
from workers import children

pytestmark = pytest.mark.real


@pytest.mark.parametrize(
    ("body", "kind", "threads"),
    [
        (PILE, "pile-up", {f"wait{number}" for number in range(5)}),
        (SOCKET, "socket-wait", {"read0"}),
        (NATIVE, "native-block", {"job0"}),
    ],
)
def test_what_hangs_is_told(body: str, kind: str, threads: set[str]) -> None:
    with running(body) as pid:
        found = eventually(lambda: set((one := told(pid, kind))["diagnosis"][0]["threads"]) == threads and one)

    assert (found["status"], found["source"]) == (0, "py-spy")


IN_THE_KERNEL = """
if ctypes.CDLL(None).vfork() == 0:  # whose parent waits where no signal reaches it, until the child is another program
    print("ready", flush=True)
    time.sleep(600)
"""


def test_what_is_stuck_in_the_kernel_is_answered_for() -> None:
    with running(IN_THE_KERNEL) as pid:
        try:
            found = told(pid, "native-block")
        finally:
            for child in children(pid):
                os.kill(child, signal.SIGKILL)

    assert found["status"] == 0
    assert found["diagnosis"][0]["title"] == "MainThread is stuck in the kernel, where no signal reaches it"


ONE_SLEEPS = """
def job():
    ctypes.CDLL(None).sleep(600)
start(job)
threading.Thread(target=lambda: (print("ready", flush=True), threading.Event().wait())).start()
threading.Event().wait()
"""


def test_what_a_look_has_paused_is_told_again() -> None:
    """The kernel calls a sleep that was paused by another name from then on."""
    with running(ONE_SLEEPS) as pid:
        first, second = told(pid, "native-block"), told(pid, "native-block")

    assert first["diagnosis"][0]["title"] == second["diagnosis"][0]["title"]


@pytest.mark.parametrize("body", [NOTHING_TO_DO, SPINNING], ids=["nothing to do", "a spin gives way"])
def test_who_is_well_is_not_accused(body: str, tmp_path: Path) -> None:
    with written(body, tmp_path) as pid:
        assert dumped(pid)["diagnosis"] == []


def test_a_ring_of_locks_that_no_name_tells_apart(tmp_path: Path) -> None:
    with written(RING, tmp_path) as pid:
        [found] = told(pid, "deadlock")["diagnosis"]
    assert found["basis"] == "inferred"
    assert set(found["threads"]) == {"ring0", "ring1", "ring2"}


@pytest.mark.parametrize("body", [HOG, HELD_ASLEEP])
def test_who_holds_the_gil_is_told(body: str) -> None:
    with running(body) as pid:
        found = told(pid, "gil-hog")

    assert found["diagnosis"][0]["threads"] == ["job0"]


@pytest.mark.parametrize("body", [INSTANCES_APART, IDLE, SOCKET_TIMED, SHARED])
def test_what_only_looks_like_it_is_not_accused(body: str) -> None:
    with running(body) as pid:
        found = dumped(pid)

    assert (found["diagnosis"], found["status"]) == ([], 0)


@pytest.mark.parametrize("body", [DEADLOCK, INSTANCES])
def test_locks_in_a_ring_are_inferred_from_source(tmp_path: Path, body: str) -> None:
    program = tmp_path / "program.py"
    program.write_text(HEAD + body + TAIL)
    os.utime(program, (1_600_000_000, 1_600_000_000))

    with running(f"import runpy; runpy.run_path({str(program)!r})") as pid:
        found = told(pid, "deadlock")

    assert set(found["diagnosis"][0]["threads"]) == {"one0", "two1"}
    assert found["diagnosis"][0]["basis"] == "inferred"


def test_a_stopped_process_is_told_and_stays_as_it_was() -> None:
    with running(IDLE) as pid:
        os.kill(pid, signal.SIGSTOP)
        found = dumped(pid)
        status = Path(f"/proc/{pid}/status").read_text()

    assert [one["kind"] for one in found["diagnosis"]] == ["stopped"]
    assert found["status"] == 0
    assert "\nState:\tT" in status


THOUSAND = """
def hold():
    with A:
        beat()

def wait():
    with A:
        pass

start(hold)
time.sleep(0.1)
start(*[wait] * 900, *[queue.Queue().get] * 99)
"""
MOVING = """
def wait():
    with A:
        pass

A.acquire()
start(*[wait] * 3)
def come_and_go():
    while True:
        one = threading.Thread(target=time.sleep, args=(0.5,))
        one.start(); one.join()
start(come_and_go)
"""


def test_a_thousand_threads_are_told_in_lines_that_can_be_read() -> None:
    def found() -> list[str]:
        lines = kiqdoctor("dump", str(pid), "--redis", f"redis://127.0.0.1:{free_port()}/0").out.splitlines()
        there = lines and lines[0].endswith(": 1001 threads") and lines[1].startswith("PILE-UP: 900 of 902 working")
        return lines if there else []

    with running(THOUSAND) as pid:
        lines = eventually(found, "a thousand threads that wait")

    assert " threads wait at <string>:" in lines[1]
    assert any(line.startswith("900 threads with one stack (sleeping, futex): wait0, wait1, ") for line in lines)
    assert len(lines) < 50
    assert max(map(len, lines)) < 400


def test_a_watch_tells_what_changed_until_it_is_interrupted() -> None:
    words = [sys.executable, "-m", "kiqdoctor", "dump", "--redis", f"redis://127.0.0.1:{free_port()}/0"]
    with running(MOVING) as pid:
        watching = subprocess.Popen([*words, str(pid), "--watch", "--format", "json"],
                                    stdout=subprocess.PIPE, stderr=subprocess.PIPE)  # fmt: skip
        with watching:
            assert watching.stdout is not None
            last = next(
                one for one in map(json.loads, watching.stdout) if one["watch"]["new"] and one["watch"]["ended"]
            )
            watching.send_signal(signal.SIGINT)
            _, said = watching.communicate(timeout=120)

    assert {one["name"] for one in last["watch"]["stands"]} >= {"wait0", "wait1", "wait2"}
    assert len(last["watch"]["new"]) == len(last["watch"]["ended"]) == 1
    assert [one["kind"] for one in last["diagnosis"]] == ["pile-up"]
    assert (watching.returncode, said.strip()) == (130, b"kiqdoctor: interrupted")


def test_a_watch_ends_with_its_process_or_its_time() -> None:
    words = [sys.executable, "-m", "kiqdoctor", "dump", "--redis", f"redis://127.0.0.1:{free_port()}/0"]
    with running(IDLE) as pid:
        with subprocess.Popen([*words, str(pid), "--watch"], stdout=subprocess.PIPE, stderr=subprocess.PIPE) as ended:
            assert ended.stdout is not None
            assert ended.stdout.readline()  # it watches
            os.kill(pid, signal.SIGKILL)
            _, said = ended.communicate(timeout=120)
        never = kiqdoctor("dump", str(pid), "--watch", "1")

    assert ended.returncode == 0
    assert f"kiqdoctor: {pid} has ended, after " in said.decode()
    assert (never.status, never.out) == (3, "")


@pytest.mark.parametrize("words", [("--watch",), ("1", "--watch", "0"), ("1", "--watch", "nan"), ("--watch", "1")])
def test_a_watch_that_makes_no_sense_is_refused(words: tuple[str, ...]) -> None:
    assert kiqdoctor("dump", *words).status == 2


PREFORKING = """
import os
for number in range(3):
    if not os.fork():
        if number == 1:
            A.acquire()
            with A:
                pass
        if number == 2:
            re.match(r"(a+)+$", "a" * 40 + "b")
        beat()
"""


def test_the_children_of_one_that_pre_forks_are_named_and_each_tells_what_is_wrong(tmp_path: Path) -> None:
    with written(PREFORKING, tmp_path) as pid:
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        parent, well, hung, busy = (dumped(str(target)) for target in (pid, *children))
        for child in children:
            os.kill(int(child), signal.SIGKILL)

    assert f"dump each: {', '.join(children)}" in parent["note"]
    assert (parent["diagnosis"], well["diagnosis"], busy["diagnosis"]) == ([], [], [])
    assert [one["kind"] for one in hung["diagnosis"]] == ["deadlock"]
    assert "of a core" in busy["note"]


FORKED = """
import multiprocessing
multiprocessing.get_context("fork").Process(target=beat).start()
"""


def test_a_child_whose_parent_has_ended_is_told_so(tmp_path: Path) -> None:
    with written(FORKED, tmp_path) as pid:
        [child] = Path(f"/proc/{pid}/task/{pid}/children").read_text().split()
        kept = dumped(child)
        os.kill(pid, signal.SIGKILL)
        try:
            eventually(lambda: f"\nPPid:\t{pid}\n" not in Path(f"/proc/{child}/status").read_text())
            orphan = dumped(child)
        finally:
            os.kill(int(child), signal.SIGKILL)

    assert "parent" not in kept["note"]
    assert "its parent has ended: process " in orphan["note"]
    assert (kept["diagnosis"], orphan["diagnosis"]) == ([], [])


PILED = """
class Piled
  include Sidekiq::Job
  LOCK = Mutex.new
  def perform(_) = LOCK.synchronize { sleep 600 }
end
"""


@pytest.mark.ruby
def test_ruby_is_asked_by_ttin_and_its_log_read(redis_server: RedisServer, sidekiq: Sidekiq) -> None:
    with sidekiq.start(PILED, redis_server.url) as worker, redis_server.client() as redis:
        jids = sidekiq.run(PILED + "4.times { puts Piled.perform_async('a-secret') }", redis_server.url)
        eventually(lambda: redis.hlen(f"{worker.identity}:{sidekiq.work}") == 4)
        found = dumped(worker.identity, redis=redis_server.url)
        another = dumped(f"{worker.identity[:-2]}zz", redis=redis_server.url)
        worker.signal(signal.SIGSTOP)
        stopped = dumped(worker.pid, redis=redis_server.url)
        worker.signal(signal.SIGCONT)

    assert another == {"status": 3}, "a pid may be another's by now"
    assert found["source"] == "ttin"
    assert [one["kind"] for one in found["diagnosis"]] == ["pile-up"]
    assert "3 of 4" in found["diagnosis"][0]["title"]
    jobs = [one["job"] for one in found["threads"] if one["job"]]
    assert {(one["class"], one["queue"]) for one in jobs} == {("Piled", "default")}
    assert {one["jid"] for one in jobs} == set(jids.split())
    assert all(0 <= one["since_s"] < 600 for one in jobs)
    assert "a-secret" not in json.dumps(found)
    assert ([one["kind"] for one in stopped["diagnosis"]], stopped["status"]) == (["stopped"], 3)
    assert {one["job"]["jid"] for one in stopped["threads"]} == set(jids.split())


HELD = """
require 'fiddle'
SLEEP = Fiddle::Function.new(Fiddle.dlopen(nil)['sleep'], [Fiddle::TYPE_INT], Fiddle::TYPE_INT, need_gvl: true)
class Held
  include Sidekiq::Job
  def perform(_)
    sleep 15
    SLEEP.call(600)
  end
end
"""


@pytest.mark.long
@pytest.mark.ruby
def test_a_ruby_whose_lock_is_held_is_answered_for_with_its_jobs(redis_server: RedisServer, sidekiq: Sidekiq) -> None:
    """It catches TTIN and cannot answer; what it told at its last beat is there for a minute."""
    with sidekiq.start(HELD, redis_server.url) as worker, redis_server.client() as redis:
        sidekiq.run(HELD + "puts Held.perform_async('a-secret')", redis_server.url)
        eventually(lambda: redis.hlen(f"{worker.identity}:{sidekiq.work}") == 1)
        found = eventually(lambda: (one := dumped(worker.pid, redis=redis_server.url))["status"] == 3 and one)

    assert [one["job"]["class"] for one in found["threads"]] == ["Held"]
    assert "keeps Ruby's lock" in found["note"]
    assert "a-secret" not in json.dumps(found)
