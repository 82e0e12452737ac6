"""What each format's own test offers to the tests of all: ``valid(text)``, and ``told(text)``, which reads it back."""

import html
import importlib.util
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from kiqdoctor.doctor.report import Severity

TESTS = Path(__file__).parents[1] / "render"
Told = tuple[str, Any]
"""What is told of, one of ``status``, ``summary``, ``counts``, ``red``, ``complete``, ``worst``; and what."""


@dataclass(frozen=True)
class Reader:
    """``valid`` raises where the text is none of the format; ``told`` yields what it says of the examination."""

    valid: Callable[[str], object]
    told: Callable[[str], Iterator[Told]]


@cache
def reader(form: str) -> Reader:
    """That of ``tests/render/test_<format>.py``."""
    spec = importlib.util.spec_from_file_location(f"format_{form}", TESTS / f"test_{form}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return Reader(module.valid, module.told)


def counts(severities: Iterator[str]) -> dict[str, int]:
    """How many of each severity."""
    every = list(severities)
    return {one.value: every.count(one.value) for one in Severity}


def in_prose(text: str) -> Iterator[Told]:
    """The summary, wherever a text for people has it."""
    plain = html.unescape(text).replace("\\", "")
    findings, extent = r"\d+ findings?[^;]*", r"\d+ of \d+ applicable checks judged(?:, not [^;]*)?"
    found = re.search(rf"(?:{findings}; {extent}|{extent}; {findings}); exit status \d+", plain)
    yield "summary", found and found[0]


def schema(name: str) -> dict[str, Any]:
    """A JSON Schema of ``tests/render/schemas``."""
    found: dict[str, Any] = json.loads((TESTS / "schemas" / name).read_text())
    return found
