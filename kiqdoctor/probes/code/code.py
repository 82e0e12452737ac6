"""The application's functions, its jobs, and the way from a job to each function that it leads to."""

from kiqdoctor.doctor.facts.code import Code
from kiqdoctor.doctor.probe import Lane, probe
from kiqdoctor.probes.code.reading import DEADLINE, SOURCE
from kiqdoctor.probes.tree.tree import Tree


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def code(tree: Tree) -> Code:
    """The table that all sites point into."""
    from kiqdoctor.probes.code.index import indexed

    return indexed(tree).code
