"""A worker holds more connections to its database than it has threads.

## Why it hurts
Connections that jobs leave open stay until the process ends: the database runs out of them, and it is web requests that
fail then.

In the log: `FATAL: sorry, too many clients already`, `Too many connections`, `could not obtain a connection from the
pool`.

## How it is found
Formula: fails if established connections of one worker to one database address > threads + SPARE; or, of the source,
if jobs that run in threads use Django's ORM and nothing closes old connections around them, or use a scoped_session
that nothing removes

Libraries that do it by themselves (Celery's Django loader, django_dramatiq, Huey's db_task, our integration) are
released.

Counted for each address by itself, so that a replica is not taken for a leak. A thread needs one connection at a time.

## When it is wrong
Jobs that start threads of their own, each with a connection; several databases behind one address.

## Confirm by hand
`ss -tnp | grep pid=PID | grep :5432`, and `SELECT count(*) FROM pg_stat_activity` by client address.

## How to fix
Release the connection at the end of each job: `close_old_connections()` around Django's jobs, `Session.remove()` of
SQLAlchemy's scoped_session, no thread that keeps Active Record's connection (`with_connection`).

Risk: a connection that is closed early is opened anew by the next job.

Undo: take the hook away.

## Unknown when
The worker is of another user, whose sockets may not be seen; the live processes are on other hosts, and a client of a
database is installed or no lock file tells; a worker does not say how many threads it has; nothing was found and files
could not be parsed.

## Source
django_dramatiq#86, #106; sidekiq#2674.

- SPARE: the main thread, the scheduler and a reloader may hold one each; ours.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.code import Call, Calls, Code, Execution, Model
from kiqdoctor.doctor.facts.code.habits import Releases
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.doctor.facts.redis import Clients, Connection
from kiqdoctor.doctor.halves import beside, unseen
from kiqdoctor.doctor.rules import how_it_runs, led_to, settled, sharing, told
from kiqdoctor.doctor.workers_here import ROOT, Here, present
from kiqdoctor.regex import regex

SPARE = 3
SCOPED = ("sqlalchemy.orm.scoped_session()", "sqlalchemy.orm.scoping.scoped_session()")
MANAGER = regex(r"(?:^|\.)[A-Z]\w*\.objects\.")  # of a class: a bucket has objects, too
RELEASES = {"django": ("celery", "django_q", "procrastinate")}
"""Libraries that close Django's old connections around each job by themselves."""
TOLD = {
    "django": (
        "Jobs in threads use Django's database connections, and nothing closes old ones around them",
        "Call close_old_connections() before and after each job, or use the library's middleware for Django.",
    ),
    "scoped_session": (
        "Jobs in threads use a scoped_session, and nothing removes it: its connection stays with the thread",
        "Call Session.remove() when a job ends, in a finally or a middleware.",
    ),
}
PORTS = {"5432": "PostgreSQL", "6432": "PgBouncer", "3306": "MySQL", "1433": "SQL Server", "1521": "Oracle"}


DRIVERS = frozenset({"pg", "pony", "peewee", "rails", "rom", "sequel", "trilogy", "databases", "orator", "piccolo"})
WORDS = (
    "sql",
    "psycopg",
    "postgres",
    "django",
    "activerecord",
    "oracle",
    "odbc",
    "tortoise",
    "maria",
    "alembic",
    "-orm",
)
"""In the names of packages that open connections to a database."""


@check("DBC003", severity=Severity.MEDIUM)
def db_connection_not_released(
    fleet: Fleet | Missing,
    local: LocalProcesses | Missing,
    connection: Connection | Missing,
    clients: Clients | Missing,
    code: Code | Missing,
    calls: Calls | Missing,
    releases: Releases | Missing,
    execution: Execution | Missing,
    packages: Packages | Missing,
) -> Iterator[Verdict]:
    judged = False
    if isinstance(code, Code) and isinstance(calls, Calls) and isinstance(releases, Releases):
        judged = isinstance(execution, Execution)
        if isinstance(execution, Execution):
            yield from beside(_in_source(code, calls, releases, execution, packages), fleet, local)
    if isinstance(fleet, Fleet) and isinstance(local, LocalProcesses):
        yield from _live(fleet, local, connection, clients, packages)
    else:
        yield from unseen(fleet, local, judged=judged)


def _in_source(
    code: Code, calls: Calls, releases: Releases, execution: Execution, packages: Packages | Missing
) -> Iterator[Verdict]:
    released = {one.name for one in releases.sites}
    none = set() if not isinstance(packages, Packages) or packages.find("python", "django") else {"django"}
    found: dict[str, Finding] = {}
    for call in led_to(code, calls.sites):
        kind = _kind(call) if code.language(call) == "python" else ""
        job = code.job(call)
        if not kind or kind in {*released, *none, *found} or job is None or job.library in RELEASES.get(kind, ()):
            continue
        shared = sharing(code, execution, call)
        if shared.truth and all(one.model is Model.THREADS for one in execution.of(job)):
            title, fix = TOLD[kind]
            found[kind] = told(code, call, Severity.MEDIUM.milder, title, fix, how_it_runs(shared), key=kind)
    yield from found.values()
    yield Evidence("what gives connections back", ", ".join(sorted(released)) or "nothing", "source code")
    yield from settled(code, calls, found=bool(found))


def _kind(call: Call) -> str:
    """Whose connection a call uses: ``shop.models.User.objects.get``, ``sqlalchemy.orm.scoped_session().execute``."""
    if call.name.startswith(SCOPED):
        return "scoped_session"
    return "django" if MANAGER.search(call.name) else ""


def _live(
    fleet: Fleet,
    local: LocalProcesses,
    connection: Connection | Missing,
    clients: Clients | Missing,
    packages: Packages | Missing,
) -> Iterator[Verdict]:
    seen = present(fleet, local, connection, clients)
    if isinstance(packages, Packages) and packages.sources and not packages.unreadable and not _stores(packages):
        yield Evidence("clients of a database", "none is installed", ", ".join(packages.sources))
    else:
        yield from seen.unseen()
    for one in seen.here:
        if one.worker.settings is None:
            yield Unknown(f"the sockets of {one.named} may not be seen", ROOT)
        yield from _judged(one)
    yield seen.evidence


def _stores(packages: Packages) -> bool:
    """Whether anything that may open a database's connection is installed."""
    return any(one.name in DRIVERS or any(word in one.name for word in WORDS) for one in packages.all)


def _judged(one: Here) -> Iterator[Verdict]:
    source = f"/proc/{one.worker.pid}/net/tcp"
    for remote, count in one.connections(PORTS).most_common():
        name = PORTS[remote.rpartition(":")[2]]
        if one.threads is None:
            yield Unknown(
                f"{one.named} has {counted(count, 'connection')} to {remote}; how many threads it has is not known"
            )
        elif count > one.threads + SPARE:
            yield Finding(
                one.subject,
                f"{one.named} holds {counted(count, 'connection')} to {name} at {remote}, for {one.threads} threads",
                "Release the connection at the end of each job.",
                (Evidence("connections", f"{count} to {remote}", source), Evidence("threads", str(one.threads))),
                Severity.MEDIUM.milder,
                key=name,
                lasting=one.lasting,
            )
        else:
            yield Evidence(f"connections of {one.named}", f"{count} to {name} at {remote}", source)
