"""One file of the application: read once and parsed once, whoever asks."""

import threading
from collections.abc import Callable
from dataclasses import field
from typing import TYPE_CHECKING, Any, Final, TypeVar

from kiqdoctor.probes.tree.disk import Budget, Disk, UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.records import dataclass

if TYPE_CHECKING:
    import ast

    from tree_sitter import Node

    from kiqdoctor.probes.tree.documents import Table, Value

LARGEST: Final = 1024 * 1024  # bytes; a longer source was written by no person
LARGEST_LOCK: Final = 8 * 1024 * 1024  # bytes; lock files are written by tools
LOCKS: Final = (".lock", ".locked")
MOST_BYTES: Final = 64 * 1024 * 1024  # of all source and lock files; 250,000 lines are 10 MiB
MOST_OTHERS: Final = 32 * 1024 * 1024  # of all others: 100 MB of data in YAML leave no source unread
SOURCES: Final = (".py", ".rb", ".rake", ".ru", ".erb", *LOCKS)
KEPT_SYNTAX: Final = 8 * 1024 * 1024  # bytes of source whose syntax trees stay: 34 times as much memory, measured

Parsed = TypeVar("Parsed")


@dataclass(frozen=True, slots=True)
class Means:
    """What all files of one application share."""

    disk: Disk
    refuse: Callable[[str, str], None]
    bytes: Budget = field(default_factory=lambda: Budget(MOST_BYTES))
    others: Budget = field(default_factory=lambda: Budget(MOST_OTHERS))
    syntax: Budget = field(default_factory=lambda: Budget(KEPT_SYNTAX))


class Source:
    """What one file holds, under however many names it is reached."""

    def __init__(self, path: str, shown: str, means: Means) -> None:
        self._path = path
        self._shown = shown
        self._means = means
        self._lock = threading.RLock()
        self._content: bytes | None = None
        self._unreadable = ""
        self._parsed: dict[str, Any] = {}
        self._unparsed: dict[str, tuple[str, int]] = {}

    def content(self) -> bytes:
        """Its bytes; raises `UnreadableError`."""
        with self._lock:
            if self._unreadable:
                raise UnreadableError(self._unreadable)
            if self._content is None:
                self._content = self._read()
            return self._content

    def _read(self) -> bytes:
        means = self._means
        largest = LARGEST_LOCK if self._path.endswith(LOCKS) else LARGEST
        try:
            return means.disk.read(self._path, largest, means.bytes if self._path.endswith(SOURCES) else means.others)
        except UnreadableError as error:
            self._unreadable = str(error)
            means.refuse(self._shown, self._unreadable)
            raise

    def holding(self, content: bytes) -> "Source":
        """The same with other bytes."""
        other = Source(self._path, self._shown, self._means)
        other._content = content
        return other

    def parsed(self, language: str, parse: Callable[[bytes], Parsed]) -> Parsed:
        """What a parser makes of it; raises `UnreadableError` and `UnparsedError`.

        The first `KEPT_SYNTAX` bytes of source stay parsed; what comes after them is parsed for each who asks, so that
        readers that go through all files one after the other still find the same ones there.
        """
        with self._lock:
            if language in self._parsed:
                known: Parsed = self._parsed[language]
                return known
            if language in self._unparsed:
                raise UnparsedError(*self._unparsed[language])
            content = self.content()
            try:
                found = parse(content)
            except UnparsedError as error:
                self._unparsed[language] = str(error), error.line
                raise
            if self._means.syntax.take(len(content)):
                self._parsed[language] = found
            return found


@dataclass(frozen=True, slots=True)
class File:
    """One name of a file, relative to the root and fit to be shown."""

    path: str
    source: Source

    def holding(self, content: bytes) -> "File":
        """The same file as something made it, line by line."""
        return File(self.path, self.source.holding(content))

    @property
    def name(self) -> str:
        """The path's last part."""
        return self.path.rpartition("/")[2]

    def content(self) -> bytes:
        """The bytes.

        Raises:
            UnreadableError: it leads outside, is no regular file, is too large, or nobody may read it.
        """
        return self.source.content()

    def text(self) -> str:
        """The content as text; what is not UTF-8 is replaced. Raises as `content`."""
        return self.content().decode("utf-8-sig", "replace")

    def python(self) -> "ast.Module":
        """Python's syntax tree.

        Raises:
            UnreadableError: as `content`.
            UnparsedError: it is no Python that this interpreter reads.
        """
        from kiqdoctor.probes.tree.python import parse

        return self.source.parsed("python", parse)

    def ruby(self) -> "Node":
        """The root node of Ruby's syntax tree; broken code gives a tree with errors in it. Raises as `content`."""
        from kiqdoctor.probes.tree.ruby import parse

        return self.source.parsed("ruby", parse)

    def yaml(self) -> "tuple[Value, ...]":
        """The documents of a YAML or JSON file; raises as `python`."""
        from kiqdoctor.probes.tree.documents import yaml

        return self.source.parsed("yaml", yaml)

    def toml(self) -> "Table":
        """The table that a TOML file is; raises as `python`."""
        from kiqdoctor.probes.tree.documents import toml

        return self.source.parsed("toml", toml)
