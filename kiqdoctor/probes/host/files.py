"""Files of /proc that may vanish, be empty, or be somebody else's."""

import os
from pathlib import Path
from typing import Final

DELETED = " (deleted)"


MOST: Final = 1024 * 1024  # bytes of one file: a process chooses the length of its own command and environment


def read(path: Path, most: int = MOST) -> bytes | None:
    """The first bytes, at most so many; None where the process has ended or this user may not look."""
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError:
        return None


def link(path: Path) -> str | None:
    """Where a link points, bytes that are no text kept as escapes; None where it cannot be read."""
    try:
        return os.readlink(os.fsencode(path)).decode("utf-8", "backslashreplace")  # noqa: PTH115 - as bytes
    except OSError:
        return None


def undeleted(target: str | None) -> tuple[str | None, bool]:
    """The target without the kernel's mark, and whether it bore it."""
    if target is None or not target.endswith(DELETED):
        return target, False
    return target.removesuffix(DELETED), True


def listed(path: Path) -> list[str]:
    """Names in a folder; none where it cannot be read."""
    try:
        return sorted(os.listdir(path))  # noqa: PTH208 - names are all that is wanted
    except OSError:
        return []
