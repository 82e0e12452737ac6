"""Blocking reads of redis-py, each with the time-out of the client that sends it, where the source leads to that."""

import ast
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import Named
from kiqdoctor.doctor.facts.code.habits import PopLimits
from kiqdoctor.doctor.probe import Lane, probe
from kiqdoctor.probes.code.reading import DEADLINE, SOURCE, sites
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.regex import regex

if TYPE_CHECKING:
    from kiqdoctor.probes.code.index import Index
    from kiqdoctor.probes.code.python.module import Function
    from kiqdoctor.probes.code.ruby.classes import Method

VERBS: Final = frozenset(
    {"blpop", "brpop", "bzpopmin", "bzpopmax", "brpoplpush", "blmove", "blmpop", "bzmpop", "xread", "xreadgroup"}
)
TIMEOUT: Final = "socket_timeout"
DEFAULT: Final = "default"
"""Nobody says it: the library's own counts."""
_SAID: Final = regex(r"[?&]socket_timeout=([0-9]{1,6}(?:\\.[0-9]{1,3})?)(?:&|$)")
DEEPEST: Final = 4  # from a client to its pool, and on


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def pop_limits(tree: Tree) -> PopLimits:
    """Seconds, ``None``, or ``default``; what cannot be told is left out."""
    return PopLimits(*sites(tree, _python, _ruby))


def _python(index: "Index", function: "Function") -> Iterator[Named]:
    for call, dotted in function.calls:
        func = call.func
        if isinstance(func, ast.Attribute) and func.attr in VERBS and index.names.resolved(dotted).startswith("redis."):
            built, where = index.names.valued(function, func.value)
            limit = _limit(index, where, built)
            if limit:
                yield Named(function.number, *function.at(call), limit)


def _ruby(_index: "Index", _method: "Method") -> Iterator[Named]:
    """Ruby's clients add a command's own time."""
    return iter(())


def _limit(index: "Index", function: "Function", node: ast.expr, depth: int = 0) -> str:
    """What the call that builds a client, or its pool, says; "" where that cannot be told."""
    if not isinstance(node, ast.Call) or depth > DEEPEST:
        return ""
    pool = None
    given = [(one.arg, one.value) for one in node.keywords]
    for name, value in given:
        if name is None:
            spread, _ = index.names.valued(function, value)
            if not isinstance(spread, ast.Dict):
                return ""
            given += [(getattr(key, "value", None), each) for key, each in zip(spread.keys, spread.values, strict=True)]
        elif name == TIMEOUT:
            return _number(index, function, value)
        elif name == "connection_pool":
            pool = value
    if pool is not None:
        built, where = index.names.valued(function, pool)
        return _limit(index, where, built, depth + 1)
    for value in (*node.args[:1], *(value for name, value in given if name == "url")):
        text, _ = index.names.valued(function, value)
        if isinstance(text, ast.Constant) and isinstance(text.value, str) and (said := _SAID.search(text.value)):
            return said[1]
    return DEFAULT


def _number(index: "Index", function: "Function", node: ast.expr) -> str:
    value, _ = index.names.valued(function, node)
    if isinstance(value, ast.Constant) and (value.value is None or isinstance(value.value, int | float)):
        return str(value.value)
    return ""
