"""Frames of running threads, and the lines of source that they stand at."""

import linecache
import os
import time
from collections.abc import Iterator
from functools import lru_cache
from types import FrameType
from typing import Final

STARTED: Final = time.time()  # what is newer on disk may not be what runs


def stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


@lru_cache(maxsize=4096)
def source(file: str) -> list[str]:
    """The file's lines; none where it was written or renamed after we started: they may not be what runs."""
    try:
        about = os.stat(file)  # noqa: PTH116 - often, and no path is needed
    except (OSError, ValueError):
        return []
    return linecache.getlines(file) if max(about.st_mtime, about.st_ctime) < STARTED else []
