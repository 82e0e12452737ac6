"""No pattern of the code base is slow on any text: each is fed its own worst, at two lengths whose work is compared.

Python's matcher holds the GIL: a pattern that takes minutes on a process title of 20,000 digits, which anybody may set,
is a doctor that hangs for good. What is compared is time of the processor and its growth, so a busy machine changes
nothing: four times the text is four times the work where a pattern is linear, and sixteen times where it is not.
"""

import ast
import importlib
import inspect
import re
import subprocess
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import steep

import kiqdoctor
from kiqdoctor.doctor.pack import load
from kiqdoctor.probes.keyspace.foreign import MARKS
from kiqdoctor.regex import Later

LEFT_OUT = {"__main__", "checks", "conftest", "templates"}
WAYS = ("match", "fullmatch", "search", "sub", "subn", "split", "findall", "finditer")
CALLS = {"compile", *WAYS}
SPOKEN = re.compile(rf"\bre\s*\.\s*(?:{'|'.join(CALLS)})\b|\bregex\s*\(")
FILLED: Mapping[tuple[str, str], Sequence[str]] = {
    ("kiqdoctor.probes.keyspace.foreign", "pattern"): [mark.pattern for mark in MARKS],
    ("kiqdoctor.probes.fleet.private_lists", "pattern"): [],  # which LAYOUTS holds: they are found there
    ("kiqdoctor.regex", "*self._told"): [],  # each of those is found where it stands
    ("kiqdoctor.probes.code.sites.hook_tests", "f'(?:^|/){parts}/?$'"): [r"(?:^|/)a/[^/]+/?$"],
    ("kiqdoctor.probes.queues.payloads", r"f'(?<!\\w){re.escape(value)}(?!\\w)'"): [r"(?<!\w)a(?!\w)"],
}
"""What is made of a local's value, by module and expression: the patterns that it may be."""
USED: Mapping[str, tuple[str, ...]] = {
    "kiqdoctor.probes.keyspace.foreign": ("fullmatch",),
    "kiqdoctor.probes.queues.arguments._OBJECTS": ("fullmatch",),
}
"""How those are used that have no name where they are; by every way that their module has, where it is not said."""


@dataclass(frozen=True)
class One:
    """A pattern, where it stands, and how it is used."""

    where: str
    source: str | bytes
    flags: int
    ways: tuple[str, ...]


def imported(name: str) -> ModuleType | None:
    """A module of ours; None where it plugs into what is not installed here, as Django 6 on an older Debian."""
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if (error.name or "").startswith("kiqdoctor"):
            raise
        return None


@cache
def modules() -> tuple[ModuleType, ...]:
    """Every module and every check."""
    root = Path(kiqdoctor.__file__).parent
    files = [file.relative_to(root.parent).with_suffix("") for file in sorted(root.rglob("*.py"))]
    names = [".".join(file.parts).removesuffix(".__init__") for file in files if not {*file.parts} & LEFT_OUT]
    found = [module for name in names if (module := imported(name)) is not None]
    return (*found, *(sys.modules[check.judge.__module__] for check in load()))


@cache
def source(module: ModuleType) -> str:
    return inspect.getsource(module) if Path(module.__file__ or "").stat().st_size else ""


def called(module: ModuleType) -> Iterator[One]:
    """What is handed to `re` or `regex` anywhere in it, in functions too."""
    for call in ast.walk(ast.parse(source(module))) if SPOKEN.search(source(module)) else ():
        match call:
            case ast.Call(func=ast.Attribute(value=ast.Name("re"), attr=way), args=[first, *more]) if way in CALLS:
                yield from handed(module, call, way, first, more)
            case ast.Call(func=ast.Name("regex"), args=[first, *more]):
                yield from handed(module, call, "compile", first, more)
            case _:
                pass


def handed(module: ModuleType, call: ast.Call, way: str, first: ast.expr, more: Sequence[ast.expr]) -> Iterator[One]:
    words = more[0] if way == "compile" and more else None
    spelt = [one.value for one in call.keywords if one.arg == "flags"] + ([words] if words else [])
    flags = int(evaluated(module, spelt[0])) if spelt else 0
    said = ast.unparse(first)
    found = FILLED.get((module.__name__, said)) if not closed(module, first) else [evaluated(module, first)]
    assert found is not None, f"{module.__name__}:{call.lineno}: {said} is made of a local: list it above"
    ways = (USED.get(module.__name__) or ways_of(module, "")) if way == "compile" else (way,)
    yield from (One(f"{module.__name__}:{call.lineno}", one, flags, ways) for one in found)


def closed(module: ModuleType, expression: ast.expr) -> bool:
    """Whether it is made of constants and the module's own names alone."""
    names = {one.id for one in ast.walk(expression) if isinstance(one, ast.Name)}
    return names <= {*vars(module), "str", "map", "sorted"} and not names & {"self", "cls"}


def evaluated(module: ModuleType, expression: ast.expr) -> "str | bytes":
    found: str | bytes = eval(compile(ast.Expression(expression), "<pattern>", "eval"), dict(vars(module)))
    return found


def held(module: ModuleType) -> Iterator[One]:
    """What its names, its classes and their tables hold."""
    for holder in (module, *(one for one in vars(module).values() if isinstance(one, type))):
        if holder is module or getattr(holder, "__module__", "") == module.__name__:
            for name, value in list(vars(holder).items()):
                for one, called in within(value, name):
                    where = f"{module.__name__}.{name}"
                    ways = USED.get(where) or ways_of(module, called)
                    yield One(where, one.pattern, one.flags & ~re.UNICODE, ways)


def within(value: object, name: str, depth: int = 3) -> "Iterator[tuple[re.Pattern[Any] | Later, str]]":
    """Patterns in a value, in its members and in their fields; each with what it is called by there."""
    if isinstance(value, re.Pattern | Later):
        yield value, name
    elif depth and isinstance(value, list | tuple | set | frozenset | dict):
        fields = getattr(value, "_fields", None)
        for number, one in enumerate([*value, *(value.values() if isinstance(value, dict) else ())]):
            yield from within(one, fields[number] if fields else "", depth - 1)
    elif depth and type(value).__module__.startswith(("kiqdoctor", "checks")) and not isinstance(value, type):
        for field in [*getattr(value, "__dict__", ()), *getattr(type(value), "__slots__", ())]:
            yield from within(getattr(value, field, None), field, depth - 1)


@cache
def uses() -> Mapping[str, Sequence[tuple[ModuleType, str]]]:
    """For each name, the modules that match with it, and how."""
    found: dict[str, list[tuple[ModuleType, str]]] = {}
    for module in modules():
        for name, way in re.findall(rf"\b(\w+)\.({'|'.join(WAYS)})\b", source(module)):
            found.setdefault(name, []).append((module, way))
    return found


def ways_of(module: ModuleType, name: str) -> tuple[str, ...]:
    """How it is used, there and where it is imported. One without a name of its own: by every way of the module."""
    value, mine = vars(module).get(name), source(module)
    used = {way for one, way in uses().get(name, ()) if one is module or vars(one).get(name, one) is value}
    if not used:
        used = set(re.findall(rf"[\w)]\.({'|'.join(WAYS)})\(", re.sub(rf"\bre\.({'|'.join(CALLS)})\b", "", mine)))
    return tuple(sorted(used & {*WAYS})) or ("search",)


@cache
def every() -> Mapping[str, One]:
    """By where it stands; the same pattern, used the same way, once."""
    named = [one for module in modules() for one in held(module)]
    known = {(one.source, one.flags) for one in named}
    inline = (one for module in modules() for one in called(module) if (one.source, one.flags) not in known)
    found = {(one.source, one.flags, one.ways): one for one in (*named, *inline)}
    return {f"{one.where}: {one.source[:40]!r} {'/'.join(one.ways)}": one for one in found.values()}


class Feeder:
    """A process that feeds patterns, one after the other; what does not end is ended with it."""

    def __init__(self, patience: float = steep.PATIENCE) -> None:
        self._process: subprocess.Popen[str] | None = None
        self._patience = patience

    def steep(self, one: One) -> str:
        """The text on which its work grows faster than the text; "" where there is none."""
        process = self._process = self._process or self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(f"{(one.source, one.flags, one.ways)!r}\n")
        process.stdin.flush()
        said = process.stdout.readline()
        if not said:
            self.close()
            return "it does not end"
        return said.strip()

    def _started(self) -> subprocess.Popen[str]:
        return subprocess.Popen(
            [sys.executable, steep.__file__, str(self._patience)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
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


@pytest.mark.parametrize("name", every())
def test_its_work_grows_with_the_text(feeder: Feeder, name: str) -> None:
    assert feeder.steep(every()[name]) == ""


@pytest.mark.parametrize(
    ("source", "way"),
    [(r"\w*env\w*", "search"), (r"^\s+|\s+$", "sub"), (r"x=\s*(\d+)\s*\.?\s*;", "match"), (r"<%.*?%>", "search")],
)
def test_one_that_is_steep_is_told_and_the_next_is_fed(feeder: Feeder, source: str, way: str) -> None:
    assert way in feeder.steep(One("", source, 0, (way,)))
    assert feeder.steep(One("", "a+b", 0, ("match",))) == ""


@pytest.mark.parametrize("source", [r"(?:a|a)+b", r"(?:'[^']*'\s*,?\s*)+;", r"(\w+\s?)+:"])
def test_one_that_does_not_end_is_told_and_the_next_is_fed(source: str) -> None:
    impatient = Feeder(patience=1.0)
    try:
        assert impatient.steep(One("", source, 0, ("match",))) == "it does not end"
        assert impatient.steep(One("", "a+b", 0, ("match",))) == ""
    finally:
        impatient.close()


def test_those_in_functions_tables_and_classes_are_found() -> None:
    places = " ".join(every())

    for where in ("kiqdoctor.resp._HEADER", "private_lists.LAYOUTS", "whole_seconds:", "foreign:", "text._PAIR"):
        assert where in places
