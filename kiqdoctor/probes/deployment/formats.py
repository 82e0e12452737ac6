"""A deployment's formats: each a file of this folder that makes one function a parser. Found by walking."""

from collections.abc import Callable, Iterable, Iterator
from enum import IntEnum
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final

from kiqdoctor.probes.deployment.records import Record
from kiqdoctor.probes.tree.file import File
from kiqdoctor.records import dataclass

_MARKS: Final = ("\n@deploys(", "\n@configures(")

Parse = Callable[[File], Iterable[Record]]


class Rank(IntEnum):
    """Ways to deploy, the one first that most surely is no trial: an application is deployed one way."""

    ORCHESTRATED = 0
    PLATFORM = 1
    COMPOSED = 2
    UNITS = 3
    PROCESS_TYPES = 4
    IMAGE = 5


@dataclass(frozen=True, slots=True)
class Format:
    """A parser with the files that it reads. ``rank``: it says what is started; ``program``: how that is configured.

    ``common``: its names fit files of others too, so that one that cannot be parsed need not be one of its own.
    """

    name: str
    globs: tuple[str, ...]
    parse: Parse
    rank: Rank | None = None
    program: str = ""
    common: bool = False


def deploys(*globs: str, rank: Rank, common: bool = False) -> Callable[[Parse], Format]:
    """Make a function the parser of files that say what is started."""
    return lambda parse: Format(parse.__name__, globs, parse, rank=rank, common=common)


def configures(program: str, *globs: str) -> Callable[[Parse], Format]:
    """Make a function the parser of a program's own configuration; ``globs`` are the files it takes unasked."""
    return lambda parse: Format(parse.__name__, globs, parse, program=program)


@cache
def formats() -> tuple[Format, ...]:
    """All of them, by name."""
    modules = [import_module(name) for name in _named()]
    found = {value.name: value for module in modules for value in vars(module).values() if isinstance(value, Format)}
    return tuple(found[name] for name in sorted(found))


def _named() -> Iterator[str]:
    for file in sorted(Path(__file__).parent.glob("*.py")):
        if any(mark in file.read_text("utf-8") for mark in _MARKS):
            yield f"{__package__}.{file.stem}"
