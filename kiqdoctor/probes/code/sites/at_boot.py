"""What happens while the application's files are loaded: jobs that are handed over, servers that are asked."""

from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import AtBoot, Booted, Enqueue, Enqueues
from kiqdoctor.doctor.probe import Lane, probe
from kiqdoctor.probes.code.reading import DEADLINE, MOST_SITES, SOURCE
from kiqdoctor.probes.code.spans import WHOLE, Position, Span, within
from kiqdoctor.probes.tree.tree import Tree

if TYPE_CHECKING:
    from kiqdoctor.probes.code.graph import Runs, Unit
    from kiqdoctor.probes.code.index import Index
    from kiqdoctor.probes.code.python.names import Names

DEPTH: Final = 3  # calls that are followed from what a file does


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def at_boot(tree: Tree, enqueues: Enqueues) -> AtBoot:
    """Of what loads with the application, up to three calls away, and the functions that run after a fork instead."""
    from kiqdoctor.probes.code.index import indexed
    from kiqdoctor.probes.code.python import booting

    index = indexed(tree)
    holding: dict[int, list[Enqueue]] = {}
    for one in enqueues.sites:
        holding.setdefault(one.function, []).append(one)
    found = tuple(dict.fromkeys(_booted(index, holding)))
    return AtBoot(
        found[:MOST_SITES],
        f"the first {MOST_SITES} of {len(found)} sites were kept" if len(found) > MOST_SITES else "",
        tuple(one.number for one in booting.hooks(index.names)),
    )


def _booted(index: "Index", holding: dict[int, list[Enqueue]]) -> Iterator[Booted]:
    from kiqdoctor.probes.code.graph import called_from
    from kiqdoctor.probes.code.python import booting
    from kiqdoctor.probes.code.ruby import booting as in_ruby

    clients = in_ruby.clients(index.classes)
    for unit, spared, loaded in (*booting.begins(index.names), *in_ruby.begins(index.classes)):
        runs = partial(_runs, index.names, {unit: spared})
        yield from _of(index, unit, (), runs, holding, clients, loaded=loaded)
        for way in called_from(unit, WHOLE, DEPTH, runs):
            yield from _of(index, way[-1], (unit, *way[:-1]), runs, holding, clients, loaded=loaded)


def _runs(names: "Names", spared: "dict[Unit, list[Span]]", unit: "Unit", at: Position, part: Span) -> bool:
    """Whether what stands there runs at boot; ``spared``: what does not, by unit, filled here."""
    from kiqdoctor.probes.code.python import booting
    from kiqdoctor.probes.code.python.module import Function
    from kiqdoctor.probes.code.ruby import booting as in_ruby
    from kiqdoctor.probes.code.ruby.classes import Method

    if unit not in spared:
        in_python = booting.spared(names, unit) if isinstance(unit, Function) else ()
        spared[unit] = [*(in_ruby.spared(unit) if isinstance(unit, Method) else in_python)]
    return unit.runs(at, part) and not any(within(at, span) for span in spared[unit])


def _of(
    index: "Index",
    unit: "Unit",
    way: "tuple[Unit, ...]",
    runs: "Runs",
    holding: dict[int, list[Enqueue]],
    clients: frozenset[str],
    *,
    loaded: bool,
) -> Iterator[Booted]:
    from kiqdoctor.probes.code.python import booting
    from kiqdoctor.probes.code.python.module import Function
    from kiqdoctor.probes.code.ruby import booting as in_ruby
    from kiqdoctor.probes.code.ruby.classes import Method

    through = tuple(one.number for one in way)
    for one in holding.get(unit.number, ()):
        if runs(unit, (one.line, one.column), WHOLE):
            name = f"{one.job}.{one.verb}" if one.verb else one.job
            yield Booted(unit.number, one.line, one.column, name, one.job or "?", through=through, loaded=loaded)
    asked = booting.asked(index.names, unit) if isinstance(unit, Function) else ()
    asked = in_ruby.asked(clients, unit) if isinstance(unit, Method) else asked
    for at, name, made_by in asked:
        if runs(unit, at, WHOLE):
            yield Booted(unit.number, *at, name, made_by=made_by, through=through, loaded=loaded)
