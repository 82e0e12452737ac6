"""Every call, with its arguments as far as they tell."""

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import Call, Calls
from kiqdoctor.doctor.probe import Lane, probe
from kiqdoctor.probes.code.reading import DEADLINE, SOURCE, sites
from kiqdoctor.probes.tree.tree import Tree

if TYPE_CHECKING:
    from kiqdoctor.probes.code.index import Index
    from kiqdoctor.probes.code.python.module import Function
    from kiqdoctor.probes.code.ruby.classes import Method


MIXED_IN: Final = {"timeout": "Timeout"}
"""Words that a module of the outside gives to who mixes it in."""


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


def _ruby(index: "Index", method: "Method") -> Iterator[Call]:
    for sent in method.calls:
        yield Call(method.number, *method.at(sent.node), _spelt(index, method, sent.name), sent.arguments)


def _spelt(index: "Index", method: "Method", name: str) -> str:
    """The module's name before what a class has mixed in: ``include Timeout`` makes ``timeout`` one of its words."""
    owner = MIXED_IN.get(name, "")
    own = bool(owner) and method.owner is not None and owner in index.classes.ancestors(method.owner)
    return f"{owner}.{name}" if own or (owner == "Timeout" and index.tree_wide(_timeout_for_all)) else name


def _timeout_for_all(index: "Index") -> bool:
    """Whether a file includes Timeout outside of any class: every object has its word."""
    from kiqdoctor.probes.code.ruby.naming import arguments_of
    from kiqdoctor.probes.tree.ruby import text

    bodies = (unit for unit in index.classes.units if unit.body and unit.owner is None)
    given = (arguments_of(sent.node) for unit in bodies for sent in unit.calls if sent.name == "include")
    return any(text(one).lstrip(":") == "Timeout" for nodes in given for one in nodes)
