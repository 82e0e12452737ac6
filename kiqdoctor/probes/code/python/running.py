"""What Python source says about how its jobs run: settings of workers, and workers that it starts itself."""

import ast
from collections.abc import Iterator
from typing import Final

from kiqdoctor.doctor.facts.code import Place
from kiqdoctor.probes.code.python.module import Function
from kiqdoctor.probes.code.python.names import Names
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex

SETTINGS: Final = {
    "worker_pool": ("celery", "pool"),
    "CELERY_WORKER_POOL": ("celery", "pool"),
    "CELERYD_POOL": ("celery", "pool"),
    "worker_type": ("huey", "kind"),
    "WORKER_CLASS": ("rq", "kind"),
    "RQ_WORKER_CLASS": ("rq", "kind"),
}
"""Names of settings, by the library that asks for them and our name of the option."""
BACKEND: Final = "BACKEND"  # of Django's TASKS
TASKS: Final = regex(r"(?:^|[._])tasks\.")
STARTERS: Final = {"worker_main": "celery"}
"""Methods that take a worker's command line."""
SCHEDULERS: Final = "Scheduler"  # how APScheduler's classes end, each of which runs jobs in its own way
STARTING: Final = (*STARTERS, "Worker")
RQ_WORKERS: Final = frozenset({"SimpleWorker", "SpawnWorker", "Worker"})
LARGEST: Final = 200  # entries of a dictionary that is looked into
DEEPEST: Final = 4  # dictionaries within dictionaries


@dataclass(frozen=True, slots=True)
class Said:
    """One setting: ``value`` is None where the text does not tell it. ``words``: a whole command line instead."""

    library: str
    option: str
    value: str | None
    place: Place
    words: tuple[str, ...] = ()


def said(names: Names) -> list[Said]:
    """All that the application's modules say."""
    return [one for function in names.units for one in _of(names, function)]


def _of(names: Names, function: Function) -> Iterator[Said]:
    for binding in function.bindings:
        if binding.value is not None:
            if isinstance(binding.target, ast.Subscript) and isinstance(binding.target.slice, ast.Constant):
                # ``app.conf["worker_pool"] = ...``
                yield from _set(function, str(binding.target.slice.value), binding.value)
            name = getattr(binding.target, "attr", getattr(binding.target, "id", ""))
            yield from _set(function, name, binding.value)
            if isinstance(binding.value, ast.Dict):
                yield from _within(function, binding.value, 0)
    for call, dotted in function.calls:
        yield from _of_call(names, function, call, dotted)


def _of_call(names: Names, function: Function, call: ast.Call, dotted: str) -> Iterator[Said]:
    for given in call.keywords:
        if given.arg in SETTINGS:
            yield from _set(function, given.arg, given.value)
    if call.args and dotted.endswith(".update"):
        yield from _within(function, call.args[0], 0)
    if dotted.endswith(SCHEDULERS) and names.resolved(dotted).startswith("apscheduler."):
        yield Said("apscheduler", "kind", dotted.rpartition(".")[2], Place(function.module.path, *function.at(call)))
    if dotted.endswith(STARTING):
        yield from _started(names, function, call, dotted)


def _set(function: Function, name: str, value: ast.expr) -> Iterator[Said]:
    if name == BACKEND and (given := text_of(value)) is not None and TASKS.search(given):
        yield Said("django_tasks", "kind", given, Place(function.module.path, *function.at(value)))
    if name in SETTINGS:
        yield Said(*SETTINGS[name], text_of(value), Place(function.module.path, *function.at(value)))


def _within(function: Function, node: ast.expr, depth: int) -> Iterator[Said]:
    """Settings in a dictionary: ``HUEY = {"consumer": {"worker_type": "process"}}``."""
    if not isinstance(node, ast.Dict) or len(node.keys) > LARGEST or depth > DEEPEST:
        return
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield from _set(function, key.value, value)
        yield from _within(function, value, depth + 1)


def _started(names: Names, function: Function, call: ast.Call, dotted: str) -> Iterator[Said]:
    """``app.worker_main(["worker", "--pool=threads"])``, ``SimpleWorker(queues).work()``."""
    library = STARTERS.get(dotted.rpartition(".")[2])
    place = Place(function.module.path, *function.at(call))
    if library is not None and call.args and isinstance(call.args[0], ast.List | ast.Tuple):
        words = [one.value for one in call.args[0].elts if isinstance(one, ast.Constant) and isinstance(one.value, str)]
        yield Said(library, "", None, place, (library, *words))
        return
    kind = worker_class(names, names.resolved(dotted)) if dotted.endswith("Worker") else ""
    if kind:
        yield Said("rq", "kind", kind, place)


def worker_class(names: Names, name: str) -> str:
    """RQ's own worker class that a class is or inherits; "" for no such."""
    for one in (name, *names.above(name)):
        root, _, last = one.partition(".")[0], "", one.rpartition(".")[2]
        if root == "rq" and last in RQ_WORKERS:
            return last
    return ""


def text_of(node: ast.expr) -> str | None:
    """A text as written, or the default of a variable of the environment; None where the source does not tell."""
    if isinstance(node, ast.Constant):
        return node.value if isinstance(node.value, str) else None
    if isinstance(node, ast.BoolOp) and isinstance(node.op, ast.Or):
        return text_of(node.values[-1])
    if isinstance(node, ast.Call) and len(node.args) > 1:
        asks = getattr(node.func, "attr", getattr(node.func, "id", ""))
        return text_of(node.args[1]) if asks in {"get", "getenv", "env", "config", "str"} else None
    return None
