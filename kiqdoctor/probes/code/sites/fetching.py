"""How workers are told to take jobs, and which jobs are tagged as critical, as the source says both."""

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import Named
from kiqdoctor.doctor.facts.code.habits import Fetching
from kiqdoctor.doctor.probe import Lane, probe
from kiqdoctor.probes.code.reading import DEADLINE, SOURCE, sites
from kiqdoctor.probes.code.ruby.naming import arguments_of
from kiqdoctor.probes.tree.ruby import string, text, walk
from kiqdoctor.probes.tree.tree import Tree

if TYPE_CHECKING:
    from tree_sitter import Node

    from kiqdoctor.probes.code.index import Index
    from kiqdoctor.probes.code.python.module import Function
    from kiqdoctor.probes.code.ruby.classes import Method

CRITICAL: Final = "critical"
KEEPS: Final = frozenset({"super_fetch!", "reliable_fetch!", "setup_reliable_fetch!"})
OPTIONS: Final = frozenset({"sidekiq_options"})
FETCH: Final = (":fetch]", ":fetch_class]", '"fetch"]')


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def fetching(tree: Tree) -> Fetching:
    """``reliable``: something turns a fetch on that keeps what it takes; ``critical``: a job bears that tag."""
    return Fetching(*sites(tree, _python, _ruby))


def _python(_: "Index", function: "Function") -> Iterator[Named]:
    for one in function.decorators:
        for word in one.keywords if isinstance(one, ast.Call) else ():
            said = word.value.elts if isinstance(word.value, ast.List | ast.Tuple | ast.Set) else [word.value]
            if word.arg == "tags" and any(isinstance(part, ast.Constant) and part.value == CRITICAL for part in said):
                yield Named(function.number, *function.at(one), CRITICAL)


def _ruby(_: "Index", method: "Method") -> Iterator[Named]:
    for sent in method.calls:
        last = sent.last
        if last in KEEPS:
            yield Named(method.number, *method.at(sent.node), "reliable")
        elif last in OPTIONS and any(map(_tags, arguments_of(sent.node))):
            yield Named(method.number, *method.at(sent.node), CRITICAL)
    for node in method.assignments:
        left = node.child_by_field_name("left")
        if left is not None and text(left)[-40:].endswith(FETCH):
            yield Named(method.number, *method.at(node), "reliable")


def _tags(pair: "Node") -> bool:
    key, value = pair.child_by_field_name("key"), pair.child_by_field_name("value")
    return string(key) == "tags" and any(
        string(one) == CRITICAL or text(one) == CRITICAL for one in (walk(value) if value is not None else ())
    )
