"""Pythons other than ours that are installed here, of pyenv, on PATH or in a root; ours in a namespace of its own."""

import os
import shutil
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import apart
import pytest
import roots
from roots import HERE, SID, Here, Place

SUITE: Final = "sid"  # Debian's newest
SPACE: Final = "pid namespace"


class Space(Here):
    """A process-id namespace: what is started there is the child of what is started here."""

    def command(self, words: Sequence[str], folder: Path) -> list[str]:
        return [*apart.APART, *super().command(words, folder)]


@dataclass(frozen=True, slots=True)
class Interpreter:
    """One of them, and where it runs."""

    program: str
    place: Place = HERE


def require(name: str) -> Interpreter:
    """That of this version, of sid, or in a namespace; a skip with its reason where this machine has none."""
    if name == SPACE:
        if not apart.possible():
            pytest.skip("only root can make a namespace")
        return Interpreter(sys.executable, Space())
    if name == SUITE:
        return Interpreter("python3", roots.require(SID))
    found = _of_pyenv(name) or shutil.which(f"python{name}")  # which may be a shim of pyenv's
    if found is None:
        pytest.skip(f"Python {name} is not installed")
    return Interpreter(found)


def _of_pyenv(version: str) -> str | None:
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    return next((str(one) for one in sorted(versions.glob(f"{version}.*/bin/python"))), None)
