"""How each job may be called, as its own function says it."""

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import Job
from kiqdoctor.doctor.facts.code.signatures import Signature, Signatures
from kiqdoctor.doctor.probe import Lane, probe
from kiqdoctor.probes.code.python.frameworks import library_of
from kiqdoctor.probes.code.reading import DEADLINE, SOURCE
from kiqdoctor.probes.tree.ruby import named, text
from kiqdoctor.probes.tree.tree import Tree

if TYPE_CHECKING:
    from tree_sitter import Node

    from kiqdoctor.probes.code.index import Index
    from kiqdoctor.probes.code.python.module import Function
    from kiqdoctor.probes.code.ruby.classes import Method

WIRE: Final = frozenset({"kiqdoctor", "sidekiq", "activejob"})
"""Libraries whose payloads are Sidekiq's."""
CURSOR: Final = "cursor"  # whoever runs an iterable job hands it over
RUNS: Final = "perform"
FORWARDS: Final = frozenset({"forward_parameter", "hash_splat_nil", "destructured_parameter"})


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def signatures(tree: Tree) -> Signatures:
    """Of what is wrapped by a decorator of the application's own, or runs by steps, it is not told."""
    from kiqdoctor.probes.code.index import indexed

    return Signatures(tuple(_all(indexed(tree))))


def _all(index: "Index") -> Iterator[Signature]:
    from kiqdoctor.probes.code.python.module import Function
    from kiqdoctor.probes.code.ruby.classes import Method

    for job in index.code.jobs:
        unit = index.units[job.function]
        if job.library not in WIRE:
            continue
        if isinstance(unit, Function):
            yield from _python(index, job, unit)
        elif isinstance(unit, Method) and unit.short == RUNS:
            yield from _ruby(job, unit)


def _python(index: "Index", job: Job, function: "Function") -> Iterator[Signature]:
    node, outer = function.node, function.outer or function.module.body
    called = [one.func if isinstance(one, ast.Call) else one for one in function.decorators]
    if isinstance(node, ast.Module) or not all(library_of(index.names.spelt(one, outer)) for one in called):
        return
    given = node.args
    steps = any(one.arg == CURSOR for one in given.kwonlyargs)
    named_ones = [
        (one.arg, default is None)
        for one, default in zip(given.kwonlyargs, given.kw_defaults, strict=True)
        if not (steps and one.arg == CURSOR)
    ]
    placed = tuple(one.arg for one in (*given.posonlyargs, *given.args) if one.arg != CURSOR)
    yield Signature(
        function.number,
        *function.begin,
        names=(job.name, *_wire(function)),
        placed=placed,
        least=max(0, len(placed) - len(given.defaults)),
        rest=given.vararg is not None,
        required=tuple(name for name, needed in named_ones if needed),
        optional=tuple(name for name, needed in named_ones if not needed),
        others=given.kwarg is not None,
        nameable=True,
    )


def _wire(function: "Function") -> Iterator[str]:
    """``@job(name="Mailer")``."""
    for one in function.decorators:
        for given in one.keywords if isinstance(one, ast.Call) else ():
            if given.arg == "name" and isinstance(given.value, ast.Constant) and isinstance(given.value.value, str):
                yield given.value.value


def _ruby(job: Job, method: "Method") -> Iterator[Signature]:
    given = named(method.node.child_by_field_name("parameters"))
    kinds = {one.type for one in given}
    if kinds & FORWARDS:
        return
    placed = [one for one in given if one.type in {"identifier", "optional_parameter"}]
    keywords = [(_named(one), one.child_by_field_name("value") is None) for one in given if one.type == _KEYWORD]
    yield Signature(
        method.number,
        *method.at(method.node),
        names=(job.name,),
        placed=tuple(map(_named, placed)),
        least=sum(one.type == "identifier" for one in placed),
        rest="splat_parameter" in kinds,
        required=tuple(name for name, needed in keywords if needed),
        optional=tuple(name for name, needed in keywords if not needed),
        others="hash_splat_parameter" in kinds,
    )


_KEYWORD: Final = "keyword_parameter"


def _named(node: "Node") -> str:
    return text(node.child_by_field_name("name") or node)[:100]
