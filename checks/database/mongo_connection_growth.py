"""A worker opens more connections to MongoDB than one client needs.

## Why it hurts
A MongoClient is a pool: one that is made for each job, or in each process before a fork, is never closed and keeps its
connections and two threads. The server's limit is met by few workers, and nobody can connect.

In the log: `connection refused because too many open connections`, `No suitable servers found`.

## How it is found
Formula: fails if established connections of one worker to one MongoDB server > threads + MONITORS; high where they grew
over the window, else medium; or if a job leads to a place that builds a client each time and keeps it nowhere (a
global, a class, a cache), jobs that have a process each apart; or if Mongoid before 4 is locked without kiqstand

A client opens one connection for each thread that uses it at a time, and two or three to watch each server.

## When it is wrong
Several clients on purpose, as one for each tenant; jobs that start threads of their own.

## Confirm by hand
`ss -tnp | grep pid=PID | grep -c :27017`, twice; `db.serverStatus().connections`.

## How to fix
One client for each process, made after the fork and shared by all its threads; Mongoid from 4 on, or kiqstand before.

Risk: a client that is shared is used by all threads, which it is made for.

Undo: none is needed.

## Unknown when
The worker is of another user, whose sockets may not be seen; the live processes are on other hosts and the source was
not read as a whole; nothing was found and files could not be parsed.

## Source
PyMongo's FAQ; the Ruby driver's pool; kiqstand's README.

- MONITORS: two for each server of PyMongo 4, three of the Ruby driver.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Location, Missing, Severity, Twice, Unknown, Verdict, check, covers
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.code import Code, Execution, Model
from kiqdoctor.doctor.facts.code.habits import MongoClients
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.doctor.facts.redis import Clients, Connection
from kiqdoctor.doctor.halves import beside, unseen
from kiqdoctor.doctor.rules import led_to, settled, told
from kiqdoctor.doctor.workers_here import ROOT, Here, present

MONITORS = 3
PORTS = frozenset({"27017", "27018", "27019"})


@check("DBC004", severity=Severity.HIGH)
def mongo_connection_growth(
    fleet: Fleet | Missing,
    local: LocalProcesses | Missing,
    twice: Twice[LocalProcesses] | Missing,
    connection: Connection | Missing,
    clients: Clients | Missing,
    code: Code | Missing,
    built: MongoClients | Missing,
    execution: Execution | Missing,
    packages: Packages | Missing,
) -> Iterator[Verdict]:
    judged = isinstance(code, Code) and isinstance(built, MongoClients)
    if isinstance(code, Code) and isinstance(built, MongoClients):
        yield from beside(_in_source(code, built, execution, packages), fleet, local)
    else:
        yield from _old_mongoid(packages)
    if isinstance(fleet, Fleet) and isinstance(local, LocalProcesses):
        proven = isinstance(code, Code) and isinstance(built, MongoClients) and _proven(code, built)
        yield from _live(fleet, local, twice, connection, clients, proven=proven)
    else:
        yield from unseen(fleet, local, judged=judged)


def _proven(code: Code, built: MongoClients) -> bool:
    """Whether the source was read as a whole: what it builds is then all that any worker builds."""
    return all(isinstance(one, Evidence) for one in settled(code, built, found=False))


def _in_source(
    code: Code, built: MongoClients, execution: Execution | Missing, packages: Packages | Missing
) -> Iterator[Verdict]:
    found = [*_old_mongoid(packages)]
    for site in led_to(code, built.sites):
        job = code.job(site)
        ways = execution.of(job) if isinstance(execution, Execution) and job is not None else ()
        if not ways or any(one.model is not Model.FORK_PER_JOB for one in ways):
            title = f"A job builds {site.name} each time that it runs"
            fix = "Build one client for each process, after the fork, and keep it in a module or behind a cache."
            found.append(told(code, site, Severity.HIGH, title, fix, key=site.name))
    yield from found
    yield from settled(code, built, found=bool(found))


def _old_mongoid(packages: Packages | Missing) -> Iterator[Finding]:
    if not isinstance(packages, Packages) or packages.find("ruby", "kiqstand") or not packages.find("ruby", "sidekiq"):
        return
    version = packages.version_of("ruby", "mongoid")
    if version and covers("<4", version):
        [one, *_] = packages.find("ruby", "mongoid")
        title = f"mongoid {version} keeps each thread's connections when it ends, and kiqstand does not close them"
        where = Location(one.source, one.line)
        yield Finding("package:mongoid", title, "Upgrade Mongoid to 4 or later.", (), Severity.HIGH, location=where)


def _live(
    fleet: Fleet,
    local: LocalProcesses,
    twice: Twice[LocalProcesses] | Missing,
    connection: Connection | Missing,
    clients: Clients | Missing,
    *,
    proven: bool,
) -> Iterator[Verdict]:
    seen = present(fleet, local, connection, clients)
    if not proven:
        yield from seen.unseen()
    for one in seen.here:
        if one.worker.settings is None:
            yield Unknown(f"the sockets of {one.named} may not be seen", ROOT)
        before = _before(one, twice)
        for remote, count in one.connections(PORTS).most_common():
            if one.threads is None:
                yield Unknown(
                    f"{one.named} has {counted(count, 'connection')} to {remote}; how many threads it has is not known"
                )
            elif count > one.threads + MONITORS:
                grown = count - before.connections(PORTS)[remote]
                yield _finding(one, remote, count, grown)
            else:
                yield Evidence(f"connections of {one.named}", f"{count} to {remote}", f"/proc/{one.worker.pid}/net/tcp")
    yield seen.evidence


def _before(one: Here, twice: Twice[LocalProcesses] | Missing) -> Here:
    """The same worker at the beginning of the window."""
    first = twice.first.all if isinstance(twice, Twice) else ()
    same = (other for other in first if other.pid == one.worker.pid and other.started_at == one.worker.started_at)
    return Here(next(same, one.worker), one.process)


def _finding(one: Here, remote: str, count: int, grown: int) -> Finding:
    more = f", {grown} more than when it was first looked at" if grown > 0 else ""
    return Finding(
        one.subject,
        f"{one.named} has {counted(count, 'connection')} to MongoDB at {remote} for {one.threads} threads{more}",
        "Make one client for each process, after the fork, and share it among the threads.",
        (
            Evidence("connections", f"{count} to {remote}", f"/proc/{one.worker.pid}/net/tcp"),
            Evidence("threads", str(one.threads), "heartbeat"),
        ),
        Severity.HIGH if grown > 0 else Severity.HIGH.milder,
        lasting=one.lasting,
    )
