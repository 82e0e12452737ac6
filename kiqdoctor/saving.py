"""Writes a file whole or not at all, through no link that somebody laid; what is no file is written into."""

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import Final

PRIVATE: Final = 0o600
PUBLIC: Final = 0o666  # less what the umask takes
_STREAMS: Final = ("/dev/", "/proc/")  # links there stand for what is open already: /dev/stdout


def save(file: Path, content: bytes, *, private: bool = False, new: bool = False) -> None:
    """The file with this content; who reads it meanwhile sees the old or the new one, never half of one.

    ``private``: readable by its owner only, whatever an older file of that name was. A terminal, a pipe, a device is
    written into. ``new``: what is there already, whatever it is, is left alone, and the content is on the disk when
    this returns.

    Raises:
        OSError: it could not be written; an older file is as it was.
    """
    if not new and _is_stream(file):
        with os.fdopen(os.open(file, os.O_WRONLY | os.O_APPEND), "wb") as out:
            out.write(content)
        return
    beside = file.with_name(f".{file.name[:100]}.{os.urandom(8).hex()}")
    try:
        number = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, PRIVATE if private else PUBLIC)
        with os.fdopen(number, "wb") as out:
            if not private and (mode := _mode(file)) is not None:
                os.fchmod(number, mode)
            out.write(content)
            if new:
                out.flush()
                os.fsync(number)
        if new:
            os.link(beside, file, follow_symlinks=False)  # which fails where there is one
            beside.unlink()
        else:
            beside.replace(file)
    except OSError:
        with suppress(OSError):  # on a file system that is read-only, this fails too
            beside.unlink(missing_ok=True)
        raise


def _is_stream(file: Path) -> bool:
    folder = f"{os.path.realpath(file.parent)}/"
    if folder.startswith(_STREAMS):
        return file.exists()
    try:
        mode = file.stat().st_mode
    except OSError:
        return False
    return not stat.S_ISREG(mode)


def _mode(file: Path) -> int | None:
    """Of an older file of that name; None where there is none, or a link."""
    try:
        found = file.lstat().st_mode
    except OSError:
        return None
    return stat.S_IMODE(found) if stat.S_ISREG(found) else None
