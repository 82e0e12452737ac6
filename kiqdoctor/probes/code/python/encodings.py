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
OWN: Final = {"serializer": "rq", "dumps": "saq"}
"""Keywords of a queue by which another library is told."""


def encodings(names: Names) -> dict[str, Encoding]:
    """By library."""
    told = {library for unit in names.units for library in _told(names, unit)}
    return {**USUAL, **dict.fromkeys(told, Encoding.UNKNOWN)}


def _told(names: Names, unit: Function) -> Iterator[str]:
    for binding in unit.bindings:
        name = getattr(binding.target, "attr", getattr(binding.target, "id", ""))
        if name in SETTINGS and name != "serializer" and not _is_json(binding.value):
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


def _items(node: ast.Dict) -> Iterator[tuple[str, ast.expr]]:
    for key, value in zip(node.keys, node.values, strict=True):
        if isinstance(key, ast.Constant) and isinstance(key.value, str):
            yield key.value, value


def _is_json(value: ast.expr | None) -> bool:
    return isinstance(value, ast.Constant) and value.value == "json"
