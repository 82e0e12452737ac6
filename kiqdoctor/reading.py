"""Reads a file that somebody named, whole or not at all: one without an end is refused in time."""

import os
import select
import stat
import time
from pathlib import Path
from typing import Final

LARGEST: Final = 128 * 1024 * 1024  # bytes: twice what an examination reads at most
PATIENCE: Final = 60.0  # seconds for whoever writes to a pipe, as long as an examination has by itself
PART: Final = 1 << 20  # bytes of one read


def whole(file: Path, largest: int = LARGEST) -> bytes:
    """A file's bytes, or a pipe's (the shell's ``<(zcat FILE)``), which is waited for: somebody named it.

    Raises:
        OSError: it cannot be read, is a device or another thing of that kind, holds more than that, or is a pipe whose
            end does not come. Its ``strerror`` is one line.
    """
    until = time.monotonic() + PATIENCE
    _insist(file.stat())  # before it is opened: some devices act on that
    with os.fdopen(os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb", buffering=0) as raw:
        found = os.fstat(raw.fileno())
        _insist(found)
        if found.st_size > largest:
            raise OSError(0, f"it holds more than {largest} bytes")
        if stat.S_ISFIFO(found.st_mode):
            _wait(raw.fileno(), until)
        parts, left = [], largest + 1
        while left > 0 and (part := raw.read(min(left, PART))) != b"":
            if part is None:
                _wait(raw.fileno(), until)
            else:
                parts.append(part)
                left -= len(part)
    if left <= 0:
        raise OSError(0, f"it holds more than {largest} bytes")
    return b"".join(parts)


def _insist(found: os.stat_result) -> None:
    if not (stat.S_ISREG(found.st_mode) or stat.S_ISFIFO(found.st_mode)):
        raise OSError(0, "it is no regular file")


def _wait(pipe: int, until: float) -> None:
    """Until something can be read or the writers are gone; of a pipe that never had one, Linux tells neither."""
    poll = select.poll()
    poll.register(pipe, select.POLLIN)
    if not poll.poll(max(0.0, until - time.monotonic()) * 1000):
        raise OSError(0, f"it is a pipe, and its end did not come within {PATIENCE:g} s")
