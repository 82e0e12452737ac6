"""docs/extending.md, followed to the letter: its files are written, its commands run, what they print is compared."""

import importlib.util
import os
import re
import shlex
import site
import subprocess
import sys
import sysconfig
import venv
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

pytestmark = pytest.mark.long

DOCUMENT = Path(__file__).parents[1] / "docs" / "extending.md"
_FENCE = re.compile(r"^```(\w+)\n(.*?)^```$", re.MULTILINE | re.DOTALL)
_FILE = re.compile(r"`([\w./]+\.\w+)`:\s*\Z")


@dataclass(frozen=True)
class Step:
    """A file to write, commands to run, or what the last commands must have printed."""

    kind: str
    text: str
    file: str = ""


def steps() -> Iterator[Step]:
    document = DOCUMENT.read_text(encoding="utf-8")
    for block in _FENCE.finditer(document):
        named = _FILE.search(document[: block.start()])
        if block[1] not in {"sh", "text"}:
            assert named, f"no file is named before:\n{block[2]}"
        yield Step(block[1], block[2], named[1] if named and block[1] not in {"sh", "text"} else "")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """An environment of its own over the one that runs the tests: what is installed there stays there."""
    home = tmp_path / "venv"
    venv.create(home, with_pip=False, symlinks=True)
    packages = sysconfig.get_path("purelib", vars={"base": str(home), "platbase": str(home)})
    beneath = [path for path in {*site.getsitepackages(), sysconfig.get_path("purelib")} if Path(path).is_dir()]
    (Path(packages) / "beneath.pth").write_text(
        "".join(f"import site; site.addsitedir({path!r})\n" for path in beneath)
    )
    command = home / "bin" / "kiqdoctor"
    command.write_text(f'#!/bin/sh\nexec {shlex.quote(str(home / "bin" / "python"))} -m kiqdoctor "$@"\n')
    command.chmod(0o755)
    kept = {
        name: value for name, value in os.environ.items() if not name.startswith(("KIQDOCTOR_", "PYTEST_", "REDIS"))
    }
    alone = {"PIP_NO_BUILD_ISOLATION": "0", "PIP_NO_DEPS": "1"} if _backend() else {}
    return {**kept, **alone, "VIRTUAL_ENV": str(home), "PATH": f"{home / 'bin'}:{kept['PATH']}", "NO_COLOR": "1"}


def _backend() -> bool:
    """Whether what builds the package is here, so that nothing has to be fetched."""
    return all(importlib.util.find_spec(name) for name in ("hatchling", "editables"))


def squeezed(text: str) -> str:
    return " ".join(text.split())


def test_it_builds_a_plug_in_from_nothing(tmp_path: Path, environment: dict[str, str]) -> None:
    folder = tmp_path / "work"
    folder.mkdir()
    printed, counts = "", {"sh": 0, "text": 0, "file": 0}
    for step in steps():
        counts[step.kind if not step.file else "file"] += 1
        if step.file:
            (folder / step.file).parent.mkdir(parents=True, exist_ok=True)
            (folder / step.file).write_text(step.text, encoding="utf-8")
        elif step.kind == "text":
            assert squeezed(step.text) in squeezed(printed), printed
        else:
            ran = subprocess.run(
                ["bash", "-euo", "pipefail", "-c", step.text],
                cwd=folder,
                env=environment,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                check=False,
            )
            printed = ran.stdout
            assert ran.returncode == 0, f"{step.text}\n{printed}"
    assert counts == {"sh": 7, "text": 5, "file": 6}


def test_the_tests_own_environment_has_nothing_of_it() -> None:
    command = [sys.executable, "-c", "import kiqdoctor_shop"]

    assert subprocess.run(command, capture_output=True, check=False).returncode == 1
