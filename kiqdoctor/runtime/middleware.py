"""What goes around every push and every run: plain callables, composed in the order in which they were given.

A middleware gets the job and ``proceed``, which takes no argument and runs what lies inside. A client middleware that
does not call ``proceed`` drops the push; a server middleware that does not call it ends the job as done.
"""

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, Protocol

import msgspec

from kiqdoctor.clock import boottime
from kiqdoctor.runtime.fetching.work import FencedError, Work
from kiqdoctor.text import clean
from kiqdoctor.wire.payload import Payload, Plain, read
from kiqdoctor.wire.status import DONE, NOTHING_MORE, TOTAL, Outcome

Proceed = Callable[[], Any]


class DeadlineExceededError(Exception):
    """A job ran longer than its ``timeout``, and came to a checkpoint."""


def never() -> bool:
    """What nobody asks of: that the process wants to end."""
    return False


class Named(Protocol):
    """What a log line needs of a job's class: its name on the wire, and the same clean."""

    name: str
    shown: str


class Running(msgspec.Struct, eq=False, gc=False):
    """A job that a thread runs now: what middleware, ``current()`` and the board have of it, in one object.

    ``started`` is epoch seconds, ``began`` the same of the boot clock; ``deadline``: of the boot clock, where the job
    has a ``timeout``; ``stopping``: whether the process wants to end; ``waited``: seconds of its run that are ours, for
    what is asked for many jobs at once: they say nothing of its pace; ``payload``: as it was read, with all its fields
    or as a record of the few that most have; ``more``: whether with its end more is to be told than that it ended;
    ``tell``: writes how far it is, where that is kept; ``kept``: whether a cursor of it lies in Redis.
    """

    job_class: str
    jid: str
    queue: str
    args: list[Any]
    decoded: dict[str, Any] | None
    started: float
    deadline: float | None = None
    stopping: Callable[[], bool] = never
    tell: "Callable[[Running, Mapping[str, int | bytes]], None] | None" = None
    outcome: Outcome = NOTHING_MORE
    work: Work | None = None
    waited: float = 0.0
    began: float = 0.0
    job: Named | None = None
    payload: Payload | Plain | None = None
    more: bool = False
    kept: bool = True

    @property
    def fields(self) -> dict[str, Any]:
        """Its decoded payload, to be read only; of a plain job it is decoded when somebody asks."""
        if self.decoded is None:
            self.decoded = read(self.work.payload).fields if self.work is not None else {}
        return self.decoded

    @property
    def shown(self) -> str:
        """The class that a person knows it by, clean: as the log has it."""
        job, payload = self.job, self.payload
        if job is not None and (payload is None or payload.shown_class == job.name):
            return job.shown  # cleaned once
        return clean(payload.shown_class if payload is not None else self.job_class)

    @property
    def keywords(self) -> dict[str, Any]:
        """Arguments by name, which have no place among ``args``; what was read as a record has none."""
        if isinstance(self.payload, Plain):
            return {}
        return Payload(self.fields).keywords

    @property
    def attempt(self) -> int:
        """1 at the first run, 2 at the first retry, and so on."""
        count = Payload(self.fields).retry_count
        return 1 if count is None else count + 2

    @property
    def batch(self) -> str | None:
        """The id of the batch that it belongs to."""
        return Payload(self.fields).batch

    @property
    def lost(self) -> bool:
        """Whether it is somebody else's by now: our lease ran out, and others took what we held."""
        return self.work is not None and self.work.home.retired

    @property
    def doubtful(self) -> bool:
        """Whether it may be, as far as we know without asking Redis."""
        return self.work is not None and boottime() >= self.work.home.good_until

    def checkpoint(self) -> None:
        """A place where the job may end before its time.

        Raises:
            DeadlineExceededError: its ``timeout`` is over; the job fails, and is tried again as any other.
            FencedError: another process runs it by now; that one decides what becomes of it.
        """
        if self.lost:
            raise FencedError(f"{self.job_class} runs elsewhere by now")
        if self.deadline is not None and boottime() > self.deadline:
            raise DeadlineExceededError(f"{self.job_class} ran longer than its timeout")

    def at(self, done: int, total: int) -> None:
        """Tell how far it is, where it was declared with ``status=True``."""
        if self.tell is not None:
            self.tell(self, {DONE: done, TOTAL: total})


ServerMiddleware = Callable[[Running, Proceed], Any]
ClientMiddleware = Callable[[dict[str, Any], Proceed], Any]


def around(chain: Sequence[Callable[[Any, Proceed], Any]], subject: Any, body: Proceed) -> Any:
    """Run ``body`` within the chain; the first middleware is outermost."""
    for middleware in reversed(chain):
        body = partial(middleware, subject, body)
    return body()
