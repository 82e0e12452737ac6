"""From which folders the application's modules are imported: those from which its own import statements lead to files.

The repository's top is not always one: ``netbox/core/models.py`` is ``core.models`` to all who import it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from pathlib import PurePosixPath
from typing import Final

from kiqdoctor.regex import regex

_IMPORTS: Final = regex(
    rb"^[ \t]*(?:from[ \t]+([A-Za-z_][\w.]*)[ \t]+import\b|import[ \t]+([A-Za-z_][\w.]*))", re.MULTILINE
)
USUAL: Final = frozenset({"src", "lib"})
"""Roots that need no import to prove it."""
INIT: Final = "__init__"
FEWEST: Final = 2  # packages that a package's own files import without its name, before it is a root
MOST_ABOVE: Final = 12  # folders above a file that are tried


class Roots:
    """The roots of one application's files."""

    def __init__(self, sources: Mapping[str, bytes]) -> None:
        self._modules = {path.removesuffix(".py") for path in sources}
        self._folders = {folder for path in sources for folder in _above(path)}
        self._votes: Counter[str] = Counter()
        self._own: Counter[tuple[str, str]] = Counter()  # by root and the first word that is imported from it
        self._named: Counter[str] = Counter()  # first words of what is imported
        self._within: dict[str, Counter[str]] = {}
        for path, content in sources.items():
            self._vote(path, content)
        self._inner = frozenset(self._packages())

    def module_name(self, path: str) -> str:
        """What a file is imported as."""
        root = self._root(path)
        parts = PurePosixPath(path.removeprefix(f"{root}/") if root else path).with_suffix("").parts
        parts = parts[1:] if not root and parts[0] in USUAL and len(parts) > 1 else parts
        return ".".join(parts[:-1] if parts[-1] == INIT and len(parts) > 1 else parts)

    def _root(self, path: str) -> str:
        """The folder above it from which most is imported, the innermost of equals; a package that is one itself.

        What is imported by the file's own first word comes first: of two programs side by side one has more files.
        """
        above = _above(path)
        if packages := self._inner.intersection(above):
            return max(packages, key=len)
        found = [folder for folder in above if self._votes[folder]]
        return max(found, key=lambda one: (self._own[one, _first(path, one)], self._votes[one], len(one)), default="")

    def _vote(self, path: str, content: bytes) -> None:
        above = _above(path)
        roots = [folder for folder in above if f"{folder}/{INIT}".lstrip("/") not in self._modules]
        for name in _imported(content):
            file = name.replace(".", "/")
            self._named[file.partition("/")[0]] += 1
            root = next((one for one in roots if self._holds(f"{one}/{file}".lstrip("/"))), None)
            if root is not None:
                self._votes[root] += 1
                self._own[root, file.partition("/")[0]] += 1
            else:
                self._vote_within(above, file.partition("/")[0])

    def _vote_within(self, above: list[str], top: str) -> None:
        """A package may be a root too: where its files import each other's packages without its own name."""
        inner = next((one for one in above if one and f"{one}/{top}" in self._folders), "")
        if inner:
            self._within.setdefault(inner, Counter())[top] += 1

    def _packages(self) -> Iterator[str]:
        """Packages from which more is imported than by their own name, and not one thing alone."""
        for folder, tops in self._within.items():
            if len(tops) >= FEWEST and tops.total() > self._named[folder.rpartition("/")[2]]:
                yield folder

    def _holds(self, module: str) -> bool:
        return module in self._modules or module in self._folders


def _first(path: str, root: str) -> str:
    """The first word of what a file is imported as from a root."""
    return path[len(root) :].lstrip("/").partition("/")[0].removesuffix(".py")


def _imported(content: bytes) -> Iterable[str]:
    """The names after ``from`` and ``import``; one in a text among them does no harm."""
    return ((first or second).decode() for first, second in _IMPORTS.findall(content) if (first or second).isascii())


def _above(path: str) -> list[str]:
    """The folders that hold a file, the innermost first; "" is the top."""
    parts = path.split("/")[:-1][:MOST_ABOVE]
    return ["/".join(parts[:number]) for number in range(len(parts), -1, -1)]
