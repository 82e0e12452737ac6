"""The stacks of any Python process of this host, read by py-spy without pausing it."""

import json
import os
import shutil
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import field, replace
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import Any, Final

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.doctor.facts.cores import RunningJob
from kiqdoctor.doctor.facts.threads import Frame, Thread, Threads
from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.probes.host.files import listed, read
from kiqdoctor.probes.host.recognise import recognise
from kiqdoctor.probes.threads.attach import fields, outside_of, refusal
from kiqdoctor.probes.threads.held import Locks, Sources, Standing, inferred
from kiqdoctor.probes.threads.running import running
from kiqdoctor.probes.threads.signals import catches
from kiqdoctor.probes.threads.tasks import Task, state, tasks
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex
from kiqdoctor.text import clean, decode
from kiqdoctor.wire import codec

TRIES: Final = 3  # a process that runs meanwhile is read between two frames, or not
BETWEEN: Final = 0.02  # seconds
PATIENCE: Final = 5.0  # seconds for one try
CORE_PATIENCE: Final = 20.0  # seconds for a core file
THREADS: Final = 2_000
FRAMES: Final = 100  # of one thread, innermost first
OUTPUT: Final = 8 * 1024 * 1024  # bytes of py-spy's answer
SAID: Final = 300  # characters of py-spy's own words
MOVES: Final = "read from outside without a pause: a stack that moves may be shown half"
NOTE: Final = f"{MOVES}; jobs and locks are not known"
PUT_DOWN: Final = f"{MOVES}; jobs are those in the process's own memory"
UNSEEN: Final = "in which native library a thread sleeps could not be seen"
CUT: Final = "py-spy's answer was cut at 8 MB, and further threads are missing"

_FORBIDDEN: Final = ("permission denied", "operation not permitted", "eperm")
_NOT_PYTHON: Final = "Failed to find python version"
_RUBY: Final = regex(r"ruby[\d.]*|jruby|truffleruby|puma|unicorn|rails")


def stacks(
    pid: int,
    identity: str = "",
    *,
    proc: Path = Path("/proc"),
    clock: Clock = SYSTEM,
    within_s: float = TRIES * (PATIENCE + BETWEEN),
    closely: "Sources | None" = None,
) -> Threads:
    """The threads of process ``pid``, the oldest first; all tries end ``within_s`` seconds.

    ``closely``: with what the kernel says of each, and the locks that their source lets infer.

    Raises:
        RefusalError: the process is gone or no Python, the permission that is missing, or that it is too busy.
    """
    before = _moment(pid, proc)
    _must_be_readable(pid, proc / str(pid))
    closer = ("--locals",) if closely is not None else ()
    command = (_program(), "dump", "--json", "--nonblocking", *closer, "--pid", str(pid))
    answer, end = _Answer(), clock.monotonic() + within_s
    for number in range(TRIES):
        if number:
            clock.sleep(BETWEEN)
        left = end - clock.monotonic()
        if left > 0:
            answer = _run(command, left)  # a thousand threads on a busy host take longer than a part of it
        if answer.out or answer.final:
            break
    if not answer.out or _moment(pid, proc).started != before.started:
        raise _why(pid, proc, before, answer)
    found = _read(answer)
    told = _told(
        found, answer.cut, identity or str(pid), f"py-spy dump --nonblocking --pid {pid}", proc / str(pid), clock
    )
    return _closely(told, found, pid, proc, closely) if closely is not None else told


def native(pid: int, proc: Path, *, patience: float = PATIENCE) -> dict[str, tuple[str, ...]]:
    """By thread (its ident in hexadecimal), the native libraries innermost on its stack, innermost first.

    The process is paused for some 50 ms. Not to be called for one that is stopped or stuck in the kernel, for which
    py-spy would wait.

    Raises:
        RefusalError: they cannot be read.
    """
    inside = fields(proc / str(pid) / "status").get("NSpid", "").split()[1:]
    if inside:  # py-spy asks the kernel for threads by the numbers that they have there
        why = f"it is in another PID namespace, where kiqdoctor dump {inside[-1]} sees it"
        raise RefusalError(f"{UNSEEN}: {why}")
    answer = _run((_program(), "dump", "--json", "--native", "--pid", str(pid)), patience)
    if not answer.out:
        raise RefusalError(f"{UNSEEN}: {answer.said}")
    found = _read(answer)
    return {f"0x{one.thread_id:x}": _innermost(one.frames) for one in found}


def of_core(core: Path, tid: int, *, patience: float = CORE_PATIENCE) -> tuple[Frame, ...]:
    """The stack of one thread of a Python that left this core file, innermost first.

    Raises:
        RefusalError: py-spy is missing or could not read it.
    """
    answer = _run((_program(), "dump", "--json", "--core", str(core.absolute())), patience)
    if not answer.out:
        raise RefusalError(f"py-spy could not read it: {answer.said}")
    frames = next((_thread(one, None, {}).frames for one in _read(answer) if one.os_thread_id == tid), ())
    if not frames:
        raise RefusalError("the thread that crashed ran no Python")
    return frames


def _innermost(calls: "list[_Call]") -> tuple[str, ...]:
    """Until the first frame of Python's own."""
    native = takewhile(lambda call: call.module is not None, calls)
    return tuple(dict.fromkeys(clean(call.module or "") for call in native))


@dataclass(frozen=True, slots=True)
class _Moment:
    """A process's state letter, CPU time (ticks) and start (ticks since boot)."""

    state: str
    ticks: int
    started: str


def _moment(pid: int, proc: Path) -> _Moment:
    cells = decode(read(proc / str(pid) / "stat") or b"").rpartition(")")[2].split()
    if len(cells) < 20:  # noqa: PLR2004 - the start time is the twentieth after the name
        raise absent(pid, proc)
    if cells[0] in {"Z", "X"}:
        raise RefusalError(f"process {pid} has ended: a zombie, which its parent, process {cells[1]}, does not reap")
    return _Moment(cells[0], int(cells[11]) + int(cells[12]), cells[19])


def absent(pid: int, proc: Path) -> RefusalError:
    """Gone, or hidden from us: the kernel tells the group of processes that /proc does not show.

    Of one that is hidden ``unlock`` is told; there is none for one that is gone.
    """
    if not (proc / "self").exists():
        return RefusalError(f"{proc} cannot be read", "a Linux host with /proc mounted")
    try:
        os.getpgid(pid)
    except (OSError, OverflowError):
        return RefusalError(outside_of(pid, proc))
    return RefusalError(f"process {pid} is hidden from uid {os.geteuid()}: /proc is mounted with hidepid",
                        "run as root or as its user")  # fmt: skip


def _must_be_readable(pid: int, folder: Path) -> None:
    """No Ruby: where it forbids to be read as well, a permission would not help."""
    cmdline = read(folder / "cmdline") or b""
    title = recognise(folder, cmdline)
    name = _name(folder, cmdline)
    kind = title.kind if title is not None else ""
    if not (kind.startswith(("sidekiq", "resque")) or _RUBY.fullmatch(name)):
        return
    rbspy = f"rbspy snapshot --pid {pid}"
    asked = f"kiqdoctor dump {pid}, which has it write them to its own log by TTIN and reads them there; or {rbspy}"
    # Puma starts another worker at TTIN, and a process without a handler is stopped by it.
    sidekiq = kind == "sidekiq" and catches(folder, signal.SIGTTIN)
    raise RefusalError(f"process {pid} is Ruby ({kind or name}), whose stacks py-spy does not read",
                       asked if sidekiq else rbspy)  # fmt: skip


def _name(folder: Path, cmdline: bytes) -> str:
    """The program's own name, as far as everybody may know it."""
    program = PurePosixPath(decode(cmdline).split("\0")[0].split(" ")[0]).name
    return clean(program or decode(read(folder / "comm") or b"").strip())


def _program() -> str:
    """py-spy beside this Python, else on PATH."""
    places = os.pathsep.join([str(Path(sys.executable).parent), *os.get_exec_path()])
    found = shutil.which("py-spy", path=places)
    if found is None:
        raise RefusalError("py-spy is not installed", "pip install py-spy")
    return found


@dataclass(frozen=True, slots=True)
class _Answer:
    """What one run wrote: ``out`` where it succeeded, else ``said``; ``final`` where another try would not help."""

    out: bytes = b""
    said: str = "py-spy was given no time"
    cut: bool = False

    @property
    def forbidden(self) -> bool:
        return any(words in self.said.lower() for words in _FORBIDDEN)

    @property
    def final(self) -> bool:
        return self.forbidden or _NOT_PYTHON in self.said


def _run(command: Sequence[str], patience: float) -> _Answer:
    """Run it and read at most ``OUTPUT`` bytes; it is killed after ``patience`` seconds, which leaves its target be."""
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            env={**os.environ, "RUST_BACKTRACE": "0", "RUST_LIB_BACKTRACE": "0"},
        )
    except OSError as error:
        raise RefusalError(f"{clean(command[0])} cannot be run: {error.strerror}", "pip install py-spy") from None
    timer = threading.Timer(patience, process.kill)
    with process:
        timer.start()
        try:
            return _heard(process, patience)
        finally:
            timer.cancel()
            process.kill()


def _heard(process: "subprocess.Popen[bytes]", patience: float) -> _Answer:
    assert process.stdout is not None  # noqa: S101 - both are pipes
    assert process.stderr is not None  # noqa: S101
    out = process.stdout.read(OUTPUT)
    if len(out) == OUTPUT:
        return _Answer(out, cut=True)
    said = process.stderr.read(OUTPUT)
    status = process.wait()
    if status == 0:
        return _Answer(out)
    if status == -signal.SIGKILL:
        return _Answer(said=f"py-spy did not end within {patience:.1f} s")
    words = decode(said).partition("Stack backtrace")[0].split()
    return _Answer(said=clean(" ".join(words), SAID) or f"py-spy ended with status {status}")


def _why(pid: int, proc: Path, before: _Moment, answer: _Answer) -> RefusalError:
    """What kept py-spy from it; its end or a permission first, for py-spy's own words mislead."""
    try:
        after = _moment(pid, proc)
    except RefusalError as error:
        return error
    if after.started != before.started:
        return RefusalError(f"process {pid} ended while it was read: another one has its number now")
    if answer.forbidden:
        return refusal(pid, proc)
    folder = proc / str(pid)
    if _NOT_PYTHON in answer.said or "VmSize" not in fields(folder / "status"):  # without memory: the kernel's own
        name = _name(folder, read(folder / "cmdline") or b"")
        return RefusalError(f"process {pid} ({name}) is no Python process")
    # Blocking, py-spy waits for ever for a process that is stuck in the kernel, and fails on one that is stopped.
    paused = "" if after.state in {"D", "T", "t"} else f"; py-spy dump --pid {pid} pauses it for some milliseconds"
    if used := after.ticks - before.ticks:
        seconds = used / os.sysconf("SC_CLK_TCK")
        return RefusalError(
            f"process {pid} is busy rather than hung: it used {seconds:.2f} s of CPU while py-spy failed to read it"
            f" {TRIES} times between two of its steps ({answer.said})",
            f"try again{paused}",
        )
    return RefusalError(f"py-spy could not read process {pid}: {answer.said}", f"try again{paused}")


@dataclass(frozen=True, slots=True)
class _Local:
    """A local variable as py-spy writes it; its representation may be a secret, and is not taken over."""

    name: str
    addr: int


@dataclass(frozen=True, slots=True)
class _Call:
    """A frame as py-spy writes it; ``module`` is the library of a native one."""

    name: str
    filename: str
    line: int
    module: str | None = None
    locals: list[_Local] | None = None


@dataclass(frozen=True, slots=True)
class _Thread:
    """A thread as py-spy writes it; ``os_thread_id`` as the process's own namespace numbers it."""

    thread_id: int
    active: bool
    owns_gil: bool
    thread_name: str | None = None
    os_thread_id: int | None = None
    frames: list[_Call] = field(default_factory=list)


def _read(answer: _Answer) -> list[_Thread]:
    """Its threads, the oldest first; of an answer that was cut off those that are whole.

    Raises:
        RefusalError: it is of another shape.
    """
    import msgspec

    try:
        if answer.cut:
            found = [codec.typed(item, _Thread) for item in _items(decode(answer.out))]
        else:
            found = codec.typed_text(answer.out, list[_Thread])
    except msgspec.DecodeError as error:
        raise RefusalError(f"py-spy's answer cannot be read: {clean(str(error))}", "pip install -U py-spy") from None
    return found[::-1]  # py-spy begins with the youngest


def _told(found: Sequence[_Thread], cut: bool, identity: str, source: str, folder: Path, clock: Clock) -> Threads:
    on_cpu = _running(folder)
    frames: dict[tuple[str, str, int], Frame] = {}
    return Threads(
        identity=clean(identity),
        at=clock.now(),
        source=source,
        threads=tuple(_thread(one, on_cpu, frames) for one in found[:THREADS]),
        more_threads=max(0, len(found) - THREADS),
        note=f"{CUT}; {NOTE}" if cut else NOTE,
    )


def _closely(told: Threads, raw: Sequence[_Thread], pid: int, proc: Path, sources: Sources) -> Threads:
    """The same with the kernel's words of each thread, and its locks."""
    by_kernel = tasks(pid, proc)
    found = {f"0x{one.thread_id:x}": one for one in raw}
    known = {name: by_kernel[one.os_thread_id] for name, one in found.items() if one.os_thread_id in by_kernel}
    waiting = {
        name: one.at for name, one in known.items()
        if one.call is not None and one.call.name == "futex" and one.call.endless
    }  # fmt: skip
    stacks = {name: [_standing(call) for call in one.frames[:FRAMES]] for name, one in found.items()}
    locks = inferred(stacks, waiting, sources)
    names = {one.id: one.name for one in told.threads}
    threads = tuple(_seen_closely(one, known.get(one.id), locks, names) for one in told.threads)
    jobs = running(pid, proc)
    if jobs is not None:
        by_thread = {name: jobs[one.os_thread_id] for name, one in found.items() if one.os_thread_id in jobs}
        threads = tuple(_with_job(one, by_thread.get(one.id), told.at) for one in threads)
        told = replace(told, note=told.note.replace(NOTE, PUT_DOWN))
    return replace(told, threads=threads, state=state(pid, proc), deadlocks=locks.rings())


def _with_job(one: Thread, job: RunningJob | None, now: float) -> Thread:
    if job is None:
        return one
    return replace(one, job_class=job.job_class, jid=job.jid, queue=job.queue, running_s=max(0.0, now - job.since))


def _standing(call: _Call) -> Standing:
    return Standing(call.filename, call.line, {one.name: one.addr for one in call.locals or ()})


def _seen_closely(one: Thread, task: Task | None, locks: Locks, names: Mapping[str, str]) -> Thread:
    held = tuple(f"probably {lock.text}, taken at {lock.at}" for lock in locks.holds.get(one.id, ()))
    wanted = locks.waits.get(one.id)
    waits = ""
    if wanted is not None:
        holder = locks.holder(wanted)
        whose = f"probably held by {names.get(holder) or holder}" if holder else "no holder found"
        waits = f"{wanted.text} at {wanted.at}, {whose}"
    if task is None:
        return replace(one, holds=held, waits=waits)
    return replace(one, holds=held, waits=waits, state=task.state, cpu_s=task.cpu_s, call=task.call, yields=task.yields,
                   rests=one.id in locks.resting)  # fmt: skip


def _items(text: str) -> Iterator[Any]:
    """The members of a JSON array that may have been cut off: those that are whole."""
    decoder, at = json.JSONDecoder(), text.find("[") + 1
    while at < len(text):
        if text[at] in ", \n\r\t":
            at += 1
            continue
        try:
            item, at = decoder.raw_decode(text, at)
        except ValueError:  # the closing bracket, or the cut
            return
        yield item


def _thread(one: _Thread, running: dict[int, bool] | None, frames: dict[tuple[str, str, int], Frame]) -> Thread:
    """``frames``: those that were met before, for a thousand threads may stand in one place."""
    number = one.os_thread_id
    known = one.active if running is None else running.get(number or 0)
    return Thread(
        id=f"0x{one.thread_id:x}",
        name=clean(one.thread_name or ""),
        frames=tuple(_frame(call, frames) for call in one.frames[:FRAMES]),
        more_frames=max(0, len(one.frames) - FRAMES),
        active=known if number is not None else None,
        owns_gil=one.owns_gil,
    )


def _frame(call: _Call, known: dict[tuple[str, str, int], Frame]) -> Frame:
    key = (call.name, call.filename, call.line)
    if key not in known:
        known[key] = Frame(clean(call.name), clean(call.filename), call.line)
    return known[key]


def _running(folder: Path) -> dict[int, bool] | None:
    """Threads of a process in a PID namespace by its own numbers, which py-spy takes for ours; None in our own."""
    if len(fields(folder / "status").get("NSpid", "").split()) <= 1:
        return None
    seen = (fields(folder / "task" / task / "status") for task in listed(folder / "task")[:THREADS])
    return {int(one["NSpid"].split()[-1]): one.get("State", "").startswith("R") for one in seen if one.get("NSpid")}
