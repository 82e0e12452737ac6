"""No pattern of the code base is slow on any text: each is fed its own worst, in a process that may be ended.

Python's matcher holds the GIL: a pattern that takes minutes on a process title of 20,000 digits, which anybody may set,
is a doctor that hangs for good.
"""

import importlib
import inspect
import re
import select
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path
from types import ModuleType

import pytest

import kiqdoctor
from kiqdoctor.doctor.pack import load

LENGTH = 20_000
LEFT_OUT = {"__main__", "checks", "conftest", "templates"}
PATIENCE = 60.0  # seconds for all texts of one pattern, which take milliseconds where it is linear


def imported(name: str) -> ModuleType | None:
    """A module of ours; None where it plugs into what is not installed here, as Django 6 on an older Debian."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("kiqdoctor"):
            raise
        return None


def patterns() -> Iterator[tuple[str, re.Pattern[str] | re.Pattern[bytes]]]:
    """Every pattern that a module or a class of ours holds, with where it stands."""
    root = Path(kiqdoctor.__file__).parent
    files = [file.relative_to(root.parent).with_suffix("") for file in sorted(root.rglob("*.py"))]
    names = [".".join(file.parts).removesuffix(".__init__") for file in files if not {*file.parts} & LEFT_OUT]
    modules = [found for name in names if (found := imported(name)) is not None]
    modules += [sys.modules[check.judge.__module__] for check in load()]
    for module in modules:
        holders = [module, *(value for value in vars(module).values() if isinstance(value, type))]
        for holder in holders:
            for name, value in vars(holder).items():
                if isinstance(value, re.Pattern) and (holder is module or holder.__module__ == module.__name__):
                    yield f"{module.__name__}.{name}", value


EVERY = {f"{where}: {one.pattern[:40]!r}": one for where, one in patterns()}


def worst(pattern: str) -> Iterator[str]:
    """Long runs of what it speaks of, alone and in pairs, after what it begins with; the end does not fit."""
    words = re.findall(r"[A-Za-z]{2,}|[0-9]|[^\sA-Za-z0-9\\]", pattern)[:24]
    pieces = list(dict.fromkeys([*words, "a", "1", " ", "_", "-", ".", "/", '"', "\n", "\0", "é"]))
    start = "".join(re.findall(r"^\(?\??:?([A-Za-z ]+)", pattern)[:1])
    for piece in pieces:
        yield piece * (LENGTH // len(piece)) + "\x01"
        yield start + " 1.1" + piece * (LENGTH // len(piece)) + "\x01"
    for one, other in product(pieces[:12], repeat=2):
        yield (one + other) * (LENGTH // len(one + other)) + "\x01"


FEED = """
import re, sys
from itertools import product
from collections.abc import Iterator

for line in sys.stdin:
    source, flags, ways = eval(line)
    pattern, raw = re.compile(source, flags), isinstance(source, bytes)
    for text in dict.fromkeys(worst(source.decode("latin-1") if raw else source)):
        fed = text.encode() if raw else text
        for way in ways:
            if way == "fullmatch":
                pattern.fullmatch(fed)
            elif way == "match":
                pattern.match(fed)
            else:
                sum(1 for _ in pattern.finditer(fed))
    print("done", flush=True)
"""


class Feeder:
    """A process that feeds patterns, one after the other; one that does not end is ended with it."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[str] | None = None

    def ends(self, pattern: re.Pattern[str] | re.Pattern[bytes], ways: set[str]) -> bool:
        """Whether all its texts were done within the time."""
        process = self._process = self._process or self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{(pattern.pattern, pattern.flags & ~re.UNICODE, sorted(ways))!r}\n")
        process.stdin.flush()
        ready, _, _ = select.select([process.stdout], [], [], PATIENCE)
        done = bool(ready) and process.stdout.readline() == "done\n"
        if not done:
            self.close()
        return done

    def _started(self) -> subprocess.Popen[str]:
        source = f"LENGTH = {LENGTH}\n{inspect.getsource(worst)}"
        head, _, loop = FEED.partition("\nfor line")
        program = f"{head}\n{source}\nfor line{loop}"
        return subprocess.Popen(
            [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )

    def close(self) -> None:
        """End it."""
        if self._process is not None:
            self._process.kill()
            self._process.communicate()
            self._process = None


@pytest.fixture(scope="module")
def feeder() -> Iterator[Feeder]:
    made = Feeder()
    yield made
    made.close()


def ways_of(where: str, constant: str) -> set[str]:
    """How the module uses it."""
    source = inspect.getsource(sys.modules[where])
    used = re.findall(rf"\b{constant}\.(fullmatch|match|search|sub|split|finditer|findall)\b", source)
    return set(used) or {"search"}


@pytest.mark.parametrize("name", EVERY)
def test_it_ends(feeder: Feeder, name: str) -> None:
    where, _, constant = name.partition(":")[0].rpartition(".")

    assert feeder.ends(EVERY[name], ways_of(where, constant))


def test_one_that_does_not_end_is_told_and_the_next_is_fed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys.modules[__name__], "PATIENCE", 1)
    feeder = Feeder()

    assert not feeder.ends(re.compile(r"(?:a|a)+b"), {"match"})
    monkeypatch.undo()
    assert feeder.ends(re.compile("a+b"), {"match"})
    feeder.close()
