"""Stacks of real processes, read from outside; each refusal names the permission that is missing."""

import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import ruby
from ruby import Sidekiq
from servers import eventually

from kiqdoctor.clock import Clock
from kiqdoctor.doctor.facts.threads import Frame, Thread, Threads
from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.doctor.snapshot import Refused
from kiqdoctor.probes.threads.attach import GRANT, LOOSEN, OF_A_CONTAINER, OF_A_POD, grant, outside_of, refusal
from kiqdoctor.probes.threads.looks import looks
from kiqdoctor.probes.threads.stacks import FRAMES, NOTE, OUTPUT, THREADS, stacks
from kiqdoctor.probes.threads.tasks import state

PROC = Path("/proc")
NOBODY = 65534

PROGRAM = """
import sys, threading, time

def sleeper():
    time.sleep(600)

def waiter():
    with lock:
        pass

def spinner():
    while True:
        pass

def deep(left=300):
    deep(left - 1) if left else time.sleep(600)

lock = threading.Lock()
lock.acquire()
for name in sys.argv[1:]:
    threading.Thread(target=globals()[name], name="\\x1b[2J" + name, daemon=True).start()
print("ready", flush=True)
sys.stdin.read()
"""
READER = """
import os, sys
from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.probes.threads.stacks import stacks
import kiqdoctor.doctor.facts.threads, msgspec
if sys.argv[2] != "0":
    os.setgroups([])
    os.setgid(int(sys.argv[2]))
    os.setuid(int(sys.argv[2]))
try:
    print(len(stacks(int(sys.argv[1])).threads))
except RefusalError as error:
    print(error.refused.reason, error.refused.unlock, sep="\\n")
"""
WITHOUT_THE_CAPABILITY = ("setpriv", "--bounding-set", "-sys_ptrace", "--inh-caps", "-sys_ptrace")


@contextmanager
def program(*words: str, code: str = PROGRAM, before: Sequence[str] = ()) -> "Iterator[subprocess.Popen[bytes]]":
    """A Python process that is ready; gone at the end, whatever started it too."""
    command = [*before, sys.executable, "-c", code, *words]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE)
    with process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == b"ready\n"
            yield process
        finally:
            process.kill()


def refused(pid: int, **more: Any) -> Refused:
    with pytest.raises(RefusalError) as caught:
        stacks(pid, **more)
    found = caught.value.refused
    assert len(found.reason.splitlines()) == 1
    assert len(found.unlock.splitlines()) <= 1
    return found


def read(pid: int) -> Threads | None:
    """A process that runs Python meanwhile is not read at each try."""
    try:
        return stacks(pid, "web-1:7:ab")
    except RefusalError as error:
        if "busy rather than hung" not in error.refused.reason:
            raise
        return None


def named(found: Threads, name: str) -> Thread:
    [one] = [one for one in found.threads if one.name.endswith(name)]
    return one


def test_each_thread_shows_what_it_does() -> None:
    with program("sleeper", "waiter", "spinner") as process:

        def on_cpu() -> Threads | None:
            found = read(process.pid)
            return found if found is not None and named(found, "spinner").active else None

        found = eventually(on_cpu, "a spinning thread on CPU")

    assert [one.name for one in found.threads] == [
        "MainThread",
        *(f"␛[2J{n}" for n in ("sleeper", "waiter", "spinner")),
    ]
    assert [one.frames[0].function for one in found.threads[1:]] == ["sleeper", "waiter", "spinner"]
    assert named(found, "spinner").owns_gil
    assert not named(found, "sleeper").active
    assert not named(found, "waiter").owns_gil
    assert named(found, "waiter").frames[0] == Frame("waiter", "<string>", 8)
    assert (found.identity, found.more_threads) == ("web-1:7:ab", 0)
    assert (found.source, found.note) == (f"py-spy dump --nonblocking --pid {process.pid}", NOTE)
    assert all(int(one.id, 16) for one in found.threads)


def test_a_deep_stack_keeps_its_innermost_frames() -> None:
    with program("deep") as process:
        thread = named(eventually(lambda: read(process.pid)), "deep")

    assert [frame.function for frame in thread.frames] == ["deep"] * FRAMES
    assert thread.more_frames >= 300 - FRAMES


def test_a_stopped_process_is_read() -> None:
    with program("sleeper") as process:
        process.send_signal(signal.SIGSTOP)

        assert [one.frames[0].function for one in stacks(process.pid).threads[1:]] == ["sleeper"]


def test_one_look_is_enough_at_what_stays_stopped() -> None:
    with program("sleeper") as process:
        process.send_signal(signal.SIGSTOP)
        eventually(lambda: state(process.pid, PROC) == "stopped", "it stands still")
        stopped = looks(process.pid, PROC)
        process.send_signal(signal.SIGCONT)
        eventually(lambda: state(process.pid, PROC) == "sleeping", "it goes on")
        running = looks(process.pid, PROC)

    assert not isinstance(stopped, Refused)
    assert not isinstance(running, Refused)
    assert [one.state for one in stopped] == ["stopped"]
    assert len(running) > 1


def test_who_is_gone_and_who_is_dead() -> None:
    process = subprocess.Popen([sys.executable, "-c", ""])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)

    assert f"a zombie, which its parent, process {os.getpid()}, does not reap" in refused(process.pid).reason
    process.wait()

    assert refused(process.pid) == Refused(outside_of(process.pid, Path("/proc")))
    assert refused(10**12).reason.startswith("no process 1000000000000")


def test_what_is_no_python_is_named() -> None:
    with subprocess.Popen(["sleep", "600"]) as process:
        try:
            found = eventually(lambda: [one for one in [refused(process.pid)] if "sleep" in one.reason])
        finally:
            process.kill()

    assert found == [Refused(f"process {process.pid} (sleep) is no Python process")]


@pytest.mark.ruby
def test_ruby_is_told_how_it_shows_its_own_stacks(redis_server: Any, sidekiq: Sidekiq) -> None:
    with sidekiq.start("", redis_server.url) as worker:
        found = refused(worker.pid)
        worker.signal(signal.SIGTTIN)
        eventually(lambda: "sidekiq/cli.rb" in worker.log(), "its own stacks")

    assert found.reason == f"process {worker.pid} is Ruby (sidekiq), whose stacks py-spy does not read"
    assert found.unlock.startswith(f"kiqdoctor dump {worker.pid}, which has it write them to its own log by TTIN")


@pytest.mark.ruby
def test_ruby_without_a_handler_is_not_to_be_signalled() -> None:
    ruby.require()
    with subprocess.Popen(["ruby", "-e", "sleep"]) as process:
        try:
            eventually(lambda: b"sleep" in Path(f"/proc/{process.pid}/cmdline").read_bytes())
            found = refused(process.pid)
        finally:
            process.kill()

    assert found.unlock == f"rbspy snapshot --pid {process.pid}"


# --- Permissions ------------------------------------------------------------------------------------------------------


@pytest.fixture
def _root() -> None:
    """Skips with the reason; in CI a proof that was not made is a failure."""
    missing = "only root can become somebody else" if os.geteuid() else ""
    if shutil.which("setpriv") is None:
        missing = "no setpriv (util-linux)"
    if missing and os.environ.get("CI"):
        pytest.fail(missing)
    if missing:
        pytest.skip(missing)


def as_read_by(uid: int, pid: int, *before: str) -> list[str]:
    """What a reader of another user says; py-spy lies where that user can reach it."""
    folder = Path(tempfile.mkdtemp(prefix="test-py-spy-"))
    try:
        folder.chmod(0o755)
        beside = shutil.which("py-spy", path=os.pathsep.join([str(Path(sys.executable).parent), os.environ["PATH"]]))
        assert beside is not None
        shutil.copy(beside, folder)
        ran = subprocess.run(
            [*before, sys.executable, "-c", READER, str(pid), str(uid)],
            env={**os.environ, "PATH": f"{folder}{os.pathsep}{os.environ['PATH']}"},
            capture_output=True,
            text=True,
            check=True,
        )
    finally:
        shutil.rmtree(folder)
    return ran.stdout.splitlines()


@pytest.mark.usefixtures("_root")
def test_another_user_is_told_whom_to_be() -> None:
    with program("sleeper") as process:
        reason, unlock = as_read_by(NOBODY, process.pid)

    assert reason == f"process {process.pid} runs as uid 0, and this one as uid {NOBODY} without CAP_SYS_PTRACE"
    assert unlock == "run as uid 0 or root"


@pytest.mark.usefixtures("_root")
def test_the_same_user_of_a_process_that_forbids_it() -> None:
    become = f"import os, threading, time\nos.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})\n"
    with program("sleeper", code=become + PROGRAM) as process:
        reason, unlock = as_read_by(NOBODY, process.pid)

    assert "not dumpable" in reason
    assert unlock == "run as root"


@pytest.mark.usefixtures("_root")
def test_root_of_a_container_is_told_the_capability() -> None:
    with program("sleeper") as process:
        pid = process.pid
        reason, unlock = as_read_by(0, pid, *WITHOUT_THE_CAPABILITY)
    with program("sleeper", before=WITHOUT_THE_CAPABILITY) as process:
        threads = as_read_by(0, process.pid, *WITHOUT_THE_CAPABILITY)

    assert reason == f"process {pid} has capabilities that this one has not"
    assert unlock == grant(Path("/proc"))
    assert threads == ["2"]


@pytest.mark.usefixtures("_root")
def test_activity_in_a_pid_namespace_is_looked_up_by_its_own_numbers() -> None:
    if subprocess.run(["unshare", "--pid", "--fork", "true"], check=False, capture_output=True).returncode:
        pytest.skip("no PID namespace can be made here")
    with program("sleeper", "spinner", before=("unshare", "--pid", "--fork", "--kill-child")) as process:
        children = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        [pid] = [int(word) for word in children]

        def seen() -> bool:
            found = read(pid)
            if found is None:
                return False
            return named(found, "spinner").active is True and named(found, "sleeper").active is False

        eventually(seen, "the one thread on CPU, by its number outside")


class Proc:
    """A /proc with one reader and process 42; all that matters for the kernel's rule."""

    def __init__(self, root: Path) -> None:
        self.root = root
        for name in ("self", "42"):
            (root / name / "ns").mkdir(parents=True)
        self.yama("0")
        self.space("self", "1")
        self.space("42", "1")
        (root / "self" / "uid_map").write_text("         0          0 4294967295\n")
        self.side("self")
        self.side("42")

    def side(self, name: str, uid: str = "7 7 7 7", gid: str = "7 7 7 7", *, caps: int = 0, bounding: int = 1) -> None:
        (self.root / name / "status").write_text(
            f"Name:\tx\nUid:\t{uid}\nGid:\t{gid}\nCapPrm:\t{caps << 19:016x}\nCapEff:\t{caps << 19:016x}\n"
            f"CapBnd:\t{bounding << 19:016x}\nSeccomp:\t0\n"
        )

    def space(self, name: str, number: str) -> None:
        (self.root / name / "ns" / "user").unlink(missing_ok=True)
        (self.root / name / "ns" / "user").symlink_to(f"user:[{number}]")

    def yama(self, scope: str) -> None:
        (self.root / "sys/kernel/yama").mkdir(parents=True, exist_ok=True)
        (self.root / "sys/kernel/yama/ptrace_scope").write_text(scope + "\n")

    def why(self) -> Refused:
        return refusal(42, self.root).refused


@pytest.fixture
def proc(tmp_path: Path) -> Proc:
    return Proc(tmp_path)


@pytest.mark.parametrize(
    ("scope", "unlock"),
    [
        ("1", f"{LOOSEN}, or run as root"),
        ("2", f"{LOOSEN}, or run as root"),
        ("3", "boot with kernel.yama.ptrace_scope=1: it cannot be lowered while the system runs"),
    ],
)
def test_yama(proc: Proc, scope: str, unlock: str) -> None:
    proc.yama(scope)

    assert f"kernel.yama.ptrace_scope is {scope}" in proc.why().reason
    assert proc.why().unlock == unlock


@pytest.mark.parametrize(
    ("uid", "gid", "bounding", "unlock"),
    [
        ("8 8 8 8", "8 8 8 8", 1, "run as uid 8 or root"),
        ("8 8 8 8", "9 9 9 9", 1, "run as uid 8 gid 9 or root"),
        ("7 7 7 7", "9 9 9 9", 1, "run as uid 7 gid 9 or root"),
        ("8 8 8 8", "8 8 8 8", 0, f"run as uid 8 or as root with {GRANT}"),
        ("7 0 0 0", "7 7 7 7", 1, "run as root"),
    ],
)
def test_users(proc: Proc, uid: str, gid: str, bounding: int, unlock: str) -> None:
    proc.side("self", bounding=bounding)
    proc.side("42", uid, gid)

    assert proc.why().unlock == unlock


def test_root_without_the_capability(proc: Proc) -> None:
    proc.side("self", "0 0 0 0", "0 0 0 0")

    assert proc.why().unlock == f"{GRANT}, or run as uid 7"


def test_the_line_is_the_one_of_this_container(proc: Proc) -> None:
    proc.root = proc.root / "proc"
    (proc.root / "self").mkdir(parents=True)
    assert grant(proc.root) == GRANT
    (proc.root.parent / ".dockerenv").touch()
    assert grant(proc.root) == OF_A_CONTAINER.format(program="docker")
    (proc.root / "self" / "environ").write_bytes(b"A=1\0KUBERNETES_SERVICE_HOST=10.0.0.1\0")
    assert grant(proc.root) == OF_A_POD


def test_a_pid_is_looked_for_in_the_namespace_that_is_told(proc: Proc) -> None:
    (proc.root / "self" / "ns" / "pid").symlink_to("pid:[4026531836]")
    assert outside_of(42, proc.root) == "no process 42 on this host"
    (proc.root / "self" / "ns" / "pid").unlink()
    (proc.root / "self" / "ns" / "pid").symlink_to("pid:[4026532201]")
    assert outside_of(42, proc.root).startswith("no process 42 in this PID namespace")


def test_the_capability_of_another_user_namespace(proc: Proc) -> None:
    proc.side("self", "0 0 0 0", "0 0 0 0", caps=1)
    (proc.root / "self" / "uid_map").write_text("0 1000 1\n")
    proc.space("42", "2")

    assert "in this user namespace only" in proc.why().reason


def test_a_security_module(proc: Proc) -> None:
    proc.side("self", "0 0 0 0", "0 0 0 0", caps=1)
    (proc.root / "42" / "attr").mkdir()
    (proc.root / "42" / "attr" / "current").write_text("worker_t\x1b[2J (enforce)\n")

    assert proc.why().unlock == "a policy that allows ptrace of worker_t␛[2J (enforce)"


# --- py-spy itself ----------------------------------------------------------------------------------------------------


@pytest.fixture
def instead(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """Another program in py-spy's place."""

    def put(script: str) -> None:
        path = tmp_path / "py-spy"
        path.write_text(f"#!/bin/sh\n{script}\n")
        path.chmod(0o755)

    monkeypatch.setattr(sys, "executable", str(tmp_path / "python"))
    return put


def test_without_py_spy(instead: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")

    assert refused(os.getpid()) == Refused("py-spy is not installed", "pip install py-spy")


def test_busy_is_told_from_unreadable(instead: Any) -> None:
    real = subprocess.Popen(["/bin/sh", "-c", "while :; do :; done"])
    instead("sleep 0.2; echo 'Error: Failed to copy PyCodeObject' >&2; exit 1")
    with real:
        try:
            busy = refused(real.pid)
        finally:
            real.kill()
    with subprocess.Popen(["sleep", "600"]) as still:
        try:
            idle = refused(still.pid)
        finally:
            still.kill()

    assert "is busy rather than hung: it used" in busy.reason
    assert busy.unlock.startswith("try again")
    assert idle.reason.endswith("Error: Failed to copy PyCodeObject")


def test_py_spy_that_hangs_is_left(instead: Any) -> None:
    instead("exec sleep 600")
    with subprocess.Popen(["sleep", "600"]) as still:
        try:
            found = refused(still.pid, within_s=0.3)
        finally:
            still.kill()

    assert "py-spy did not end within" in found.reason


def spied(count: int, *, padding: int = 1) -> list[dict[str, Any]]:
    frames = [{"name": "f" * padding, "filename": "\u202ea.py", "line": 3}]
    thread = {"thread_name": "t", "os_thread_id": 9, "active": True, "owns_gil": False, "frames": frames}
    return [{"thread_id": number, **thread} for number in range(count)]


@pytest.mark.parametrize(("count", "padding", "cut"), [(THREADS + 5, 1, False), (100, OUTPUT // 60, True)])
def test_an_answer_has_limits(instead: Any, tmp_path: Path, count: int, padding: int, cut: bool) -> None:
    (tmp_path / "answer").write_text(json.dumps(spied(count, padding=padding), indent=2))
    instead(f"exec cat {tmp_path}/answer")

    found = stacks(os.getpid())

    assert found.note.startswith("py-spy's answer was cut at 8 MB") == cut
    assert (len(found.threads), found.more_threads) == ((59, 0) if cut else (THREADS, 5))
    assert found.threads[0].frames[0].file == "\\u202ea.py"
    assert len(found.threads[0].frames[0].function) <= 200
    assert found.source == f"py-spy dump --nonblocking --pid {os.getpid()}"


@pytest.mark.parametrize("answer", ['[{"thread_id": "x"}]', "[1]"])
def test_an_answer_of_another_shape(instead: Any, answer: str) -> None:
    instead(f"echo '{answer}'")

    assert refused(os.getpid()).unlock == "pip install -U py-spy"


def test_a_thousand_threads_have_more_time_and_not_more_looks(instead: Any, tmp_path: Path) -> None:
    """What is stopped, or whose GIL is held, is answered for within seconds also where each look takes some."""
    (tmp_path / "answer").write_text(json.dumps(spied(1_000)))
    instead(f"exec cat {tmp_path}/answer")
    process, seconds = tmp_path / "7", iter(range(0, 1_000, 1))
    process.mkdir()
    process.joinpath("status").write_text("Name:\tx\nThreads:\t1000\n")
    process.joinpath("stat").write_text(f"7 (x) S 1 {' 7' * 40}\n")

    slow = looks(7, tmp_path, Clock(monotonic=lambda: next(seconds) * 0.7, sleep=lambda _: None))
    quick = looks(7, tmp_path, Clock(sleep=lambda _: None))

    assert not isinstance(slow, Refused)
    assert not isinstance(quick, Refused)
    assert [len(one.threads) for one in slow] == [1_000] * 2
    assert len(quick) == 3
