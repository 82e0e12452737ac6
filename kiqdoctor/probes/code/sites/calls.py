"""Every call, with its arguments as far as they tell."""

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING

from kiqdoctor.doctor.facts.code import Call, Calls
from kiqdoctor.doctor.probe import Lane, probe
from kiqdoctor.probes.code.reading import DEADLINE, SOURCE, sites
from kiqdoctor.probes.tree.tree import Tree

if TYPE_CHECKING:
    from kiqdoctor.probes.code.index import Index
    from kiqdoctor.probes.code.python.module import Function
    from kiqdoctor.probes.code.ruby.classes import Method


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def calls(tree: Tree) -> Calls:
    """All but those of Python's own functions."""
    return Calls(*sites(tree, _python, _ruby))


def _python(index: "Index", function: "Function") -> Iterator[Call]:
    names, outer = index.names, function.outer or function
    for one in function.decorators:
        if isinstance(one, ast.Call) and (name := names.spelt(one.func, outer)):
            yield Call(function.number, *function.at(one), name, names.arguments(outer, one), decorator=True)
    for call, dotted in function.calls:
        if name := names.called(call, dotted):
            yield Call(function.number, *function.at(call), name, names.arguments(function, call))


def _ruby(_: "Index", method: "Method") -> Iterator[Call]:
    for sent in method.calls:
        yield Call(method.number, *method.at(sent.node), sent.name, sent.arguments)
