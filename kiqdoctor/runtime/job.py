"""What the user writes: ``@job``, and the ways to have it run."""

import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import update_wrapper
from pathlib import Path
from typing import Any, Generic, ParamSpec, TypeVar, overload

from kiqdoctor.clock import SYSTEM
from kiqdoctor.runtime import client

P = ParamSpec("P")
R = TypeVar("R")

REGISTRY: "dict[str, Job[Any, Any]]" = {}
"""Class on the wire -> job, of every module that has been imported."""

RetryIn = Callable[[int, BaseException], int | None]


@dataclass(frozen=True, slots=True)
class Options:
    """What a job says of itself; ``wire`` goes into each payload."""

    queue: str = "default"
    retry: bool | int = True
    backtrace: bool | int = False
    dead: bool = True
    tags: tuple[str, ...] = ()
    retry_in: RetryIn | None = None

    @property
    def wire(self) -> dict[str, Any]:
        """The options that readers of the payload know."""
        found: dict[str, Any] = {"retry": self.retry, "queue": self.queue}
        if self.backtrace:
            found["backtrace"] = self.backtrace
        if not self.dead:
            found["dead"] = False
        if self.tags:
            found["tags"] = list(self.tags)
        return found


class Job(Generic[P, R]):
    """A function that may also run elsewhere, later. Calling it runs it here and now."""

    def __init__(self, function: Callable[P, R], name: str, options: Options) -> None:
        self.function = function
        self.name = name
        self.options = options
        update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """An ordinary call."""
        return self.function(*args, **kwargs)

    def perform_async(self, *args: Any) -> str:
        """Have it run as soon as a worker is free; its jid.

        Raises:
            kiqdoctor.wire.codec.ArgumentError: an argument has no JSON form.
        """
        return client.enqueue(self.name, [args], self.options.wire)[0]

    def perform_in(self, delay: float | timedelta, *args: Any) -> str:
        """Have it run so many seconds from now, or after a timedelta; its jid."""
        seconds = delay.total_seconds() if isinstance(delay, timedelta) else float(delay)
        return client.enqueue(self.name, [args], self.options.wire, at=SYSTEM.now() + seconds)[0]

    def perform_at(self, when: float | datetime, *args: Any) -> str:
        """Have it run at epoch seconds or an aware datetime; its jid.

        Raises:
            ValueError: a datetime without a time zone, which could mean any hour.
        """
        if isinstance(when, datetime) and when.tzinfo is None:
            raise ValueError("perform_at needs an aware datetime: this one has no time zone")
        at = when.timestamp() if isinstance(when, datetime) else float(when)
        return client.enqueue(self.name, [args], self.options.wire, at=at)[0]

    def perform_bulk(self, batch: Iterable[Sequence[Any]]) -> list[str]:
        """Have it run once for each list of arguments; the jids, in order."""
        return client.enqueue(self.name, list(batch), self.options.wire)

    def __repr__(self) -> str:
        return f"<job {self.name}>"


@overload
def job(function: Callable[P, R], /) -> Job[P, R]: ...
@overload
def job(
    *,
    name: str | None = None,
    queue: str = "default",
    retry: bool | int = True,
    backtrace: bool | int = False,
    dead: bool = True,
    tags: Sequence[str] = (),
    retry_in: RetryIn | None = None,
) -> Callable[[Callable[P, R]], Job[P, R]]: ...
def job(function: Callable[P, R] | None = None, /, *, name: str | None = None, **options: Any) -> Any:
    """Make a job of a function: ``@job``, or ``@job(queue="mail", retry=5, name="RubyClass")``.

    ``retry``: True for 25 times, a number, or False for none and no place among the dead. ``retry_in``: called with the
    count and the exception, answers seconds or None for Sidekiq's own formula.

    Raises:
        ValueError: an empty queue, a negative retry, or a name that another function has.
    """
    settings = _options(options)

    def make(wrapped: Callable[P, R]) -> Job[P, R]:
        made = Job(wrapped, name or _name(wrapped), settings)
        known = REGISTRY.get(made.name)
        if known is not None and _place(known.function) != _place(wrapped):
            raise ValueError(f"two jobs are called {made.name}: {_place(known.function)} and {_place(wrapped)}")
        REGISTRY[made.name] = made
        return made

    return make if function is None else make(function)


def _options(words: dict[str, Any]) -> Options:
    options = Options(**{**words, "tags": tuple(words.get("tags", ()))})
    if not options.queue or type(options.queue) is not str:
        raise ValueError("a job's queue must be a name")
    if type(options.retry) not in {bool, int} or options.retry < 0:
        raise ValueError(f"retry must be True, False or a number of times, not {options.retry!r}")
    return options


def _name(function: Callable[..., Any]) -> str:
    """``module.qualname``; a script that is run as ``__main__`` is known by the module that a worker imports."""
    module = function.__module__
    if module == "__main__":
        main = sys.modules["__main__"]
        spec = getattr(main, "__spec__", None)
        file = getattr(main, "__file__", None)
        module = spec.name if spec is not None else Path(file).stem if file else module
    return f"{module}.{function.__qualname__}"


def _place(function: Callable[..., Any]) -> tuple[str, str]:
    code = getattr(function, "__code__", None)
    return (
        (code.co_filename, function.__qualname__) if code is not None else (function.__module__, function.__qualname__)
    )
