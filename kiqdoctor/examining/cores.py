"""Composes what a core file tells: its notes, a debugger's calls, whose library, the stack, the jobs, advisories."""

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kiqdoctor.doctor.crash_kit import kit
from kiqdoctor.doctor.facts.cores import Crashed, NativeFrame, Owner
from kiqdoctor.doctor.facts.packages import Advisory
from kiqdoctor.doctor.facts.threads import Frame
from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.doctor.tools import Pack
from kiqdoctor.probes.cores.backtrace import Call, unwound
from kiqdoctor.probes.cores.files import Files, files, linked
from kiqdoctor.probes.cores.jobs import jobs
from kiqdoctor.probes.cores.owners import beneath, owner
from kiqdoctor.probes.cores.reports import reported
from kiqdoctor.probes.cores.symbols import function
from kiqdoctor.probes.native.core_file import X86_64, Core, CoreFile, Fault, NoCoreError, Thread, opened
from kiqdoctor.probes.native.own import own
from kiqdoctor.regex import regex
from kiqdoctor.text import clean

PY_SPY: Final = 4 * 1024**3  # bytes of a core that py-spy, which takes all of it into memory, is given
KEEPING: Final = 120.0  # seconds that systemd may take to unpack one
BELOW: Final = 64 * 1024  # bytes below the end of a stack, that a call may reach at once
FRAME: Final = 1024 * 1024  # bytes of one call's own variables
GUARD: Final = 1024 * 1024  # bytes between two stacks, in which nothing may lie
DAMAGED: Final = (
    "who damaged memory: it was found afterwards, which PYTHONMALLOC=debug, MALLOC_CHECK_=3 (glibc), valgrind or"
    " AddressSanitizer do sooner"
)
ROOT: Final = Path("/")
PROC: Final = Path("/proc")
KUBERNETES: Final = "KUBERNETES_SERVICE_HOST"
_RUNS_CODE: Final = regex(r"(?:_PyEval_EvalFrame\w*+|_TAIL_CALL_\w++|(?:rb_)?vm_exec(?:_core)?)(?:\..*)?")
_KEEPS_MEMORY: Final = regex(
    r"(?:malloc_printerr|__libc_message(?:_impl)?|__stack_chk_fail\w*+|__fortify_fail\w*+"
    r"|(?:__GI_)?(?:__libc_)?[mc]alloc|_int_(?:malloc|free|realloc|memalign)\w*+|unlink_chunk|malloc_consolidate"
    r"|sysmalloc\w*+|tcache_\w++|pymalloc_\w++|_?PyObject_(?:Malloc|Calloc|GC_New\w*+|GC_Alloc\w*+)"
    r"|PyMem_(?:Raw)?[MC]alloc|PyType_GenericAlloc|_?PyGC_Collect\w*+|gc_collect_\w++"
    r"|(?:rb_)?gc_(?:mark|sweep|start|rest|impl_mark|impl_sweep)\w*+|garbage_collect|_?mi_\w++"
    r"|(?:rb_)?(?:wb_(?:un)?protected_)?newobj\w*+)"
    r"(?:\..*)?"
)
"""Functions that allocate, check and collect, of the C library, Python and Ruby. `free` fails by what it is given."""
_ALLOCATORS: Final = regex(r"lib(?:jemalloc|tcmalloc|mimalloc|hardened_malloc|scudo)")


@contextmanager
def kept(pid: int) -> Iterator[Path]:
    """The core of a process that ended, from systemd-coredump.

    Raises:
        NoCoreError: it keeps none, or is not here.
    """
    program = shutil.which("coredumpctl")
    if program is None:
        raise NoCoreError(f"there is no file {pid}, and no coredumpctl here that could have kept that process's core")
    with tempfile.TemporaryDirectory(prefix="kiqdoctor-core-") as folder:
        path = Path(folder) / "core"
        try:
            done = subprocess.run(
                [program, "dump", str(pid), "--no-pager", "-q", "-o", str(path)],
                stdin=subprocess.DEVNULL, capture_output=True, timeout=KEEPING, check=False,
            )  # fmt: skip
        except (OSError, subprocess.TimeoutExpired):
            raise NoCoreError(f"coredumpctl did not give the core of process {pid}") from None
        if done.returncode or not path.exists():
            said = " ".join(done.stderr.decode("utf-8", "replace").split())
            raise NoCoreError(f"systemd-coredump keeps no core of process {pid}: {clean(said)}")
        yield path


def crashed(path: Path, advisories: Sequence[Advisory], root: Path = ROOT, log: Path | None = None) -> Crashed:
    """What it tells; ``root`` is where the process's files are, ``log`` what it wrote.

    Raises:
        NoCoreError: there is none.
        BrokenError: it cannot be read.
    """
    with opened(path) as core, tempfile.TemporaryDirectory(prefix="kiqdoctor-core-") as made:
        folder = Path(made)
        for name in ("root", "empty"):
            (folder / name).mkdir()
        found = files(core, path.stat().st_mtime, root)
        linked(found, root, folder)
        return _crashed(path, core, found, folder, advisories, root, log)


def tables() -> tuple[Advisory, ...]:
    """What is known about packages."""
    from kiqdoctor.doctor.facts.packages import Advisories
    from kiqdoctor.doctor.pack import home
    from kiqdoctor.probes.packages.packages import advisories

    found = advisories.read(Pack(home()))
    return found.all if isinstance(found, Advisories) else ()


def next_time() -> tuple[str, ...]:
    """How a core is had on this host."""
    from kiqdoctor.probes.host.files import read

    pattern = clean((read(PROC / "sys/kernel/core_pattern") or b"").decode("utf-8", "replace").strip())
    inside = any(Path(one).exists() for one in ("/.dockerenv", "/run/.containerenv")) or KUBERNETES in os.environ
    return tuple(kit(pattern, container=inside))


def _crashed(
    path: Path, core: Core, found: Files, folder: Path, advisories: Sequence[Advisory], root: Path, log: Path | None
) -> Crashed:
    notes = core.notes
    handled = core.handled()
    known = handled is not None or _seen(core)
    fault, point = handled or (notes.fault or Fault(notes.signal), _first(notes))
    calls = unwound(path, notes.executable, folder, point.tid)
    owners = _Owners(root, found)
    frames = tuple(owners.frame(notes, one) for one in _after(calls.calls, point, handled is not None))
    if not frames:
        frames = tuple(owners.frame(notes, one, symbol=True) for one in _by_registers(core, point))
    running, unread = jobs(core)
    language = _language(notes)
    stack, by, why = _stack(path, notes, found, root, point.tid, language, log)
    failed = (
        None if handled or core.raised_again else next((n for n, one in enumerate(calls.calls) if one.handler), None)
    )
    direct = _direct(frames[:failed])  # a handler's own failure is not of what it interrupted
    overflowed = fault.code > 0 and _overflowed(core, fault, point)
    damaged = not overflowed and _found_later(direct)
    culprit = None if damaged else _culprit(direct, fault, notes)
    missing = (
        "the core is cut off: it ends before what it announces" if notes.cut else "",
        "" if known else "whether an instruction failed: the core does not hold the stack on which that would stand",
        DAMAGED if damaged else "", calls.why, why, unread, *owners.changed,
        "" if culprit is None or culprit.owner else f"no package list names {culprit.library}",
    )  # fmt: skip
    return Crashed(
        signal=_name(notes.signal),
        executable=notes.executable or notes.program,
        program=notes.program,
        pid=notes.pid,
        raised=_name(fault.signal) if handled is not None and fault.signal != notes.signal else "",
        faulted=fault.code > 0 if known else None,
        address=fault.address,
        overflowed=overflowed,
        sender=fault.sender,
        language=language,
        frames=frames,
        frames_by=calls.by or "registers",
        culprit=culprit,
        stack=stack,
        stack_by=by,
        job=next((one for one in running if one.tid == point.tid), None),
        others=tuple(one for one in running if one.tid != point.tid),
        advisories=tuple(_known(culprit.owner, advisories)) if culprit is not None and culprit.owner else (),
        missing=tuple(dict.fromkeys(one for one in missing if one)),
    )


def _seen(core: Core) -> bool:
    """Whether it tells why the signal came: by itself, or because no handler's frame is on a stack that it holds."""
    notes = core.notes
    if not core.raised_again:
        return True
    return notes.fault is not None and notes.machine == X86_64 and bool(core.memory(_first(notes).stack, 8))


def _first(notes: CoreFile) -> Thread:
    return notes.threads[0] if notes.threads else Thread(0, 0, 0)


def _name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:
        return f"signal {number}" if number else "not known"


def _after(calls: Sequence[Call], point: Thread, handled: bool) -> Sequence[Call]:
    """Those from the point on at which the thread was interrupted."""
    handlers = [number for number, one in enumerate(calls) if one.handler]
    if not handled or not handlers:
        return [one for one in calls if not one.handler]
    after = (number for number in handlers if [one.counter for one in calls[number + 1 :][:1]] == [point.counter])
    return [one for one in calls[next(after, handlers[0]) + 1 :] if not one.handler]


def _by_registers(core: Core, point: Thread) -> Iterator[Call]:
    """Where it stood; and where a call into nowhere came from, which lies on top of the stack."""
    yield Call(point.counter)
    if core.notes.at(point.counter) is None:
        caller = int.from_bytes(core.memory(point.stack, 8), "little")
        if core.notes.at(caller) is not None:
            yield Call(caller)


class _Owners:
    """Whose each library is; what is another build here than then has no owner, which is said."""

    def __init__(self, root: Path, found: Files) -> None:
        self._root, self._files = root, found
        self._known: dict[str, Owner | None] = {}
        self.changed: list[str] = []

    def frame(self, notes: CoreFile, call: Call, *, symbol: bool = False) -> NativeFrame:
        place = notes.at(call.counter)
        if place is None:
            return NativeFrame(call.function, "")
        name = call.function
        if symbol and place.path in self._files.same:
            name = function(beneath(place.path, self._root), call.counter - place.start + place.offset)
        return NativeFrame(name, place.path, self._owner(place.path))

    def _owner(self, path: str) -> Owner | None:
        if path not in self._known:
            found = owner(path, self._root) if path in self._files.same else None
            self._known[path] = found
            if path in self._files.other:
                self.changed.append(f"whose {path} was: another build is there by now")
        return self._known[path]


def _direct(frames: Sequence[NativeFrame]) -> Sequence[NativeFrame]:
    """Up to where the interpreter runs the program's own code: who is outside of that called this code, and no more."""
    ends = (number for number, one in enumerate(frames) if _RUNS_CODE.fullmatch(one.function))
    return frames[: next(ends, len(frames))]


def _found_later(frames: Sequence[NativeFrame]) -> bool:
    """Whether who keeps memory failed, by what somebody wrote there before: who calls it now need not be to blame."""
    for one in frames:
        if _KEEPS_MEMORY.fullmatch(one.function) or _ALLOCATORS.match(one.library.rpartition("/")[2]):
            return True
        if one.library and not own(one.library):
            return False
    return False


def _culprit(frames: Sequence[NativeFrame], fault: Fault, notes: CoreFile) -> NativeFrame | None:
    """The innermost library that is neither the interpreter nor the C library; nobody where it was a kill."""
    aborted = fault.signal == signal.SIGABRT and fault.sender in {None, notes.pid}
    if not (fault.code > 0 or aborted):
        return None
    return next((one for one in frames if one.library and not own(one.library)), None)


def _overflowed(core: Core, fault: Fault, point: Thread) -> bool:
    """Whether what failed was just below what there is of its stack."""
    at = fault.address
    if at is None or core.notes.cut or not point.stack - BELOW <= at < point.stack + FRAME or core.memory(at, 1):
        return False
    return any(at < one.address <= at + GUARD for one in core.notes.segments)


def _language(notes: CoreFile) -> str:
    names = [notes.executable.rpartition("/")[2], *(one.path.rpartition("/")[2] for one in notes.mapped)]
    for language in ("python", "ruby"):
        if any(one.startswith((language, f"lib{language}")) for one in names):
            return language
    return ""


def _stack(
    path: Path, notes: CoreFile, found: Files, root: Path, tid: int, language: str, log: Path | None
) -> tuple[tuple[Frame, ...] | None, str, str]:
    """The stack, what told it, and why there is none."""
    why = ""
    if language == "python":
        try:
            return _python(path, notes, found, root, tid), "py-spy", ""
        except RefusalError as error:
            why = "; ".join(filter(None, (f"Python's stack: {error.refused.reason}", error.refused.unlock)))
    elif language == "ruby":
        why = (
            "Ruby's stack, which no debugger reads: Ruby wrote it into its log ([BUG]); --log FILE shows it from there"
        )
    if log is None:
        return None, "", why
    try:
        frames = reported(log, notes.pid)
    except OSError as error:
        return None, "", f"the log cannot be read: {error.strerror or error}"
    return (frames, "log", "") if frames else (None, "", f"{why}; that log has no report of process {notes.pid}")


def _python(path: Path, notes: CoreFile, found: Files, root: Path, tid: int) -> tuple[Frame, ...]:
    """By py-spy, which opens the files of Python that the core names by itself: so they must have been checked."""
    from kiqdoctor.probes.threads.stacks import of_core

    named = {one.path for one in notes.mapped if "python" in one.path.rpartition("/")[2]} | {notes.executable}
    opened_by_it = {one for one in named if not one.endswith(".so")}
    if root != ROOT:
        raise RefusalError("py-spy reads it under the process's own root only", f"run kiqdoctor core under {root}")
    if not opened_by_it <= found.same:
        raise RefusalError("the Python that it ran is not on this host as it was then")
    if notes.bytes > PY_SPY:
        raise RefusalError(f"py-spy takes a core into memory, and this one has {notes.bytes / 1024**3:.1f} GiB")
    try:
        return of_core(path, tid)
    except RefusalError:
        if notes.cut:
            raise RefusalError("the core is cut off before what py-spy needs") from None
        raise


def _known(whose: Owner, advisories: Sequence[Advisory]) -> Iterator[Advisory]:
    """What our tables know of this version of it."""
    from kiqdoctor.doctor.condition import covers

    if whose.ecosystem not in {"python", "ruby"}:
        return
    from packaging.utils import canonicalize_name

    name = canonicalize_name(whose.name) if whose.ecosystem == "python" else whose.name
    for one in advisories:
        if one.ecosystem == whose.ecosystem and name in one.packages and covers(one.range, whose.version) is True:
            yield one
