"""From which folders the application's modules are imported: those from which its own import statements lead to files.

The repository's top is not always one: ``netbox/core/models.py`` is ``core.models`` to all who import it.
"""

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from pathlib import PurePosixPath
from typing import Final

_IMPORTS: Final = re.compile(
    rb"^[ \t]*(?:from[ \t]+([A-Za-z_][\w.]*)[ \t]+import\b|import[ \t]+([A-Za-z_][\w.]*))", re.MULTILINE
)
USUAL: Final = frozenset({"src", "lib"})
"""Roots that need no import to prove it."""
INIT: Final = "__init__"
MOST_ABOVE: Final = 12  # folders above a file that are tried


class Roots:
    """The roots of one application's files."""

    def __init__(self, sources: Mapping[str, bytes]) -> None:
        self._modules = {path.removesuffix(".py") for path in sources}
        self._folders = {folder for path in sources for folder in _above(path)}
        self._votes: Counter[str] = Counter()
        for path, content in sources.items():
            self._vote(path, content)

    def module_name(self, path: str) -> str:
        """What a file is imported as."""
        root = self._root(path)
        parts = PurePosixPath(path.removeprefix(f"{root}/") if root else path).with_suffix("").parts
        parts = parts[1:] if not root and parts[0] in USUAL and len(parts) > 1 else parts
        return ".".join(parts[:-1] if parts[-1] == INIT and len(parts) > 1 else parts)

    def _root(self, path: str) -> str:
        """The folder above it from which most is imported, the innermost of equals."""
        found = [folder for folder in _above(path) if self._votes[folder]]
        return max(found, key=lambda one: (self._votes[one], len(one)), default="")

    def _vote(self, path: str, content: bytes) -> None:
        roots = [folder for folder in _above(path) if f"{folder}/{INIT}".lstrip("/") not in self._modules]
        for name in _imported(content):
            file = name.replace(".", "/")
            root = next((one for one in roots if self._holds(f"{one}/{file}".lstrip("/"))), None)
            if root is not None:
                self._votes[root] += 1

    def _holds(self, module: str) -> bool:
        return module in self._modules or module in self._folders


def _imported(content: bytes) -> Iterable[str]:
    """The names after ``from`` and ``import``; one in a text among them does no harm."""
    return ((first or second).decode() for first, second in _IMPORTS.findall(content) if (first or second).isascii())


def _above(path: str) -> list[str]:
    """The folders that hold a file, the innermost first; "" is the top."""
    parts = path.split("/")[:-1][:MOST_ABOVE]
    return ["/".join(parts[:number]) for number in range(len(parts), -1, -1)]
