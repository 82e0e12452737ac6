"""Database transactions, and the enqueues that happen inside them, up to three calls away."""

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import Enqueues, Inside, Transaction, Transactions
from kiqdoctor.doctor.probe import Lane, probe
from kiqdoctor.probes.code.reading import DEADLINE, MOST_SITES, SOURCE
from kiqdoctor.probes.code.spans import WHOLE, Span
from kiqdoctor.probes.tree.tree import Tree

if TYPE_CHECKING:
    from kiqdoctor.probes.code.graph import Opened, Unit
    from kiqdoctor.probes.code.index import Index

DEPTH: Final = 3  # calls that are followed out of a transaction


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def transactions(tree: Tree, enqueues: Enqueues) -> Transactions:
    """Blocks, decorated functions and the ORM's hooks; what is handed to a commit hook is not inside."""
    from kiqdoctor.probes.code.index import indexed

    holding: dict[int, list[int]] = {}
    for number, enqueue in enumerate(enqueues.sites):
        if not enqueue.after_commit:
            holding.setdefault(enqueue.function, []).append(number)
    found: list[Transaction] = []
    inside: dict[Inside, None] = {}
    for opened in _opened(indexed(tree)):
        if len(found) == MOST_SITES:
            return Transactions(tuple(found), f"the first {MOST_SITES} transactions were kept", tuple(inside))
        inside |= dict.fromkeys(_inside(opened, len(found), enqueues, holding))
        found.append(Transaction(opened.unit.number, *opened.at, opened.opens, opened.hook, opened.writes))
    return Transactions(tuple(found), inside=tuple(inside))


def _opened(index: "Index") -> "Iterator[Opened]":
    from kiqdoctor.probes.code.python import transactions as in_python
    from kiqdoctor.probes.code.ruby import transactions as in_ruby

    for function in index.names.units:
        yield from in_python.opened(index.names, function)
    yield from in_python.requests(index.names, {one.function for one in index.symbols.values()})
    yield from in_ruby.blocks(index.classes)
    for cls in index.classes.all.values():
        yield from in_ruby.callbacks(index.classes, cls)


def _inside(opened: "Opened", number: int, enqueues: Enqueues, holding: dict[int, list[int]]) -> Iterator[Inside]:
    from kiqdoctor.probes.code.graph import called_from

    ways: list[tuple[Unit, tuple[Unit, ...], Span]] = [(one, (one,), WHOLE) for one in opened.runs]
    if opened.part is not None:
        ways.append((opened.unit, (), opened.part))
    for unit, way, part in [*ways]:
        further = called_from(unit, part, DEPTH - len(way))
        ways += [(path[-1], (*way, *path), WHOLE) for path in further]
    for unit, way, part in ways:
        for one in holding.get(unit.number, ()):
            site = enqueues.sites[one]
            if unit.runs((site.line, site.column), part):
                yield Inside(number, one, tuple(step.number for step in way))
