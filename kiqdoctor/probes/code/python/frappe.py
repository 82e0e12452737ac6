"""Jobs of Frappe, which RQ runs: what is enqueued, methods of documents, and what hooks schedule."""

import ast
from collections.abc import Iterator
from typing import Final

from kiqdoctor.probes.code.python.module import Function
from kiqdoctor.probes.code.python.names import Names
from kiqdoctor.probes.code.python.registered import Registered, made_of

LIBRARY: Final = "rq"
SCHEDULED: Final = "scheduler_events"
DEEPEST: Final = 4  # mappings of lists of mappings
LONGEST: Final = 1000  # texts in one table of hooks
PLACE: Final = 2  # of the method among the arguments of ``enqueue_doc``


def of_frappe(names: Names) -> Iterator[Registered]:
    """All of them."""
    if not names.imports("frappe"):
        return
    for unit in names.units:
        for call, dotted in unit.calls:
            named = {one.arg: one.value for one in call.keywords}
            verb = dotted.rpartition(".")[2]
            if verb == "enqueue" and "method" in named and names.resolved(dotted).startswith("frappe."):
                yield from made_of(names, unit, named["method"], LIBRARY)
            elif verb == "enqueue_doc":
                place = call.args[PLACE] if len(call.args) > PLACE else named.get("method")
                kind = call.args[0] if call.args else named.get("doctype")
                yield from _of_document(names, unit, kind, place)
    for module in names.modules:
        if module.name.rpartition(".")[2] == "hooks" and (table := module.held.get(SCHEDULED)) is not None:
            for text in _texts(table):
                yield from made_of(names, module.body, text, LIBRARY)


def _of_document(names: Names, unit: Function, kind: ast.expr | None, method: ast.expr | None) -> Iterator[Registered]:
    """``enqueue_doc(self.doctype, self.name, "build")``: the method of a document's class."""
    if not isinstance(method, ast.Constant) or not isinstance(method.value, str):
        return
    if isinstance(kind, ast.Attribute):
        owners = [unit.module.full(unit.owner)] if unit.owner else []
    elif isinstance(kind, ast.Constant) and isinstance(kind.value, str):
        snake = kind.value.lower().replace(" ", "_").replace("-", "_")
        end = f".{snake}.{snake}.{kind.value.replace(' ', '').replace('-', '')}"
        owners = [one for one in names.classes if one.endswith(end)]
    else:
        owners = []
    for owner in owners:
        yield from (Registered(to.full, to, LIBRARY) for to in names.targets(f"{owner}().{method.value}"))


def _texts(table: ast.expr) -> list[ast.Constant]:
    """The texts that a table holds, however deep."""
    found: list[ast.Constant] = []
    level: list[ast.expr | None] = [table]
    for _ in range(DEEPEST):
        further: list[ast.expr | None] = []
        for one in level[:LONGEST]:
            if isinstance(one, ast.Dict):
                further += one.values
            elif isinstance(one, ast.List | ast.Tuple):
                further += one.elts
            elif isinstance(one, ast.Constant) and isinstance(one.value, str):
                found.append(one)
        level = further
    return found
