"""The door to the application's folder: where a path really ends is known before anything of it is opened."""

import errno
import os
import pwd
import stat
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

from kiqdoctor.records import dataclass

FOLDER: Final = "a folder"
KINDS: Final = (
    (stat.S_ISFIFO, "a FIFO"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
    (stat.S_ISDIR, FOLDER),
)
REASONS: Final = {
    "ENOENT": "it leads nowhere",
    "ELOOP": "it leads to itself",
    "EAGAIN": "another process has a lease on it",
}
KERNEL: Final = ("/proc/", "/sys/", "/dev/")  # below / they are files, and no application's
CONTROLLED: Final = ".git"


class UnreadableError(OSError):
    """A file or folder that is not read; one line says why."""


class Budget:
    """An amount that threads take from until there is no more."""

    def __init__(self, amount: int) -> None:
        self._left = amount
        self._lock = threading.Lock()

    def take(self, amount: int) -> bool:
        """Whether there was that much; if so it is taken."""
        with self._lock:
            if amount > self._left:
                return False
            self._left -= amount
            return True


@dataclass(frozen=True, slots=True)
class Entry:
    """One name in a folder: what it is, not what a link leads to."""

    name: str
    folder: bool
    link: bool
    regular: bool


class Disk:
    """Reads below one folder and nowhere else.

    A path is taken hold of without being opened (O_PATH: no FIFO waits, no device notices), then the kernel is asked
    where that lies and what it is, and what is opened is that very thing: between question and reading nobody can put
    another in its place.
    """

    def __init__(self, root: Path) -> None:
        with _held(os.fspath(root), os.O_DIRECTORY) as (_, real):
            self.real = real
        self._root = real  # PATH may be a link, as Capistrano's current is: what it led to when we began
        self._bound = _controlled(real).rstrip("/") + "/"

    def holds(self, path: str) -> bool:
        """Whether there is a name of this kind that is no folder's; a link that leads nowhere is one."""
        whole = self._path(path)
        return os.path.lexists(whole) and not os.path.isdir(whole)  # noqa: PTH112 - raises for no name at all

    def end(self, path: str) -> tuple[str, str]:
        """Where a path ends (below the root, else the whole path), and its kind in words, "" for a regular file.

        Raises:
            UnreadableError: nowhere, at itself, or outside.
        """
        with self._inside(path) as (held, real):
            below = f"{real}/".removeprefix(f"{self.real.rstrip('/')}/").rstrip("/")
            return below, _kind(os.fstat(held).st_mode)

    def read(self, path: str, largest: int, budget: Budget) -> bytes:
        """A regular file of at most so many bytes; its size is asked first, and no more is read however it grows.

        Raises:
            UnreadableError: there is none, it leads outside, it is another kind of thing, it is too large, or the
                budget of all files is used up.
        """
        with self._inside(path) as (held, _):
            found = os.fstat(held)
            if kind := _kind(found.st_mode):
                raise UnreadableError(f"it is {kind}, no regular file")
            if found.st_size > largest:
                raise UnreadableError(f"it holds {found.st_size} bytes, more than {largest}")
            if not budget.take(found.st_size):
                raise UnreadableError("the files before it used up what is read of one application")
            file = _open(held)
            try:
                content = _bytes(file, largest + 1)
            finally:
                os.close(file)
        if len(content) > largest:
            raise UnreadableError(f"it grew beyond {largest} bytes while it was read")
        return content

    def entries(self, folder: str) -> Iterator[Entry]:
        """What lies in a folder below the root; a folder that is reached through a link is refused.

        Raises:
            UnreadableError: it is none, it lies elsewhere, or nobody may look into it.
        """
        with _reasoned(), _held(self._path(folder), os.O_DIRECTORY | os.O_NOFOLLOW) as (held, real):
            if folder and real != f"{self.real.rstrip('/')}/{folder}":
                raise UnreadableError("it is reached through a link")
            with os.scandir(f"/proc/self/fd/{held}") as found:
                for one in found:
                    folder_too = one.is_dir(follow_symlinks=False)
                    yield Entry(one.name, folder_too, one.is_symlink(), one.is_file(follow_symlinks=False))

    def _path(self, path: str) -> str:
        return f"{self._root}/{path}" if path else self._root

    @contextmanager
    def _inside(self, path: str) -> Iterator[tuple[int, str]]:
        with _reasoned(), _held(self._path(path)) as (held, real):
            if not self._owns(real):
                raise UnreadableError("a link leads out of the application")
            yield held, real

    def _owns(self, real: str) -> bool:
        if not f"{real}/".startswith(self._bound):
            return False
        below = f"/{real.removeprefix(self._bound)}"
        return f"/{CONTROLLED}/" not in f"{below}/" and not (self._bound == "/" and below.startswith(KERNEL))


def _controlled(real: str) -> str:
    """The folder itself, or the version-controlled one that holds it, where one user owns all between them.

    A monorepo's applications link to each other's files. Somebody else's ``/tmp/.git``, or a home folder that is kept
    under version control with its keys, makes nothing an application.
    """
    owner = Path(real).stat().st_uid
    home = _home(owner)
    for folder in (Path(real), *Path(real).parents):
        if folder == home or folder.lstat().st_uid != owner:
            break
        try:
            if (folder / CONTROLLED).lstat().st_uid == owner:
                return str(folder)
        except OSError:
            continue
    return real


def _home(owner: int) -> Path | None:
    try:
        return Path(pwd.getpwuid(owner).pw_dir)
    except KeyError:
        return None


@contextmanager
def _held(path: str, flags: int = 0) -> Iterator[tuple[int, str]]:
    """A descriptor that holds what a path leads to and opens nothing, and where that lies."""
    held = os.open(path, os.O_PATH | os.O_CLOEXEC | flags)
    try:
        yield held, os.readlink(f"/proc/self/fd/{held}")  # noqa: PTH115 - the kernel's own words
    finally:
        os.close(held)


@contextmanager
def _reasoned() -> Iterator[None]:
    """The system's errors in one line, without the path, which whoever asked knows."""
    try:
        yield
    except UnreadableError:
        raise
    except OSError as error:
        raise UnreadableError(_reason(error)) from None


def _reason(error: OSError) -> str:
    known = REASONS.get(errno.errorcode.get(error.errno or 0, ""))
    return known or (error.strerror or str(error))


@contextmanager
def regular(path: Path) -> Iterator[int]:
    """A descriptor to read a regular file by, wherever it lies: for installed environments, whose links lead out.

    Raises:
        UnreadableError: there is none, or another kind of thing, which is not opened.
    """
    with _reasoned(), _held(os.fspath(path)) as (held, _):
        if kind := _kind(os.fstat(held).st_mode):
            raise UnreadableError(f"it is {kind}, no regular file")
        file = _open(held)
    try:
        yield file
    finally:
        os.close(file)


def beginning(path: Path, most: int) -> bytes:
    """At most so many bytes of a regular file, wherever it lies; raises as `regular`."""
    with regular(path) as file, _reasoned():
        return _bytes(file, most)


def _open(held: int) -> int:
    """To be read, what is held. O_NONBLOCK: a lease that another process has on it makes nobody wait."""
    return os.open(f"/proc/self/fd/{held}", os.O_RDONLY | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC)


def _bytes(file: int, most: int) -> bytes:
    parts: list[bytes] = []
    while most > 0 and (part := os.read(file, most)):
        parts.append(part)
        most -= len(part)
    return b"".join(parts)


def _kind(mode: int) -> str:
    if stat.S_ISREG(mode):
        return ""
    return next((name for is_kind, name in KINDS if is_kind(mode)), "of an unknown kind")
