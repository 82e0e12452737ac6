"""An enqueue that waits for the commit of an open database transaction."""

import sys
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, TypeVar

from kiqdoctor.runtime import client, log, transactions
from kiqdoctor.runtime.due import after, epoch
from kiqdoctor.runtime.frameworks import DJANGO, SQLALCHEMY, integration
from kiqdoctor.text import clean
from kiqdoctor.wire import codec

if TYPE_CHECKING:
    from kiqdoctor.runtime.job import Job

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Deferred:
    """A job that waits. Its arguments and its jid were fixed at the call; ``at`` is epoch seconds."""

    job: "Job[..., Any]"
    args: list[Any]
    jid: str
    at: float | None = None
    keywords: dict[str, Any] = field(default_factory=dict)

    def push(self) -> None:
        """Enqueue it now, without a warning: whoever waited for one commit may be inside another transaction."""
        with transactions.on_purpose():
            client.enqueue(
                self.job.name, [self.args], self.job.options, at=self.at, jids=[self.jid], keywords=self.keywords
            )

    def after_commit(self) -> None:
        """The same once the rows are there, which no exception can take back: so it is logged and noted, and raised."""
        try:
            self.push()
        except Exception as error:
            lost = f"{clean(self.job.name)} {self.jid} was not enqueued, although its transaction was committed"
            log.warn(f"{lost}: {type(error).__name__}: {error}")
            error.add_note(lost)
            raise


def enqueue_on_commit(
    job: "Job[..., Any]",
    *args: Any,
    session: Any = None,
    using: str | None = None,
    delay: float | timedelta | None = None,
    at: float | datetime | None = None,
    **kwargs: Any,
) -> str:
    """Enqueue the job when the open database transaction commits, or at once where none is open; its jid.

    A rollback drops it; so does a rollback to a savepoint, for what was enqueued within it. ``session``: a SQLAlchemy
    ``Session``, ``scoped_session`` or ``AsyncSession``. Without it Django's transaction on the database ``using`` is
    meant, where Django is configured. ``delay`` (seconds) and ``at`` (epoch seconds or an aware datetime) count from
    this call. What the arguments are now is what the job gets, and the jid may be stored in the same transaction.

    If Redis fails after the commit, the rows stay, a warning with class and jid is logged, and the error reaches
    whoever committed. SQLAlchemy: after every other waiting job was tried. Django: as its ``on_commit`` has it, which
    means that hooks registered later do not run.

    Raises:
        TypeError: no job, or the call does not fit its signature.
        kiqdoctor.wire.codec.ArgumentError: an argument has no JSON form.
        ValueError: ``delay`` with ``at``, ``session`` with ``using``, or a datetime without a time zone.
    """
    if session is not None and using is not None:
        raise ValueError("session= is SQLAlchemy's and using= is Django's: give one of them")
    if not hasattr(job, "lay"):
        raise TypeError(f"enqueue_on_commit takes a job and its arguments; {job!r} is none: decorate it with @job")
    placed, named = job.lay(args, kwargs)
    deferred = Deferred(
        job, _fixed(list(placed), "args"), client.new_jid(), _due(delay, at), _fixed(dict(named), "keywords")
    )
    if session is not None:
        waits = integration(SQLALCHEMY).on_commit(deferred.after_commit, session)
    elif (django := _django()) is not None:
        waits = django.on_commit(deferred.after_commit, using)
    elif using is not None:
        raise ValueError(f"using={using!r} names a database of Django's, and Django is not configured")
    else:
        waits = False
    if not waits:
        if session is None and using is None:
            transactions.warn_if_open(job.name)  # another transaction than the one that was meant
        deferred.push()
    return deferred.jid


def _django() -> Any:
    """The integration, where Django was imported and configured."""
    conf = sys.modules.get("django.conf")
    return integration(DJANGO) if conf is not None and conf.settings.configured else None


def _fixed(value: T, name: str) -> T:
    """A copy, as the wire would have it: what the caller changes until the commit does not reach the job."""
    codec.strict(value, name)
    copied: T = codec.decode(codec.encode(value))
    return copied


def _due(delay: float | timedelta | None, at: float | datetime | None) -> float | None:
    if delay is not None and at is not None:
        raise ValueError("delay= and at= exclude each other")
    if delay is not None:
        return after(delay)
    return None if at is None else epoch(at)
