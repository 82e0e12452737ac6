"""Clauses that catch what was raised: what they catch, and whether they raise again."""

import ast
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import Ending, Handler, Handlers
from kiqdoctor.doctor.probe import Lane, probe
from kiqdoctor.probes.code.reading import DEADLINE, SOURCE, sites
from kiqdoctor.probes.tree.ruby import named, text
from kiqdoctor.probes.tree.tree import Tree

if TYPE_CHECKING:
    from tree_sitter import Node

    from kiqdoctor.probes.code.index import Index
    from kiqdoctor.probes.code.python.module import Function
    from kiqdoctor.probes.code.ruby.classes import Method

STANDARD: Final = ("StandardError",)
"""What Ruby's ``rescue`` catches where it names nothing."""


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def handlers(tree: Tree) -> Handlers:
    """Every except and rescue clause, and every finally and ensure clause that leaves."""
    return Handlers(*sites(tree, _python, _ruby))


def _ending(found: frozenset[str]) -> Ending:
    """How a clause ends, by all the ways in which it may."""
    if found == {"raise"}:
        return Ending.RAISES
    return Ending.SOMETIMES if "raise" in found else Ending.SWALLOWS


def _python(index: "Index", function: "Function") -> Iterator[Handler]:
    from kiqdoctor.probes.code.python.flow import ways

    for node in function.tries:
        for clause in node.handlers:
            caught = clause.type.elts if isinstance(clause.type, ast.Tuple) else [clause.type] if clause.type else []
            names = tuple(index.names.spelt(one, function) or "?" for one in caught)
            yield Handler(function.number, *function.at(clause), names, _ending(ways(clause.body)))
        if node.finalbody and "leave" in ways(node.finalbody):
            yield Handler(function.number, *function.at(node.finalbody[0]), (), Ending.SWALLOWS, final=True)


def _ruby(_: "Index", method: "Method") -> Iterator[Handler]:
    from kiqdoctor.probes.code.ruby.flow import ways

    for node in method.clauses:
        if node.type == "ensure":
            if "leave" in ways(named(node)):
                yield Handler(method.number, *method.at(node), (), Ending.SWALLOWS, final=True)
        elif node.type == "rescue_modifier":
            handler = node.child_by_field_name("handler")
            how = _ending(ways([handler] if handler is not None else []))
            yield Handler(method.number, *method.at(node), STANDARD, how)
        else:
            body = named(node.child_by_field_name("body"))
            yield Handler(method.number, *method.at(node), tuple(_caught(node)) or STANDARD, _ending(ways(body)))


def _caught(clause: "Node") -> Iterator[str]:
    """The constants that a clause names, in an array that is spread too."""
    todo: Sequence[Node] = named(clause.child_by_field_name("exceptions"))
    while todo:
        yield from (text(one).lstrip(":") for one in todo if one.type in {"constant", "scope_resolution"})
        todo = [inner for one in todo if one.type in {"splat_argument", "array"} for inner in named(one)]
