"""What the application takes from outside, and where a function first touches it."""

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import Import, Imports
from kiqdoctor.doctor.probe import Lane, probe
from kiqdoctor.probes.code.reading import DEADLINE, SOURCE, sites
from kiqdoctor.probes.code.ruby.naming import arguments_of
from kiqdoctor.probes.code.spans import within
from kiqdoctor.probes.tree.ruby import string, text
from kiqdoctor.probes.tree.tree import Tree

if TYPE_CHECKING:
    from kiqdoctor.probes.code.index import Index
    from kiqdoctor.probes.code.python.module import Function
    from kiqdoctor.probes.code.ruby.classes import Method

LOADS: Final = frozenset({"require", "require_dependency", "gem"})
MISSING: Final = frozenset({"ImportError", "ModuleNotFoundError"})


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def imports(tree: Tree) -> Imports:
    """Each statement, and each name from outside once a function; Ruby's constants with what they descend from."""
    return Imports(*sites(tree, _python, _ruby))


def _python(index: "Index", function: "Function") -> Iterator[Import]:
    names = index.names
    spans = [function.span(one) for one in function.tries if _catches(one)]
    for node in function.imports:
        optional = any(within(function.at(node), span) for span in spans)
        base = f"{function.module.base_of(node)}." if isinstance(node, ast.ImportFrom) else ""
        for alias in node.names:
            if names.outside(name := f"{base}{alias.name}".lstrip(".")):
                yield Import(function.number, *function.at(node), name, statement=True, optional=optional)
    seen: set[str] = set()
    for used, dotted in function.uses:
        name = names.resolved(dotted)
        if name not in seen and "()" not in name and names.outside(name):
            seen.add(name)
            yield Import(function.number, *function.at(used), name)


def _catches(node: ast.Try | ast.TryStar) -> bool:
    named = (part for one in node.handlers if one.type is not None for part in ast.walk(one.type))
    return any(isinstance(one, ast.Name) and one.id in MISSING for one in named)


def _ruby(index: "Index", method: "Method") -> Iterator[Import]:
    for sent in method.calls:
        given = arguments_of(sent.node) if sent.name in LOADS or sent.name == "load" else []
        name = string(given[0]) if given else None
        if name and (sent.name != "load" or "/" in name or name.endswith(".rb")):
            yield Import(method.number, *method.at(sent.node), name, statement=True)
    inside = method.owner.name if method.owner is not None else ""
    seen: set[str] = set()
    for node in method.constants:
        name = text(node).lstrip(":")
        own = index.classes.find(name, inside)
        above = [name] if own is None else [one for one in index.classes.ancestors(own) if isinstance(one, str)]
        for one in above:
            if one not in seen:
                seen.add(one)
                yield Import(method.number, *method.at(node), one)
