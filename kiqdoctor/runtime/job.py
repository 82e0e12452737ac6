"""What the user writes: ``@job``, and the ways to have it run."""

import inspect
import math
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from datetime import datetime, timedelta
from functools import update_wrapper
from pathlib import Path
from typing import Any, Final, Generic, ParamSpec, TypeVar, overload

from kiqdoctor.runtime import client
from kiqdoctor.runtime.calling import CURSOR, Calls, calls
from kiqdoctor.runtime.due import Seconds, after, epoch
from kiqdoctor.text import clean
from kiqdoctor.wire import codec
from kiqdoctor.wire.fields import AT_MOST_ONCE, BACKTRACE, DEAD, QUEUE, RETRY, RETRY_FOR, RETRY_QUEUE, TAGS
from kiqdoctor.wire.status import NOTHING_MORE, RESULT, Outcome

P = ParamSpec("P")
R = TypeVar("R")

REGISTRY: "dict[str, Job[Any, Any]]" = {}
"""Class on the wire -> job, of every module that has been imported."""

RetryIn = Callable[[int, BaseException], Any]
Exhausted = Callable[[dict[str, Any], BaseException], Any]

LONGEST_RETRY_FOR = 1_000_000_000  # seconds; as Sidekiq, which takes more for a mistaken epoch


@dataclass(frozen=True, slots=True)
class JobOptions:
    """What a job says of itself; ``wire`` goes into each payload."""

    queue: str = "default"
    retry: bool | int = True
    backtrace: bool | int = False
    dead: bool = True
    tags: tuple[str, ...] = ()
    retry_in: RetryIn | None = None
    retry_for: float | None = None
    retry_queue: str | None = None
    retries_exhausted: Exhausted | None = None
    unique_for: float | None = None
    expires_in: float | None = None
    limit: int | None = None
    rate: tuple[int, float] | None = None
    timeout: float | None = None
    timeout_kill: bool = False
    at_most_once: bool = False
    status: bool = False
    result_ttl: float | None = None
    wire: dict[str, Any] = field(default_factory=dict, compare=False)

    def outcome(self, value: Any) -> Outcome:
        """What is told of a job that is done, beside that: what the function returned, where somebody asked for it.

        Raises:
            kiqdoctor.wire.codec.ArgumentError: it has no JSON form.
        """
        if self.result_ttl is None:
            return NOTHING_MORE
        codec.strict(value, "the result")
        return Outcome({RESULT: codec.encode(value)}, math.ceil(self.result_ttl))


class Job(Generic[P, R]):
    """A function that may also run elsewhere, later. Calling it runs it here and now."""

    def __init__(self, function: Callable[P, R], name: str, options: JobOptions) -> None:
        self.function = function
        self.name = name
        self.options = options
        self.shown = clean(name)
        self.pace = 0.0  # seconds that one run took of late, for how many are fetched ahead
        self.least = math.inf  # seconds that a run took without being held up by other threads, about
        self.iterable = inspect.isgeneratorfunction(function)
        self.asynchronous = inspect.iscoroutinefunction(function)
        self.surrounded = bool(options.timeout or options.status or self.iterable or self.asynchronous)
        self.limited = bool(options.limit or options.rate)
        asks = self.limited or options.at_most_once
        self.special = bool(asks or options.timeout or options.status or self.iterable)  # before it, or with its end
        self.coroutine = self.asynchronous and not self.special
        self.calls: Calls = calls(function, iterable=self.iterable)
        update_wrapper(self, function)

    def __call__(self, *args: P.args, **kwargs: P.kwargs) -> R:
        """An ordinary call."""
        return self.function(*args, **kwargs)

    def perform_async(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """Have it run as soon as a worker is free; its jid.

        What has a place among the parameters travels by place, where Ruby reads it, the rest by name.

        With ``unique_for`` it is the jid of the job that is already waiting or running, where there is one. "" where a
        client middleware dropped it.

        Raises:
            TypeError: the call does not fit the function's signature; nothing was pushed.
            kiqdoctor.wire.codec.ArgumentError: an argument has no JSON form; nothing was pushed.
            kiqdoctor.MaybeEnqueued: the reply was lost; it names the jid.
            redis.exceptions.RedisError: Redis could not be reached or refused; nothing was pushed.
        """
        return self._push(args, kwargs, None)

    def perform_in(self, delay: Seconds, /, *args: P.args, **kwargs: P.kwargs) -> str:
        """Have it run so many seconds from now, or after a timedelta; its jid.

        Raises:
            ValueError: no finite number of seconds.
        """
        return self._push(args, kwargs, after(delay))

    def perform_at(self, when: float | datetime, /, *args: P.args, **kwargs: P.kwargs) -> str:
        """Have it run at epoch seconds or an aware datetime; its jid.

        Raises:
            ValueError: a datetime without a time zone, which could mean any hour; no finite number.
        """
        return self._push(args, kwargs, epoch(when))

    def perform_bulk(self, batch: Iterable[Sequence[Any]], *, at: float | datetime | None = None) -> list[str]:
        """Have it run once for each list of arguments, a thousand in a round trip; the jids, in order.

        ``at``: epoch seconds or an aware datetime, for all of them. Raises as ``perform_async``, and of more than a
        thousand those of earlier round trips are pushed then: ``MaybeEnqueued`` names them, other errors count them.
        """
        return client.enqueue(self.name, self._fitting(batch), self.options, at=None if at is None else epoch(at))

    async def aperform_async(self, *args: P.args, **kwargs: P.kwargs) -> str:
        """``perform_async`` that blocks no event loop. Whoever is cancelled meanwhile may have pushed."""
        return await self._apush(args, kwargs, None)

    async def aperform_in(self, delay: Seconds, /, *args: P.args, **kwargs: P.kwargs) -> str:
        """``perform_in`` that blocks no event loop."""
        return await self._apush(args, kwargs, after(delay))

    async def aperform_at(self, when: float | datetime, /, *args: P.args, **kwargs: P.kwargs) -> str:
        """``perform_at`` that blocks no event loop."""
        return await self._apush(args, kwargs, epoch(when))

    async def aperform_bulk(self, batch: Iterable[Sequence[Any]], *, at: float | datetime | None = None) -> list[str]:
        """``perform_bulk`` that blocks no event loop."""
        when = None if at is None else epoch(at)
        return await client.aenqueue(self.name, self._fitting(batch), self.options, at=when)

    def lay(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> tuple[Sequence[Any], Mapping[str, Any]]:
        """A call as it lies in a payload: by place, and by name what has no place.

        Raises:
            TypeError: it does not fit the signature.
        """
        try:
            if kwargs:
                return self.calls.lay(args, kwargs)
            self.calls.check(args)
        except TypeError as error:
            raise TypeError(f"{self.name}: {error}") from None
        return args, client.NO_KEYWORDS

    def _push(self, args: Sequence[Any], kwargs: Mapping[str, Any], at: float | None) -> str:
        placed, named = self.lay(args, kwargs)
        return client.enqueue(self.name, (placed,), self.options, at=at, keywords=named)[0]

    async def _apush(self, args: Sequence[Any], kwargs: Mapping[str, Any], at: float | None) -> str:
        placed, named = self.lay(args, kwargs)
        [jid] = await client.aenqueue(self.name, (placed,), self.options, at=at, keywords=named)
        return jid

    def _fitting(self, batch: Iterable[Sequence[Any]]) -> list[Sequence[Any]]:
        listed = list(batch)
        for number, args in enumerate(listed):
            try:
                if type(args) in _LISTS:  # what is no list of arguments is told as such
                    self.calls.check(args)
            except TypeError as error:
                raise TypeError(f"{self.name}, job {number} of {len(listed)}: {error}") from None
        return listed

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
    retry_in: RetryIn | None = None,
    retry_for: Seconds | None = None,
    retry_queue: str | None = None,
    retries_exhausted: Exhausted | None = None,
    backtrace: bool | int = False,
    dead: bool = True,
    tags: Sequence[str] = (),
    unique_for: Seconds | None = None,
    expires_in: Seconds | None = None,
    limit: int | None = None,
    rate: tuple[int, Seconds] | None = None,
    timeout: Seconds | None = None,
    timeout_kill: bool = False,
    at_most_once: bool = False,
    status: bool = False,
    result_ttl: Seconds | None = None,
) -> Callable[[Callable[P, R]], Job[P, R]]: ...
def job(function: Callable[P, R] | None = None, /, *, name: str | None = None, **options: Any) -> Any:
    """Make a job of a function: ``@job``, or ``@job(queue="mail", retry=5, name="RubyClass")``.

    All times are seconds or timedeltas.

    - ``retry``: True for 25 times, a number, or False for none and no place among the dead. ``retry_in(count, error)``
      answers seconds, a timedelta, "kill", "discard", or None for Sidekiq's own formula. ``retry_for``: tried again
      that long, however often. ``retry_queue``: where further tries go. ``retries_exhausted(fields, error)`` is called
      after the last one, and may answer "discard". ``dead=False``: then it is gone instead of kept among the dead.
    - ``unique_for``: while one with the same arguments waits or runs, at most so long, no second one is pushed.
    - ``expires_in``: it is dropped where it has not begun by then.
    - ``limit``: so many at once in the whole fleet. ``rate=(10, 60)``: ten in each sixty seconds, in the whole fleet.
    - ``timeout``: after it an ``async def`` is cancelled; in others ``kiqdoctor.current().checkpoint()`` raises.
      ``timeout_kill=True``: what still runs a moment later has failed, and its process is killed.
    - ``at_most_once``: what a killed process was running goes to the dead instead of running again.
    - ``status``: its state can be asked for by ``kiqdoctor.Status(jid)``. ``result_ttl``: so can what it returned, as
      JSON, for so long after its end.

    A generator function is an iterable job: each value that it yields is where to go on after an interruption, and
    comes back as the keyword ``cursor``. An ``async def`` runs on the process's one event loop.

    Raises:
        ValueError: an option that cannot be, a name that another function has, or a function that cannot be a job.
    """
    settings = _options(options)

    def make(wrapped: Callable[P, R]) -> Job[P, R]:
        _fit(wrapped)
        made = Job(wrapped, name or _name(wrapped), settings)
        known = REGISTRY.get(made.name)
        if known is not None and _place(known.function) != _place(wrapped):
            raise ValueError(f"two jobs are called {made.name}: {_place(known.function)} and {_place(wrapped)}")
        REGISTRY[made.name] = made
        if not client.TRANSACTIONS.isdisjoint(sys.modules):
            from kiqdoctor.runtime import transactions

            transactions.watch()
        return made

    return make if function is None else make(function)


def _options(words: dict[str, Any]) -> JobOptions:
    known = {one.name for one in fields(JobOptions)} - {"wire"}
    if unknown := words.keys() - known:
        raise ValueError(f"a job has no option {', '.join(sorted(unknown))}; it has {', '.join(sorted(known))}")
    for name in ("retry_for", "unique_for", "expires_in", "timeout", "result_ttl"):
        if words.get(name) is not None:
            words[name] = _seconds(name, words[name])
    if words.get("result_ttl") is not None:
        words["status"] = True
    if words.get("rate") is not None:
        words["rate"] = _rate(words["rate"])
    if isinstance(tags := words.get("tags", ()), str):  # each of its letters would be a tag
        raise ValueError(f"tags is a list of words, as in tags=[{tags!r}], not {tags!r}")
    options = JobOptions(**{**words, "tags": tuple(tags)})
    _check(options)
    options.wire.update(_wire(options))
    return options


def _seconds(name: str, value: Any) -> float:
    seconds = value.total_seconds() if isinstance(value, timedelta) else value
    if isinstance(seconds, bool) or not isinstance(seconds, int | float) or not 0 < seconds <= LONGEST_RETRY_FOR:
        raise ValueError(f"{name} must be a positive number of seconds or a timedelta, not {value!r}")
    return float(seconds)


def _rate(value: Any) -> tuple[int, float]:
    try:
        count, every = value
    except (TypeError, ValueError):
        raise ValueError(f"rate must be (how many, in how many seconds), not {value!r}") from None
    if type(count) is not int or count < 1:
        raise ValueError(f"rate must allow at least one job, not {count!r}")
    return count, _seconds("rate", every)


def _check(options: JobOptions) -> None:
    if not options.queue or type(options.queue) is not str:
        raise ValueError("a job's queue must be a name")
    if type(options.retry) not in {bool, int} or options.retry < 0:
        raise ValueError(f"retry must be True, False or a number of times, not {options.retry!r}")
    for name in ("retry_in", "retries_exhausted"):
        if (called := getattr(options, name)) is not None and not callable(called):
            raise ValueError(f"{name} must be a function, not {called!r}")
    if options.limit is not None and (type(options.limit) is not int or options.limit < 1):
        raise ValueError(f"limit must be a number of jobs, not {options.limit!r}")
    if options.timeout_kill and options.timeout is None:
        raise ValueError("timeout_kill needs a timeout")


def _fit(function: Callable[..., Any]) -> None:
    """What would run and do nothing, or fail each time, is told where it is written."""
    if not callable(function):
        raise ValueError(f"a job is made of a function, not of {function!r}; options are named, as in @job(queue=...)")
    if inspect.isasyncgenfunction(function):
        raise ValueError(f"{function.__qualname__} is an async generator: an iterable job is a plain one")
    if not inspect.isgeneratorfunction(function):
        return
    words = inspect.signature(function).parameters.values()
    if not any(word.kind is word.VAR_KEYWORD or (word.name == CURSOR and word.kind in _KEYWORD) for word in words):
        raise ValueError(f"{function.__qualname__} is a generator, so an iterable job: it needs the keyword cursor")


_LISTS: Final = frozenset({list, tuple})
_KEYWORD: Final = frozenset({inspect.Parameter.KEYWORD_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD})


def _wire(options: JobOptions) -> dict[str, Any]:
    """The options that readers of the payload know, Ruby's among them."""
    found: dict[str, Any] = {RETRY: options.retry, QUEUE: options.queue}
    if options.backtrace:
        found[BACKTRACE] = options.backtrace
    if not options.dead:
        found[DEAD] = False
    if options.tags:
        found[TAGS] = list(options.tags)
    if options.retry_for is not None:
        found[RETRY_FOR] = math.ceil(options.retry_for)
    if options.retry_queue:
        found[RETRY_QUEUE] = options.retry_queue
    if options.at_most_once:
        found[AT_MOST_ONCE] = True
    return found


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
