"""Clients and connections in Ruby that all threads of a process hold in common, and the uses of them."""

import re
from collections.abc import Iterator
from dataclasses import field
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import Named
from kiqdoctor.probes.code.ruby.calls import answers, kind
from kiqdoctor.probes.code.ruby.classes import Class, Classes, Known, Method
from kiqdoctor.probes.code.ruby.naming import CONSTANTS, name_of
from kiqdoctor.probes.code.spans import within
from kiqdoctor.probes.tree.ruby import block, body, last, named, string, text
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex

if TYPE_CHECKING:
    from tree_sitter import Node

MAKERS: Final = frozenset(
    {"PG.connect", "PG::Connection.new", "PG::Connection.open", "Mysql2::Client.new", "Net::HTTP.new"}
    | {"Net::HTTP.start", "Redis.new", "RedisClient.new"}
)
"""What gives one connection."""
SPELT: Final = regex(rb"\b(?:PG|Mysql2|Net::HTTP|Redis)")
SAME: Final = (".tap", ".start", ".freeze")
"""Endings of a name that give the object itself."""
HARMLESS: Final = frozenset(
    {"dup", "clone", "class", "nil?", "is_a?", "respond_to?", "object_id", "present?", "blank?", "frozen?", "host"}
    | {"port", "address", "started?", "closed?", "finished?", "with", "synchronize"}
)
"""Methods that give another connection, wait their turn, or ask no server."""
ACCESSORS: Final = frozenset({f"{of}attr_{what}" for of in "cm" for what in ("accessor", "reader")})
CLASSES: Final = frozenset({"class", "module"})
DEEPEST: Final = 8  # values that lead to values


@dataclass(eq=False, slots=True)
class Shared:
    """What is held, by name: "DB", "Shop::DB", "$db", "Shop.@@db", "Shop.@db" (of the class), with what built it."""

    classes: Classes
    held: dict[str, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        found = [one for method in self.classes.units for one in self._held(method)]
        every = [*self._assigned({key for key, _ in found})] if found else []
        mixed = {key for key, known in every if not known}
        self.held = {key: made_by for key, made_by in found if key not in mixed}

    def uses(self, method: Method) -> Iterator[Named]:
        """Those of one method, under no lock."""
        if method.body or not self.held:
            return
        found = [(sent, made_by) for sent in method.calls if (made_by := self._used(sent.node, method))]
        if not found or any(sent.name.endswith(".lock") for sent in method.calls):
            return
        spans = [method.span(one.node) for one in method.calls if one.name.endswith("synchronize") and block(one.node)]
        for sent, made_by in found:
            if not any(within(method.at(sent.node), span) for span in spans):
                yield Named(method.number, *method.at(sent.node), made_by)

    def _used(self, node: "Node", method: Method) -> str:
        receiver = node.child_by_field_name("receiver")
        if receiver is None or text(node.child_by_field_name("method")) in HARMLESS:
            return ""
        return self.held.get(self._key_of(receiver, method, 0), "")

    def _held(self, method: Method) -> Iterator[tuple[str, str]]:
        for node in method.assignments:
            right = node.child_by_field_name("right")
            if right is None or not SPELT.search(right.text or b""):
                continue
            made_by = next(filter(None, (self._maker(one, node) for one in _leaves(right))), "")
            key = self._target(node, method) if made_by else ""
            if key:
                yield key, made_by

    def _assigned(self, keys: set[str]) -> Iterator[tuple[str, bool]]:
        """All that is ever put there: whether it is one connection, or nothing."""
        lasts = {re.split(r"\.|::", key)[-1].lstrip("@") for key in keys}
        for method in self.classes.units:
            for node in method.assignments:
                left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
                if left is None or right is None or _last(left) not in lasts:
                    continue
                if (key := self._target(node, method)) in keys:
                    yield key, all(one.type == "nil" or self._maker(one, node) for one in _leaves(right))

    def _maker(self, node: "Node", where: "Node") -> str:
        """What builds one connection here; a class of the application's own by that name is none of these."""
        if node.type != "call":
            return ""
        name = name_of(node)
        while name not in MAKERS and name.endswith(SAME):
            name = name.rpartition(".")[0]
        own = name not in MAKERS or self.classes.find(name.rpartition(".")[0], _around(where)) is not None
        opened = name == "Net::HTTP.start" and block(node) is not None
        return "" if own or opened else name

    def _target(self, node: "Node", method: Method) -> str:
        """What an assignment sets, by the name that threads share; "" for what is its method's or object's own."""
        left = node.child_by_field_name("left")
        if left is None:
            return ""
        around = method.owner.name if method.owner is not None else _around(node)
        of_class = bool(around) and (method.body or _of_class(method))
        if left.type == "constant":
            return f"{around}::{text(left)}" if around else text(left)
        if left.type == "scope_resolution":
            return text(left).lstrip(":")
        if left.type == "global_variable":
            return text(left)
        if left.type == "class_variable" or (left.type == "instance_variable" and of_class):
            return f"{around}.{text(left)}"
        return self._accessor(left, around, of_class=of_class) if left.type == "call" else ""

    def _accessor(self, left: "Node", around: str, *, of_class: bool) -> str:
        """``Shop.db = ...``, and ``self.db = ...`` in the class."""
        receiver, name = left.child_by_field_name("receiver"), text(left.child_by_field_name("method"))
        if receiver is None or not (receiver.type in CONSTANTS or (receiver.type == "self" and of_class)):
            return ""
        cls = self.classes.all.get(around) if receiver.type == "self" else self.classes.find(text(receiver), around)
        return kept_as(cls, name) if cls is not None else ""

    def _key_of(self, node: "Node | None", method: Method, depth: int) -> str:
        """The name under which what a value is is held; "" for anything else."""
        if node is None or depth > DEEPEST:
            return ""
        found = ""
        if node.type in CONSTANTS:
            found = self._constant(text(node).lstrip(":"), method)
        elif node.type == "global_variable":
            found = text(node)
        elif node.type in {"class_variable", "instance_variable"}:
            found = self._variable(node, method, depth)
        elif node.type in {"assignment", "operator_assignment"}:
            found = self._key_of(node.child_by_field_name("left"), method, depth + 1)
        elif node.type in {"parenthesized_statements", "begin"}:
            found = self._key_of(last(named(node)), method, depth + 1)
        elif node.type == "identifier" and text(node) in method.locals:
            found = self._key_of(method.locals[text(node)], method, depth + 1)
        elif node.type in {"identifier", "call"}:
            found = self._answered(node, method, depth)
        return found if found in self.held else ""

    def _constant(self, name: str, method: Method) -> str:
        outer = method.owner.name if method.owner is not None else ""
        line = self.classes.ancestors(method.owner) if method.owner is not None else ()
        while outer:
            if f"{outer}::{name}" in self.held:
                return f"{outer}::{name}"
            outer = outer.rpartition("::")[0]
        above = (f"{one.name}::{name}" for one in line if isinstance(one, Class))
        return next((one for one in above if one in self.held), name)

    def _variable(self, node: "Node", method: Method, depth: int) -> str:
        """A class's, or an object's own that stands for what is shared."""
        owner, name = method.owner, text(node)
        if owner is None:
            return ""
        if node.type == "class_variable" or _of_class(method):
            return self._of(owner, name)
        value, where = owner.held.get(name, (None, method))
        return self._key_of(value, where, depth + 1) if not where.body and not _of_class(where) else ""

    def _of(self, cls: Class, name: str) -> str:
        line = (cls, *(one for one in self.classes.ancestors(cls) if isinstance(one, Class)))
        return next((key for one in line if (key := f"{one.name}.{name}") in self.held), "")

    def _answered(self, node: "Node", method: Method, depth: int) -> str:
        """What a method of the application returns, as far as its last statement tells."""
        receiver = node.child_by_field_name("receiver") if node.type == "call" else None
        name = text(node.child_by_field_name("method")) if node.type == "call" else text(node)
        own = Known(method.owner, method.singleton) if method.owner is not None else None
        known = own if receiver is None else kind(self.classes, receiver, method, depth)
        if known is None:
            return ""
        found = answers(self.classes, known, name)
        if not found and known.singleton:
            return self._of(known.cls, kept_as(known.cls, name).rpartition(".")[2])
        if len(found) != 1 or name == "new":
            return ""
        inner = found[0].node.child_by_field_name("body")
        returned = inner if inner is not None and inner.type != "body_statement" else last(body(found[0].node))
        return self._key_of(returned, found[0], depth + 1)


def _leaves(node: "Node") -> Iterator["Node"]:
    """What a value may be."""
    todo = [node]
    while todo:
        one = todo.pop()
        if one.type == "conditional":
            parts = (one.child_by_field_name(part) for part in ("consequence", "alternative"))
            todo += [part for part in parts if part is not None]
        elif one.type in {"parenthesized_statements", "begin"} and (end := last(named(one))) is not None:
            todo.append(end)
        elif one.type in {"assignment", "operator_assignment"} and (value := one.child_by_field_name("right")):
            todo.append(value)
        else:
            yield one


def _last(left: "Node") -> str:
    """The name of what is set, without what it belongs to."""
    one = left.child_by_field_name("method") or left.child_by_field_name("name") or left
    return text(one).lstrip("@")


def _around(node: "Node") -> str:
    """The class that a node of a file stands in."""
    names = []
    one = node.parent
    while one is not None:
        if one.type in CLASSES:
            names.append(text(one.child_by_field_name("name")).lstrip(":"))
        one = one.parent
    return "::".join(reversed(names))


def _of_class(method: Method) -> bool:
    """Whether its variables are the class's."""
    extended = method.owner is not None and "self" in method.owner.above
    return (method.singleton or extended) and method.node.type in {"method", "singleton_method"}


def kept_as(cls: Class, name: str) -> str:
    """The variable of the class that its accessor reads and sets; "" where it has none of that name."""
    if cls.delegated.get(name) == f"@{name}":
        return f"{cls.name}.@{name}"
    for node, _ in cls.body:
        if text(node.child_by_field_name("method")) in ACCESSORS:
            given = named(node.child_by_field_name("arguments"))
            if name in map(string, given):
                return f"{cls.name}.@@{name}"
    return ""
