"""Uses of objects that all threads of a process hold in common: globals, what classes hold, what is cached."""

from collections.abc import Iterator
from typing import TYPE_CHECKING

from kiqdoctor.doctor.facts.code import Named, SharedUses
from kiqdoctor.doctor.probe import Lane, probe
from kiqdoctor.probes.code.reading import DEADLINE, SOURCE, sites
from kiqdoctor.probes.code.spans import within
from kiqdoctor.probes.tree.tree import Tree

if TYPE_CHECKING:
    from kiqdoctor.probes.code.index import Index
    from kiqdoctor.probes.code.python.module import Function


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def shared_uses(tree: Tree) -> SharedUses:
    """All under no lock, but of what its project calls safe to share; of Ruby clients and connections."""
    from kiqdoctor.probes.code.index import indexed
    from kiqdoctor.probes.code.ruby.shared import Shared

    shared = Shared(indexed(tree).classes)
    return SharedUses(*sites(tree, _python, lambda _, method: shared.uses(method)))


def _python(index: "Index", function: "Function") -> Iterator[Named]:
    if not function.name:
        return  # what a module does when it is loaded, one thread does
    spans = index.names.locked(function)
    for node, dotted in function.uses:
        made_by = index.names.shared(dotted)
        if made_by and not any(within(function.at(node), span) for span in spans):
            yield Named(function.number, *function.at(node), made_by)
