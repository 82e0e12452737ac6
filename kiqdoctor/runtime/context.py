"""What runs now in this thread or task, and values that travel with a job from the push to the run."""

import hashlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar, Token
from typing import Any

from kiqdoctor.runtime.middleware import Running
from kiqdoctor.wire import codec
from kiqdoctor.wire.fields import CONTEXT

running: ContextVar[Running | None] = ContextVar("kiqdoctor_running", default=None)
_carried: dict[str, ContextVar[Any]] = {}


def current() -> Running:
    """The job that runs here.

    Raises:
        LookupError: none does.
    """
    found = running.get()
    if found is None:
        raise LookupError("no job runs here: kiqdoctor.current() is for the inside of a job")
    return found


def propagate(variable: ContextVar[Any], name: str | None = None) -> None:
    """Carry this variable's value, which must have a JSON form, from each push to the job's run.

    Raises:
        TypeError: no ContextVar.
    """
    if not isinstance(variable, ContextVar):
        raise TypeError(f"propagate takes a contextvars.ContextVar, not {variable!r}")
    _carried[name or variable.name] = variable


def stamped() -> dict[str, Any]:
    """What a payload takes along; empty where nothing is carried."""
    if not _carried:
        return {}
    values = {}
    for name, variable in _carried.items():
        try:
            value = variable.get()
        except LookupError:
            continue
        codec.strict(value, f"context {name}")
        values[name] = value
    return {CONTEXT: values} if values else {}


@contextmanager
def restored(fields: dict[str, Any]) -> Iterator[None]:
    """The values that came along, for one run."""
    values = fields.get(CONTEXT)
    tokens: list[tuple[ContextVar[Any], Token[Any]]] = []
    if isinstance(values, dict):
        tokens = [(_carried[name], _carried[name].set(value)) for name, value in values.items() if name in _carried]
    try:
        yield
    finally:
        for variable, token in reversed(tokens):
            variable.reset(token)


def fingerprint(job_class: str, queue: str, args: Sequence[Any], keywords: dict[str, Any] | None = None) -> str:
    """The same for the same class, queue and arguments, whatever the order of keys in them."""
    told = [job_class, queue, _ordered(list(args))]
    text = codec.encode([*told, _ordered(keywords)] if keywords else told)
    return hashlib.sha256(text).hexdigest()[:32]


def _ordered(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _ordered(value[key]) for key in sorted(value)}
    return [_ordered(one) for one in value] if isinstance(value, list) else value
