"""The application's files: walked once, links and sizes refused once, each file read and parsed once."""

import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import field
from fnmatch import fnmatchcase
from pathlib import Path
from posixpath import normpath
from typing import Any, Final, TypeVar

from kiqdoctor.probes.tree.disk import FOLDER, Disk, Entry, UnreadableError
from kiqdoctor.probes.tree.file import File, Means, Source
from kiqdoctor.probes.tree.production import home, is_foreign, is_production, is_skipped, is_template, is_test
from kiqdoctor.records import dataclass
from kiqdoctor.text import decode

MOST_FILES: Final = 20_000  # of one kind that are handed out
MOST_ENTRIES: Final = 200_000  # names that are looked at
MOST_REFUSED: Final = 1_000  # that are named
ANYWHERE: Final = "**/"

Made = TypeVar("Made")


@dataclass(slots=True)
class _Listing:
    """Files by their names, in order: production's, or ``tests``; ``ends``: where the links among them end."""

    paths: list[str] = field(default_factory=list)
    ends: dict[str, str] = field(default_factory=dict)
    entries: int = 0
    tests: bool = False
    _by_name: dict[str, list[str]] = field(default_factory=dict)
    _by_top: dict[str, list[str]] = field(default_factory=dict)

    def sort(self) -> None:
        """Once all are listed: by their last part, and by the folder of the root that they lie in."""
        for path in self.paths:
            self._by_name.setdefault(path.rpartition("/")[2], []).append(path)
            self._by_top.setdefault(path.partition("/")[0] if "/" in path else "", []).append(path)

    def skips(self, folder: str, holds: frozenset[str]) -> bool:
        """Whether a folder of this name that holds these names is left out."""
        return (is_foreign if self.tests else is_skipped)(folder, holds)

    def takes(self, path: str) -> bool:
        """Whether a file is one of these."""
        return is_test(path) if self.tests else is_production(path.rpartition("/")[2]) and not is_template(path)

    def fitting(self, glob: str) -> list[str]:
        """Names that a glob fits: what is plain text at either end of it is compared first."""
        head, tail = glob.partition("*")[0], glob.rpartition("*")[2].lstrip("/")
        plain = not any(sign in head + tail for sign in "?[")
        found = self._near(glob)
        found = [path for path in found if path.startswith(head) and path.endswith(tail)] if plain else found
        return [path for path in found if _fits(path, glob)]

    def _near(self, glob: str) -> list[str]:
        """Those that a glob may fit, by the parts of it that stand for themselves alone: a hundred globs are asked."""
        top, _, below = glob.partition("/")
        if not below:
            return self._by_top.get("", [])
        if not any(sign in top for sign in "*?["):
            return self._by_top.get(top, [])
        name = glob.rpartition("/")[2]
        return self.paths if any(sign in name for sign in "*?[") else self._by_name.get(name, [])

    def each_once(self, suffixes: tuple[str, ...]) -> list[str]:
        """Names that end so; of several that are one file its own, or else the first link."""
        found = [path for path in self.paths if path.endswith(suffixes)]
        seen = {path for path in found if path not in self.ends}
        chosen = []
        for path in found:
            end = self.ends.get(path)
            if end is None or end not in seen:
                chosen.append(path)
                seen.add(end or path)
        return chosen


class Tree:
    """One application. A tool of probes, who run in threads; nothing of it is recorded.

    Paths are relative to the root. What is skipped is the same at every depth (`production`).
    """

    def __init__(self, root: Path) -> None:
        self.root = root
        self._lock = threading.RLock()
        self._refused: dict[tuple[str, str], None] = {}  # in order, each once
        self._more = 0
        self._sources: dict[str, Source] = {}
        self._ends: dict[str, str] = {}
        self._asked: dict[tuple[str, ...], tuple[File, ...]] = {}
        self._making: dict[Callable[[Tree], Any], threading.Lock] = {}
        self._made: dict[Callable[[Tree], Any], Any] = {}
        self._listing: _Listing | None = None
        self._home: str | None = None
        self._tests: _Listing | None = None
        self._means: Means | None = None
        try:
            self._means = Means(Disk(root), self._refuse)
        except OSError as error:
            self._refuse(".", error.strerror or str(error))

    @property
    def refused(self) -> tuple[tuple[str, str], ...]:
        """Paths that were not followed or not read so far, each with its reason."""
        with self._lock:
            more = ((".", f"and {self._more} more that were not read"),) if self._more else ()
            return (*self._refused, *more)

    def files(self, *suffixes: str) -> tuple[File, ...]:
        """The production files whose names end so, in order; each once, however many links lead to it.

        A link that leads outside and a FIFO are among them: who reads them is told why that is refused.
        """
        with self._lock:
            if suffixes not in self._asked:
                found = self._listed().each_once(suffixes)
                if len(found) > MOST_FILES:
                    what = f"{len(found)} files end in {', '.join(suffixes)}"
                    self._refuse(".", f"{what}; the first {MOST_FILES} were looked at")
                self._asked[suffixes] = tuple(self._file(path) for path in found[:MOST_FILES])
            return self._asked[suffixes]

    def tests(self, *suffixes: str) -> tuple[File, ...]:
        """The files of the application's own tests whose names end so, in order; walked for who asks, at most once."""
        with self._lock:
            if self._tests is None:
                self._tests = _Listing(tests=True)
                self._walk(self._tests)
        return tuple(self._file(path) for path in self._tests.each_once(suffixes)[:MOST_FILES])

    def named(self, *names_or_globs: str) -> tuple[File, ...]:
        """The files of these names, each once: a path that is there at all, and production files that a glob fits.

        A glob's ``*`` ends at a slash; one ``**/`` in it stands for any folders, or none. Both are looked for in the
        application's `home` too.
        """
        found: dict[str, File] = {}
        for name in names_or_globs:
            if "*" in name:
                matches = [self._file(path) for path in self._fitting(name)]
            else:
                matches = [one for one in [self.file(name)] if one is not None]
            found |= {one.path: one for one in matches}
        return tuple(found.values())

    def file(self, path: str) -> File | None:
        """The file of this name, wherever below the root it lies, skipped folders too; None where there is none.

        Where the root has none of that name, it is the `home`'s.
        """
        plain = normpath(path)
        if self._means is None or plain.startswith(("/", "../")) or plain in {".", ".."} or "\0" in plain:
            return None
        for name in (plain, f"{self.home}{plain}"):
            if self._means.disk.holds(name):
                return self._file(name)
        return None

    @property
    def home(self) -> str:
        """The folder of the only application below a root that is none itself, with its slash; else empty."""
        with self._lock:
            if self._home is None:
                self._home = home(self._listed().paths)
            return self._home

    def _fitting(self, glob: str) -> list[str]:
        """Names that a glob fits from the root, then those that it fits from the `home`."""
        listed = self._listed()
        found = listed.fitting(glob)
        if self.home and not glob.startswith(ANYWHERE):
            found += [path for path in listed.fitting(f"{self.home}{glob}") if path not in found]
        return found

    def once(self, make: Callable[["Tree"], Made]) -> Made:
        """What a reader makes of the whole application: made once, however many threads ask."""
        with self._lock:
            lock = self._making.setdefault(make, threading.Lock())
        with lock:
            if make not in self._made:
                self._made[make] = make(self)
            made: Made = self._made[make]
            return made

    def _listed(self) -> _Listing:
        with self._lock:
            if self._listing is None:
                self._listing = _Listing()
                self._walk(self._listing)
                self._listing.sort()
            return self._listing

    def _walk(self, listing: _Listing) -> None:
        folders = [""]
        while folders and self._means is not None:
            folder = folders.pop()
            try:
                entries = list(self._entries(folder, self._means.disk, listing))
            except UnreadableError as error:
                self._refuse(_shown(folder) or ".", str(error))
                continue
            if folder and listing.skips(folder.rpartition("/")[2], frozenset(one.name for one in entries)):
                continue
            entries.sort(key=lambda one: one.name)
            for one in entries:
                self._list(f"{folder}/{one.name}".lstrip("/"), one, listing)
            below = [one.name for one in entries if one.folder and not listing.skips(one.name, frozenset())]
            folders += [f"{folder}/{name}".lstrip("/") for name in reversed(below)]

    def _entries(self, folder: str, disk: Disk, listing: _Listing) -> Iterator[Entry]:
        for one in disk.entries(folder):
            if listing.entries == MOST_ENTRIES:
                self._refuse(".", f"it holds more than {MOST_ENTRIES} names; the rest were not looked at")
                return
            listing.entries += 1
            yield one

    def _list(self, path: str, one: Entry, listing: _Listing) -> None:
        if one.folder or not listing.takes(path):
            return
        if one.regular:
            listing.paths.append(path)
            self._ends[path] = path  # no link leads through the folders that are walked
            return
        try:
            end = self._end(path)
        except UnreadableError as error:
            self._refuse(_shown(path), str(error))
        else:
            if end is None:
                return
            listing.ends[path] = end
        listing.paths.append(path)

    def _end(self, path: str) -> str | None:
        """Where a link to a file ends; None for one to a folder that is walked under its own name."""
        assert self._means is not None  # noqa: S101 - it is being walked
        end, kind = self._means.disk.end(path)
        if kind == FOLDER and not end.startswith("/"):
            return None
        if kind:
            raise UnreadableError(f"it is {kind}, no regular file" if kind != FOLDER else "a folder beside the root")
        return end

    def _file(self, path: str) -> File:
        assert self._means is not None  # noqa: S101 - somebody found the path
        shown = _shown(path)
        with self._lock:
            end = self._end_of(path, self._means.disk)
            source = self._sources.get(end)
            if source is None:
                source = self._sources[end] = Source(path, shown, self._means)
        return File(shown, source)

    def _end_of(self, path: str, disk: Disk) -> str:
        """Under what name its content is kept: where it ends, so that what has two names is read once."""
        if path not in self._ends:
            try:
                self._ends[path] = disk.end(path)[0]
            except UnreadableError:
                self._ends[path] = path
        return self._ends[path]

    def _refuse(self, path: str, reason: str) -> None:
        with self._lock:
            if (path, reason) in self._refused or len(self._refused) < MOST_REFUSED:
                self._refused[path, reason] = None
            else:
                self._more += 1


def _shown(path: str) -> str:
    """A name as text that every encoder takes."""
    return decode(os.fsencode(path))


def _fits(path: str, glob: str) -> bool:
    head, anywhere, tail = glob.rpartition(ANYWHERE)
    above, below = head.split("/")[:-1], tail.split("/")
    parts = path.split("/")
    between = len(parts) - len(above) - len(below)
    if between < 0 or (between and not anywhere):
        return False
    return all(map(fnmatchcase, (*parts[: len(above)], *parts[-len(below) :]), (*above, *below)))
