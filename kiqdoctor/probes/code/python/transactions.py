"""What opens a database transaction in Python: Django's, SQLAlchemy's, and what is spelt like them."""

import ast
from collections.abc import Iterator
from typing import Final

from kiqdoctor.probes.code.graph import Opened, called_from
from kiqdoctor.probes.code.python.module import Function, Module
from kiqdoctor.probes.code.python.names import Names
from kiqdoctor.probes.code.spans import WHOLE

MODEL: Final = "django.db.models.Model"
ATOMIC: Final = "ATOMIC_REQUESTS"
ROUTES: Final = frozenset({"path", "re_path", "url"})
VERBS: Final = (
    *("get", "post", "put", "patch", "delete", "dispatch", "form_valid", "list", "create", "retrieve", "update"),
    *("partial_update", "destroy", "perform_create", "perform_update", "perform_destroy"),
)
"""Methods of views that answer a request."""
WRITING: Final = frozenset(
    {"save", "create", "delete", "bulk_create", "bulk_update", "get_or_create", "update_or_create", "execute"}
    | {"add_all", "flush", "merge", "form_valid", "perform_create", "perform_update", "perform_destroy"}
)
OF_MANY: Final = frozenset({"update", "add", "remove", "set", "clear"})
"""What writes, on any object; and what does on a query or a relation, where a plain name's would be a dict or a set."""
CALLS: Final = 3  # that are followed in search of what writes
SIGNALS: Final = tuple(
    f"django.db.models.signals.{name}" for name in ("pre_save", "post_save", "pre_delete", "post_delete", "m2m_changed")
)
EVENTS: Final = frozenset(
    {f"{when}_{what}" for when in ("before", "after") for what in ("insert", "update", "delete", "flush")}
)
"""SQLAlchemy's, which happen within a flush."""


def opened(names: Names, function: Function) -> Iterator[Opened]:
    """All that a function opens, or that is opened around it."""
    yield from _blocks(names, function)
    yield from _decorated(names, function)
    yield from _connected(names, function)


def requests(names: Names, jobs: set[Function]) -> Iterator[Opened]:
    """Views, each within a transaction of its own, where Django is told ATOMIC_REQUESTS; what they call may be jobs."""
    if not any(map(_atomic, names.modules)):
        return
    views = {
        view: None for unit in names.units for call, dotted in unit.calls for view in _routed(names, unit, call, dotted)
    }
    for view in views:
        free = any(names.spelt(one, view.outer or view).endswith("non_atomic_requests") for one in view.decorators)
        if not free:
            yield Opened(view, view.begin, ATOMIC, WHOLE, writes=_is_written(view, jobs))


def _is_written(view: Function, jobs: set[Function]) -> bool:
    """Whether a view, or what it calls, is seen to write: one that only asks for a job leaves nothing to wait for."""
    units = [view, *(way[-1] for way in called_from(view, WHOLE, CALLS) if jobs.isdisjoint(way))]
    called = (call.func for unit in units if isinstance(unit, Function) for call, _ in unit.calls)
    return any(isinstance(one, ast.Attribute) and _writes(one) for one in called)


def _writes(called: ast.Attribute) -> bool:
    name = called.attr.removeprefix("a") if called.attr not in OF_MANY | WRITING else called.attr
    return name in WRITING or (name in OF_MANY and isinstance(called.value, ast.Attribute | ast.Call))


def _atomic(module: Module) -> bool:
    """Whether its settings say so as they stand."""
    if "DATABASES" not in module.held:
        return False
    node = module.body.node
    for one in ast.walk(node):
        pairs = zip(one.keys, one.values, strict=True) if isinstance(one, ast.Dict) else ()
        if any(_is(key, ATOMIC) and _is(value, expected=True) for key, value in pairs):
            return True
        targets = one.targets if isinstance(one, ast.Assign) and _is(one.value, expected=True) else []
        if any(isinstance(target, ast.Subscript) and _is(target.slice, ATOMIC) for target in targets):
            return True
    return False


def _is(node: ast.expr | None, expected: object) -> bool:
    return isinstance(node, ast.Constant) and node.value == expected


def _routed(names: Names, unit: Function, call: ast.Call, dotted: str) -> Iterator[Function]:
    """The functions and methods that ``path("x/", view)`` and ``router.register("x", ViewSet)`` lead to."""
    name = names.resolved(dotted)
    last = name.rpartition(".")[2] or getattr(call.func, "attr", "")
    routes = last in ROUTES and name.startswith(("django.", ""))
    if not (routes or (last == "register" and "rest_framework" in name)) or len(call.args) <= 1:
        return
    node = call.args[1]
    made = node.func if isinstance(node, ast.Call) else node
    full = unit.module.dotted(made, unit)
    cls = names.resolved(full.removesuffix(".as_view"))
    if cls in names.classes:
        line = (cls, *names.above(cls))
        yield from (
            one for each in line for verb in VERBS if (one := names.functions.get(f"{each}.{verb}")) is not None
        )
    else:
        yield from names.targets(full)


def _blocks(names: Names, function: Function) -> Iterator[Opened]:
    for block in function.withs:
        for item in block.items:
            opens = _opens(names, function, item.context_expr)
            if opens:
                yield Opened(function, function.at(block), opens, function.span(block))


def _opens(names: Names, function: Function, node: ast.expr) -> str:
    """What a context manager is called, where it opens a transaction."""
    if not isinstance(node, ast.Call):
        return ""
    name = names.spelt(node.func, function)
    last = name.rpartition(".")[2] or getattr(node.func, "attr", "")
    if last == "atomic" and (not name or names.outside(name)):
        return name or f"?.{last}"
    known = name.startswith(("sqlalchemy", "flask_sqlalchemy", "sqlmodel"))
    if last in {"begin", "begin_nested"} and (known or (not name and _has_sqlalchemy(function))):
        return name or f"?.{last}"
    return ""


def _has_sqlalchemy(function: Function) -> bool:
    return not function.module.packages.isdisjoint({"sqlalchemy", "sqlmodel", "flask_sqlalchemy"})


def _decorated(names: Names, function: Function) -> Iterator[Opened]:
    outer = function.outer or function
    for decorator in function.decorators:
        called = decorator.func if isinstance(decorator, ast.Call) else decorator
        given = decorator.args if isinstance(decorator, ast.Call) else []
        name = names.spelt(called, outer)
        arguments = [names.spelt(one, outer) for one in _flat(given)]
        at = function.at(decorator)
        atomic = [one for one in (name, *arguments) if one.rpartition(".")[2] == "atomic" and names.outside(one)]
        events = {one.value for one in given if isinstance(one, ast.Constant)} & EVENTS
        if atomic:
            yield Opened(function, at, atomic[0], WHOLE)
        elif name == "django.dispatch.receiver" and (signals := [one for one in arguments if one in SIGNALS]):
            yield Opened(function, at, signals[0], WHOLE, hook=True)
        elif name == "sqlalchemy.event.listens_for" and events:
            yield Opened(function, at, str(min(events, key=str)), WHOLE, hook=True)
    if function.name in {f"{function.owner}.save", f"{function.owner}.delete"} and _is_model(names, function):
        yield Opened(function, function.begin, function.name, WHOLE, hook=True)


def _flat(given: list[ast.expr]) -> Iterator[ast.expr]:
    for one in given:
        yield from one.elts if isinstance(one, ast.List | ast.Tuple) else [one]


def _is_model(names: Names, function: Function) -> bool:
    """Whether its class is a model, or one that models mix in."""
    own = function.module.full(function.owner)
    return any(MODEL in names.above(one) for one in (own, *names.below(own)))


def _connected(names: Names, function: Function) -> Iterator[Opened]:
    """``post_save.connect(handler)``."""
    for node, dotted in function.calls:
        signal, _, verb = names.resolved(dotted).rpartition(".")
        if verb == "connect" and signal in SIGNALS and node.args:
            handlers = names.targets(function.module.dotted(node.args[0], function))
            yield Opened(function, function.at(node), signal, None, handlers, hook=True)
