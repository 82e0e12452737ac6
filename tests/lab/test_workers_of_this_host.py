"""Workers that are frozen, killed, crashed, forked and shared, with the real Sidekiq and with our runtime."""

import os
import shutil
import signal
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import apart
import pytest
from doctoring import Examination, check
from ruby import VERSIONS, RubySidekiq
from ruby import require as required
from servers import RedisServer, eventually
from states import payload
from workers import Worker

pytestmark = pytest.mark.long

APP = """\
class Forks
  include Sidekiq::Worker
  def perform(how)
    Process.detach(how == 'fork' ? fork { sleep 600 } : Process.spawn('sleep 600'))
  end
end
class Grows
  include Sidekiq::Worker
  def perform(*)
    Array.new(40) { |number| number.to_s * 0 + ('x' * 8_000_000) }
  end
end
class Crashes
  include Sidekiq::Worker
  def perform(*)
    Process.kill(:SEGV, Process.pid)
    sleep 10
  end
end
"""
CHECKS = ("PRO006", "PRO007", "PRO009", "PRO012", "PRO013", "THR004", "THR005", "THR006", "THR007", "NAT002", "NAT004")
SELECT = ("--select", ",".join(CHECKS))
OURS = """\
import os, time
from kiqdoctor import job

@job(name="Forks")
def forks(how):
    if os.fork() == 0:
        time.sleep(600)
        os._exit(0)
"""
FREEZER = Path("/sys/fs/cgroup/freezer")
MEMORY = Path("/sys/fs/cgroup/memory")


def judged(server: RedisServer, *words: str) -> Examination:
    return check(server.url, *SELECT, *words)


def outcomes(found: Examination) -> dict[str, str]:
    return {one: found.outcome(one) for one in CHECKS if found.outcome(one) != "pass"}


def push(server: RedisServer, job_class: str, *args: Any) -> None:
    with server.client() as client:
        client.lpush("queue:default", payload(job_class, args=list(args)))


def stopped_with(worker: RubySidekiq, server: RedisServer, job_class: str, *args: Any) -> bool:
    """Stop it while it waits for a job, and push one; between two of its pops nobody takes it, and it goes on."""
    worker.signal(signal.SIGSTOP)
    tasks = Path(f"/proc/{worker.pid}/task")
    eventually(lambda: all(_state(one) == "T" for one in tasks.iterdir()), "a thread that runs would read it")
    push(server, job_class, *args)
    with server.client() as client:
        taken: bool = not client.delete("queue:default")
    if not taken:
        worker.signal(signal.SIGCONT)
    return taken


def _state(task: Path) -> str:
    try:
        return (task / "stat").read_text().rpartition(")")[2].split()[0]
    except OSError:  # it has just ended
        return ""


def frozen_with(state: Path, server: RedisServer) -> bool:
    """The same with a cgroup of our worker."""
    state.write_text("FROZEN")
    eventually(lambda: state.read_text().strip() == "FROZEN", "its threads stand")
    push(server, "Forks", "fork")
    with server.client() as client:
        taken: bool = not client.delete("queue:default")
    if not taken:
        state.write_text("THAWED")
    return taken


@contextmanager
def orphans_ended(worker: RubySidekiq | Worker) -> Iterator[None]:
    """Children that a job started and that nothing else ends."""
    started: set[int] = set()
    try:
        yield
        started.update(pid for task in Path(f"/proc/{worker.pid}/task").iterdir() for pid in _of(task))
    finally:
        with suppress(OSError):
            started.update(pid for task in Path(f"/proc/{worker.pid}/task").iterdir() for pid in _of(task))
        for pid in started:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)


def _of(task: Path) -> list[int]:
    with suppress(OSError):
        return [int(word) for word in (task / "children").read_text().split()]
    return []


def older_than(worker: RubySidekiq | Worker, seconds: float) -> None:
    """Until every child of a worker is so old."""

    def old() -> bool:
        pids = [pid for task in Path(f"/proc/{worker.pid}/task").iterdir() for pid in _of(task)]
        hertz = os.sysconf("SC_CLK_TCK")
        up = float(Path("/proc/uptime").read_text().split()[0])
        cells = [Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split() for pid in pids]
        return bool(pids) and all(up - int(one[19]) / hertz > seconds for one in cells)

    eventually(old, f"a child that is older than {seconds} s")


@pytest.mark.ruby
@pytest.mark.parametrize("major", [6, *[pytest.param(one, marks=pytest.mark.long) for one in VERSIONS if one != 6]])
def test_a_sidekiq_that_is_well_then_stopped_then_forks(major: int, redis: Any, redis_server: RedisServer) -> None:
    with required(major).start(APP, redis_server.url, concurrency=3) as worker, orphans_ended(worker):
        assert outcomes(judged(redis_server)) == {}

        eventually(lambda: stopped_with(worker, redis_server, "Forks", "spawn"), "a job that was handed to it")
        eventually(lambda: judged(redis_server).outcome("PRO012") == "fail", "what was delivered is unread")
        found = judged(redis_server, "--for", "6")
        assert found.severities("PRO012") == ["critical"]
        assert "bytes from Redis that nobody has read" in str(found.result("PRO012")["findings"])
        assert Path(f"/proc/{worker.pid}/stat").read_text().rpartition(")")[2].split()[0] == "T"

        worker.signal(signal.SIGCONT)
        older_than(worker, 2)
        assert outcomes(judged(redis_server)) == {}

        push(redis_server, "Forks", "fork")
        eventually(lambda: len([pid for t in Path(f"/proc/{worker.pid}/task").iterdir() for pid in _of(t)]) == 2)
        older_than(worker, 6)
        assert outcomes(judged(redis_server)) == {"THR004": "fail", "THR005": "fail"}


@pytest.mark.ruby
def test_a_sidekiq_that_crashed_in_native_code(redis: Any, redis_server: RedisServer) -> None:
    with required(6).start(APP, redis_server.url, concurrency=2) as worker:
        push(redis_server, "Crashes")
        assert worker.process is not None
        assert worker.process.wait(60) == -signal.SIGABRT
        assert judged(redis_server).outcome("NAT004") != "fail"
        worker.up()  # writes to the same log, as under a supervisor

        found = judged(redis_server).result("NAT004")

    assert [one["severity"] for one in found["findings"]] == ["critical"]
    assert "Segmentation fault" in found["findings"][0]["title"]


@pytest.mark.ruby
@pytest.mark.skipif(not os.access(MEMORY / "cgroup.procs", os.W_OK), reason="no cgroups of version 1 that may be made")
def test_a_sidekiq_whose_cgroup_counts_a_kill(redis: Any, redis_server: RedisServer) -> None:
    if apart.inside():
        pytest.skip("the kernel's log names pids of the outermost namespace; .ci/run runs this file with -n 0")
    group = MEMORY / f"test-{os.getpid()}"
    group.mkdir()
    try:
        with required(6).start(APP, redis_server.url, concurrency=1) as worker:
            (group / "cgroup.procs").write_text(str(worker.pid))
            assert judged(redis_server).outcome("PRO009") == "pass"
            (group / "memory.limit_in_bytes").write_text(str(200 * 1024 * 1024))
            push(redis_server, "Grows")
            assert worker.process is not None
            assert worker.process.wait(60) == -signal.SIGKILL
            dead = worker.identity
            found = judged(redis_server).result("PRO009")
            assert f"The kernel killed {dead}" in str(found["findings"])

            worker.up()
            (group / "cgroup.procs").write_text(str(worker.pid))
            found = judged(redis_server).result("PRO009")
            assert "killed for want of memory" in str(found["findings"])
    finally:
        eventually(lambda: not (group / "cgroup.procs").read_text().strip())
        group.rmdir()


@pytest.mark.skipif(not os.access(FREEZER / "cgroup.procs", os.W_OK), reason="no freezer of version 1 that may be used")
def test_our_worker_that_is_well_then_paused_then_forks(redis: Any, redis_server: RedisServer) -> None:
    group = FREEZER / f"test-{os.getpid()}"
    group.mkdir()
    try:
        with Worker.start(OURS, redis_server.url, "-c", "2") as worker, orphans_ended(worker):
            eventually(lambda: outcomes(judged(redis_server)) == {}, "all its threads are told by its next beat")

            (group / "cgroup.procs").write_text(str(worker.pid))
            try:
                eventually(lambda: frozen_with(group / "freezer.state", redis_server), "a job that was handed to it")
                found = eventually(lambda: (one := judged(redis_server)).outcome("PRO012") == "fail" and one)
            finally:
                (group / "freezer.state").write_text("THAWED")
            assert "its cgroup is frozen" in str(found.result("PRO012")["findings"])

            older_than(worker, 6)
            assert outcomes(judged(redis_server)) == {"THR004": "fail", "THR005": "fail"}
    finally:
        eventually(lambda: not (group / "cgroup.procs").read_text().strip())
        group.rmdir()


CLIENT = """\
import socket, subprocess, sys, time
sys.stdin.readline()
for words in ("addr add 10.99.0.2/24 dev v1", "link set v1 up"):
    subprocess.run(["ip", *words.split()], check=True)
client = socket.socket()
while client.connect_ex(("10.99.0.1", 7777)):
    time.sleep(0.05)
client.sendall(b"*3\\r\\n$5\\r\\nBRPOP\\r\\n$13\\r\\nqueue:default\\r\\n$1\\r\\n2\\r\\n")
print("sent", flush=True)
if sys.stdin.readline().strip() == "cut":
    subprocess.run(["ip", "link", "set", "v1", "down"], check=True)
print("done", flush=True)
time.sleep(600)
"""
HALF_OPEN = f"""\
import os, subprocess, sys, time
words = [sys.argv[1], "--port", "7777", "--save", "", "--bind", "0.0.0.0", "--protected-mode", "no"]
client = subprocess.Popen(["unshare", "--net", sys.executable, "-c", {CLIENT!r}], stdin=-1, stdout=-1, text=True)
while os.readlink(f"/proc/{{client.pid}}/ns/net") == os.readlink("/proc/self/ns/net"):
    time.sleep(0.01)
for each in ("link set lo up", "link add v0 type veth peer name v1 netns " + str(client.pid),
             "addr add 10.99.0.1/24 dev v0", "link set v0 up"):
    subprocess.run(["ip", *each.split()], check=True)
server = subprocess.Popen(words, stdout=2)
try:
    print("", file=client.stdin, flush=True)
    client.stdout.readline()
    time.sleep(0.3)
    print(sys.argv[2], file=client.stdin, flush=True)
    client.stdout.readline()
    time.sleep(3)
    words = [sys.executable, "-m", "kiqdoctor", "check", "--live", "--redis", "redis://127.0.0.1:7777/0"]
    words += ["--select", "PRO013", "--format", "json", "--for", "6"]
    print(subprocess.run(words, capture_output=True, text=True).stdout)
finally:
    server.kill()
    client.kill()
"""


@pytest.mark.skipif(os.geteuid() != 0, reason="needs root, for a network of its own")
@pytest.mark.skipif(shutil.which("ip") is None, reason="needs ip (Debian: iproute2)")
@pytest.mark.parametrize(("cut", "outcome"), [("cut", "fail"), pytest.param("whole", "pass", marks=pytest.mark.long)])
def test_a_client_behind_a_link_that_was_cut(cut: str, outcome: str, redis_server: RedisServer) -> None:
    import json
    import sys

    done = subprocess.run(
        ["unshare", "--net", sys.executable, "-c", HALF_OPEN, redis_server.program.path, cut],
        capture_output=True,
        text=True,
        check=True,
        timeout=300,
    )

    [found] = json.loads(done.stdout)["results"]
    assert found["outcome"] == outcome, (found["evidence"], found["reason"])
    assert [one["severity"] for one in found["findings"]] == (["critical"] if cut == "cut" else [])


def test_who_may_not_look_says_so(redis: Any, redis_server: RedisServer) -> None:
    """Another user sees that there is a worker, and neither its sockets nor its memory."""
    if os.geteuid() != 0:
        pytest.skip("needs root, to become somebody else")
    import json
    import sys

    with Worker.start(OURS, redis_server.url, "-c", "1") as worker:
        os.kill(worker.pid, signal.SIGSTOP)
        time.sleep(0.1)
        words = [sys.executable, "-m", "kiqdoctor", "check", "--live", "--redis", redis_server.url, *SELECT]
        done = subprocess.run(
            ["unshare", "--user", "--map-user=10001", "--map-group=10001", *words, "--format", "json"],
            capture_output=True, text=True, check=False, timeout=300, cwd="/",
        )  # fmt: skip
        os.kill(worker.pid, signal.SIGCONT)

    found = {one["check"]: one["outcome"] for one in json.loads(done.stdout)["results"]}
    assert not {name: outcome for name, outcome in found.items() if outcome == "fail" and name != "PRO012"}
    for name in ("THR005", "NAT002", "THR004"):
        assert found[name] == "unknown", found
