"""What a job in Ruby is handed that its payload may have no word for, as far as the source tells."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import Given, Value
from kiqdoctor.probes.code.ruby.classes import Classes, Method
from kiqdoctor.probes.code.ruby.handing import holds, parameters
from kiqdoctor.probes.code.ruby.naming import CONSTANTS, arguments_of, name_of
from kiqdoctor.probes.tree.ruby import named, string, text

if TYPE_CHECKING:
    from tree_sitter import Node

DEEPEST: Final = 5  # values within values, names that stand for names
LONGEST: Final = 100  # characters of a name that are told
TIMED: Final = frozenset({"perform_in", "perform_at"})
"""Verbs whose first argument is no part of what the job is handed."""
BULK: Final = frozenset({"perform_bulk", "push_bulk"})
"""Verbs that are given a list of what jobs are handed, and options."""
PUSHES: Final = frozenset({"push", "push_bulk"})
"""Verbs of Sidekiq's client, which are given a hash."""
MADE: Final = {
    **dict.fromkeys(
        (
            *(
                f"Time{how}"
                for how in (".now", ".current", ".new", ".at", ".parse", ".zone.now", ".zone.parse", ".zone.at")
            ),
            *(f"Date{how}" for how in (".today", ".current", ".tomorrow", ".yesterday", ".new", ".parse")),
            *(f"DateTime{how}" for how in (".now", ".current", ".new", ".parse")),
        ),
        Value.DATE,
    ),
    "BigDecimal": Value.DECIMAL,
    "Set.new": Value.SET,
    "File.open": Value.FILE,
    "File.new": Value.FILE,
    **dict.fromkeys(("Pathname.new", "Rails.root.join"), Value.PATH),
    **dict.fromkeys(("proc", "lambda", "Proc.new"), Value.LAMBDA),
}
PARSES: Final = frozenset({"parse", "iso8601", "strptime", "rfc3339", "Time", "DateTime", "Date"})
TURNED: Final = frozenset({"to_time", "to_date", "to_datetime", "in_time_zone"})
"""What makes a moment of a text that it is given, or that it is asked of."""
KEYWORDS: Final = frozenset({"keyword_parameter", "hash_splat_parameter", "forward_parameter"})
MOMENTS: Final = frozenset({"ago", "from_now"})
TURNS: Final = {"to_sym": Value.SYMBOL, "to_d": Value.DECIMAL, "to_set": Value.SET}
FINDS: Final = frozenset(
    {"find", "find_by", "find_by!", "create", "create!", "find_or_create_by", "find_or_create_by!", "first", "last"}
    | {"first!", "last!", "take", "take!"}
)
"""What gives a record of a class, or of what such a class was asked for."""
SCOPES: Final = frozenset(
    {"where", "order", "includes", "joins", "not", "all", "unscoped", "offset", "preload", "eager_load", "left_joins"}
)
PLAIN: Final = frozenset({"Hash", "Array", "String", "Integer", "Float", "Struct"})


def given(classes: Classes, method: Method, call: "Node", verb: str, to: Method | None = None) -> tuple[Given, ...]:
    """All that this enqueue hands on and that is more than text, numbers, lists and hashes of them, each once.

    ``to``: the method that gets it, where that is known.
    """
    nodes = arguments_of(call)
    packed = _packed(nodes) if verb in PUSHES else None
    if packed is not None:
        nodes = packed
    elif verb in BULK:
        nodes = [one for one in nodes[:1] if one.type == "array"]
    elif verb in TIMED:
        nodes = nodes[1:]
    elif verb == "push":
        nodes = []
    reader = _Reader(classes, method, call.start_byte)
    found = ((place, one) for place, node in enumerate(nodes) for one in reader.handed(node))
    if to is None:
        return tuple(dict.fromkeys(one for _, one in found))
    keywords = any(one.type in KEYWORDS for one in named(to.node.child_by_field_name("parameters")))
    return tuple(dict.fromkeys(_received(to, place, one, keywords=keywords) for place, one in found))


def _packed(nodes: "list[Node]") -> "list[Node] | None":
    """What stands under ``args`` of the hash that a client pushes; None where it is none, or not spelt out."""
    found = _under(nodes, "args")
    return named(found) if found is not None and found.type == "array" else None


def pushed(call: "Node") -> str:
    """The class that a client is told to push; "?" where it is not spelt out."""
    found = _under(arguments_of(call), "class")
    return "?" if found is None else text(found) if found.type in CONSTANTS else string(found) or "?"


def _under(nodes: "list[Node]", key: str) -> "Node | None":
    pairs = [pair for one in nodes for pair in (named(one) if one.type == "hash" else [one]) if pair.type == "pair"]
    return next((one.child_by_field_name("value") for one in pairs if string(_key(one)) == key), None)


def _received(to: Method, place: int, one: Given, *, keywords: bool) -> Given:
    """A value as the job takes it: a hash where it has no keywords, a date that it makes of text."""
    if one.what is Value.KEYWORDS and not keywords:
        return Given(Value.SYMBOL_KEYS)
    return Given(Value.READ_DATE, one.text) if one.what is Value.DATE and _reads(to, place) else one


def _reads(to: Method, place: int) -> bool:
    """Whether a job makes a moment of its parameter."""
    names = parameters(to)[place : place + 1]
    for sent in to.calls if names else ():
        receiver = sent.node.child_by_field_name("receiver")
        asked = [receiver] if sent.last in TURNED else arguments_of(sent.node) if sent.last in PARSES else []
        if any(holds(one, frozenset(names)) for one in asked):
            return True
    return False


class _Reader:
    """Values as they stand in one method."""

    def __init__(self, classes: Classes, method: Method, before: int) -> None:
        self._classes = classes
        self._method = method
        self._before = before

    def handed(self, node: "Node") -> Iterator[Given]:
        """One argument."""
        if node.type == "pair":
            if _is_symbol(node):
                yield Given(Value.KEYWORDS, (string(node.child_by_field_name("key")) or "")[:LONGEST])
            else:
                yield from self._of(node.child_by_field_name("value"), 1)
        else:
            yield from self._of(node, 0)

    def _of(self, node: "Node | None", depth: int) -> Iterator[Given]:
        """What a value is, or holds."""
        if node is None or depth > DEEPEST:
            return
        kind = node.type
        if kind in PLAINLY:
            yield Given(PLAINLY[kind])
        elif kind in {"array", "splat_argument", "parenthesized_statements"}:
            for one in named(node):
                yield from self._of(one, depth + 1)
        elif kind == "hash":
            yield from self._hash(node, depth)
        elif kind == "identifier":
            yield from self._word(text(node), depth)
        elif kind == "self" and self._method.owner is not None and not self._method.singleton:
            yield Given(Value.OBJECT, "self")
        elif kind == "call":
            yield from self._call(node)

    def _hash(self, node: "Node", depth: int) -> Iterator[Given]:
        pairs = [one for one in named(node) if one.type == "pair"]
        if any(map(_is_symbol, pairs)):
            yield Given(Value.SYMBOL_KEYS)
        elif any(key is not None and key.type in {"integer", "float", "nil"} for key in map(_key, pairs)):
            yield Given(Value.OTHER_KEYS)
        for one in pairs:
            yield from self._of(one.child_by_field_name("value"), depth + 1)

    def _word(self, word: str, depth: int) -> Iterator[Given]:
        value = self._method.locals.get(word)
        if value is not None and value.start_byte < self._before:
            yield from self._of(value, depth + 1)

    def _call(self, node: "Node") -> Iterator[Given]:
        name = name_of(node)
        found = MADE.get(name)
        last = name.rpartition(".")[2]
        receiver = node.child_by_field_name("receiver")
        if found is None and receiver is not None and last in MOMENTS and receiver.type == "call":
            found = Value.DATE if text(receiver.child_by_field_name("method")) in UNITS else None
        if found is None and receiver is not None:
            found = TURNS.get(last) or self._record(node, last)
        if found is not None:
            yield Given(found, name[:LONGEST])

    def _record(self, node: "Node", last: str) -> Value | None:
        """``User.find(id)``, ``User.where(a: 1).first``, ``Foo.new``."""
        one = node.child_by_field_name("receiver")
        if node.child_by_field_name("block") is not None and last != "new":
            return None  # it looks through a list
        if last in SCOPES and last != "not":
            one = _asked(node)
            return Value.OBJECT if one is not None and self._is_class(text(one), one, last) else None
        if last == "new":
            return Value.OBJECT if one is not None and self._is_class(text(one), one, last) else None
        if last not in FINDS or (last in {"first", "last", "take"} and arguments_of(node)):
            return None
        asked = last
        if one is not None and one.type == "call" and text(one.child_by_field_name("method")) in SCOPES:
            one, asked = _asked(one), "where"
        return Value.RECORD if one is not None and self._is_class(text(one), one, asked) else None

    def _is_class(self, name: str, node: "Node", asked: str) -> bool:
        """Whether it is a class of the application that leaves what it is asked to its library; plain data is none."""
        if node.type not in CONSTANTS or name.rpartition("::")[2].isupper():
            return False
        own = self._classes.find(name, self._method.owner.name if self._method.owner is not None else "")
        if own is None:
            return asked not in {"new", "first", "last", "take", "create"} and name.lstrip(":") not in PLAIN
        if asked != "new" and self._classes.method(own, asked, singleton=True) is not None:
            return False
        return not any(isinstance(one, str) and one.partition("::")[0] in PLAIN for one in self._classes.ancestors(own))


def _asked(node: "Node") -> "Node | None":
    """Of whom ``User.where(a: 1).order(:b)`` asks."""
    one: Node | None = node
    while one is not None and one.type == "call" and text(one.child_by_field_name("method")) in SCOPES:
        one = one.child_by_field_name("receiver")
    return one


PLAINLY: Final = {
    **dict.fromkeys(("simple_symbol", "delimited_symbol", "symbol_array"), Value.SYMBOL),
    "lambda": Value.LAMBDA,
}
"""Kinds of nodes that say what they are."""
UNITS: Final = frozenset(
    f"{unit}{plural}" for unit in ("second", "minute", "hour", "day", "week", "month", "year") for plural in ("", "s")
)


def _key(pair: "Node") -> "Node | None":
    return pair.child_by_field_name("key")


def _is_symbol(pair: "Node") -> bool:
    """``a: 1``, ``"a": 1`` and ``:a => 1``."""
    key = _key(pair)
    if key is None:
        return False
    return key.type in {"hash_key_symbol", "simple_symbol"} or any(one.type == ":" for one in pair.children)
