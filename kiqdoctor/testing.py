"""Jobs in tests without Redis: ``fake()`` keeps what is pushed, ``inline()`` runs it at once.

With pytest the fixtures ``kiqdoctor_fake`` and ``kiqdoctor_inline`` do the same for one test. In both modes arguments
are checked as ever and make the journey through JSON, and client and server middleware run. ``inline()`` calls a
batch's callbacks back at the end of its block, ``fake()`` never. A mode holds for the whole process, all threads of it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from kiqdoctor.runtime.job import Job
    from kiqdoctor.wire.payload import Payload

ENDLESS: Final = 10_000  # jobs that one drain() runs before it takes them for endless

Intercept = Callable[["Sequence[Payload]", float | None], None]
Clock = Callable[[], float]


@dataclass(frozen=True, slots=True)
class Enqueued:
    """A job that was pushed; ``at`` is epoch seconds for one that was scheduled; ``fields`` is its whole payload."""

    job_class: str
    args: list[Any]
    queue: str
    jid: str
    at: float | None
    fields: dict[str, Any]

    def __str__(self) -> str:
        return f"{self.job_class}({', '.join(map(repr, self.args))}) to {self.queue}"


class Pushed:
    """What was pushed and has not run yet, in order."""

    def __init__(self) -> None:
        self.jobs: list[Enqueued] = []

    def __len__(self) -> int:
        """How many wait."""
        return len(self.jobs)

    def of(self, job: "Job[..., Any] | str") -> list[Enqueued]:
        """Those of one job, given as itself or by its class on the wire."""
        return [one for one in self.jobs if one.job_class == _class(job)]

    def clear(self) -> None:
        """Forget them all."""
        self.jobs.clear()

    def drain(self, *, scheduled: bool = True) -> int:
        """Run what waits, and what that pushes, until nothing is left; how many ran.

        In the order of the pushes, and those for later by their time after all others. ``scheduled=False`` leaves what
        is not due yet. An exception ends it: the job that raised is gone, the others wait.

        Raises:
            RuntimeError: 10,000 jobs ran, and there still are some: they push each other.
            LookupError: no imported module defines the job.
        """
        ran = 0
        while (job := self._next(scheduled=scheduled)) is not None:
            if ran == ENDLESS:
                raise RuntimeError(f"{ENDLESS} jobs ran and {len(self)} still wait, the next is {job}: is it endless?")
            self.jobs.remove(job)
            _run(job.fields)
            ran += 1
        return ran

    def assert_enqueued(self, job: "Job[..., Any] | str", *args: Any, times: int | None = None) -> Enqueued:
        """The last that was pushed of this job with exactly these arguments; without any, whatever they are.

        Raises:
            AssertionError: there is none, or not as many as ``times``; tells what there is.
        """
        found = [one for one in self.of(job) if not args or one.args == list(args)]
        if not found or (times is not None and len(found) != times):
            wanted = f"{_class(job)}({', '.join(map(repr, args)) if args else '...'})"
            count = f"{times} times" if times is not None else "once or more"
            raise AssertionError(f"{wanted} was to be enqueued {count}, and was {len(found)} times; {self._told(job)}")
        return found[-1]

    def assert_not_enqueued(self, job: "Job[..., Any] | str", *args: Any) -> None:
        """None of this job with exactly these arguments; without any, none at all.

        Raises:
            AssertionError: there is one; tells which.
        """
        found = [one for one in self.of(job) if not args or one.args == list(args)]
        if found:
            raise AssertionError(f"{_class(job)} was not to be enqueued, and was: {_list(found)}")

    def intercept(self, payloads: "Sequence[Payload]", at: float | None) -> None:
        """Where the client hands over what would have gone to Redis."""
        self.jobs += [_enqueued(payload, at) for payload in payloads]

    def _next(self, *, scheduled: bool) -> Enqueued | None:
        from kiqdoctor.clock import SYSTEM

        now = SYSTEM.now()
        ready = [one for one in self.jobs if scheduled or one.at is None or one.at <= now]
        return min(ready, key=lambda one: one.at or 0.0, default=None)

    def _told(self, job: "Job[..., Any] | str") -> str:
        if not self.jobs:
            return "nothing was enqueued at all"
        if same := self.of(job):
            return f"enqueued of it: {_list(same)}"
        return f"enqueued of others: {_list(self.jobs)}"


@contextmanager
def fake() -> Iterator[Pushed]:
    """Pushes go to memory until the block ends."""
    pushed = Pushed()
    with _instead(pushed.intercept):
        yield pushed


@contextmanager
def inline() -> Iterator[None]:
    """A push runs its job at once in the calling thread, whenever it is for; its exception reaches who pushed."""
    with _instead(_run_all, inline=True):
        yield


@contextmanager
def _instead(intercept: Intercept, *, inline: bool = False) -> Iterator[None]:
    from kiqdoctor.runtime import client

    before = client.intercept, client.inline
    client.intercept, client.inline = intercept, inline
    try:
        yield
    finally:
        client.intercept, client.inline = before


def _run_all(payloads: "Sequence[Payload]", at: float | None) -> None:
    for payload in payloads:
        _run(_enqueued(payload, at).fields)


def _enqueued(payload: "Payload", at: float | None) -> Enqueued:
    from kiqdoctor.wire.payload import read

    copy = read(payload.encode())
    return Enqueued(copy.job_class, copy.args, copy.queue, copy.jid, at, copy.fields)


def _run(fields: dict[str, Any]) -> None:
    """As a worker's thread does it, without a log line, a retry or an expiry."""
    from kiqdoctor.clock import SYSTEM
    from kiqdoctor.runtime import config, context
    from kiqdoctor.runtime.job import REGISTRY
    from kiqdoctor.runtime.middleware import Running, around
    from kiqdoctor.wire.payload import Payload

    payload = Payload(fields)
    found = REGISTRY.get(payload.job_class)
    if found is None:
        raise LookupError(f"no job is called {payload.job_class}: import the module that defines it")
    running = Running(payload.job_class, payload.jid, payload.queue, payload.args, fields, SYSTEM.now())
    if found.options.timeout is not None:
        running.deadline = SYSTEM.boottime() + found.options.timeout
    token = context.running.set(running)
    try:
        with context.restored(fields):
            around(config.current().middleware, running, lambda: _body(found, running.args))
    finally:
        context.running.reset(token)  # it may lie within another job


def _body(job: "Job[..., Any]", args: list[Any]) -> None:
    if job.iterable:
        from kiqdoctor.wire import codec

        for cursor in job.function(*args, cursor=None):
            codec.strict(cursor, "the cursor")
    elif job.asynchronous:
        from kiqdoctor.runtime import loops

        loops.run(job.function(*args))
    else:
        job.function(*args)


def _class(job: "Job[..., Any] | str") -> str:
    return job if isinstance(job, str) else job.name


def _list(jobs: Sequence[Enqueued]) -> str:
    return "; ".join(map(str, jobs))


def pytest_addoption(parser: Any) -> None:
    """As a pytest plugin: ``--kiqdoctor`` runs the doctor's static checks as tests."""
    from kiqdoctor.integrations import pytest_checks

    pytest_checks.add_options(parser)


def pytest_configure(config: Any) -> None:
    """As a pytest plugin: the fixtures are made here, so that this module is imported without pytest too."""
    config.pluginmanager.register(_fixtures(), "kiqdoctor-fixtures")
    if config.getoption("kiqdoctor"):
        from kiqdoctor.integrations import pytest_checks

        config.pluginmanager.register(pytest_checks.Plugin(), "kiqdoctor-checks")


def _fixtures() -> object:
    import pytest

    class Fixtures:
        @pytest.fixture
        def kiqdoctor_fake(self) -> Iterator[Pushed]:
            """Pushes go to memory during the test: ``.jobs``, ``.drain()``, ``.assert_enqueued(job, *args)``."""
            with fake() as pushed:
                yield pushed

        @pytest.fixture
        def kiqdoctor_inline(self) -> Iterator[None]:
            """A push runs its job at once during the test, in the calling thread."""
            with inline():
                yield

    return Fixtures()
