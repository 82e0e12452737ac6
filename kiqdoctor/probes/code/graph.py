"""What runs what: units of code in either language, and which of them a job leads to."""

from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import field
from typing import Final

from kiqdoctor.doctor.facts.code import Function
from kiqdoctor.probes.code.spans import WHOLE, Position, Span, within
from kiqdoctor.records import dataclass

FURTHEST: Final = 32
"""Calls that are followed from a job: what is further away is counted."""


@dataclass(frozen=True, slots=True)
class Edge:
    """One unit names another at a place; ``called``: it is run there, else handed on to somebody."""

    to: "Unit"
    at: Position
    called: bool


@dataclass(eq=False, slots=True)
class Unit:
    """A function, a method, or what a file does when it is loaded.

    ``number``: its index in the table of functions. ``later``: what is written in it and runs at another time.
    ``unfollowed``: calls that may lead to the application's functions, of objects that nobody knows.
    """

    number: int = field(default=-1, init=False)
    caller: int | None = field(default=None, init=False)
    edges: list[Edge] = field(default_factory=list, init=False)
    unfollowed: int = field(default=0, init=False)
    later: list[Span] = field(default_factory=list, init=False)

    def fact(self) -> Function:
        """Its row in the table of functions."""
        raise NotImplementedError

    def runs(self, at: Position, part: Span) -> bool:
        """Whether what stands there runs when this part of the unit does, and not at another time."""
        return within(at, part) and not any(within(at, late) and late[0] > part[0] for late in self.later)


@dataclass(frozen=True, slots=True)
class Opened:
    """A database transaction: where it stands, what opens it, and what runs inside: a part of its unit, or others.

    ``hook``: an ORM runs them within whatever transaction its caller has. ``writes``: something may be written in it.
    """

    unit: Unit
    at: Position
    opens: str
    part: Span | None
    runs: tuple[Unit, ...] = ()
    hook: bool = False
    writes: bool = True


@dataclass(frozen=True, slots=True)
class Order:
    """Units in the table's order; how many of them jobs lead to, and how many more they would, further away."""

    units: list[Unit]
    reached: int
    beyond: int


def numbered(units: Iterable[Unit], jobs: Iterable[Unit]) -> Order:
    """Those that a job leads to first, callers before what they call; `FURTHEST` calls are followed."""
    order = list(dict.fromkeys(jobs))
    for number, unit in enumerate(order):
        unit.number = number
    begin = 0
    for _ in range(FURTHEST):
        end = len(order)
        for unit in order[begin:end]:
            for edge in unit.edges:
                if edge.to.number < 0:
                    edge.to.number, edge.to.caller = len(order), unit.number
                    order.append(edge.to)
        begin = end
    reached = len(order)
    beyond = _beyond(order[begin:])
    rest = [unit for unit in units if unit.number < 0]
    for number, unit in enumerate(rest, reached):
        unit.number = number
    return Order([*order, *rest], reached, beyond)


def _beyond(last: list[Unit]) -> int:
    """How many more would be reached from these."""
    seen: set[Unit] = set()
    todo = deque(last)
    while todo:
        new = {edge.to for edge in todo.popleft().edges if edge.to.number < 0} - seen
        seen |= new
        todo += new
    return len(seen)


Runs = Callable[[Unit, Position, Span], bool]


def called_from(unit: Unit, span: Span, depth: int, runs: Runs = Unit.runs) -> Iterator[tuple[Unit, ...]]:
    """What a span of a unit runs, each with the ways that lead there; the shortest way, at most so many calls."""
    seen = {unit}
    ways: deque[tuple[Unit, tuple[Unit, ...], Span]] = deque([(unit, (), span)])
    while ways:
        one, way, part = ways.popleft()
        for edge in one.edges:
            if edge.called and edge.to not in seen and runs(one, edge.at, part):
                seen.add(edge.to)
                further = (*way, edge.to)
                yield further
                if len(further) < depth:
                    ways.append((edge.to, further, WHOLE))
