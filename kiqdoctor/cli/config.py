"""Finds and reads the configuration: --config FILE, else kiqdoctor.toml, else [tool.kiqdoctor] in pyproject.toml."""

import re
import tomllib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final

import click

from kiqdoctor.cli.places import Key, lines
from kiqdoctor.text import clean

NAME: Final = "kiqdoctor.toml"
PROJECT: Final = "pyproject.toml"
TABLE: Final = ("tool", "kiqdoctor")
_AT: Final = re.compile(r" \(at (?:line (\d+), column (\d+)|end of document)\)$")
_SHOWN: Final = 60  # characters of a wrong value


@dataclass(frozen=True, slots=True)
class Configuration:
    """A file that was read: its table, where that stands in the document, and each key's line."""

    file: Path | None = None
    table: Mapping[str, Any] = field(default_factory=dict)
    under: Key = ()
    places: Mapping[Key, int] = field(default_factory=dict)
    redis: str | None = None  # the address that it names

    def words(self, key: str) -> list[str]:
        """The texts of a key that takes one or many."""
        value = self.table.get(key, [])
        return [str(one) for one in (value if isinstance(value, list) else [value])]

    def line(self, *key: str | int) -> int:
        """Where a key of the table stands, or the nearest table around it."""
        whole = (*self.under, *key)
        return next((self.places[whole[:end]] for end in range(len(whole), 0, -1) if whole[:end] in self.places), 1)

    def where(self, *key: str | int) -> str:
        """``kiqdoctor.toml:12``."""
        return f"{self.file}:{self.line(*key)}"

    def error(self, text: str, *key: str | int) -> click.UsageError:
        """What is wrong with a key, with its file and line."""
        return click.UsageError(f"{clean(self.where(*key))}: {spelt(key)}: {text}")


NO_CONFIGURATION: Final = Configuration()


def spelt(key: Iterable[str | int]) -> str:
    """``suppress[0].check``, for people."""
    words = "".join(f"[{one}]" if isinstance(one, int) else f".{clean(one) or '(empty)'}" for one in key)
    return words.removeprefix(".")


def shown(value: Any) -> str:
    """A value as the file spells it, near enough."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date | datetime | time):
        return value.isoformat()
    if isinstance(value, dict | list):
        return "a table" if isinstance(value, dict) else "a list"
    return clean(repr(value), _SHOWN)


def instead(name: str, valid: Iterable[str]) -> str:
    """The alternatives to a name that is none: the nearest, or all."""
    from difflib import get_close_matches

    known = sorted(set(valid))
    by_lower = {one.lower(): one for one in known}
    near = get_close_matches(name.lower().replace("_", "-"), list(by_lower), n=1)
    if near:
        return f"did you mean {by_lower[near[0]]}?"
    return f"valid are {', '.join(known)}" if known else "there are none"


def find(path: Path | None) -> Path | None:
    """The file that counts, in the application that was named or else where we are."""
    for folder in dict.fromkeys((path or Path(), Path())):
        if (folder / NAME).is_file():
            return folder / NAME
        if (folder / PROJECT).is_file() and b"tool.kiqdoctor" in _bytes(folder / PROJECT):
            return folder / PROJECT
    return None


def load(named: Path | None, path: Path | None) -> Configuration:
    """The configuration; ``named`` is the file of --config.

    Raises:
        click.UsageError: it cannot be read, or is no TOML.
    """
    file = named or find(path)
    if file is None:
        return NO_CONFIGURATION
    document, text = _parsed(file)
    if file.name != PROJECT:
        return Configuration(file, document, (), lines(text))
    table: Any = document
    for name in TABLE:
        table = table.get(name) if isinstance(table, dict) else None
    if not isinstance(table, dict):
        if named is None:
            return NO_CONFIGURATION
        raise click.UsageError(f"{clean(str(file))}: it has no table [tool.kiqdoctor]")
    return Configuration(file, table, TABLE, lines(text))


def _parsed(file: Path) -> tuple[dict[str, Any], str]:
    name = clean(str(file))
    try:
        text = _bytes(file).decode().removeprefix("\ufeff").replace("\r\n", "\n")
        return tomllib.loads(text), text
    except UnicodeDecodeError as error:
        raise click.UsageError(f"{name}: it is not UTF-8: byte {error.start}") from None
    except RecursionError:
        raise click.UsageError(f"{name}: it is nested too deeply") from None
    except tomllib.TOMLDecodeError as error:
        said = clean(str(error))
        at = _AT.search(said)
        place = f"{at[1]}:{at[2]}" if at and at[1] else str(text.count("\n") + 1)
        raise click.UsageError(f"{name}:{place}: {_AT.sub('', said)}") from None


def _bytes(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise click.UsageError(f"cannot read {clean(str(file))}: {error.strerror}") from None
