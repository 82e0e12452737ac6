"""What was read of the same source before: facts, by the hash of all its files, in the user's cache folder.

Nothing of it is executed or believed that another user may have written: the folder and each file must be this user's,
and writable by nobody else; what does not decode as the fact is read anew. ``KIQDOCTOR_CACHE=off`` does without.
"""

import os
import stat
import sys
from collections.abc import Callable, Mapping
from contextlib import contextmanager
from dataclasses import replace
from functools import cache, wraps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeVar

import msgspec

from kiqdoctor.doctor.probe import Probe
from kiqdoctor.loading import uncollected
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.version import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

VARIABLE: Final = "KIQDOCTOR_CACHE"
OFF: Final = "off"
FOLDER: Final = "kiqdoctor"
SUFFIXES: Final = (".py", ".rb", ".ru", ".rake")
MOST_FILES: Final = 300  # facts that are kept: some 20 states of source
MOST_BYTES: Final = 256 * 1024 * 1024
LARGEST: Final = 64 * 1024 * 1024  # bytes of one fact
OTHERS_MAY_WRITE: Final = stat.S_IWGRP | stat.S_IWOTH

Fact = TypeVar("Fact")


def remembered(one: Probe) -> Probe:
    """The same probe, that reads of the same source (and the same other facts) once."""
    tree_name = next(need.name for need in one.needs if need.kind is Tree)

    @wraps(one.read)
    def read(**arguments: Any) -> Any:
        others = {name: value for name, value in arguments.items() if name != tree_name}
        store: Store = arguments[tree_name].once(Store)
        with uncollected():
            return store.fact(one.fact, others, lambda: one.read(**arguments))

    return replace(one, read=read)


class Store:
    """The facts of one application's source; a tool of probes."""

    def __init__(self, tree: Tree) -> None:
        self._folder = folder(os.environ)
        self._source = _digest(tree) if self._folder is not None else b""

    def fact(self, kind: type[Fact], others: Mapping[str, Any], make: Callable[[], Fact]) -> Fact:
        """What was made of this source and these other facts before, else what is made now."""
        name = self._name(kind, others)
        if self._folder is None or not name:
            return make()
        known = _known(self._folder, name, kind)
        if known is None:
            known = make()
            _keep(self._folder, name, known)
        return known

    def _name(self, kind: type[Any], others: Mapping[str, Any]) -> str:
        try:
            beside = msgspec.msgpack.encode(sorted(others.items()))
        except (TypeError, ValueError, RecursionError):
            return ""
        from hashlib import blake2b

        return blake2b(self._source + beside, digest_size=20, salt=_salt()).hexdigest() + f"-{kind.__name__}"


def folder(environ: Mapping[str, str]) -> Path | None:
    """Where the facts lie; None where the user has no such place or wants none."""
    asked = environ.get(VARIABLE, "")
    if asked.lower() in {OFF, "0", "no", "false"}:
        return None
    if asked:
        return Path(asked) if asked.startswith("/") else None
    base = environ.get("XDG_CACHE_HOME", "")
    if not base.startswith("/"):
        home = environ.get("HOME", "")
        base = f"{home}/.cache" if home.startswith("/") else ""
    return Path(base) / FOLDER if base else None


def _digest(tree: Tree) -> bytes:
    from hashlib import blake2b  # it brings OpenSSL: 4 ms of every command

    found = blake2b(digest_size=32)
    for file in tree.files(*SUFFIXES):
        try:
            content = file.content()
        except UnreadableError as error:
            content = f"unreadable: {error}".encode()
        found.update(f"{file.path}\0{len(content)}\0".encode("utf-8", "surrogatepass"))
        found.update(content)
    return found.digest()


@cache
def _salt() -> bytes:
    """Which readers made it: any change of them makes all anew."""
    here = Path(__file__).parent.parent
    from hashlib import blake2b

    found = blake2b(f"{__version__} {sys.version}".encode(), digest_size=16)
    for room in (here / "code", here / "tree", here.parent / "doctor" / "facts" / "code"):
        for file in sorted(room.rglob("*.py")):
            status = file.stat()
            found.update(f"{file.name} {status.st_size} {status.st_mtime_ns}".encode())
    return found.digest()


@contextmanager
def _opened(place: Path) -> "Iterator[int]":
    """The folder, which is this user's own and nobody else's to write; raises OSError where it is not."""
    place.mkdir(mode=0o700, parents=True, exist_ok=True)
    held = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        _trusted(os.fstat(held))
        yield held
    finally:
        os.close(held)


def _trusted(status: os.stat_result) -> None:
    if status.st_uid != os.geteuid() or status.st_mode & OTHERS_MAY_WRITE:
        raise PermissionError("somebody else may have written it")


def _known(place: Path, name: str, kind: type[Fact]) -> Fact | None:
    try:
        with _opened(place) as held:
            file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=held)
            with open(file, "rb") as opened:  # noqa: PTH123 - a descriptor
                status = os.fstat(file)
                _trusted(status)
                if not stat.S_ISREG(status.st_mode) or status.st_size > LARGEST:
                    return None
                os.utime(file)
                return msgspec.msgpack.decode(opened.read(LARGEST + 1), type=kind)
    except (OSError, msgspec.MsgspecError, ValueError, RecursionError):
        return None


def _keep(place: Path, name: str, fact: object) -> None:
    """Written beside and renamed, so that nobody reads a half; without a place for it nothing is kept."""
    try:
        content = msgspec.msgpack.encode(fact)
        if len(content) > LARGEST:
            return
        with _opened(place) as held:
            beside = f".{name}.{os.getpid()}"
            flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
            with open(os.open(beside, flags, 0o600, dir_fd=held), "wb") as file:  # noqa: PTH123 - a descriptor
                file.write(content)
            os.replace(beside, name, src_dir_fd=held, dst_dir_fd=held)
            _forget(held)
    except (OSError, TypeError, ValueError, RecursionError):
        return


def _forget(held: int) -> None:
    """The least lately used, where there is more than is kept."""
    with os.scandir(held) as entries:
        found = sorted(
            ((one.stat(follow_symlinks=False), one.name) for one in entries), key=lambda one: -one[0].st_mtime
        )
    size = 0
    for number, (status, name) in enumerate(found):
        size += status.st_size
        if number >= MOST_FILES or size > MOST_BYTES:
            os.unlink(name, dir_fd=held)
