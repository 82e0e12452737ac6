"""SQLAlchemy: jobs that wait for a session's commit, sessions between jobs, transactions that are open.

``kiqdoctor.configure(middleware=[session_removed(Session)])`` in the worker. From SQLAlchemy 2.0 on.
"""

from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final
from weakref import ref

from kiqdoctor.runtime import instead, log
from kiqdoctor.runtime.middleware import Proceed, Running, ServerMiddleware

if TYPE_CHECKING:
    from sqlalchemy.orm import ORMExecuteState, Session, SessionTransaction, scoped_session

_WAITING: Final = "kiqdoctor.waiting"  # keys of Session.info
_WROTE: Final = "kiqdoctor.wrote"

_begun: "ContextVar[tuple[ref[Session], ...]]" = ContextVar("kiqdoctor_sessions", default=())
"""Sessions whose transactions began in this thread or task, and have not ended."""


def session_removed(sessions: "scoped_session[Any]") -> ServerMiddleware:
    """``Session.remove()`` after each job, so that none sees another's objects; after a failure a rollback first.

    In the testing modes a session that was there before the job is its caller's, and stays.
    """

    def middleware(running: Running, proceed: Proceed) -> Any:
        if instead.current is not None and sessions.registry.has():
            return proceed()
        try:
            return proceed()
        except BaseException:
            if sessions.registry.has():
                _quietly(sessions.rollback, running)
            raise
        finally:
            _quietly(sessions.remove, running)

    return middleware


def _quietly(end: Callable[[], None], running: Running) -> None:
    """A connection that was lost must not make a failure of a job that is done, nor hide why one failed."""
    try:
        end()
    except Exception as error:  # noqa: BLE001
        log.warn(f"the session of {running.job_class} {running.jid} did not end: {type(error).__name__}: {error}")


@dataclass(slots=True)
class _Waiting:
    """What waits for one session: each call with the transaction or savepoint that it belongs to."""

    calls: "list[tuple[SessionTransaction, Callable[[], None]]]" = field(default_factory=list)
    committed: "SessionTransaction | None" = None


def on_commit(call: Callable[[], None], session: Any) -> bool:
    """Have it called once the session's transaction is committed; False, and nothing done, where none is open.

    It is called when the connection has gone back to its pool, and may use the session. Of several calls each is made;
    the first error is raised at the end, out of ``commit()``.

    Raises:
        TypeError: not a session.
    """
    plain = _plain(session)
    innermost = plain.get_nested_transaction() or plain.get_transaction()
    if innermost is None:
        return False
    _waiting(plain).calls.append((innermost, call))
    return True


def _plain(session: Any) -> "Session":
    """The Session behind a scoped_session, an AsyncSession or both."""
    from sqlalchemy.orm import Session

    own = session() if hasattr(session, "registry") and callable(session) else session
    own = getattr(own, "sync_session", own)
    if not isinstance(own, Session):
        raise TypeError(f"session= must be a SQLAlchemy session, not a {type(session).__name__}")
    return own


def _waiting(session: "Session") -> _Waiting:
    """The session's own; it listens from its first waiting job on."""
    found: _Waiting | None = session.info.get(_WAITING)
    if found is None:
        from sqlalchemy import event

        found = session.info[_WAITING] = _Waiting()
        event.listen(session, "after_commit", _committed)
        event.listen(session, "after_transaction_end", _ended)
    return found


def _committed(session: "Session") -> None:
    """Only noted here: the session still holds its connection, and an error now would leave it stuck."""
    session.info[_WAITING].committed = session.get_nested_transaction() or session.get_transaction()


def _ended(session: "Session", transaction: "SessionTransaction") -> None:
    """A commit makes the calls, a released savepoint hands them to what is around it, anything else drops them."""
    waiting: _Waiting = session.info[_WAITING]
    mine = [call for within, call in waiting.calls if within is transaction]
    if waiting.committed is not transaction:
        waiting.calls = [(within, call) for within, call in waiting.calls if within is not transaction]
        return
    waiting.committed = None
    if transaction.nested:
        outer = _around(transaction)
        waiting.calls = [(outer if within is transaction else within, call) for within, call in waiting.calls]
        return
    waiting.calls = []
    _make(mine)


def _around(savepoint: "SessionTransaction") -> "SessionTransaction":
    """The savepoint or transaction that a savepoint lies in; a flush's own is neither."""
    outer = savepoint.parent
    while outer is not None and not outer.nested and outer.parent is not None:
        outer = outer.parent
    assert outer is not None  # noqa: S101 - SQLAlchemy makes no savepoint outside a transaction
    return outer


def _make(calls: list[Callable[[], None]]) -> None:
    failures: list[Exception] = []
    for call in calls:
        try:
            call()
        except Exception as error:  # noqa: BLE001 - the first is raised below, and each was logged
            failures.append(error)
    if failures:
        raise failures[0]


def install(target: Any = None) -> None:
    """See the open transactions of a Session class's, ``sessionmaker``'s or ``scoped_session``'s sessions, or of all.

    Happens by itself at the first ``@job`` after SQLAlchemy was imported, and at the latest at the first enqueue.
    Transactions that began before are not seen. A transaction that SQLAlchemy began by itself counts once something was
    written or is to be written: after ``commit()``, merely reading ``user.id`` begins one.
    """
    from sqlalchemy import event
    from sqlalchemy.orm import Session

    from kiqdoctor.runtime import transactions

    listened = Session if target is None else target
    event.listen(listened, "after_transaction_create", _began)
    event.listen(listened, "after_flush", _wrote)
    event.listen(listened, "do_orm_execute", _executed)
    event.listen(listened, "after_commit", _over)
    event.listen(listened, "after_rollback", _over)
    event.listen(listened, "after_transaction_end", _gone)
    transactions.detect(__name__, _detect)


def detector() -> Callable[[], str | None]:
    """What sees the calling thread's or task's open transactions."""
    install()
    return _detect


def _detect() -> str | None:
    for one in _begun.get():
        session = one()
        if session is not None and _matters(session):
            return _named(session)
    return None


def _matters(session: "Session") -> bool:
    from sqlalchemy.orm import SessionTransactionOrigin

    transaction = session.get_transaction()
    if transaction is None:
        return False
    asked_for = transaction.origin is SessionTransactionOrigin.BEGIN or session.get_nested_transaction() is not None
    return asked_for or _WROTE in session.info or bool(session.new or session.dirty or session.deleted)


def _named(session: "Session") -> str:
    bind = session.bind
    database = bind.engine.url.database if bind is not None else None
    return f"SQLAlchemy's transaction on database {database!r}" if database else "SQLAlchemy's transaction"


def _began(session: "Session", transaction: "SessionTransaction") -> None:
    if transaction.parent is None:
        _begun.set((*_others(session), ref(session)))


def _wrote(session: "Session", *_: Any) -> None:
    session.info[_WROTE] = True


def _executed(state: "ORMExecuteState") -> None:
    text = getattr(state.statement, "text", "")  # of a text() alone, which is never a select to SQLAlchemy
    if not state.is_select and not text.lstrip().lower().startswith("select"):
        _wrote(state.session)


def _over(session: "Session") -> None:
    """Committed or rolled back: what the program's own hooks enqueue from here on is not inside it."""
    if session.get_nested_transaction() is None:
        _forget(session)


def _gone(session: "Session", transaction: "SessionTransaction") -> None:
    if transaction.parent is None:
        _forget(session)


def _forget(session: "Session") -> None:
    session.info.pop(_WROTE, None)
    _begun.set(_others(session))


def _others(session: "Session") -> "tuple[ref[Session], ...]":
    return tuple(one for one in _begun.get() if one() not in {None, session})
