"""All of the application's Ruby: classes and modules, their methods, and what stands in each."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import Argument, Function, Place
from kiqdoctor.probes.code.graph import Unit
from kiqdoctor.probes.code.ruby.arguments import arguments
from kiqdoctor.probes.code.spans import Position, Span

if TYPE_CHECKING:
    from tree_sitter import Node

MOST_ABOVE: Final = 100  # classes and modules that one descends from; Rails has some sixty


@dataclass(frozen=True, slots=True)
class Sent:
    """A call with its name (``calls.name_of``), and whether it stands in a block."""

    node: "Node"
    name: str
    in_block: bool

    @property
    def arguments(self) -> tuple[Argument, ...]:
        """All of them, in order."""
        return arguments(self.node)


@dataclass(eq=False, slots=True)
class Method(Unit):
    """A method, or what a file does when it is loaded: what stands in it, in order.

    ``words``: bare names, which may be calls, where each stands first.
    """

    name: str  # "Mailer#send", "Mailer.deliver"; of a file its path
    path: str
    node: "Node"
    owner: "Class | None" = None
    body: bool = False
    calls: list[Sent] = field(default_factory=list)
    words: dict[str, Position] = field(default_factory=dict)
    constants: list["Node"] = field(default_factory=list)
    assignments: list["Node"] = field(default_factory=list)
    committed: list[Span] = field(default_factory=list)  # blocks that run once a transaction has committed
    clauses: list["Node"] = field(default_factory=list)  # rescue, its modifier, ensure

    def fact(self) -> Function:
        """Its row in the table of functions."""
        return Function(self.name, Place(self.path, *self.at(self.node)), "ruby", self.caller, body=self.body)

    @staticmethod
    def at(node: "Node") -> Position:
        """Where a node begins."""
        row, column = node.start_point
        return row + 1, column + 1

    @staticmethod
    def span(node: "Node") -> Span:
        """From where to where it goes."""
        row, column = node.end_point
        return Method.at(node), (row + 1, column + 1)


@dataclass(eq=False, slots=True)
class Class:
    """A class or module: what it descends from and mixes in as written, its methods, and the calls in its body."""

    name: str
    above: list[str] = field(default_factory=list)
    methods: dict[str, Method] = field(default_factory=dict)
    singletons: dict[str, Method] = field(default_factory=dict)
    body: list[tuple["Node", Method]] = field(default_factory=list)


@dataclass(eq=False, slots=True)
class Classes:
    """The whole. ``top``: methods outside any class; ``known``: the names of all methods."""

    all: dict[str, Class] = field(default_factory=dict)
    top: dict[str, Method] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    units: list[Method] = field(default_factory=list)
    _above: dict[str, tuple["Class | str", ...]] = field(default_factory=dict)

    def find(self, name: str, inside: str) -> Class | None:
        """A constant as Ruby looks it up: in the class, outwards."""
        name = name.lstrip(":")
        outer = inside
        while outer:
            if f"{outer}::{name}" in self.all:
                return self.all[f"{outer}::{name}"]
            outer = outer.rpartition("::")[0]
        return self.all.get(name)

    def ancestors(self, one: Class) -> tuple["Class | str", ...]:
        """What a class descends from and mixes in, nearest first; of the outside's classes their names.

        To be asked once all files are read.
        """
        known = self._above.get(one.name)
        if known is None:
            known = self._above[one.name] = tuple(self._ancestors(one))
        return known

    def _ancestors(self, one: Class) -> Iterator["Class | str"]:
        todo, seen = [one], {one.name}
        for cls in todo:
            for above in cls.above[:MOST_ABOVE]:
                parent = self.find(above, cls.name)
                if parent is None:
                    yield above.lstrip(":")
                elif parent.name not in seen and len(seen) <= MOST_ABOVE:
                    seen.add(parent.name)
                    todo.append(parent)
                    yield parent

    def method(self, one: Class, name: str, *, singleton: bool) -> Method | None:
        """What an object of this class, or the class itself, answers with; else the other of the two."""
        if name not in self.known:
            return None
        for cls in (one, *(above for above in self.ancestors(one) if isinstance(above, Class))):
            sides = (cls.singletons, cls.methods) if singleton else (cls.methods, cls.singletons)
            for side in sides:
                if name in side:
                    return side[name]
        return None
