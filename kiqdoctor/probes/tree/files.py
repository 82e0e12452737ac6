"""The application's files for readers that do not use the Tree yet."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Final

SKIPPED: Final = frozenset(
    {
        ".git",
        "node_modules",
        ".venv",
        "venv",
        "site-packages",
        "__pycache__",
        ".tox",
        ".mypy_cache",
        "tmp",
        "log",
        ".bundle",
    }
)
MOST_FILES: Final = 20_000
LARGEST: Final = 1024 * 1024  # bytes of one file


def files(root: Path, *suffixes: str) -> Iterator[Path]:
    """Files with these suffixes, in order; links to folders are not followed, vendored code is left out."""
    count = 0
    for folder, folders, names in os.walk(root):
        here = Path(folder)
        folders[:] = sorted(
            name
            for name in folders
            if name not in SKIPPED and not (here.name == "vendor" and name in {"bundle", "cache"})
        )
        for name in sorted(names):
            if name.endswith(suffixes):
                count += 1
                if count > MOST_FILES:
                    return
                yield here / name


def content(path: Path) -> bytes:
    """A file's bytes.

    Raises:
        OSError: it cannot be read, is no ordinary file, or is larger than any that a person wrote.
    """
    if not path.is_file():
        raise OSError(f"{path.name} is no ordinary file")
    if path.stat().st_size > LARGEST:
        raise OSError(f"it holds {path.stat().st_size} bytes, more than {LARGEST}")
    return path.read_bytes()
