"""A pool of database connections is smaller than the threads that share it, or all pools exceed the server.

## Why it hurts
Where a pool is too small, jobs wait for each other's connection and fail after five seconds, under load only. Where
all pools together exceed what the server takes, web and workers fail together, at the next deploy or the next scaling.

In the log: `could not obtain a connection from the pool`, `QueuePool limit of size 5 overflow 10 reached`, `FATAL:
sorry, too many clients already`.

## How it is found
Formula: fails if pool < threads of one worker, or sum over processes of min(pool, threads) > SAFE * limit

Active Record's `pool` of production is read from config/database.yml with the worker's own variables; 5 where nobody
says it. SQLAlchemy's is pool_size + max_overflow (5 + 10), Django's the pool of its options; without one each thread
has a connection. Where no file starts a worker, the threads are those that live processes say. The limit is --db-limit,
max_connections of compose, postgresql.conf, my.cnf or a ConfigMap, or the plan that app.json orders. A pool that is too
small where somebody develops, with the source mounted, is low.

## When it is wrong
Most threads run jobs that never touch the database.

## Confirm by hand
`SHOW max_connections`, `SELECT count(*) FROM pg_stat_activity`; in the worker
`ActiveRecord::Base.connection_pool.stat`.

## How to fix
Set the pool to the worker's threads (`pool: <%= ENV.fetch("RAILS_MAX_THREADS", 5) %>`), or run fewer processes.

Risk: a larger pool opens more connections of the server.

Undo: the old number.

## Unknown when
The pool's size is computed, or Capistrano's `linked_files` put the server's own database.yml in the file's place; no
file starts a worker, and only some of the live processes, of several applications, have more threads; or the limit is
known and the number of processes is not. Where a pooler (PgBouncer) stands before the server, its own limit counts, and
the server's is not judged.

## Source
Sidekiq's upgrade notes to 7.0, its issues 523 and 3988; SQLAlchemy, Connection Pooling; Django, Databases; Heroku's
table of Postgres plans of 2024-07-23.

- ENGINE_SIZE: SQLAlchemy's own pool_size.
- ENGINE_MORE: SQLAlchemy's own max_overflow.
"""

from collections.abc import Iterator

from packaging.version import Version

from kiqdoctor.doctor import Evidence, Finding, Location, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.code import Call, Calls, Code
from kiqdoctor.doctor.facts.database import Pool, Pools
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.doctor.versions import version_of

SAFE = Threshold(
    name="safe",
    default=0.9,
    unit="of the limit",
    meaning="Pools that can open more than this share of the database's limit are near it.",
    source="ours: a console and a migration want in too",
    least=0.1,
    most=1.0,
)
ENGINES = ("sqlalchemy.create_engine", "sqlalchemy.ext.asyncio.create_async_engine")
ENGINE_SIZE = 5
ENGINE_MORE = 10


@check("DBC001", severity=Severity.HIGH, thresholds=(SAFE,))
def db_pool_arithmetic(
    pools: Pools,
    fleet: Fleet | Missing,
    packages: Packages | Missing,
    code: Code | Missing,
    calls: Calls | Missing,
    thresholds: Thresholds,
) -> Iterator[Verdict]:
    used = [_sized(one, code, calls) for one in pools.all]
    for one in used:
        yield from _within(one, packages)
    if pools.unstarted is not None and isinstance(fleet, Fleet):
        yield from _live(pools.unstarted, fleet, packages)
    if pools.pooler and pools.ceilings:
        yield Evidence("the server's limit", "not judged: a pooler stands before it", pools.pooler)
    elif pools.ceilings and used:
        yield from _together(used, pools, packages, thresholds[SAFE])
    elif used:
        yield Evidence("the server's limit", "no file says it (--db-limit N)")
    for path, reason in pools.unreadable:
        yield Unknown(f"{path}: {reason}")


def _threads(one: Pool, packages: Packages | Missing) -> int | None:
    """All threads of one process; None where nobody says it."""
    default = _default(one, packages)
    own = one.threads if one.threads is not None else default
    if own is None or (0 in one.capsules and default is None):
        return None
    return own + sum(threads or default or 0 for threads in one.capsules)


def _default(one: Pool, packages: Packages | Missing) -> int | None:
    if one.library != "activerecord" or one.web:
        return None
    version = version_of(packages.version_of("ruby", "sidekiq")) if isinstance(packages, Packages) else None
    if version is None:
        return None
    return 25 if version < Version("5.2") else 10 if version < Version("7") else 5


def _sized(one: Pool, code: Code | Missing, calls: Calls | Missing) -> Pool:
    """With the size of SQLAlchemy's engine, where the code builds one."""
    if one.library != "python" or not isinstance(calls, Calls) or not isinstance(code, Code):
        return one
    engines = [call for call in calls.sites if call.name in ENGINES]
    if not engines:
        return one
    call, at = engines[0], code.place(engines[0])
    size = _engine(call)
    why = "" if size is not None else "its engine's pool is computed, or has no bound"
    return Pool(
        at.path, at.line, "sqlalchemy", one.worker, one.worker_line, size, one.threads, one.processes, why
    )  # fmt: skip


def _engine(call: Call) -> int | None:
    """Connections at most; None where the pool has no bound, or it is computed."""
    said = {one.name: one.text for one in call.arguments if one.name}
    if "**" in said or "poolclass" in said or "creator" in said:
        return None
    size, more = said.get("pool_size", str(ENGINE_SIZE)), said.get("max_overflow", str(ENGINE_MORE))
    if not size.isdecimal() or not more.isdecimal() or int(size) == 0:
        return None
    return int(size) + int(more)


def _within(one: Pool, packages: Packages | Missing) -> Iterator[Verdict]:
    threads = _threads(one, packages)
    where = f"{one.path}:{one.line}"
    if one.web or one.library == "python":
        return
    if one.size is None:
        yield Unknown(f"{where}: {one.unresolved or 'the size of its pool is not known'}")
    elif threads is None:
        yield Unknown(
            f"{one.worker}:{one.worker_line} does not say its threads, and the library's version is not known"
        )
    elif one.size < threads:
        yield _small(one, one.size, threads, f"{one.worker}:{one.worker_line}")
    else:
        yield Evidence(one.library, f"a pool of {one.size} for {threads} threads", where)


def _live(one: Pool, fleet: Fleet, packages: Packages | Missing) -> Iterator[Verdict]:
    """Beside processes that beat, where no file starts any: of several applications' only what all of them say."""
    said = [(each.concurrency, each) for each in fleet.live if each.concurrency and not each.runtime]
    if not said or not isinstance(packages, Packages) or packages.find("ruby", "sidekiq") is None:
        return
    said.sort(key=lambda each: each[0])
    (least, _), (most, process) = said[0], said[-1]
    where = f"{one.path}:{one.line}"
    if one.size is None:
        yield Unknown(f"{where}: {one.unresolved or 'the size of its pool is not known'}")
    elif most <= one.size:
        yield Evidence(one.library, f"a pool of {one.size} for {most} threads", f"{where}, {process.identity}")
    elif least <= one.size and len({each.tag for _, each in said}) > 1:
        told = f"{where}: a pool of {one.size}, and {process.identity} ({process.tag}) has {most} threads"
        yield Unknown(f"{told}; whether it is of this application is not told", "a file that starts its workers")
    else:
        yield _small(one, one.size, most, process.identity)


def _small(one: Pool, size: int, threads: int, source: str) -> Finding:
    said = " by default" if one.default else ""
    trial = (Evidence("how somebody develops", one.trial, one.worker),) if one.trial else ()
    return Finding(
        f"file:{one.path}",
        f"{counted(threads, 'thread')} of a worker share {size} database connections{said}",
        f"Set the pool to {threads} or more, or the worker's threads to {size}.",
        (
            Evidence("pool", f"{size}{said}", f"{one.path}:{one.line}"),
            Evidence("threads", str(threads), source),
            *trial,
        ),
        Severity.LOW if trial else None,
        location=Location(one.path, one.line),
        key=f"{one.library}:{one.worker or 'live'}",
    )


def _together(used: list[Pool], pools: Pools, packages: Packages | Missing, safe: float) -> Iterator[Verdict]:
    limit = min(pools.ceilings, key=lambda one: one.number)
    total, evidence, gaps = 0, [], []
    for one in used:
        threads = _threads(one, packages)
        each = min(threads, one.size) if threads is not None and one.size is not None else threads or one.size
        if each is None or one.processes is None:
            gaps.append(f"{one.worker}:{one.worker_line} does not say how many processes or threads run")
            each = each or 1
        total += each * (1 if one.processes is None else one.processes)
        many = "?" if one.processes is None else str(one.processes)
        evidence.append(
            Evidence("web" if one.web else "workers", f"{many} x {each}", f"{one.worker}:{one.worker_line}")
        )
    evidence.append(Evidence("limit", str(limit.number), limit.source))
    if total > safe * limit.number:
        yield Finding(
            "database",
            f"The database takes {counted(limit.number, 'connection')}; these processes can open {total}",
            f"Run fewer processes or threads, so that they stay within {int(safe * limit.number)}, or use a pooler.",
            tuple(evidence),
            key="limit",
        )
    elif gaps:
        yield Unknown(f"at least {total} of {limit.number}; {gaps[0]}", "say it in the files")
    else:
        yield from evidence
