"""A job closes or replaces the connections of all threads of its process.

## Why it hurts
`connection_pool.disconnect!`, `engine.dispose()`, `establish_connection` and `remove_connection` act on the whole pool:
the connection that another thread is in the middle of is closed under it, and the pool is built again under load.

In the log: `PG::UnableToSend: no connection to the server`, `ConnectionNotEstablished`, `Connection closed by server`,
in jobs of other classes.

## How it is found
Formula: fails if a job leads to such a call and its process runs several jobs at a time; medium where nothing tells how
jobs run; Django's `connections.close_all()` closes the calling thread's alone, and is info

What a job leads to is followed through the application's own functions; the finding names the way there. Where each
engine is built with `NullPool` there is no pool to dispose of.

## When it is wrong
An engine or a pool that the job made itself, for itself alone.

## Confirm by hand
Follow the functions that the evidence names.

## How to fix
Give back one connection: `with_connection { }`, `close_old_connections()`, `session.close()`. Choose a database by
`connected_to(role:, shard:)`. After a fork `engine.dispose(close=False)` in the child's hook.

Risk: what the call was to mend (stale connections) needs `pool_pre_ping`, `pool_recycle` or `CONN_HEALTH_CHECKS`.

Undo: the call in its old place.

## Unknown when
Nothing was found and files could not be parsed.

## Source
Sidekiq issue 2674; the wiki's Problems and Troubleshooting on `verify_active_connections!`; SQLAlchemy,
`Engine.dispose`; Django's ConnectionHandler is thread-local.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Finding, Severity, Verdict, check
from kiqdoctor.doctor.facts.code import Argument, Call, Calls, Code, Execution
from kiqdoctor.doctor.rules import how_it_runs, led_to, shared_only, sharing, told

ENDINGS = {
    "verify_active_connections!": "Write with_connection { }.",
    "clear_all_connections!": "Write with_connection { }.",
    "clear_reloadable_connections!": "Write with_connection { }.",
    "connection_pool.disconnect!": "Write connection_pool.release_connection.",
    "connection_pool.discard!": "Write connection_pool.release_connection.",
    "remove_connection_pool": "Write connected_to(role:, shard:) { }.",
    "establish_connection": "Write connected_to(role:, shard:) { }.",
    "engine.dispose": "Write session.close(), and dispose(close=False) in a hook after the fork.",
    "create_engine().dispose": "Write session.close(), and dispose(close=False) in a hook after the fork.",
    "engine.pool.dispose": "Write session.close(), and dispose(close=False) in a hook after the fork.",
    "create_engine().pool.dispose": "Write session.close(), and dispose(close=False) in a hook after the fork.",
    "ConnectionPool().disconnect": "Delete it: the pool takes its connections back by itself.",
    "pool.closeall": "Write pool.putconn(connection).",
    "ThreadedConnectionPool().closeall": "Write pool.putconn(connection).",
    "connection_pool.disconnect": "Delete it: the pool takes its connections back by itself.",
}
DISPOSES = ".dispose"
ENGINES = ("create_engine", "create_async_engine")
REMOVES = "remove_connection"
RECORDS = frozenset({"ActiveRecord::Base", "ApplicationRecord"})
OWN = "django.db.connections.close_all"


@check("COD012", severity=Severity.HIGH)
def pool_wide_call_in_job(code: Code, calls: Calls, execution: Execution) -> Iterator[Verdict]:
    poolless = _poolless(calls)
    sites = (site for site in led_to(code, calls.sites) if not (poolless and site.name.endswith(DISPOSES)))
    yield from shared_only(code, execution, (_judged(code, site, execution) for site in sites), calls)


def _poolless(calls: Calls) -> bool:
    """Whether the application has engines of SQLAlchemy's, and each opens a connection for whoever asks."""
    engines = [one for one in calls.sites if one.name.endswith(ENGINES)]
    return bool(engines) and all(any(_is_no_pool(word) for word in one.arguments) for one in engines)


def _is_no_pool(word: Argument) -> bool:
    return word.name == "poolclass" and word.text.rpartition(".")[2] == "NullPool"


def _judged(code: Code, call: Call, execution: Execution) -> Finding | None:
    ending = REMOVES if _removes(call) else _ending(call.name)
    if not (ending or call.name == OWN) or _keeps(call):
        return None
    shared = sharing(code, execution, call)
    if shared.truth is False:
        return None
    if call.name == OWN:
        title = f"{OWN} closes the connections of this thread, at the end of each job anew"
        return told(code, call, Severity.INFO, title, "Write close_old_connections().", how_it_runs(shared))
    severity = Severity.HIGH if shared.truth else Severity.MEDIUM
    title = f"A job calls {call.name}: the connections of all threads"
    remedy = ENDINGS.get(ending, "Write connected_to(role:, shard:) { }.")
    return told(code, call, severity, title, remedy, how_it_runs(shared), key=ending)


def _ending(name: str) -> str:
    return next((one for one in ENDINGS if name == one or name.endswith(f".{one}")), "")


def _removes(call: Call) -> bool:
    """Active Record's, which a class is asked; a hub of sockets is told which connection."""
    owner, _, word = call.name.rpartition(".")
    return word == REMOVES and (owner in RECORDS or (owner[:1].isupper() and not call.arguments))


def _keeps(call: Call) -> bool:
    """``dispose(close=False)`` leaves the others' connections open."""
    return any(one.name == "close" and one.text == "False" for one in call.arguments)
