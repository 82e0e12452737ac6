"""Clauses that catch what was raised: what they catch, and whether they raise again."""

import ast
import builtins
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
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

SUPPRESS: Final = "contextlib.suppress"
STANDARD: Final = ("StandardError",)
"""What Ruby's ``rescue`` catches where it names nothing."""
ENDS: Final = frozenset({"SystemExit", "BaseException"})
EXIT: Final = "SystemExit"
WHOLE: Final = frozenset({"BaseException", "CancelledError"})
PARSERS: Final = frozenset({"parse_args", "parse_known_args", "parse_intermixed_args"})
SHUTDOWNS: Final = frozenset({"Exception", "Sidekiq::Shutdown", "Interrupt", "SignalException"})
"""What the end of a process is raised as, in Python and in Ruby."""
QUICK: Final = frozenset(
    {"int", "float", "str", "bool", "bytes", "len", "list", "tuple", "dict", "set", "getattr", "isinstance", "repr"}
    | {"all", "any", "sum", "min", "max", "zip", "range", "enumerate", "round", "abs", "hasattr"}
)
"""Python's own functions that are done at once."""

APPLIES: Final = frozenset({"map", "filter", "sorted", "functools.reduce"})
"""They call what they are handed first."""
AT_HAND: Final = (
    *("json.", "os.path.", "re.", "datetime.", "decimal.", "base64.", "ast.literal_eval", "urllib.parse.", "math."),
    *("dateutil.", "zoneinfo.", "pytz.", "uuid.", "ipaddress.", "binascii.", "hashlib.", "unicodedata.", "struct."),
    *("django.utils.dateparse.", "django.utils.timezone.", "html.", "shlex.", "fractions.", "packaging.version."),
)
QUICKLY: Final = frozenset(
    {"delete", "remove", "unlink", "rmtree", "rmdir", "close", "cleanup"}
    | {"decode", "encode", "split", "rsplit", "strip", "lower", "upper", "partition", "index", "format", "isoformat"}
)
"""Methods that give something up, or are a text's."""
BODY: Final = "json"  # of an answer that has come


@probe(SOURCE, lane=Lane.FILES, deadline_s=DEADLINE)
def handlers(tree: Tree) -> Handlers:
    """Every except and rescue clause, and every finally and ensure clause that leaves."""
    return Handlers(*sites(tree, _python, partial(_ruby, tree.once(_Lists))))


def _ending(found: frozenset[str]) -> Ending:
    """How a clause ends, by all the ways in which it may."""
    if found == {"raise"}:
        return Ending.RAISES
    return Ending.SOMETIMES if "raise" in found else Ending.SWALLOWS


def _python(index: "Index", function: "Function") -> Iterator[Handler]:
    from kiqdoctor.probes.code.python.flow import decided, ways

    yield from _suppressed(index, function)
    raised = {id(one) for node in function.tries for clause in node.handlers for one in _before_a_raise(clause)}
    for node in function.tries:
        spared, brief = _harmless(index, function, node.body)
        spared = spared or id(node) in raised
        for clause in node.handlers:
            names = tuple(_names(index, function, clause.type))
            told = partial(_of_the_end, index, function, clause.name or "")
            ending = _ending(ways([*decided(clause.body, told)]))
            own = names == (EXIT,) and _exits_by_itself(node.body)
            yield Handler(function.number, *function.at(clause), names, ending, spares=spared or own, brief=brief)
            spared = spared or (ending is Ending.RAISES and (not names or not ENDS.isdisjoint(names)))
        if node.finalbody and "leave" in ways(node.finalbody):
            yield Handler(function.number, *function.at(node.finalbody[0]), (), Ending.SWALLOWS, final=True)


def _exits_by_itself(body: Sequence[ast.stmt]) -> bool:
    """Whether a command line is read, whose reader says by ``SystemExit`` that it is wrong."""
    inside = (one for statement in body for one in ast.walk(statement))
    return any(isinstance(one, ast.Call) and getattr(one.func, "attr", "") in PARSERS for one in inside)


def _of_the_end(index: "Index", function: "Function", name: str, test: ast.expr) -> bool | None:
    """What ``isinstance(error, Exception)`` says of the end of the process; None of any other question."""
    if isinstance(test, ast.UnaryOp) and isinstance(test.op, ast.Not):
        answer = _of_the_end(index, function, name, test.operand)
        return None if answer is None else not answer
    if isinstance(test, ast.BoolOp):
        answers = {_of_the_end(index, function, name, one) for one in test.values}
        deciding = isinstance(test.op, ast.Or)
        return deciding if deciding in answers else None if None in answers else not deciding
    given = test.args if isinstance(test, ast.Call) and getattr(test.func, "id", "") == "isinstance" else []
    if len(given) != 2 or getattr(given[0], "id", "") != name:  # noqa: PLR2004 - what, and of which kind
        return None
    kinds = [*_names(index, function, given[1])]
    if not ENDS.isdisjoint(kinds):
        return True
    return False if all(_is_error(index, one) for one in kinds) else None


def _is_error(index: "Index", name: str) -> bool:
    """Whether a class is known to be no end of a process: what derives from ``Exception``."""
    line = (name, *index.names.above(name))
    return any(isinstance(kind := getattr(builtins, one, None), type) and issubclass(kind, Exception) for one in line)


def _harmless(index: "Index", function: "Function", body: Sequence[ast.stmt]) -> tuple[bool, bool]:
    """Whether nothing in a body takes time, and whether all that it calls is done soon."""
    calls = _calls(body)
    if calls is None:
        return False, False
    spared = all(function.module.dotted(one.func, function) in QUICK for one in calls)
    return spared, bool(calls) and all(_is_brief(index, function, one) for one in calls)


def _suppressed(index: "Index", function: "Function") -> Iterator[Handler]:
    """``with contextlib.suppress(BaseException):``."""
    for block in function.withs:
        for item in block.items:
            call = item.context_expr
            if isinstance(call, ast.Call) and index.names.spelt(call.func, function) == SUPPRESS:
                names = tuple(name for one in call.args for name in _names(index, function, one))
                spared, brief = _harmless(index, function, block.body)
                where = function.at(block)
                yield Handler(function.number, *where, names or ("?",), Ending.SWALLOWS, spares=spared, brief=brief)


def _names(index: "Index", function: "Function", caught: ast.expr | None) -> Iterator[str]:
    """What a clause names, in a tuple too that a name stands for."""
    if caught is None:
        return
    whole, where = index.names.valued(function, caught)
    for one in whole.elts if isinstance(whole, ast.Tuple) else [caught]:
        yield index.names.spelt(one, where if isinstance(whole, ast.Tuple) else function) or "?"


def _before_a_raise(clause: ast.ExceptHandler) -> "Iterator[ast.AST]":
    """What a clause that catches the end of a process does before it raises it again."""
    from kiqdoctor.probes.code.python.flow import ways

    kind = clause.type
    caught = kind is None or getattr(kind, "attr", getattr(kind, "id", "")) in WHOLE
    if caught and ways([one for one in clause.body if not isinstance(one, ast.Try)]) == {"raise"}:
        yield from (one for statement in clause.body for one in ast.walk(statement) if isinstance(one, ast.Try))


def _calls(body: Sequence[ast.stmt]) -> list[ast.Call] | None:
    """The calls in a body; None where it waits for something else than what it calls."""
    inside = [one for statement in body for one in ast.walk(statement)]
    if any(isinstance(one, ast.Await | ast.Yield | ast.YieldFrom | ast.While) for one in inside):
        return None
    return [one for one in inside if isinstance(one, ast.Call)]


def _is_brief(index: "Index", function: "Function", call: ast.Call) -> bool:
    """A text is taken apart, a file is looked at, or something that is no longer needed is given up."""
    name = index.names.spelt(call.func, function)
    if name in QUICK or name.startswith(AT_HAND):
        return True
    if name in APPLIES and call.args:
        applied = call.args[0]
        return isinstance(applied, ast.Lambda) or index.names.spelt(applied, function) in QUICK
    last = call.func.attr if isinstance(call.func, ast.Attribute) else ""
    plain = last in QUICKLY or (last == BODY and not call.args and not call.keywords)
    return plain and not index.names.targets(name)


def _ruby(lists: "_Lists", index: "Index", method: "Method") -> Iterator[Handler]:
    from kiqdoctor.probes.code.ruby.flow import ways

    raising = partial(_never_returns, index, method)
    raised: set[int] = set()  # statements of which an earlier clause raises the end of the process again
    for node in method.clauses:
        if node.type == "ensure":
            if "leave" in ways(named(node)):
                yield Handler(method.number, *method.at(node), (), Ending.SWALLOWS, final=True)
        elif node.type == "rescue_modifier":
            handler = node.child_by_field_name("handler")
            how = _ending(ways([handler] if handler is not None else [], raising))
            yield Handler(method.number, *method.at(node), STANDARD, how)
        else:
            names = tuple(_caught(node, lists.of(index))) or STANDARD
            ending = _ending(ways(named(node.child_by_field_name("body")), raising))
            whole = node.parent.id if node.parent is not None else 0
            yield Handler(method.number, *method.at(node), names, ending, spares=whole in raised)
            if ending is Ending.RAISES and not SHUTDOWNS.isdisjoint(names):
                raised.add(whole)


def _never_returns(index: "Index", method: "Method", name: str) -> bool:
    """Whether the class' own method of this name raises on every path, itself and not by another."""
    from kiqdoctor.probes.code.ruby.flow import ways

    known = index.classes.method(method.owner, name, singleton=method.singleton) if method.owner is not None else None
    body = known.node.child_by_field_name("body") if known is not None else None
    if body is None:
        return False
    statements = named(body) if body.type == "body_statement" else [body]
    caught = any(one.type in {"rescue", "ensure", "else"} for one in statements)
    return not caught and ways(statements) == {"raise"}


def _caught(clause: "Node", lists: Mapping[str, tuple[str, ...]]) -> Iterator[str]:
    """The constants that a clause names, in an array that is spread too, and in one that a constant holds."""
    todo: Sequence[Node] = named(clause.child_by_field_name("exceptions"))
    spread = False
    while todo:
        for one in todo:
            if one.type in {"constant", "scope_resolution"}:
                name = text(one).lstrip(":")
                yield from lists.get(name, (name,)) if spread else (name,)
        spread = any(one.type == "splat_argument" for one in todo)
        todo = [inner for one in todo if one.type in {"splat_argument", "array"} for inner in named(one)]


class _Lists:
    """The constants that hold arrays of constants, asked once of an application."""

    def __init__(self, _: Tree) -> None:
        self.known: dict[str, tuple[str, ...]] | None = None

    def of(self, index: "Index") -> dict[str, tuple[str, ...]]:
        if self.known is None:
            self.known = _lists(index)
        return self.known


def _lists(index: "Index") -> dict[str, tuple[str, ...]]:
    found: dict[str, tuple[str, ...]] = {}
    for unit in index.classes.units:
        for node in unit.assignments:
            left, right = node.child_by_field_name("left"), node.child_by_field_name("right")
            if right is not None and right.type == "call":  # [A, B].freeze
                right = right.child_by_field_name("receiver")
            if left is not None and left.type == "constant" and right is not None and right.type == "array":
                found[text(left)] = tuple(text(one).lstrip(":") for one in named(right))
    return found
