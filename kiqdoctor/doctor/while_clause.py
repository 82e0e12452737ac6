"""A suppression's ``while``: a comparison of facts, judged three-valued.

``fleet.members < 3``, ``server.info.role == "master"``, ``queues.all["mailers"].size <= 1000``; joined by ``and``,
``or``, ``not`` and parentheses. A path begins with a fact's name and goes through its fields; a list counts its
members, or gives the one with that name. What a refused fact, a sample or a silent record leaves open is unknown.
"""

import ast
import re
import types
import typing
import warnings
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, is_dataclass
from difflib import get_close_matches
from functools import cached_property
from operator import eq, ge, gt, le, lt, ne
from typing import Any, Final

from kiqdoctor.doctor.snapshot import Absent, Refused, Snapshot
from kiqdoctor.records import dataclass

LONGEST: Final = 500  # characters
_OPERATORS: Final[dict[type, tuple[str, Callable[[Any, Any], bool]]]] = {
    ast.Lt: ("<", lt),
    ast.LtE: ("<=", le),
    ast.Gt: (">", gt),
    ast.GtE: (">=", ge),
    ast.Eq: ("==", eq),
    ast.NotEq: ("!=", ne),
}
_NAMED: Final = ("name", "identity", "prefix")  # by which a member of a list may be picked

Truth = bool | None


class WhileClauseError(ValueError):
    """The condition is not written in the words above, or names a fact or field that does not exist; one line."""


class _OpenError(Exception):
    """The facts do not say it."""


@dataclass(frozen=True, slots=True)
class Told:
    """What a condition came to, and the values that show it."""

    truth: Truth
    seen: tuple[str, ...] = ()

    @property
    def line(self) -> str:
        """The values in one line."""
        return "; ".join(dict.fromkeys(self.seen))


@dataclass(frozen=True, slots=True)
class Path:
    """``fleet.processes["a:1:b"].busy``: a fact, and the steps from it: a field's name, or a member's in brackets."""

    kind: type
    steps: tuple[tuple[str, bool], ...] = ()

    def __str__(self) -> str:
        spelt = (f'["{name}"]' if member else f".{name}" for name, member in self.steps)
        return f"{spelt_kind(self.kind)}{''.join(spelt)}"


@dataclass(frozen=True, slots=True)
class Comparison:
    """A path against a number or a text; without an operator the path alone, which is true or false."""

    path: Path
    operator: str = ""
    against: float | str = 0


@dataclass(frozen=True, slots=True)
class Joined:
    """``and``, ``or`` or ``not`` of parts."""

    word: str
    parts: tuple["Joined | Comparison", ...]


@dataclass(frozen=True, slots=True)
class WhileClause:
    """A condition that was read: its text, its meaning, the facts that it judges."""

    text: str
    root: Joined | Comparison
    kinds: tuple[type, ...]

    def told(self, snapshot: Snapshot) -> Told:
        """Whether it holds on these facts."""
        return _told(self.root, snapshot)


def spelt_kind(kind: type) -> str:
    """``ClientLimit`` as ``client_limit``."""
    return re.sub(r"(?<=[a-z0-9])(?=[A-Z])", "_", kind.__name__).lower()


def read(text: str, kinds: Iterable[type]) -> WhileClause:
    """The condition; ``kinds`` are the facts that exist.

    Raises:
        WhileClauseError: not well-formed, or no such fact or field.
    """
    if len(text) > LONGEST:
        raise WhileClauseError(f"it is longer than {LONGEST} characters")
    try:
        with warnings.catch_warnings(action="ignore"):  # of Python's own taste in escapes and comparisons
            tree = ast.parse(text.strip(), mode="eval")
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        raise WhileClauseError(f"{text!r} is no condition; write it as `fleet.members < 3`") from None
    reader = _Reader(text.strip(), {spelt_kind(kind): kind for kind in kinds})
    root = reader.joined(tree.body)
    return WhileClause(text.strip(), root, tuple(dict.fromkeys(reader.used)))


class _Reader:
    """From Python's own syntax tree to the few words that we know; nothing is ever evaluated."""

    def __init__(self, text: str, kinds: Mapping[str, type]) -> None:
        self._text = text
        self._kinds = kinds
        self.used: list[type] = []

    def joined(self, node: ast.expr) -> Joined | Comparison:
        if isinstance(node, ast.BoolOp):
            word = "and" if isinstance(node.op, ast.And) else "or"
            return Joined(word, tuple(self.joined(one) for one in node.values))
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.Not):
            return Joined("not", (self.joined(node.operand),))
        if isinstance(node, ast.Compare):
            return self._comparison(node)
        path, kind = self._path(node)
        if _sort(path, kind) not in {"truth", "anything"}:
            raise WhileClauseError(f"{path} is {_sort(path, kind)}, no truth by itself; compare it, as in `{path} < 3`")
        return Comparison(path)

    def _comparison(self, node: ast.Compare) -> Comparison:
        if len(node.ops) != 1 or type(node.ops[0]) not in _OPERATORS:
            raise WhileClauseError(f"`{self._words(node)}`: one comparison by <, <=, >, >=, == or != at a time")
        operator, _ = _OPERATORS[type(node.ops[0])]
        path, kind = self._path(node.left)
        against = self._literal(node.comparators[0])
        if isinstance(against, str) and operator not in {"==", "!="}:
            raise WhileClauseError(f"`{self._words(node)}`: texts compare by == and != only")
        sort = _sort(path, kind)
        if sort == "truth":
            raise WhileClauseError(f"`{self._words(node)}`: {path} is true or false; write `{path}` or `not {path}`")
        if sort not in {"anything", "a text" if isinstance(against, str) else "a number"}:
            raise WhileClauseError(f"`{self._words(node)}`: {path} is {sort}")
        return Comparison(path, operator, against)

    def _literal(self, node: ast.expr) -> float | str:
        sign = 1
        if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub):
            node, sign = node.operand, -1
        value = node.value if isinstance(node, ast.Constant) else None
        if isinstance(value, int | float) and not isinstance(value, bool):
            return sign * value
        if isinstance(value, str) and sign == 1:
            return value
        raise WhileClauseError(f"`{self._words(node)}`: on the right stands a number or a text in quotes")

    def _path(self, node: ast.expr) -> tuple[Path, Any]:
        """The path, and what type it ends in."""
        if isinstance(node, ast.Name):
            if node.id not in self._kinds:
                raise WhileClauseError(f"no fact is called {node.id!r}; {_near(node.id, self._kinds)}")
            kind = self._kinds[node.id]
            self.used.append(kind)
            return Path(kind), kind
        if isinstance(node, ast.Attribute):
            path, kind = self._path(node.value)
            return Path(path.kind, (*path.steps, (node.attr, False))), _field(path, kind, node.attr)
        if isinstance(node, ast.Subscript):
            path, kind = self._path(node.value)
            name = node.slice.value if isinstance(node.slice, ast.Constant) else None
            if not isinstance(name, str):
                raise WhileClauseError(f"`{self._words(node)}`: in the brackets stands a name in quotes")
            return Path(path.kind, (*path.steps, (name, True))), _member(path, kind)
        raise WhileClauseError(f"`{self._words(node)}` is not a fact's field; write it as `fleet.members`")

    def _words(self, node: ast.AST) -> str:
        return ast.get_source_segment(self._text, node) or self._text


def _sort(path: Path, kind: Any) -> str:
    """What a path ends in; a list is the number of its members.

    Raises:
        WhileClauseError: at something that has fields of its own.
    """
    if kind is bool:
        return "truth"
    if kind in {int, float} or typing.get_origin(kind) in {tuple, frozenset}:
        return "a number"
    if isinstance(kind, type) and issubclass(kind, str):
        return "a text"
    if kind is object:
        return "anything"
    known = _fields(kind)
    raise WhileClauseError(f"{path} is not one value; name a field of it" + (f": {', '.join(known)}" if known else ""))


def _near(name: str, names: Iterable[str]) -> str:
    known = sorted(names)
    near = get_close_matches(name, known, n=1)
    return f"did you mean {near[0]!r}?" if near else f"there are {', '.join(known)}"


def _field(path: Path, kind: Any, name: str) -> Any:
    """The type of a field or property; a dictionary's keys are fields too."""
    if typing.get_origin(kind) is dict:
        return object  # INFO's values are texts, many of them numbers
    known = _fields(kind)
    if name not in known:
        what = f"has no field {name!r}; {_near(name, known)}" if known else f"has no fields, and so no {name!r}"
        raise WhileClauseError(f"{path} {what}")
    return _bare(known[name])


def _fields(kind: Any) -> dict[str, Any]:
    if not (isinstance(kind, type) and is_dataclass(kind)):
        return {}
    hints = typing.get_type_hints(kind)
    found = {one.name: hints[one.name] for one in fields(kind)}
    for name, value in vars(kind).items():
        asked = value.fget if isinstance(value, property) else getattr(value, "func", None)
        if isinstance(value, property | cached_property) and asked is not None and not name.startswith("_"):
            found[name] = typing.get_type_hints(asked).get("return", object)
    return found


def _bare(hint: Any) -> Any:
    """A type without its ``None``: that one says nothing is a matter of the value."""
    if typing.get_origin(hint) in {types.UnionType, typing.Union}:
        rest = [one for one in typing.get_args(hint) if one is not type(None)]
        return rest[0] if len(rest) == 1 else object
    return hint


def _member(path: Path, kind: Any) -> Any:
    inner = typing.get_args(kind)[0] if typing.get_origin(kind) is tuple else None
    if not any(name in _fields(inner) for name in _NAMED):
        raise WhileClauseError(f"{path} has no members with names")
    return inner


def _told(node: Joined | Comparison, snapshot: Snapshot) -> Told:
    if isinstance(node, Comparison):
        return _compared(node, snapshot)
    parts = [_told(one, snapshot) for one in node.parts]
    seen = tuple(text for part in parts for text in part.seen)
    truths = [part.truth for part in parts]
    if node.word == "not":
        return Told(None if truths[0] is None else not truths[0], seen)
    settled = node.word == "or"  # one of these decides for all
    return Told(settled if settled in truths else None if None in truths else not settled, seen)


def _compared(node: Comparison, snapshot: Snapshot) -> Told:
    try:
        value = _value(node.path, snapshot)
        if not node.operator:
            return Told(bool(value), (f"{node.path} is {'true' if value else 'false'}",))
        comparable = _number(node.path, value) if not isinstance(node.against, str) else str(value)
    except _OpenError as error:
        return Told(None, (str(error),))
    judged = next(function for spelt, function in _OPERATORS.values() if spelt == node.operator)
    return Told(judged(comparable, node.against), (f"{node.path} is {comparable}",))


def _value(path: Path, snapshot: Snapshot) -> Any:
    whole: Any = snapshot.get(path.kind)
    if isinstance(whole, Refused | Absent):
        raise _OpenError(f"{spelt_kind(path.kind)} is not known: {whole.reason}")
    value = whole
    for name, member in path.steps:
        value = _picked(path, value, name) if member else _taken(path, value, name)
        if value is None:
            raise _OpenError(f"{path} is not known: nothing says it")
    if isinstance(value, tuple | frozenset):
        if partial := getattr(whole, "partial", ""):
            raise _OpenError(f"{path} is not known: {partial}")
        return len(value)
    return value


def _taken(path: Path, value: Any, name: str) -> Any:
    if isinstance(value, dict):
        if name not in value:
            raise _OpenError(f"{path} is not known: no {name!r} was read")
        return value[name]
    return getattr(value, name)


def _picked(path: Path, members: Any, name: str) -> Any:
    for one in members:
        if any(getattr(one, key, None) == name for key in _NAMED):
            return one
    raise _OpenError(f"{path} is not known: there is no {name!r}")


def _number(path: Path, value: Any) -> float:
    try:
        number = float(value)
    except (TypeError, ValueError):
        raise _OpenError(f"{path} is not known: {value!r} is no number") from None
    return int(number) if number.is_integer() else number
