"""The user's callables that hear of something: whatever they raise is logged, and stops nothing of ours."""

from collections.abc import Callable, Sequence
from typing import Any

from kiqdoctor.runtime import log

JobHandler = Callable[[dict[str, Any], BaseException], Any]
Hook = Callable[[], Any]


def guarded(what: str, call: Callable[..., Any], *words: Any) -> Any:
    """Its answer, or None where it raised; SystemExit too, for the thread goes on, and so must the job."""
    try:
        return call(*words)
    except BaseException as fault:  # noqa: BLE001
        log.warn(f"{what}: {type(fault).__name__}: {message(fault)}")
        return None


def hear(what: str, handlers: Sequence[JobHandler], fields: dict[str, Any], error: BaseException) -> None:
    """Each handler hears of a job's error, with a copy of its payload."""
    for handler in handlers:
        guarded(what, handler, dict(fields), error)


def mourn(handlers: Sequence[JobHandler], fields: dict[str, Any], error: BaseException) -> None:
    """Death handlers hear of a job that will not be tried again."""
    hear("death handler", handlers, fields, error)


def call(what: str, hooks: Sequence[Hook]) -> None:
    """Each in turn."""
    for hook in hooks:
        guarded(what, hook)


def message(error: BaseException) -> str:
    """What it says of itself."""
    try:
        said = str(error)
        return said if type(said) is str else str.__str__(said)  # of a kind of its own it may do anything when asked
    except BaseException:  # noqa: BLE001 - an exception's own text may raise anything, SystemExit too
        return "!!! the exception's message raised an exception itself"
