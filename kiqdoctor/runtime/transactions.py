"""Which database transactions are open around an enqueue, and a warning where one is."""

import sys
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from types import FrameType
from typing import Final

from kiqdoctor.runtime import forking, log
from kiqdoctor.runtime.frameworks import DJANGO, SQLALCHEMY, integration
from kiqdoctor.text import clean

Detector = Callable[[], str | None]
"""Names the transaction that is open where it is called, or answers None."""

_WATCHED: Final = {"django.db": DJANGO, "sqlalchemy.orm": SQLALCHEMY}  # once imported -> what sees its transactions

_detectors: dict[str, Detector] = {}
_warned: set[tuple[str, int]] = set()  # file and line
_on_purpose: ContextVar[bool] = ContextVar("kiqdoctor_on_purpose", default=False)


class EnqueuedInTransactionWarning(UserWarning):
    """A job was pushed while a database transaction was open: a worker may run it before the commit."""


def warn_if_open(job_class: str) -> None:
    """Warn, once for each place that enqueues, when a database transaction is open around it.

    Raises:
        EnqueuedInTransactionWarning: only where the program's filters make errors of warnings.
    """
    watch()
    if _detectors and (what := open_transaction()) is not None and not _on_purpose.get():
        _warn(job_class, what, forking.caller())


@contextmanager
def on_purpose() -> Iterator[None]:
    """No warning within the block: whoever waited for one commit may be inside another transaction."""
    token = _on_purpose.set(True)
    try:
        yield
    finally:
        _on_purpose.reset(token)


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
        detect(home, integration(home).detector())
    except (ImportError, AttributeError) as error:  # a version that is unknown to us: pushing must go on
        detect(home, lambda: None)
        log.warn(f"open transactions are not seen: {type(error).__name__}: {error}")


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
