"""Jobs in tests without Redis: ``fake()`` keeps what is pushed, ``inline()`` runs it at once.

With pytest the fixtures ``kiqdoctor_fake`` and ``kiqdoctor_inline`` do the same for one test. In both modes arguments
are checked as ever and make the journey through JSON, client and server middleware run, and a job ends as it would in a
worker: its ``Status`` tells, its batch calls back, and where it would not be tried again, death handlers hear of it.
Nothing is tried again, expires, waits for a limit or is refused for being there already. A mode holds for the whole
process, all threads of it.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from kiqdoctor.runtime.alike import Likewise
    from kiqdoctor.runtime.endings import Ending
    from kiqdoctor.runtime.fetching.work import Work
    from kiqdoctor.runtime.instead import Instead
    from kiqdoctor.runtime.job import Job
    from kiqdoctor.runtime.middleware import Running
    from kiqdoctor.wire.batch import Event, Heard, Progress
    from kiqdoctor.wire.payload import Payload
    from kiqdoctor.wire.status import JobState, More

ENDLESS: Final = 10_000  # jobs that one drain() runs before it takes them for endless


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
        self._memory = _Memory(lambda payload, at: self.jobs.append(_enqueued(payload, at)))

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
            self._memory.run(job.fields)
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

    @property
    def memory(self) -> "Instead":
        """What takes Redis' place meanwhile."""
        return self._memory

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


@dataclass
class _Account:
    """A batch in memory; what batch.lua does with one in Redis."""

    open: set[str]
    pending: set[str]
    call: "Callable[[Event], None]"
    total: int
    failures: int = 0
    sealed: bool = False
    told: "set[Event]" = field(default_factory=set)

    def hear(self, jid: str, ending: "Heard") -> None:
        """What became of one of its jobs."""
        self.open.discard(jid)
        if ending == "done":
            self.pending.discard(jid)
        else:
            self.failures += 1
        self.look()

    def look(self) -> None:
        """Call back what is due, each once."""
        left: dict[Event, set[str]] = {"complete": self.open, "success": self.pending}
        for event, jids in left.items():
            if self.sealed and not jids and event not in self.told:
                self.told.add(event)
                self.call(event)


@dataclass
class _Memory:
    """In Redis' place: ``take`` gets each push. It keeps what goes with jobs, and runs them as a worker does."""

    take: "Callable[[Payload, float | None], None]"
    told: dict[str, dict[bytes, bytes]] = field(default_factory=dict)  # statuses, as their hashes would be
    accounts: dict[str, _Account] = field(default_factory=dict)

    def push(self, payload: "Payload", at: float | None) -> None:
        from kiqdoctor.clock import SYSTEM
        from kiqdoctor.wire.status import QUEUED, SCHEDULED

        found = _job(payload)
        if found is not None and found.options.status:
            self.tell(payload.jid, QUEUED if at is None else SCHEDULED, SYSTEM.now(), {})
        self.take(payload, at)

    def state(self, jid: str) -> "JobState | None":
        from kiqdoctor.wire.status import read

        return read(self.told.get(jid, {}))

    def open(self, batch: str, jids: "Sequence[str]", call: "Callable[[Event], None]") -> None:
        self.accounts[batch] = _Account(set(jids), set(jids), call, len(jids))

    def add(self, batch: str, jids: "Sequence[str]") -> None:
        account = self.accounts[batch]
        account.open.update(jids)
        account.pending.update(jids)
        account.total += len(jids)

    def seal(self, batch: str) -> None:
        self.accounts[batch].sealed = True
        self.accounts[batch].look()

    def progress(self, batch: str) -> "Progress | None":
        from kiqdoctor.wire.batch import Progress

        if (found := self.accounts.get(batch)) is None:
            return None
        return Progress(found.total, len(found.open), len(found.pending), found.failures)

    def enter(self, job: "Job[Any, Any]", owner: str, work: "Work") -> float:  # noqa: ARG002 - there is room
        return 0.0

    def pass_on(self, job: "Job[Any, Any]", work: "Work") -> bool:  # noqa: ARG002 - nobody has a place
        return False

    def give_up(self, job: "Job[Any, Any]", work: "Work") -> None:
        """Nobody has a place."""

    def tell(self, jid: str, state: str, now: float, more: "More") -> None:
        from kiqdoctor.wire.status import VERSION, change

        known = self.told.setdefault(jid, {})
        version = int(known.get(VERSION.encode(), 0)) + 1
        words = [*change(state, repr(now), more), VERSION, version]
        told = [one if isinstance(one, bytes) else str(one).encode() for one in words]
        known.update(zip(told[::2], told[1::2], strict=True))

    def runs(self, running: "Running", now: float, more: "More") -> None:
        from kiqdoctor.wire.status import RUNNING

        self.tell(running.jid, RUNNING, now, more)

    def over(self, running: "Running") -> None:
        """What was told is told."""

    def cursor(self, running: "Running") -> "_Place":  # noqa: ARG002 - nothing goes on: each job runs once
        return _Place()

    def run(self, fields: dict[str, Any]) -> None:
        """As a worker's thread does it; its exception reaches whoever wanted it to run."""
        from contextvars import copy_context

        from kiqdoctor.clock import SYSTEM
        from kiqdoctor.runtime import config
        from kiqdoctor.runtime.fetching.work import Home, Work
        from kiqdoctor.runtime.job import REGISTRY
        from kiqdoctor.runtime.middleware import Running
        from kiqdoctor.runtime.performing import Performer
        from kiqdoctor.wire.payload import Payload

        payload = Payload(fields)
        found = _job(payload)
        if found is None:
            raise LookupError(f"no job is called {payload.job_class}: import the module that defines it")
        performer = Performer(self, config.current(), REGISTRY, lambda: "a test", lambda: False)
        running = Running(found.name, payload.jid, payload.queue, payload.args, fields, SYSTEM.now())
        try:
            copy_context().run(performer.run, found, running)  # it may lie within another job
        except BaseException as error:
            work = Work(payload.encode(), Home(payload.queue))
            self._ended(found, payload, performer.failed(found, payload, work, error), {})
            raise
        self._ended(found, payload, performer.done(found, payload, running, soon=False), running.outcome.more)

    def _ended(self, job: "Job[Any, Any]", payload: "Payload", ending: "Ending | Likewise", more: "More") -> None:
        from kiqdoctor.clock import SYSTEM
        from kiqdoctor.runtime.endings import FOLLOWS, End

        follows = FOLLOWS[ending.end]
        after = payload.following(SYSTEM.now()) if ending.end is End.DONE else None
        if after is not None and payload.batch in self.accounts:
            self.add(payload.batch, [after.jid])
        if job.options.status:
            self.tell(payload.jid, follows.state, SYSTEM.now(), more)
        if follows.batch is not None and payload.batch in self.accounts:
            self.accounts[payload.batch].hear(payload.jid, follows.batch)
        if after is not None:
            self.push(after, None)


class _Place:
    """Where an iterable job goes on: it is not interrupted."""

    def __init__(self) -> None:
        self.value: Any = None
        self.cancelled = self.kept = False

    def load(self) -> None: ...

    def save(self, since: float) -> None: ...


@contextmanager
def fake() -> Iterator[Pushed]:
    """Pushes go to memory until the block ends."""
    pushed = Pushed()
    with _instead(pushed.memory):
        yield pushed


@contextmanager
def inline() -> Iterator[None]:
    """A push runs its job at once in the calling thread, whenever it is for; its exception reaches who pushed."""
    memory = _Memory(lambda payload, at: memory.run(_enqueued(payload, at).fields))
    with _instead(memory):
        yield


@contextmanager
def _instead(memory: "Instead") -> Iterator[None]:
    from kiqdoctor.runtime import instead

    before, instead.current = instead.current, memory
    try:
        yield
    finally:
        instead.current = before


def _enqueued(payload: "Payload", at: float | None) -> Enqueued:
    from kiqdoctor.wire.payload import read

    copy = read(payload.encode())
    return Enqueued(copy.job_class, copy.args, copy.queue, copy.jid, at, copy.fields)


def _job(payload: "Payload") -> "Job[Any, Any] | None":
    from kiqdoctor.runtime.job import REGISTRY

    return REGISTRY.get(payload.job_class)


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
