"""What runs what: units of code in either language, and which of them a job leads to."""

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from kiqdoctor.doctor.facts.code import Function
from kiqdoctor.probes.code.spans import WHOLE, Position, Span, within


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
    """

    number: int = field(default=-1, init=False)
    caller: int | None = field(default=None, init=False)
    edges: list[Edge] = field(default_factory=list, init=False)
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

    ``hook``: an ORM runs them within whatever transaction its caller has.
    """

    unit: Unit
    at: Position
    opens: str
    part: Span | None
    runs: tuple[Unit, ...] = ()
    hook: bool = False


def numbered(units: Iterable[Unit], jobs: Iterable[Unit]) -> tuple[list[Unit], int]:
    """The units in the table's order, and how many a job leads to: these first, callers before what they call."""
    order = list(dict.fromkeys(jobs))
    for number, unit in enumerate(order):
        unit.number = number
    queue = deque(order)
    while queue:
        unit = queue.popleft()
        for edge in unit.edges:
            if edge.to.number < 0:
                edge.to.number, edge.to.caller = len(order), unit.number
                order.append(edge.to)
                queue.append(edge.to)
    reached = len(order)
    rest = [unit for unit in units if unit.number < 0]
    for number, unit in enumerate(rest, reached):
        unit.number = number
    return [*order, *rest], reached


def called_from(unit: Unit, span: Span, depth: int) -> Iterator[tuple[Unit, ...]]:
    """What a span of a unit runs, each with the ways that lead there; the shortest way, at most so many calls."""
    seen = {unit}
    ways: deque[tuple[Unit, tuple[Unit, ...], Span]] = deque([(unit, (), span)])
    while ways:
        one, way, part = ways.popleft()
        for edge in one.edges:
            if edge.called and edge.to not in seen and one.runs(edge.at, part):
                seen.add(edge.to)
                further = (*way, edge.to)
                yield further
                if len(further) < depth:
                    ways.append((edge.to, further, WHOLE))
