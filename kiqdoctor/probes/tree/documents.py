"""YAML, JSON and TOML as tables that know their lines; errors in our own words, for others quote what they read."""

import re
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import field
from math import isfinite
from typing import TYPE_CHECKING, Any, Final

from kiqdoctor.probes.tree.erb import paired, restored, worded
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex
from kiqdoctor.wire.numbers import LARGEST, whole

if TYPE_CHECKING:
    from yaml import MappingNode, Node, ScalarNode

DEEPEST: Final = 100  # levels
MOST_PAIRS: Final = 100_000  # of a document's mappings, merged ones counted each time
MOST_DOTS: Final = 100  # of one key; tomllib takes hours and gigabytes for a megabyte of them
TRUE: Final = frozenset({"yes", "true", "on"})
RESET: Final = "!reset"  # compose: as if it were not there
RESETS: Final = frozenset({RESET, "!override"})  # compose: what earlier files say does not count
_BETWEEN_KEYS: Final = regex(rb"[=\[\]{},#\n]")


class Table(dict[str, "Value"]):
    """A mapping with text keys; ``line`` is where it begins, ``lines`` where each key stands (1 in TOML).

    A list's items have lines of their own in YAML: `line_of`.
    """

    def __init__(self, pairs: "Mapping[str, Value] | None" = None, line: int = 1) -> None:
        super().__init__(pairs or {})
        self.line = line
        self.lines: dict[str, int] = {}
        self.places: dict[str, list[int]] = {}
        self.reset: set[str] = set()  # keys that are as if no file before had said them

    def line_of(self, key: str, at: int) -> int:
        """Where the item of a list stands; the list's own line where that is not known."""
        places = self.places.get(key, [])
        return places[at] if at < len(places) else self.lines.get(key, self.line)

    def table(self, *keys: str) -> "Table":
        """The table under these keys; an empty one where there is none."""
        found: Value = self
        for key in keys:
            found = found.get(key) if isinstance(found, Table) else None
        return found if isinstance(found, Table) else Table(line=self.line)

    def tables(self, key: str) -> list["Table"]:
        """The tables of a list."""
        return [one for one in self.items_of(key) if isinstance(one, Table)]

    def items_of(self, key: str) -> list["Value"]:
        """What a list holds; nothing where there is none."""
        found = self.get(key)
        return found if isinstance(found, list) else []

    def whole(self, key: str) -> int | None:
        """A whole number; None where it is none."""
        return whole(self.get(key))

    def text(self, key: str) -> str:
        """A text; "" where it is none."""
        found = self.get(key)
        return found if isinstance(found, str) else ""


Value = None | bool | int | float | str | list["Value"] | Table


def toml(content: bytes) -> Table:
    """The table that these bytes are; raises `UnparsedError`."""
    import tomllib

    if any(piece.count(b".") > MOST_DOTS for piece in _BETWEEN_KEYS.split(content)):
        raise UnparsedError(f"a key of it has more than {MOST_DOTS} parts")
    try:
        found = _plain(tomllib.loads(content.decode("utf-8", "replace")))
    except (ValueError, RecursionError) as error:
        line = re.search(r"at line (\d{1,9})", str(error))
        raise UnparsedError("it is not TOML", int(line[1]) if line else 0) from None
    assert isinstance(found, Table)  # noqa: S101 - a document is one
    return found


def _plain(value: Any, depth: int = 0) -> Value:
    if depth > DEEPEST:
        raise UnparsedError(f"it is nested deeper than {DEEPEST} levels")
    if isinstance(value, dict):
        return Table({key: _plain(one, depth + 1) for key, one in value.items()})
    if isinstance(value, list):
        return [_plain(one, depth + 1) for one in value]
    return value if isinstance(value, bool | int | float | str) else str(value)


def yaml(content: bytes) -> tuple[Value, ...]:
    """The documents of a YAML or JSON file, embedded Ruby as it is written; raises `UnparsedError`."""
    from yaml import YAMLError

    text = content.decode("utf-8-sig", "replace")
    embedded = "<%" in text
    try:
        return _documents(worded(text) if embedded else text, embedded=embedded)
    except YAMLError as error:
        if embedded and (again := paired(worded(text))) != worded(text):
            with suppress(YAMLError, RecursionError):
                return _documents(again, embedded=True)
        mark = getattr(error, "problem_mark", None)
        raise UnparsedError("it is not YAML", mark.line + 1 if mark else 0) from None
    except (ValueError, RecursionError) as error:
        if isinstance(error, UnparsedError):
            raise
        raise UnparsedError("it is not YAML") from None


def _documents(text: str, *, embedded: bool) -> "tuple[Value, ...]":
    from yaml import compose_all

    return tuple(_Document(embedded).value(node) for node in compose_all(text, _loader()))


def _loader() -> Any:
    """The loader in C, thirty times as fast, where PyYAML was built with it."""
    import yaml

    return getattr(yaml, "CSafeLoader", yaml.SafeLoader)


@dataclass
class _Document:
    """Turns nodes into values; an anchor's is made once, so that aliases of aliases cost nothing."""

    embedded: bool
    known: dict[int, Value] = field(default_factory=dict)
    pairs: int = 0

    def value(self, node: "Node", depth: int = 0) -> Value:
        from yaml import MappingNode, ScalarNode, SequenceNode

        if depth > DEEPEST:
            raise UnparsedError(f"it is nested deeper than {DEEPEST} levels", _line(node))
        if id(node) in self.known:
            return self.known[id(node)]
        if node.tag == RESET:
            return None
        if isinstance(node, ScalarNode):
            return self.text(_scalar(node))
        if isinstance(node, SequenceNode):
            items: list[Value] = []
            self.known[id(node)] = items
            items += [self.value(one, depth + 1) for one in node.value]
            return items
        assert isinstance(node, MappingNode)  # noqa: S101 - there is no fourth kind
        table = Table(line=_line(node))
        self.known[id(node)] = table
        self._fill(table, node, depth)
        return table

    def _fill(self, table: Table, node: "MappingNode", depth: int) -> None:
        from yaml import SequenceNode

        merged: Value = None
        for key, value in node.value:
            self.count(1)
            if key.tag == "tag:yaml.org,2002:merge":
                merged = self.value(value, depth + 1)
            elif isinstance(key.value, str):
                name = str(self.text(key.value))
                table[name] = self.value(value, depth + 1)
                table.lines[name] = _line(key)
                if isinstance(value, SequenceNode):
                    table.places[name] = [_line(one) for one in value.value]
                if value.tag in RESETS:
                    table.reset.add(name)
        for one in merged if isinstance(merged, list) else [merged]:
            if isinstance(one, Table):
                self.count(len(one))
                for name in one.keys() - table.keys():
                    table[name] = one[name]
                    table.lines[name] = one.lines.get(name, one.line)
                    table.places[name] = one.places.get(name, [])

    def text(self, value: Value) -> Value:
        """With its embedded Ruby, if it has some."""
        return restored(value) if self.embedded and isinstance(value, str) else value

    def count(self, pairs: int) -> None:
        self.pairs += pairs
        if self.pairs > MOST_PAIRS:
            raise UnparsedError(f"it has more than {MOST_PAIRS} keys")


def _line(node: "Node") -> int:
    return int(node.start_mark.line) + 1


def _scalar(node: "ScalarNode") -> Value:
    kind, text = node.tag.rpartition(":")[2], str(node.value)
    if kind == "null":
        return None
    if kind == "bool":
        return text.lower() in TRUE
    if kind == "int":
        number = whole(text.replace("_", ""), least=-LARGEST)
        return text if number is None else number
    if kind == "float":
        try:
            return float(text) if isfinite(float(text)) else text
        except ValueError:
            return text
    return text
