"""Calls that wait for another machine, and what limits how long."""

from kiqdoctor.doctor.facts.code import NetworkCalls
from kiqdoctor.doctor.probe import Lane, probe
from kiqdoctor.probes.code.reading import DEADLINE, SOURCE, sites
from kiqdoctor.probes.tree.tree import Tree


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def network_calls(tree: Tree) -> NetworkCalls:
    """Those of the libraries that are known."""
    from kiqdoctor.probes.code.index import indexed
    from kiqdoctor.probes.code.python import network_calls as in_python
    from kiqdoctor.probes.code.ruby import network_calls as in_ruby

    index = indexed(tree)
    reader = in_python.Reader(index.names)
    limited = in_ruby.limited(index.classes.units)
    return NetworkCalls(
        *sites(
            tree, lambda _, function: reader.calls(function), lambda _, method: in_ruby.network_calls(method, limited)
        )
    )
