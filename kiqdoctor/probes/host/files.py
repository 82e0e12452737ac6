"""Files of /proc that may vanish, be empty, or be somebody else's."""

import os
import stat
from pathlib import Path
from typing import Final

DELETED = " (deleted)"


LINKS: Final = 40  # on the way to one file, as the kernel has it
MOST: Final = 1024 * 1024  # bytes of one file: a process chooses the length of its own command and environment


def read(path: Path, most: int = MOST) -> bytes | None:
    """The first bytes, at most so many; None where the process has ended or this user may not look."""
    try:
        with path.open("rb") as file:
            return file.read(most)
    except OSError:
        return None


def plain(path: Path, most: int = MOST) -> bytes | None:
    """The same of a regular file that somebody else named; whatever else lies there is not waited for."""
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            return file.read(most) if stat.S_ISREG(os.fstat(file.fileno()).st_mode) else None
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


def beneath(root: Path, path: str) -> Path | None:
    """A file as a process under ``root`` finds it: whole paths in links begin there, not here. None where none is."""
    left, at, links = path.split("/")[::-1], list[str](), 0
    while left:
        name = left.pop()
        if name in {"", "."}:
            continue
        if name == "..":
            at = at[:-1]
            continue
        here = root.joinpath(*at, name)
        try:
            target = os.readlink(here) if stat.S_ISLNK(os.lstat(here).st_mode) else None  # noqa: PTH115 - as text
        except (OSError, ValueError):
            return None
        if target is None:
            at.append(name)
        elif (links := links + 1) > LINKS:
            return None
        else:
            left += target.split("/")[::-1]
            at = [] if target.startswith("/") else at
    return root.joinpath(*at)
