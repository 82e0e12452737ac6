"""Processes of xdist that do not see each other's: the doctor looks at its host, and would meet workers of other tests.

Each has a process-id namespace with a /proc of its own, and what it leaves behind ends with it. Its first process is a
shell, which reaps orphans as a host's init does. Only root can have that; who is not runs all tests in one process.
"""

import functools
import os
import shlex
import subprocess
import sys
from pathlib import Path
from typing import Final

MARK: Final = "kiqdoctor-tests-apart"  # the name of its first process
APART: Final = ("unshare", "--pid", "--fork", "--kill-child", "--mount-proc")


@functools.cache
def possible() -> bool:
    if os.geteuid() != 0:
        return False
    try:
        return subprocess.run([*APART, "true"], capture_output=True, check=False).returncode == 0
    except OSError:
        return False


def inside() -> bool:
    """Whether this process lives in a namespace of ours, whose pids are none that the kernel's log or a core names."""
    return MARK.encode() in Path("/proc/1/cmdline").read_bytes().split(b"\0")


def spec() -> str:
    """What xdist starts a process by."""
    words = [*APART, "bash", "-c", '"$@"; exit $?', MARK, sys.executable]
    return f"popen//python={shlex.join(words)}"
