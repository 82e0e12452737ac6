"""Which of the application's functions are jobs, by every way in which a library is told so."""

import ast
from collections.abc import Iterable, Iterator
from dataclasses import replace
from typing import Final

from kiqdoctor.probes.code.graph import Edge
from kiqdoctor.probes.code.python.decorating import Decorators
from kiqdoctor.probes.code.python.frameworks import (
    BASES,
    DECORATORS,
    HANDS,
    LIFECYCLE,
    LISTS,
    OWN_REGISTRY,
    REGISTRY,
    RUNS,
    library_of,
)
from kiqdoctor.probes.code.python.frappe import of_frappe
from kiqdoctor.probes.code.python.members import dicts, members
from kiqdoctor.probes.code.python.module import Function
from kiqdoctor.probes.code.python.names import Names
from kiqdoctor.probes.code.python.registered import Registered, first, made_of
from kiqdoctor.probes.code.python.registering import HANDERS, enqueued

LONGEST: Final = 200  # functions in one list
SETTINGS: Final = "django.conf.settings."
SETTINGS_MODULE: Final = "settings"


def jobs(names: Names) -> list[Registered]:
    """All of them, once each."""
    decorators = Decorators(names)
    found = (
        *_decorated(names, decorators),
        *_classes(names),
        *_called(names, decorators),
        *(one for by in HANDERS for one in enqueued(names, by)),
        *of_frappe(names),
        *_listed(names),
    )
    return list({one.symbol: one for one in reversed(found)}.values())[::-1]


def _decorated(names: Names, decorators: Decorators) -> Iterator[Registered]:
    for function in names.functions.values():
        for decorator in function.decorators:
            library = decorators.library(decorator, function.outer or function.module.body)
            if library is not None and not decorators.wraps(function):
                _surround(names, function, decorator)
                yield Registered(function.full, function, library, _queue(names, function, decorator, library))


def _surround(names: Names, function: Function, decorator: ast.expr) -> None:
    """``base=``: what Celery calls around the job."""
    for given in decorator.keywords if isinstance(decorator, ast.Call) else ():
        base = names.spelt(given.value, function.outer or function) if given.arg == "base" else ""
        for name in LIFECYCLE if base else ():
            function.edges += [Edge(to, function.begin, called=True) for to in names.targets(f"{base}().{name}")]


def _queue(names: Names, function: Function, decorator: ast.expr, library: str) -> str:
    """The queue that a decorator names, by a text, a global or one of Django's settings."""
    if not isinstance(decorator, ast.Call):
        return ""
    named = [one.value for one in decorator.keywords if one.arg in {"queue", "queue_name"}]
    named += decorator.args[:1] if library == "rq" else []
    told = [_setting(names, function, one) or names.valued(function.outer or function, one)[0] for one in named]
    return next((one.value for one in told if isinstance(one, ast.Constant) and isinstance(one.value, str)), "")


def _setting(names: Names, function: Function, node: ast.expr) -> ast.expr | None:
    """What ``settings.QUEUE`` holds, where all modules of settings say the same."""
    name = names.spelt(node, function.outer or function) if isinstance(node, ast.Attribute) else ""
    if not name.startswith(SETTINGS):
        return None
    word = name.removeprefix(SETTINGS)
    told = [one.held[word] for one in names.modules if SETTINGS_MODULE in one.name and word in one.held]
    return told[0] if len({ast.dump(one) for one in told}) == 1 else None


def _classes(names: Names) -> Iterator[Registered]:
    for full in names.classes:
        bases = (one for one in names.above(full) if one.rpartition(".")[2] in BASES)
        library = next((found for one in bases if (found := library_of(one))), "")
        if library:
            yield from _of_class(names, full, library)


def _of_class(names: Names, full: str, library: str) -> Iterator[Registered]:
    """What runs of a job's class, with what is called around it."""
    runs = [function for name in RUNS for function in names.targets(f"{full}().{name}")]
    if runs:
        around = [to for name in LIFECYCLE[:-1] for to in names.targets(f"{full}().{name}")]
        runs[0].edges += [Edge(to, runs[0].begin, called=True) for to in around if to is not runs[0]]
        yield Registered(full, runs[0], library)


def _called(names: Names, decorators: Decorators) -> Iterator[Registered]:
    """``dramatiq.actor(f)``, ``huey.task()(f)``, ``app.register_task(X())``, ``async_task("shop.f")``."""
    for unit in names.units:
        for call, dotted in unit.calls:
            if not call.args and not call.keywords:
                continue
            last = (dotted.removesuffix("()").rpartition(".")[2] or getattr(_callee(call), "attr", "")).removesuffix(
                "()"
            )
            library = _handed_by(names, call, dotted) if last in _HANDED and _may_hand(unit, last) else None
            if library is None and last in DECORATORS and call.args:
                library = decorators.library(call.func, unit)
            if library is not None:
                held = _held(unit, call)
                given = made_of(names, unit, first(call), library)
                yield from (replace(one, held=held) for one in given if not decorators.wraps(one.function))
            elif last in REGISTRY:
                only = decorators.only if last in OWN_REGISTRY and names.own(dotted) else ""
                for node in _each(names, unit, call.args):
                    yield from _registered(names, unit, node, only)


_HANDED: Final = frozenset(name.rpartition(".")[2] for name in HANDS)
_ALSO_LISTS: Final = {"append": "django_q"}
"""Words that everybody uses, and the package without which they hand nobody a function."""
OF_A_SCHEDULE: Final = "schedule_type"  # django-q's, of records that a migration makes without its class


def _handed_by(names: Names, call: ast.Call, dotted: str) -> str | None:
    """The library that this call hands a function to."""
    if any(one.arg == OF_A_SCHEDULE for one in call.keywords):
        return "django_q"
    return HANDS.get(names.resolved(dotted))


def _may_hand(unit: Function, word: str) -> bool:
    return word not in _ALSO_LISTS or _ALSO_LISTS[word] in unit.module.packages


def _held(unit: Function, call: ast.Call) -> str:
    """The global that holds what a call returned: ``clean`` of ``clean = dramatiq.actor(Clean())``."""
    made = (one for one in unit.bindings if one.value is call and not unit.name)
    return next((unit.module.full(one.target.id) for one in made if isinstance(one.target, ast.Name)), "")


def _each(names: Names, unit: Function, given: Iterable[ast.expr]) -> Iterator[ast.expr]:
    """Arguments; of ``*jobs`` what the list holds."""
    for one in given:
        value = names.valued(unit, one.value)[0] if isinstance(one, ast.Starred) else one
        yield from value.elts[:LONGEST] if isinstance(value, ast.List | ast.Tuple) else (value,)


def _callee(call: ast.Call) -> ast.expr:
    return call.func.func if isinstance(call.func, ast.Call) else call.func


def _registered(names: Names, unit: Function, node: ast.expr, only: str) -> Iterator[Registered]:
    """A class of jobs that is handed to an application of Celery's, or an object of it.

    ``only``: the library whose jobs the application's own register holds.
    """
    called = node.func if isinstance(node, ast.Call) else node
    full = names.spelt(called, unit)
    bases = names.above(full) if full in names.classes else ()
    library = next((found for one in bases if (found := library_of(one))), only if bases else "")
    if library:
        yield from _of_class(names, full, library)


def _listed(names: Names) -> Iterator[Registered]:
    """``functions = [f, func(g)]`` of a worker's settings, in a class or a dictionary."""
    for unit in names.units:
        for binding in unit.bindings:
            name = getattr(binding.target, "id", "")
            if binding.owner and name in LISTS:
                yield from _of_list(names, unit, name, binding.value, binding.owner)
        for value in dicts(unit) if not unit.module.packages.isdisjoint(("saq",)) else ():
            for key, node in zip(value.keys, value.values, strict=True):
                if isinstance(key, ast.Constant) and key.value in LISTS:
                    yield from _of_list(names, unit, str(key.value), node)
        for call, dotted in unit.calls if not unit.module.packages.isdisjoint(_LISTING) else ():
            if library_of(names.resolved(dotted)) in _LISTING:
                for word in call.keywords:
                    yield from _of_list(names, unit, word.arg, word.value) if word.arg in LISTS else ()


_LISTING: Final = frozenset({"arq", "saq", "litestar_saq"})
ARQ: Final = "WorkerSettings"  # a plain class, which need not import arq


def _of_list(names: Names, unit: Function, name: str, node: ast.expr | None, owner: str = "") -> Iterator[Registered]:
    libraries = [one for one in LISTS[name] if names.imports(one, f"litestar_{one}")]
    if not libraries and owner == ARQ:
        libraries = ["arq"]
    for one, where in members(names, unit, node) if libraries else ():
        called = first(one) if isinstance(one, ast.Call) else one
        yield from made_of(names, where, called, libraries[0])
