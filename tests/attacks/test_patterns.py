"""No pattern of the code base is slow on any text: each is fed its own worst, in a process that may be ended.

Python's matcher holds the GIL: a pattern that takes minutes on a process title of 20,000 digits, which anybody may set,
is a doctor that hangs for good.
"""

import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import product
from pathlib import Path

import pytest

import kiqdoctor
from kiqdoctor.doctor.pack import load

LENGTH = 20_000
LEFT_OUT = {"__main__", "checks", "conftest", "templates"}
PATIENCE = 60  # seconds for all texts of one pattern, which take milliseconds where it is linear


def patterns() -> Iterator[tuple[str, re.Pattern[str] | re.Pattern[bytes]]]:
    """Every pattern that a module or a class of ours holds, with where it stands."""
    root = Path(kiqdoctor.__file__).parent
    files = [file.relative_to(root.parent).with_suffix("") for file in sorted(root.rglob("*.py"))]
    names = [".".join(file.parts).removesuffix(".__init__") for file in files if not {*file.parts} & LEFT_OUT]
    modules = [importlib.import_module(name) for name in names]
    modules += [sys.modules[check.judge.__module__] for check in load()]
    for module in modules:
        holders = [module, *(value for value in vars(module).values() if isinstance(value, type))]
        for holder in holders:
            for name, value in vars(holder).items():
                if isinstance(value, re.Pattern) and (holder is module or holder.__module__ == module.__name__):
                    yield f"{module.__name__}.{name}", value


EVERY = {f"{where}: {one.pattern[:40]!r}": one for where, one in patterns()}

FEED = """
import re, sys
pattern, ways = re.compile(*eval(sys.stdin.readline())), eval(sys.stdin.readline())
for text in eval(sys.stdin.readline()):
    for way in ways:
        if way == "fullmatch":
            pattern.fullmatch(text)
        elif way == "match":
            pattern.match(text)
        else:
            sum(1 for _ in pattern.finditer(text))
"""


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


@pytest.mark.parametrize("name", EVERY)
def test_it_ends(name: str) -> None:
    pattern = EVERY[name]
    text = pattern.pattern if isinstance(pattern.pattern, str) else pattern.pattern.decode("latin-1")
    where, _, constant = name.partition(":")[0].rpartition(".")
    source = inspect.getsource(sys.modules[where])
    ways = set(re.findall(rf"\b{constant}\.(fullmatch|match|search|sub|split|finditer|findall)\b", source)) or {
        "search"
    }
    texts: list[str] | list[bytes] = list(dict.fromkeys(worst(text)))
    if isinstance(pattern.pattern, bytes):
        texts = [str(one).encode() for one in texts]
    asked = f"{(pattern.pattern, pattern.flags & ~re.UNICODE)!r}\n{ways!r}\n{texts!r}\n"

    ran = subprocess.run(
        [sys.executable, "-c", FEED], input=asked, text=True, capture_output=True, timeout=PATIENCE, check=False
    )

    assert ran.returncode == 0, ran.stderr
