"""How the application's queues in Python write what jobs are handed."""

import ast
from collections.abc import Iterator
from typing import Final

from kiqdoctor.doctor.facts.code import Encoding
from kiqdoctor.probes.code.python.module import Function
from kiqdoctor.probes.code.python.names import Names

USUAL: Final = {
    "kiqdoctor": Encoding.JSON,
    "celery": Encoding.KOMBU,
    "dramatiq": Encoding.JSON,
    "saq": Encoding.JSON,
    "procrastinate": Encoding.JSON,
    "rq": Encoding.PICKLE,
    "huey": Encoding.PICKLE,
    "arq": Encoding.PICKLE,
    "streaq": Encoding.PICKLE,
    "django_q": Encoding.PICKLE,
}
"""What a library does where it is told nothing; of others it is not known."""
SETTINGS: Final = frozenset({"task_serializer", "CELERY_TASK_SERIALIZER", "TASK_SERIALIZER", "serializer"})
"""Celery's, also of one task or one call."""
TELLS: Final = {
    "kombu.serialization.register": "celery",
    "kombu.utils.json.register_type": "celery",
    "dramatiq.set_encoder": "dramatiq",
    "dramatiq.encoder.set_encoder": "dramatiq",
}
"""Calls by which a library is told a way of the application's own."""
OWN: Final = {"dumps": "saq"}
"""Keywords of a queue by which another library is told."""
SERIALIZER: Final = "serializer"
RQ: Final = {
    "rq.serializers.JSONSerializer": Encoding.JSON,
    "rq.serializers.DefaultSerializer": Encoding.PICKLE,
}
BUILDS: Final = frozenset({"rq.Queue", "rq.queue.Queue"})
RQ_SETTING: Final = "RQ_QUEUES"  # django-rq's


def encodings(names: Names) -> dict[str, Encoding]:
    """By library."""
    told = {library for unit in names.units for library in _told(names, unit)}
    if _unread(names):
        told.add("celery")
    rq = {one for unit in names.units for one in _rq(names, unit)} or {USUAL["rq"]}
    return {**USUAL, **dict.fromkeys(told, Encoding.UNKNOWN), "rq": rq.pop() if len(rq) == 1 else Encoding.UNKNOWN}


def _unread(names: Names) -> bool:
    """Whether a module of the application takes all names of one of its own that was not read: settings, maybe."""
    known = {one.name for one in names.modules}
    tops = {one.partition(".")[0] for one in known}
    stars = {star for one in names.modules for star in one.stars}
    return any(one not in known and one.partition(".")[0] in tops for one in stars)


def of_queue(names: Names, function: Function, queue: ast.expr) -> Encoding | None:
    """How this RQ queue writes, where it is built in sight; None where it is not."""
    made, where = names.valued(function, queue)
    if isinstance(made, ast.Call) and names.spelt(made.func, where) in BUILDS:
        return _of_call(names, where, made)
    return None


def _rq(names: Names, unit: Function) -> Iterator[Encoding]:
    """What each of RQ's queues is told, or whatever else has such a keyword."""
    for call, dotted in unit.calls:
        if names.resolved(dotted) in BUILDS or any(one.arg == SERIALIZER for one in call.keywords):
            yield _of_call(names, unit, call)
    for binding in unit.bindings:
        if getattr(binding.target, "id", "") == RQ_SETTING and isinstance(binding.value, ast.Dict):
            yield from (_of_setting(names, unit, queue) for queue in binding.value.values)


def _of_setting(names: Names, unit: Function, queue: ast.expr) -> Encoding:
    """How a queue of django-rq's settings writes."""
    if not isinstance(queue, ast.Dict) or None in queue.keys:
        return Encoding.UNKNOWN
    given = next((value for key, value in _items(queue) if key == SERIALIZER.upper()), None)
    return USUAL["rq"] if given is None else _of_value(names, unit, given)


def _of_call(names: Names, unit: Function, call: ast.Call) -> Encoding:
    if any(one.arg is None for one in call.keywords):
        return Encoding.UNKNOWN  # **options
    given = next((one.value for one in call.keywords if one.arg == SERIALIZER), None)
    return USUAL["rq"] if given is None else _of_value(names, unit, given)


def _of_value(names: Names, unit: Function, value: ast.expr) -> Encoding:
    if isinstance(value, ast.Constant):
        return RQ.get(str(value.value), Encoding.UNKNOWN) if value.value is not None else USUAL["rq"]
    return RQ.get(names.spelt(value, unit), Encoding.UNKNOWN)


def _told(names: Names, unit: Function) -> Iterator[str]:
    for binding in unit.bindings:
        name = _set(binding.target)
        if name in SETTINGS and name != SERIALIZER and not _is_json(binding.value):
            yield "celery"
        if isinstance(binding.value, ast.Dict):
            yield from ("celery" for key, value in _items(binding.value) if key in SETTINGS and not _is_json(value))
    for call, dotted in unit.calls:
        if (library := TELLS.get(names.resolved(dotted))) is not None:
            yield library
        for given in call.keywords:
            if given.arg in SETTINGS and not _is_json(given.value):
                yield "celery"
            if given.arg in OWN:
                yield OWN[given.arg]


def _set(target: ast.expr) -> str:
    """The setting's name: ``task_serializer``, ``app.conf.task_serializer``, ``conf["task_serializer"]``."""
    key = target.slice if isinstance(target, ast.Subscript) else None
    return str(key.value) if isinstance(key, ast.Constant) else getattr(target, "attr", getattr(target, "id", ""))


def _items(node: ast.Dict) -> Iterator[tuple[str, ast.expr]]:
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield key.value, value


def _is_json(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value == "json"
