"""No test hangs: one that is not done within its limit shows what each thread and each Python below it does, and fails.

The limits are generous, for a loaded machine is no fault. One that does not even fail then, since its main thread hears
no signal or swallows what is raised, ends its process: xdist calls it crashed and goes on with another.
"""

import faulthandler
import itertools
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from _pytest.faulthandler import fault_handler_stderr_fd_key

LIMIT: Final = 600  # seconds, in which the roots are built too where a test is the first that needs one
LONG: Final = 1200
GRACE: Final = 120  # seconds for the stacks, and for a clean-up after the failure
CHILDREN: Final = 12  # whose stacks are read
READING: Final = 10  # seconds for one child's stacks


@contextmanager
def limited(item: pytest.Item) -> Iterator[None]:
    """Set-up, call and clean-up together."""
    seconds = LONG if item.get_closest_marker("long") else LIMIT

    def over(number: int, frame: Any) -> None:
        faulthandler.dump_traceback(all_threads=True)
        for child in itertools.islice(_below(os.getpid()), CHILDREN):
            print(_stacks(child), file=sys.stderr, flush=True)
        pytest.fail(f"not done within {seconds} s; the stacks are above")

    before = signal.signal(signal.SIGALRM, over)
    signal.alarm(seconds)
    uncaptured = item.config.stash.get(fault_handler_stderr_fd_key, 2)
    faulthandler.dump_traceback_later(seconds + GRACE, exit=True, file=uncaptured)
    try:
        yield
    finally:
        faulthandler.cancel_dump_traceback_later()
        signal.alarm(0)
        signal.signal(signal.SIGALRM, before)


def _below(pid: int) -> Iterator[int]:
    """The children of a process and theirs, by /proc."""
    for told in Path(f"/proc/{pid}/task").glob("*/children"):
        for child in map(int, _text(told).split()):
            yield child
            yield from _below(child)


def _text(path: Path) -> str:
    """Empty where the process is gone."""
    try:
        return path.read_text(encoding="utf-8", errors="replace")
    except OSError:
        return ""


def _stacks(pid: int) -> str:
    """What it is, and where it is a Python its stacks."""
    line = _text(Path(f"/proc/{pid}/cmdline")).replace("\0", " ")
    head = f"process {pid} ({_text(Path(f'/proc/{pid}/wchan'))}): {line[:200]}"
    spy = shutil.which("py-spy")
    if spy is None or "python" not in _text(Path(f"/proc/{pid}/comm")):
        return head
    try:
        words = [spy, "dump", "--nonblocking", "--pid", str(pid)]
        found = subprocess.run(words, capture_output=True, text=True, timeout=READING, check=False)
    except subprocess.TimeoutExpired:
        return head
    return f"{head}\n{found.stdout or found.stderr}"
