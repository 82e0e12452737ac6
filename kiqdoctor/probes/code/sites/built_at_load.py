"""Objects that are built when files are loaded: what a later fork inherits."""

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import BuiltAtLoad, Named
from kiqdoctor.doctor.probe import Lane, probe
from kiqdoctor.probes.code.reading import DEADLINE, SOURCE, sites
from kiqdoctor.probes.tree.tree import Tree

if TYPE_CHECKING:
    from kiqdoctor.probes.code.index import Index
    from kiqdoctor.probes.code.python.module import Function
    from kiqdoctor.probes.code.ruby.classes import Method

MAKERS: Final = frozenset({"new", "current", "redis", "lookup"})


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def built_at_load(tree: Tree) -> BuiltAtLoad:
    """What Python's globals and classes hold, and what Ruby's initializers make outside any block."""
    return BuiltAtLoad(*sites(tree, _python, _ruby))


def _python(index: "Index", function: "Function") -> Iterator[Named]:
    if function.name or not function.module.loaded:
        return
    module = function.module
    here = {id(one.value) for one in function.bindings}
    for name, value in module.held.items():
        if name.endswith("()") or not index.names.everybodys(module.full(name)):
            continue  # an object's own, or what a call returned first
        if "()" not in name and id(value) not in here:
            continue  # made by a function, when somebody first asks
        made_by = index.names.resolved(module.dotted(value)).removesuffix("()")
        if isinstance(value, ast.Call) and index.names.outside(made_by):
            yield Named(function.number, *function.at(value), made_by)


def _ruby(__: "Index", method: "Method") -> Iterator[Named]:
    if not (method.body and method.path.startswith("config/")):
        return
    for sent in method.calls:
        made_by, _, word = sent.name.rpartition(".")
        if word in MAKERS and made_by[:1].isupper() and not sent.in_block:
            yield Named(method.number, *method.at(sent.node), made_by)
