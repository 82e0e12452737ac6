"""Which of the application's functions are jobs, by every way in which a library is told so."""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from kiqdoctor.probes.code.python.module import Function
from kiqdoctor.probes.code.python.names import Names
from kiqdoctor.probes.code.python.registering import QUEUES, handed

DECORATORS: Final = frozenset({"job", "task", "shared_task", "actor", "db_task", "periodic_task", "db_periodic_task"})
FRAMEWORKS: Final = {
    **{name: name for name in ("kiqdoctor", "celery", "dramatiq", "rq", "huey", "taskiq", "arq", "saq", "streaq")},
    **dict.fromkeys(("django_rq", "flask_rq2", "rq_scheduler"), "rq"),
}
"""Packages that know jobs, and the library that runs them."""
BASES: Final = frozenset({"Task", "Job", "GenericActor"})
RUNS: Final = ("run", "perform", "handle")


@dataclass(frozen=True, slots=True)
class Registered:
    """A function that runs as a job; ``symbol``: what is enqueued, the function or its class, from outside."""

    symbol: str
    function: Function
    library: str
    queue: str = ""


def jobs(names: Names) -> list[Registered]:
    """All of them, once each."""
    found = (*_decorated(names), *_classes(names), *_enqueued(names))
    return list({one.symbol: one for one in reversed(found)}.values())[::-1]


def _decorated(names: Names) -> Iterator[Registered]:
    for function in names.functions.values():
        for decorator in function.decorators:
            library = _library(names, function, decorator)
            if library is not None:
                yield Registered(function.full, function, library, _queue(decorator, library))


def _queue(decorator: ast.expr, library: str) -> str:
    """The queue that a decorator names in its own text."""
    if not isinstance(decorator, ast.Call):
        return ""
    named = [one.value for one in decorator.keywords if one.arg in {"queue", "queue_name"}]
    named += decorator.args[:1] if library == "rq" else []
    return next((one.value for one in named if isinstance(one, ast.Constant) and isinstance(one.value, str)), "")


def _library(names: Names, function: Function, decorator: ast.expr) -> str | None:
    """The library whose decorator it is, "" where only its words say that it is one's; None: it is no such."""
    called = decorator.func if isinstance(decorator, ast.Call) else decorator
    dotted = function.module.dotted(called, function.outer)
    last = dotted.rpartition(".")[2]
    if last not in DECORATORS:
        return None
    roots = {dotted.partition(".")[0], names.resolved(dotted).partition(".")[0]} & FRAMEWORKS.keys()
    if roots:
        return FRAMEWORKS[min(roots)]
    return "" if last != "job" and isinstance(called, ast.Attribute) else None


def _classes(names: Names) -> Iterator[Registered]:
    for full in names.classes:
        bases = (one for one in names.above(full) if one.rpartition(".")[2] in BASES)
        library = next((FRAMEWORKS[root] for one in bases if (root := one.partition(".")[0]) in FRAMEWORKS), None)
        runs = [function for name in RUNS for function in names.targets(f"{full}().{name}")]
        if library is not None and runs:
            yield Registered(full, runs[0], library)


def _enqueued(names: Names) -> Iterator[Registered]:
    """What RQ is handed: any function."""
    for module in names.modules if names.imports(*QUEUES) else ():
        for unit in module.units:
            for call, dotted in unit.calls:
                given = handed(call, dotted)
                for function in names.targets(module.dotted(given, unit)) if given is not None else ():
                    if not names.own(names.resolved(dotted)):
                        yield Registered(function.full, function, "rq")
