"""A configuration that was read: its tables, and where each key stands, for who finds something wrong with one."""

from collections.abc import Iterable, Mapping
from dataclasses import field
from datetime import date, datetime, time
from pathlib import Path
from typing import Any, Final

from kiqdoctor.examining.errors import AskedError
from kiqdoctor.records import dataclass
from kiqdoctor.text import clean

Key = tuple[str | int, ...]
"""``("suppress", 0, "check")``: names of tables and keys, and places in arrays."""

FOLDERS: Final = "folders"  # in the table `checks`: what the option --checks names
_SHOWN: Final = 60  # characters of a wrong value


@dataclass(frozen=True, slots=True)
class Configuration:
    """A file that was read: its table, where that stands in the document, and each key's line."""

    file: Path | None = None
    table: Mapping[str, Any] = field(default_factory=dict)
    under: Key = ()
    places: Mapping[Key, int] = field(default_factory=dict)
    redis: str | None = None  # the address that it names
    named: bool = False  # by --config or KIQDOCTOR_CONFIG; else it was found, maybe in a stranger's tree

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

    def note(self) -> str:
        """That it was used, for the report; "" where there is none."""
        if self.file is None:
            return ""
        return f"configured by {self.file}{'' if self.named else ', which was found there'}"

    def ignored(self, *key: str | int) -> str:
        """That a key does not count, in one line."""
        where, file = clean(self.where(*key)), clean(str(self.file))
        return f"{where}: {spelt_key(key)}: ignored, for this file was found, not named; --config {file} lets it count"

    def error(self, text: str, *key: str | int) -> AskedError:
        """What is wrong with a key, with its file and line."""
        return AskedError(f"{clean(self.where(*key))}: {spelt_key(key)}: {text}")


NO_CONFIGURATION: Final = Configuration()


def spelt_key(key: Iterable[str | int]) -> str:
    """``suppress[0].check``, for people."""
    words = "".join(f"[{one}]" if isinstance(one, int) else f".{clean(one) or '(empty)'}" for one in key)
    return words.removeprefix(".")


def spelt_value(value: Any) -> str:
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
