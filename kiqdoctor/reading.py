"""Reads a file that somebody named, whole or not at all: one without an end is refused in time."""

import os
import stat
from pathlib import Path
from typing import Final

LARGEST: Final = 128 * 1024 * 1024  # bytes: twice what an examination reads at most


def whole(file: Path, largest: int = LARGEST) -> bytes:
    """A file's bytes, or a pipe's (the shell's ``<(zcat FILE)``), which may be waited for: somebody named it.

    Raises:
        OSError: it cannot be read, is a device or another thing of that kind, or holds more than that. Its
            ``strerror`` is one line.
    """
    mode = file.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISFIFO(mode)):
        raise OSError(0, "it is no regular file")
    with file.open("rb", buffering=0) as raw:
        if stat.S_ISREG(mode) and os.fstat(raw.fileno()).st_size > largest:
            raise OSError(0, f"it holds more than {largest} bytes")
        parts, left = [], largest + 1
        while left > 0 and (part := raw.read(min(left, 1 << 20))):
            parts.append(part)
            left -= len(part)
    if left <= 0:
        raise OSError(0, f"it holds more than {largest} bytes")
    return b"".join(parts)
