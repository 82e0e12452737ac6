"""What becomes a job where a function is handed over: by itself, by its name, or by what calls it."""

import ast
from collections.abc import Iterator
from typing import Final

from kiqdoctor.probes.code.python.decorating import PARTIALS
from kiqdoctor.probes.code.python.frameworks import FUNCTION, RUNS
from kiqdoctor.probes.code.python.module import Function
from kiqdoctor.probes.code.python.names import Names
from kiqdoctor.records import dataclass

LEAST: Final = 4  # letters of a name's beginning


@dataclass(frozen=True, slots=True)
class Registered:
    """A function that runs as a job; ``symbol``: what is enqueued, the function or its class, from outside.

    ``held``: the global that what was made of it is held by.
    """

    symbol: str
    function: Function
    library: str
    queue: str = ""
    held: str = ""


def first(call: ast.Call) -> ast.expr | None:
    """What is handed first, or by a keyword, among a record's defaults too."""
    named = {one.arg or "": one.value for one in call.keywords}
    if isinstance(more := named.get("defaults"), ast.Dict):
        pairs = zip(more.keys, more.values, strict=True)
        named |= {str(key.value): value for key, value in pairs if isinstance(key, ast.Constant)}
    return call.args[0] if call.args else next((named[one] for one in FUNCTION if one in named), None)


def made_of(names: Names, unit: Function, node: ast.expr | None, library: str) -> Iterator[Registered]:
    """The job that a function, its dotted name, or what calls it makes."""
    node = _bare(names, unit, node)
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        path = node.value.replace(":", ".")
        found = names.targets(path) if "." in path else ()
    elif isinstance(node, ast.Name | ast.Attribute):
        found = names.targets(unit.module.dotted(node, unit)) or _of_same_name(names, unit, node)
        found = found or (*_asked_for(names, unit, node),)
    elif isinstance(node, ast.Call) and (made := names.spelt(node.func, unit)) in names.classes:
        found = names.targets(f"{made}().__call__")
        yield from (Registered(made, function, library) for function in found)
        return
    else:
        found = ()
    for function in found:
        yield Registered(function.full, function, library)
        yield from _heirs(names, function, library)


def _bare(names: Names, unit: Function, node: ast.expr | None) -> ast.expr | None:
    """``f`` of ``partial(f, 1)`` and of ``lambda: f(1)``."""
    if isinstance(node, ast.Lambda) and isinstance(node.body, ast.Call):
        return node.body.func
    if isinstance(node, ast.Call) and node.args and names.spelt(node.func, unit) in PARTIALS:
        return node.args[0]
    return node


def _asked_for(names: Names, unit: Function, node: ast.expr) -> Iterator[Function]:
    """All that ``getattr(chats, f"send_to_{channel}")`` may be: a module's functions whose names begin so."""
    value = unit.values.get(node.id) if isinstance(node, ast.Name) else None
    called = isinstance(value, ast.Call) and unit.module.dotted(value.func, unit) == "getattr"
    name = value.args[1] if isinstance(value, ast.Call) and called and len(value.args) > 1 else None
    first = name.values[0] if isinstance(name, ast.JoinedStr) and name.values else None
    begin = first.value if isinstance(first, ast.Constant) and isinstance(first.value, str) else ""
    if isinstance(value, ast.Call) and len(begin) >= LEAST:
        head = f"{names.spelt(value.args[0], unit)}.{begin}"
        yield from (one for full, one in names.functions.items() if full.startswith(head) and "." not in one.name)


def _of_same_name(names: Names, unit: Function, node: ast.expr) -> tuple[Function, ...]:
    """``work`` of ``work = dramatiq.actor(work)``, which the assignment hides."""
    own = names.functions.get(unit.module.full(node.id)) if isinstance(node, ast.Name) else None
    return () if own is None else (own,)


def _heirs(names: Names, function: Function, library: str) -> Iterator[Registered]:
    """Jobs of an in-project base: a method of a class is handed over, and runs what each class below it defines."""
    if not function.owner:
        return
    base = function.module.full(function.owner)
    for full in names.below(base):
        runs = [one for name in RUNS for one in names.targets(f"{full}().{name}") if one is not function]
        if runs and runs[0].owner and runs[0].module.full(runs[0].owner) != base:
            yield Registered(full, runs[0], library)
