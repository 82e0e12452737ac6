"""The native calls of the thread that crashed, unwound by gdb or eu-stack, which get only files that were checked.

A core names the files that its process had mapped, and so may name anything: a debugger that opened them by itself
could be led to a FIFO or a device, and one that loaded what lies beside them would execute what is audited. So it runs
in a folder of our own whose ``root`` and ``names`` hold links to what was checked, and looks there alone; it reads no
initialisation, loads no script, no thread library and nothing from the net, and prints no value of any argument.
"""

import resource
import shutil
import subprocess
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, NamedTuple

from kiqdoctor.regex import regex
from kiqdoctor.text import decode

PATIENCE: Final = 30.0  # seconds
OUTPUT: Final = 4 * 1024 * 1024  # bytes
MEMORY: Final = 8 * 1024 * 1024 * 1024  # bytes of address space beyond the core's own size
CALLS: Final = 128
GDB: Final = ("-nx", "-nh", "-batch", "-q")
BEFORE: Final = (  # anything is loaded
    "set auto-load off",
    "set auto-load safe-path {folder}/nothing",
    "set libthread-db-search-path {folder}/nothing",
    "set debuginfod enabled off",
    "set sysroot {folder}/root",
    "set solib-search-path {folder}/names",
    "set print frame-arguments none",
    "set print entry-values no",
    "set print frame-info location-and-address",
    "set print source",
    "set width 0",
    "set height 0",
    "set confirm off",
    "set python print-stack none",
    f"set backtrace limit {CALLS}",
)
_GDB: Final = regex(r"#\d+\s++(?:0x(?P<at>[0-9a-f]+) in )?(?P<name>.+?) \([^()]*+\)(?: at .*| from .*)?")
_HANDLER: Final = regex(r"#\d+\s+<signal handler called>")
_STACK: Final = regex(r"#\d+\s+0x(?P<at>[0-9a-f]+)(?: (?P<name>.+?))?(?: - \d+)?")


class Call(NamedTuple):
    """One native call: where, and the function's name where a symbol tells it; ``handler``: the kernel called what
    stands above it.
    """

    counter: int
    function: str = ""
    handler: bool = False


class Unwound(NamedTuple):
    """Innermost first; ``by``: what unwound it, "" where nothing could; ``why`` not."""

    calls: tuple[Call, ...] = ()
    by: str = ""
    why: str = ""


def unwound(core: Path, executable: str, folder: Path, tid: int, patience: float = PATIENCE) -> Unwound:
    """The calls of thread ``tid``; ``folder`` is the empty folder, with ``root`` in it."""
    program = shutil.which("gdb")
    (folder / "core").symlink_to(core.absolute())
    file = folder / "root" / executable.lstrip("/")
    known = bool(executable) and file.exists()
    if program is not None and known:
        commands = [word for one in BEFORE for word in ("-iex", one.format(folder=folder))]
        words = [program, *GDB, *commands, "-ex", f"bt {CALLS}", str(file), str(folder / "core")]
        answer = _run(words, folder, core.stat().st_size, patience)
        calls = tuple(_gdb(answer.splitlines()))
        if calls:
            return Unwound(calls, "gdb")
    other = shutil.which("eu-stack")
    if other is not None and known:
        words = [other, "-n", str(CALLS), f"--core={folder}/core", f"--executable={file}"]
        answer = _run(words, folder, core.stat().st_size, patience)
        calls = tuple(_stack(answer.splitlines(), tid))
        if calls:
            return Unwound(calls, "eu-stack")
    if not known:
        return Unwound(why="native calls: the program itself is not on this host as it was then")
    if program is None and other is None:
        return Unwound(why="native calls: gdb is not installed (apt-get install gdb)")
    return Unwound(why="native calls: the debugger could not unwind them")


def _run(words: Sequence[str], folder: Path, size: int, patience: float) -> str:
    """What it printed, within bounds; nothing of our own environment reaches it."""
    environment = {"HOME": str(folder), "PATH": "/usr/bin:/bin", "LC_ALL": "C", "TERM": "dumb"}
    try:
        process = subprocess.Popen(
            words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, cwd=folder / "empty",
            env=environment,
        )  # fmt: skip
    except OSError:
        return ""
    with process:
        timer = threading.Timer(patience, process.kill)
        timer.start()
        try:
            limit = min(size, MEMORY) + MEMORY
            resource.prlimit(process.pid, resource.RLIMIT_AS, (limit, limit))
            assert process.stdout is not None  # noqa: S101 - it is a pipe
            return decode(process.stdout.read(OUTPUT))
        except (OSError, ValueError):
            return ""
        finally:
            timer.cancel()
            process.kill()


def _gdb(lines: Sequence[str]) -> Iterator[Call]:
    """Those after `bt`'s own first line: gdb says the innermost once before, when it loads the core."""
    starts = [number for number, line in enumerate(lines) if line.startswith("#0 ")]
    for line in lines[starts[-1] :] if starts else ():
        if _HANDLER.fullmatch(line):
            yield Call(0, handler=True)
        elif found := _GDB.fullmatch(line):
            name = found["name"].removesuffix("@plt") if found["name"] != "??" else ""
            yield Call(int(found["at"] or "0", 16), name)


def _stack(lines: Sequence[str], tid: int) -> Iterator[Call]:
    inside = False
    for line in lines:
        if line.startswith("TID "):
            inside = line == f"TID {tid}:"
        elif inside and (found := _STACK.fullmatch(line.strip())):
            name = found["name"] or ""
            yield Call(int(found["at"], 16), "" if name.startswith("0x") else name, handler=name == "__restore_rt")
