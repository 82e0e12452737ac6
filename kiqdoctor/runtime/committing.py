"""Where an enqueue meets an open database transaction: it waits for the commit, or it warns."""

import sys
import warnings
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module
from types import FrameType
from typing import TYPE_CHECKING, Any, Final

from kiqdoctor.clock import SYSTEM
from kiqdoctor.runtime import client, forking, log
from kiqdoctor.text import clean
from kiqdoctor.wire import codec

if TYPE_CHECKING:
    from kiqdoctor.runtime.job import Job

Detector = Callable[[], str | None]
"""Names the transaction that is open where it is called, or answers None."""

DJANGO: Final = "kiqdoctor.integrations.django"
SQLALCHEMY: Final = "kiqdoctor.integrations.sqlalchemy"

_WATCHED: Final = {"django.db": DJANGO, "sqlalchemy.orm": SQLALCHEMY}  # once imported -> what sees its transactions

_detectors: dict[str, Detector] = {}
_warned: set[tuple[str, int]] = set()  # file and line
_on_purpose: ContextVar[bool] = ContextVar("kiqdoctor_on_purpose", default=False)


class EnqueuedInTransactionWarning(UserWarning):
    """A job was pushed while a database transaction was open: a worker may run it before the commit."""


@dataclass(frozen=True, slots=True)
class Deferred:
    """A job that waits. Its arguments and its jid were fixed at the call; ``at`` is epoch seconds."""

    job: "Job[..., Any]"
    args: list[Any]
    jid: str
    at: float | None = None

    def push(self) -> None:
        """Enqueue it now, without a warning: whoever waited for one commit may be inside another transaction."""
        token = _on_purpose.set(True)
        try:
            client.enqueue(self.job.name, [self.args], self.job.options, at=self.at, jids=[self.jid])
        finally:
            _on_purpose.reset(token)

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
        kiqdoctor.wire.codec.ArgumentError: an argument has no JSON form.
        ValueError: ``delay`` with ``at``, ``session`` with ``using``, or a datetime without a time zone.
    """
    if session is not None and using is not None:
        raise ValueError("session= is SQLAlchemy's and using= is Django's: give one of them")
    deferred = Deferred(job, _fixed(args), client.new_jid(), _due(delay, at))
    if session is not None:
        waits = import_module(SQLALCHEMY).on_commit(deferred.after_commit, session)
    elif (django := _django()) is not None:
        waits = django.on_commit(deferred.after_commit, using)
    elif using is not None:
        raise ValueError(f"using={using!r} names a database of Django's, and Django is not configured")
    else:
        waits = False
    if not waits:
        if session is None and using is None:
            warn_if_open(job.name)  # another transaction than the one that was meant
        deferred.push()
    return deferred.jid


def warn_if_open(job_class: str) -> None:
    """Warn, once for each place that enqueues, when a database transaction is open around it.

    Raises:
        EnqueuedInTransactionWarning: only where the program's filters make errors of warnings.
    """
    watch()
    if _detectors and (what := open_transaction()) is not None and not _on_purpose.get():
        _warn(job_class, what, forking.caller())


def open_transaction() -> str | None:
    """What is open around the caller, e.g. ``Django's transaction on database 'default'``; None if nothing is."""
    for detect in list(_detectors.values()):
        if (what := detect()) is not None:
            return what
    return None


def detect(name: str, detector: Detector) -> None:
    """Have this detector asked too; the name makes registering twice the same as once."""
    _detectors[name] = detector


def watch() -> None:
    """See the transactions of every framework that has been imported by now; two look-ups once that is done."""
    for module, home in _WATCHED.items():
        if module in sys.modules and home not in _detectors:
            _load(home)


def _load(home: str) -> None:
    try:
        detect(home, import_module(home).detector())
    except (ImportError, AttributeError) as error:  # a version that is unknown to us: pushing must go on
        detect(home, lambda: None)
        log.warn(f"open transactions are not seen: {type(error).__name__}: {error}")


def _django() -> Any:
    """The integration, where Django was imported and configured."""
    conf = sys.modules.get("django.conf")
    return import_module(DJANGO) if conf is not None and conf.settings.configured else None


def _fixed(args: Sequence[Any]) -> list[Any]:
    """A copy, as the wire would have it: what the caller changes until the commit does not reach the job."""
    listed = list(args)
    codec.strict(listed, "args")
    copied: list[Any] = codec.decode(codec.encode(listed))
    return copied


def _due(delay: float | timedelta | None, at: float | datetime | None) -> float | None:
    if delay is not None and at is not None:
        raise ValueError("delay= and at= exclude each other")
    if delay is not None:
        return SYSTEM.now() + (delay.total_seconds() if isinstance(delay, timedelta) else float(delay))
    if isinstance(at, datetime):
        if at.tzinfo is None:
            raise ValueError("at= needs an aware datetime: this one has no time zone")
        return at.timestamp()
    return None if at is None else float(at)


def _warn(job_class: str, what: str, frame: FrameType | None) -> None:
    place = (frame.f_code.co_filename, frame.f_lineno) if frame is not None else ("?", 0)
    if place in _warned:
        return
    warnings.warn_explicit(
        f"{clean(job_class)} was enqueued inside {what}, at {place[0]}:{place[1]}: a worker may run it before the"
        " commit, and a rollback does not take it back; kiqdoctor.enqueue_on_commit waits for the commit",
        EnqueuedInTransactionWarning,
        *place,
        module=frame.f_globals.get("__name__") if frame is not None else None,
    )
    _warned.add(place)  # not where the filters raise: nothing was pushed there, so it has to be said again
