"""The stacks of a Python process of this host, by py-spy, without pausing it; else the permission that is missing.

Never a signal, the blocking mode or locals: a process that is ill must not get worse, and its values are its own.
"""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.doctor.facts.threads import Frame, Thread, Threads
from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.text import clean, decode

TRIES: Final = 3
BETWEEN: Final = 0.02  # seconds: a busy process' stacks change under the reader
TIMEOUT: Final = 5.0  # seconds of one try
SIZE: Final = 8 * 1024 * 1024  # bytes of output
MOST_THREADS: Final = 2_000
MOST_FRAMES: Final = 100  # of one thread, the innermost
PTRACE: Final = 19  # CAP_SYS_PTRACE, as a bit of CapEff
PROC: Final = Path("/proc")


def stacks(pid: int, identity: str = "", *, proc: Path = PROC, clock: Clock = SYSTEM) -> Threads:
    """What each thread of the process does.

    Raises:
        RefusalError: why not, and what would open it.
    """
    before = _status(pid, proc)
    spent = _cpu(pid, proc)
    command = [_binary(), "dump", "--json", "--nonblocking", "--pid", str(pid)]
    said = ""
    for number in range(TRIES):
        if number:
            clock.sleep(BETWEEN)
        status, out, said = _ran(command)
        if status == 0:
            return _read(out, pid, identity, clock.now())
    raise _refusal(pid, said, before, spent, proc)


def _binary() -> str:
    beside = Path(sys.executable).parent
    found = shutil.which("py-spy", path=os.pathsep.join((str(beside), os.environ.get("PATH", ""))))
    if found is None:
        raise RefusalError("py-spy is not installed here", "pip install py-spy")
    return found


def _ran(command: Sequence[str]) -> tuple[int, bytes, str]:
    try:
        ran = subprocess.run(command, capture_output=True, timeout=TIMEOUT, check=False, stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return 1, b"", f"no answer within {TIMEOUT:g} s"
    except OSError as error:
        return 1, b"", f"py-spy could not be started: {error.strerror}"
    if len(ran.stdout) > SIZE:
        return 1, b"", f"its stacks are larger than {SIZE // 1024 // 1024} MiB"
    return ran.returncode, ran.stdout, decode(ran.stderr)


def _read(out: bytes, pid: int, identity: str, at: float) -> Threads:
    try:
        found = json.loads(out)
        threads = tuple(_thread(one) for one in found[:MOST_THREADS])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise RefusalError(f"py-spy's answer cannot be read: {clean(str(error))}") from None
    source = f"py-spy dump --nonblocking --pid {pid}"
    return Threads(identity or f"pid {pid}", at, source, threads, max(0, len(found) - MOST_THREADS))


def _thread(one: Mapping[str, Any]) -> Thread:
    frames = one["frames"]
    return Thread(
        id=str(one.get("os_thread_id") or one.get("thread_id") or ""),
        name=clean(str(one.get("thread_name") or "")),
        frames=tuple(
            Frame(clean(str(frame["name"])), clean(str(frame["filename"]), 400), int(frame["line"]))
            for frame in frames[:MOST_FRAMES]
        ),
        more_frames=max(0, len(frames) - MOST_FRAMES),
        active=bool(one.get("active")),
        owns_gil=bool(one.get("owns_gil")),
    )


def _status(pid: int, proc: Path) -> dict[str, str]:
    """``/proc/PID/status`` by field; a process that is gone or dead is refused here."""
    if not (proc / "self").exists():
        raise RefusalError("there is no /proc here: stacks of processes are read on Linux")
    try:
        lines = (proc / str(pid) / "status").read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        raise RefusalError(f"there is no process {pid} on this host", "run it on the worker's own host") from None
    except OSError as error:
        raise RefusalError(f"process {pid} may not be looked at: {error.strerror}") from None
    fields = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
    if fields.get("State", "").startswith("Z"):
        raise RefusalError(
            f"process {pid} is a zombie: it has ended, and its parent has not asked how", "nothing runs there"
        )
    return fields


def _refusal(pid: int, said: str, status: Mapping[str, str], spent: float, proc: Path) -> RefusalError:
    """The permission that is missing, else what py-spy said."""
    missing = _permission(pid, status, proc)
    told = clean(" ".join(said.replace("Error:", "").split()), 300)
    if not (proc / str(pid)).exists():
        return RefusalError(f"process {pid} ended meanwhile")
    if missing is not None:
        return missing
    name = clean(status.get("Name", "?"))
    if not _is_python(pid, proc):
        what = f"process {pid} ({name}) is no Python process"
        if "ruby" in name or "sidekiq" in _command(pid, proc):
            return RefusalError(
                f"{what} but Ruby's: py-spy cannot read it",
                f"kill -TTIN {pid} makes a Sidekiq process write every thread's backtrace into its own log;"
                f" or rbspy snapshot --pid {pid}",
            )
        return RefusalError(f"{what}: py-spy cannot read it")
    if _cpu(pid, proc) > spent:
        return RefusalError(
            f"py-spy could not read process {pid} in {TRIES} tries, while it used the CPU: busy, not hung ({told})",
            "try again",
        )
    return RefusalError(f"py-spy could not read process {pid}: {told}")


def _permission(pid: int, status: Mapping[str, str], proc: Path) -> RefusalError | None:
    """Why the kernel does not let us read its memory; None where we see no reason."""
    mine = _own(proc)
    if int(mine.get("CapEff", "0"), 16) >> PTRACE & 1:
        return None
    theirs = status.get("Uid", "0").split()
    uid = os.geteuid()
    if uid != 0 and str(uid) not in theirs[:1]:
        return RefusalError(
            f"process {pid} belongs to uid {theirs[0]}, and this is uid {uid} without CAP_SYS_PTRACE",
            f'run as uid {theirs[0]} or root: sudo env "PATH=$PATH" py-spy dump --pid {pid}',
        )
    scope = _number(proc / "sys/kernel/yama/ptrace_scope")
    if scope:
        return RefusalError(
            f"kernel.yama.ptrace_scope is {scope}, and this process has no CAP_SYS_PTRACE",
            "sysctl kernel.yama.ptrace_scope=0, or run as root",
        )
    if uid == 0 or not _may_look(pid, proc):
        return RefusalError(
            "this process has no CAP_SYS_PTRACE",
            "docker run --cap-add SYS_PTRACE; in Kubernetes securityContext.capabilities.add: [SYS_PTRACE]",
        )
    return None


def _own(proc: Path) -> dict[str, str]:
    try:
        lines = (proc / "self/status").read_text("ascii", "replace").splitlines()
    except OSError:
        return {}
    return {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}


def _may_look(pid: int, proc: Path) -> bool:
    """The kernel asks for the same right before it shows a process' executable."""
    try:
        (proc / str(pid) / "exe").readlink()
    except OSError:
        return False
    return True


def _is_python(pid: int, proc: Path) -> bool:
    """By its executable or its libraries; yes where they cannot be seen."""
    try:
        maps = (proc / str(pid) / "maps").read_text("utf-8", "replace")
    except OSError:
        return True
    return any("python" in line.rpartition("/")[2] for line in maps.splitlines() if "/" in line)


def _command(pid: int, proc: Path) -> str:
    try:
        return decode((proc / str(pid) / "cmdline").read_bytes())
    except OSError:
        return ""


def _cpu(pid: int, proc: Path) -> float:
    """Clock ticks that it has used."""
    try:
        fields = (proc / str(pid) / "stat").read_text("ascii", "replace").rpartition(")")[2].split()
        return float(fields[11]) + float(fields[12])
    except (OSError, IndexError, ValueError):
        return 0.0


def _number(path: Path) -> int:
    try:
        return int(path.read_text("ascii"))
    except (OSError, ValueError):
        return 0
