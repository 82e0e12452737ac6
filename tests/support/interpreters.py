"""Pythons other than ours that are installed here: on PATH, of pyenv, of another Debian suite's root."""

import os
import shutil
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import pytest
import roots
from roots import HERE, SID, Place

SUITE: Final = "sid"  # Debian's newest


@dataclass(frozen=True, slots=True)
class Interpreter:
    """One of them, and where it runs."""

    program: str
    place: Place = HERE


def require(name: str) -> Interpreter:
    """That of this version, or of sid; a skip with its reason where this machine has none."""
    if name == SUITE:
        return Interpreter("python3", roots.require(SID))
    found = _of_pyenv(name) or shutil.which(f"python{name}")  # which may be a shim of pyenv's
    if found is None:
        pytest.skip(f"Python {name} is not installed")
    return Interpreter(found)


def _of_pyenv(version: str) -> str | None:
    versions = Path(os.environ.get("PYENV_ROOT") or Path.home() / ".pyenv") / "versions"
    return next((str(one) for one in sorted(versions.glob(f"{version}.*/bin/python"))), None)
