"""All of the application's Ruby: classes and modules, their methods, and what stands in each."""

from collections.abc import Iterator
from dataclasses import field
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import Argument, Function, Place
from kiqdoctor.probes.code.graph import Unit
from kiqdoctor.probes.code.ruby.arguments import arguments
from kiqdoctor.probes.code.spans import Position, Span
from kiqdoctor.records import dataclass

if TYPE_CHECKING:
    from tree_sitter import Node

MOST_ABOVE: Final = 100  # classes and modules that one descends from; Rails has some sixty


@dataclass(frozen=True, slots=True)
class Sent:
    """A call with its name (``calls.name_of``) and the last part of that, and whether it stands in a block."""

    node: "Node"
    name: str
    in_block: bool
    last: str

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
    locals: dict[str, "Node | None"] = field(default_factory=dict)  # name -> what it is set to last, None: not known
    supers: list["Node"] = field(default_factory=list)

    @property
    def short(self) -> str:
        """Its name without its class."""
        return self.name.rpartition("." if self.singleton else "#")[2]

    @property
    def singleton(self) -> bool:
        """Whether it is the class itself that answers with it."""
        return self.owner is not None and not self.body and self.name.startswith(f"{self.owner.name}.")

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
    """A class or module: what it descends from and mixes in as written, its methods, and the calls in its body.

    ``held``: its objects' variables, with what they are set to first; ``stands_for``: names that are other methods
    (alias), ``delegated``: names that somebody else answers, ``hooks``: blocks of its body that run with its jobs.
    """

    name: str
    above: list[str] = field(default_factory=list)
    methods: dict[str, Method] = field(default_factory=dict)
    singletons: dict[str, Method] = field(default_factory=dict)
    body: list[tuple["Node", Method]] = field(default_factory=list)
    held: dict[str, tuple["Node", Method]] = field(default_factory=dict)
    stands_for: dict[str, str] = field(default_factory=dict)
    delegated: dict[str, str] = field(default_factory=dict)
    hooks: list[Method] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Known:
    """What a value is: an object of a class, or (``singleton``) the class itself."""

    cls: Class
    singleton: bool = False


@dataclass(eq=False, slots=True)
class Classes:
    """The whole. ``top``: methods outside any class; ``known``: the names of all methods.

    ``handed``: what parameters are, of the method that is looked at; ``queueing``: calls that may hand to a queue what
    does not say itself that it is a job.
    """

    all: dict[str, Class] = field(default_factory=dict)
    top: dict[str, Method] = field(default_factory=dict)
    known: set[str] = field(default_factory=set)
    lines: int = 0
    units: list[Method] = field(default_factory=list)
    handed: dict[Method, dict[str, Known]] = field(default_factory=dict)
    queueing: list[tuple[Method, Sent]] = field(default_factory=list)
    _above: dict[str, tuple["Class | str", ...]] = field(default_factory=dict)
    _below: dict[str, list["Class"]] | None = None
    _called: dict[str, list[tuple[Method, Sent]]] = field(default_factory=dict)
    _asked: set[str] = field(default_factory=set)

    @property
    def asked(self) -> set[str]:
        """The names that anything of the application answers, ``new`` among them.

        To be asked once all files are read.
        """
        if not self._asked:
            self._asked |= {"new", *self.known}
            for one in self.all.values():
                self._asked |= one.stands_for.keys() | one.delegated.keys()
        return self._asked

    def called(self, name: str) -> Iterator[tuple[Method, Sent]]:
        """The calls of this name, each with the method that it stands in.

        To be asked once all files are read.
        """
        if not self._called:
            for unit in self.units:
                for sent in unit.calls:
                    self._called.setdefault(sent.last, []).append((unit, sent))
        return iter(self._called.get(name, ()))

    def find(self, name: str, inside: str) -> Class | None:
        """A constant as Ruby looks it up: in the class, outwards."""
        outer = "" if name.startswith("::") else inside
        name = name.lstrip(":")
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
                if parent is cls:  # class Api::ApplicationJob < ApplicationJob
                    parent = self.find(above, cls.name.rpartition("::")[0].rpartition("::")[0])
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
        line = (one, *(above for above in self.ancestors(one) if isinstance(above, Class)))
        return _first(self._sides(line, singleton=singleton), name) or _first(
            self._sides(line, singleton=not singleton), name
        )

    def singleton(self, one: Class, name: str) -> Method | None:
        """What the class itself answers with, and no object of it."""
        line = (one, *(above for above in self.ancestors(one) if isinstance(above, Class)))
        return _first(self._sides(line, singleton=True), name) if name in self.known else None

    def _sides(self, line: tuple[Class, ...], *, singleton: bool) -> Iterator[dict[str, Method]]:
        for cls in line:
            yield cls.singletons if singleton else cls.methods
            if singleton and (concern := self.all.get(f"{cls.name}::ClassMethods")) is not None:
                yield concern.methods

    def over(self, method: Method) -> Method | None:
        """What ``super`` in a method runs."""
        if method.owner is None:
            return None
        above = tuple(one for one in self.ancestors(method.owner) if isinstance(one, Class))
        return _first(self._sides(above, singleton=method.singleton), method.short)

    def below(self, one: Class) -> tuple[Class, ...]:
        """The classes that descend from a class or mix in a module, however far."""
        if self._below is None:
            self._below = {}
            for cls in self.all.values():
                for above in self.ancestors(cls):
                    if isinstance(above, Class):
                        self._below.setdefault(above.name, []).append(cls)
        return tuple(self._below.get(one.name, ()))


def _first(sides: Iterator[dict[str, Method]], name: str) -> Method | None:
    return next((side[name] for side in sides if name in side), None)
