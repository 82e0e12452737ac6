"""What lists and dictionaries in Python hold: what their text says, and what is added to a list that is a global."""

import ast
from collections.abc import Iterator
from typing import Final

from kiqdoctor.probes.code.python.module import Function
from kiqdoctor.probes.code.python.names import Names

LONGEST: Final = 200  # entries of one list
DEEPEST: Final = 10  # lists of lists, names of names
ADDING: Final = frozenset({"append", "extend", "insert"})


def members(names: Names, unit: Function, node: ast.expr | None, depth: int = 0) -> Iterator[tuple[ast.expr, Function]]:
    """Each entry, with where it stands."""
    if node is None or depth > DEEPEST:
        return
    value, where = names.valued(unit, node)
    for one in _parts(value):
        if isinstance(value, ast.List | ast.Tuple | ast.Set) and not isinstance(one, ast.Starred):
            yield from members(names, where, one, depth + 1) if isinstance(one, ast.Tuple) else ((one, where),)
        else:
            yield from members(names, where, one.value if isinstance(one, ast.Starred) else one, depth + 1)
    key = names.held_as(unit.module.dotted(node, unit)) if isinstance(node, ast.Name | ast.Attribute) else ""
    if key:
        holder = names.held[key][0].body
        yield from (found for one in _added(holder, key) for found in members(names, holder, one, depth + 1))


def _parts(value: ast.expr) -> list[ast.expr]:
    """The entries of a literal; the lists that any other expression is made of."""
    if isinstance(value, ast.List | ast.Tuple | ast.Set):
        return value.elts[:LONGEST]
    if isinstance(value, ast.BinOp) and isinstance(value.op, ast.Add):
        return [value.left, value.right]
    if isinstance(value, ast.IfExp):
        return [value.body, value.orelse]
    if isinstance(value, ast.ListComp | ast.GeneratorExp):
        return [value.generators[0].iter]
    if isinstance(value, ast.Call):  # list(x), config("NAME", default=[...])
        return [*value.args, *(one.value for one in value.keywords)]
    return []


def _added(body: Function, key: str) -> Iterator[ast.expr]:
    """``JOBS.append(f)`` and ``JOBS += [f]`` at the level of the module that holds the list."""
    for call, dotted in body.calls:
        head, _, verb = dotted.rpartition(".")
        if head == key and verb in ADDING and call.args:
            yield call.args[-1] if verb == "extend" else ast.copy_location(ast.List([call.args[-1]]), call)
    for node in ast.walk(body.node) if isinstance(body.node, ast.Module) else ():
        if isinstance(node, ast.AugAssign) and body.module.dotted(node.target, body) == key:
            yield node.value


def looped(names: Names, unit: Function, node: ast.expr | None) -> Iterator[tuple[ast.expr, Function]]:
    """All that a loop's variable may be, where the loop is over a list or a mapping that the text shows."""
    if not isinstance(node, ast.Name) or not unit.name or node.id not in unit.locals or node.id in unit.values:
        return
    for loop in (one for statement in unit.node.body for one in ast.walk(statement) if isinstance(one, ast.For)):
        if any(isinstance(one, ast.Name) and one.id == node.id for one in ast.walk(loop.target)):
            yield from members(names, unit, loop.iter)
            yield from _of_mapping(names, unit, loop.iter)


def _of_mapping(names: Names, unit: Function, node: ast.expr) -> Iterator[tuple[ast.expr, Function]]:
    """Keys and values of what ``.items()`` is asked of, with those that the function adds by ``table[key] = value``."""
    over = node.func.value if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) else node
    value, where = names.valued(unit, over)
    made = value.args[0] if isinstance(value, ast.Call) and len(value.args) == 1 else value
    if isinstance(made, ast.Dict):
        yield from ((one, where) for one in (*made.keys, *made.values) if one is not None)
        for one in unit.bindings:
            held = one.target.value if isinstance(one.target, ast.Subscript) else None
            if isinstance(one.target, ast.Subscript) and isinstance(held, ast.Name) and isinstance(over, ast.Name):
                parts = (one.target.slice, one.value) if held.id == over.id else ()
                yield from ((part, unit) for part in parts if part is not None)


def dicts(unit: Function) -> Iterator[ast.Dict]:
    """Those that are assigned, returned or handed over, and those within them."""
    added = (call.args[0] for call, _ in unit.calls if len(call.args) == 1 and isinstance(call.args[0], ast.Dict))
    for node in (*(one.value for one in unit.bindings if one.value is not None), *unit.returns, *added):
        stack: list[ast.expr | None] = [node]
        while stack:
            one = stack.pop()
            if isinstance(one, ast.Dict):
                yield one
                stack += one.values[:LONGEST]
            elif isinstance(one, ast.List | ast.Tuple):
                stack += one.elts[:LONGEST]
