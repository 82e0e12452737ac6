"""Which jobs the threads of a live worker of our runtime run, from its own memory: also of one that cannot answer.

It puts them down for a core file (wire/marks). Reading them takes the permission that reading its stacks takes, and
pauses nothing.
"""

import os
from pathlib import Path
from typing import Final

from kiqdoctor.doctor.facts.cores import RunningJob
from kiqdoctor.probes.cores.jobs import MAPPING, noted
from kiqdoctor.probes.host.files import read
from kiqdoctor.text import decode

MAPS: Final = 8 * 1024 * 1024  # bytes


def running(pid: int, proc: Path) -> dict[int, RunningJob] | None:
    """By thread, as the process's own namespace numbers it; None of one that puts nothing down, or may not be read."""
    folder = proc / str(pid)
    start = _start(decode(read(folder / "maps", MAPS) or b""))
    if start is None:
        return None
    try:
        descriptor = os.open(folder / "mem", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        found = noted(lambda address, size: _memory(descriptor, address, size), start)
    finally:
        os.close(descriptor)
    return {one.tid: one for one in found.jobs} if found is not None else None


def _start(maps: str) -> int | None:
    """Where the mapping begins that it puts them down in."""
    line = next((line for line in maps.splitlines() if MAPPING in line), "")
    return int(line.partition("-")[0], 16) if line else None


def _memory(descriptor: int, address: int, size: int) -> bytes:
    try:
        return os.pread(descriptor, size, address)
    except (OSError, OverflowError):
        return b""
