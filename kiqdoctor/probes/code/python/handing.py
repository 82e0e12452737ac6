"""What a function in Python makes of what it was handed, and to whom it hands that on."""

import ast
from collections.abc import Iterator
from typing import Final

from kiqdoctor.probes.code.graph import Unit
from kiqdoctor.probes.code.python.module import Function

NOT_HANDED: Final = frozenset({"self", "cls", "ctx", "context"})
"""Parameters that the library fills."""
THROUGH: Final = frozenset(
    {"b64decode", "urlsafe_b64decode", "standard_b64decode", "b32decode", "b85decode", "a85decode", "decodebytes"}
    | {"unhexlify", "a2b_base64", "a2b_hex", "fromhex", "decompress", "bytes", "bytearray", "str", "memoryview"}
    | {"BytesIO", "StringIO", "open", "Path", "join", "loads", "unquote", "list", "tuple", "dict", "cast", "deepcopy"}
)
"""Functions whose result is what they are given, in another form; of ``open`` what lies where that says."""
MOST_ROUNDS: Final = 10  # names of names of names


def parameters(function: Function) -> list[str]:
    """Its parameters in order, but for those that the library fills; what is spread stands last."""
    if isinstance(function.node, ast.Module):
        return []
    given = function.node.args
    every = [*given.posonlyargs, *given.args, *given.kwonlyargs, given.vararg, given.kwarg]
    return [one.arg for one in every if one is not None and one.arg not in NOT_HANDED]


def holds(node: ast.expr, names: frozenset[str]) -> bool:
    """Whether an expression is one of these names, or made of one."""
    todo: list[ast.AST] = [node]
    while todo:
        one = todo.pop()
        if isinstance(one, ast.Name) and one.id in names:
            return True
        if isinstance(one, ast.Attribute) and f"self.{one.attr}" in names and _is_self(one.value):
            return True
        if isinstance(one, ast.Call):
            todo += _through(one)
        elif isinstance(one, ast.Attribute | ast.Subscript | ast.Starred | ast.Await | ast.NamedExpr):
            todo.append(one.value)
        elif (ones := branches(one)) != [one]:
            todo += ones
        elif not isinstance(one, ast.Lambda | ast.Compare):
            todo += ast.iter_child_nodes(one)
    return False


def branches(node: ast.AST) -> list[ast.AST]:
    """All that an expression may turn out to be, without what it asks first: ``a`` and ``b`` of ``a if c else b``."""
    if isinstance(node, ast.IfExp):
        return [node.body, node.orelse]
    if isinstance(node, ast.BoolOp):
        return [node.values[-1]] if isinstance(node.op, ast.And) else [*node.values]
    return [node]


def _through(call: ast.Call) -> Iterator[ast.AST]:
    """What a call's result is made of: whose method it is, and what it is given where it only forms that anew."""
    name = getattr(call.func, "attr", getattr(call.func, "id", ""))
    if isinstance(call.func, ast.Attribute):
        yield call.func.value
    if name in THROUGH:
        yield from call.args
        yield from (one.value for one in call.keywords)


def _is_self(node: ast.expr) -> bool:
    return isinstance(node, ast.Name) and node.id == "self"


def held(function: Function, names: frozenset[str]) -> frozenset[str]:
    """These names, and those that are set to what is made of them."""
    if not names:
        return names
    pairs = [*_pairs(function)]
    for _ in range(MOST_ROUNDS):
        more = {name for target, value in pairs if holds(value, names) for name in _named(target)} - names
        if not more:
            break
        names |= more
    return names


def _pairs(function: Function) -> Iterator[tuple[ast.expr, ast.expr]]:
    yield from ((one.target, one.value) for one in function.bindings if one.value is not None)
    body = function.node.body
    loops = (node for statement in body for node in ast.walk(statement))
    yield from (
        (node.target, node.iter) for node in loops if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension)
    )


def _named(target: ast.expr) -> Iterator[str]:
    for one in ast.walk(target) if isinstance(target, ast.Tuple | ast.List | ast.Starred) else (target,):
        if isinstance(one, ast.Name):
            yield one.id
        elif isinstance(one, ast.Attribute) and _is_self(one.value):
            yield f"self.{one.attr}"


def passed(function: Function, names: frozenset[str]) -> Iterator[tuple[Unit, frozenset[str]]]:
    """The functions that it calls, each with the parameters that get what is made of these names."""
    if not names:
        return
    targets: dict[tuple[int, int], list[Function]] = {}
    for edge in function.edges:
        if edge.called and isinstance(edge.to, Function):
            targets.setdefault(edge.at, []).append(edge.to)
    for call, _ in function.calls:
        for to in targets.get(function.at(call), ()):
            if got := frozenset(_got(call, parameters(to), names)):
                yield to, got


def _got(call: ast.Call, into: list[str], names: frozenset[str]) -> Iterator[str]:
    for place, given in enumerate(call.args):
        if holds(given, names):
            yield from into[place:] if isinstance(given, ast.Starred) else into[place : place + 1]
    for word in call.keywords:
        if holds(word.value, names):
            yield from into if word.arg is None else [one for one in into if one == word.arg]
