"""Jobs are pushed into one database or server, and the workers read another.

## Why it hurts
After a deploy with a changed URL the clients push into one database and the workers stand idle in another: no error
anywhere, and nothing runs.

In the log: nothing on either side: pushes succeed, and workers that find empty queues say nothing.

## How it is found
Formula: fails if database A has waiting > 0 and live = 0, and database B has live > 0 and takes a queue of A's that is
empty in B; or if a web process of the application of a worker of this Redis has another address in its environment

Every database that holds keys is looked at. One where jobs wait and no process lives, and another where live
processes take queues of the same names, which are empty there, are two halves of one installation. It counts as
certain where no worker ever counted a job in the waiting database.

On this host web servers are looked at too: one that runs in the same application's folder as a worker of this Redis
must find the same address in REDIS_URL, or in the variable that REDIS_PROVIDER names.

## When it is wrong
Staging in another database, its workers switched off: then a worker once counted jobs there, and it is told one
severity lower. Databases with other queue names are other applications.

## Confirm by hand
`redis-cli info keyspace`, then `redis-cli -n N smembers processes` and `redis-cli -n N smembers queues`.

## How to fix
One URL, from one variable, for clients and workers; restart the side that was wrong. Move the stranded jobs
afterwards.

Risk: jobs that are moved run late, and those that somebody enqueued again meanwhile run twice.

Undo: the old URL; moved jobs that have run cannot be taken back, so move one first.

## Unknown when
Jobs wait where no process ever was, and the queues of the same names that others take hold jobs as well; SELECT is
refused, or a database has too many keys to look at them all; the environment of a web process may not be
read, or has the worker's address in another variable, which the code may ask for.

## Source
Sidekiq 7's upgrade notes (numbered databases in place of namespaces); SELECT is per connection in Redis.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.host import LocalProcess, LocalProcesses, WebProcess
from kiqdoctor.doctor.facts.keyspace import Databases, Installation, Keyspace
from kiqdoctor.doctor.facts.redis import Clients, Connection
from kiqdoctor.doctor.ownership import same, works_for

REMEDY = "Give clients and workers one URL from one variable, restart the side that was wrong, then move the jobs."


@check("NSP002", severity=Severity.CRITICAL, caused_by=("NSP003",))
def database_or_url_split(
    keyspace: Keyspace,
    databases: Databases,
    local: LocalProcesses | Missing,
    connection: Connection | Missing,
    clients: Clients | Missing,
) -> Iterator[Verdict]:
    if isinstance(local, LocalProcesses) and isinstance(connection, Connection):
        yield from _environments(local, connection, clients)
    everything = (*keyspace.installations, *databases.installations)
    for stranded in everything:
        served = [one for one in everything if _serves(one, stranded)]
        if stranded.waiting and not stranded.live and served and not _neighbour(stranded, everything):
            yield _finding(stranded, served[0])
        elif busy := _maybe_served(stranded, everything):
            yield Unknown(
                f"{counted(stranded.waiting, 'job waits', 'jobs wait')} in {_place(stranded)}, where no process is"
                f" alive; whether they are meant for the workers of {_place(busy)} is not known, whose queues of these"
                " names hold jobs as well",
                "a look while those are empty",
            )
    for number, reason in databases.skipped:
        yield Unknown(f"database {number} was not looked at: {reason}")
    if not keyspace.complete:
        yield Unknown(f"{keyspace.scanned} of {keyspace.total} keys were looked at", "a smaller database")
    if not everything:
        yield Evidence("databases that hold Sidekiq's data", "none", "SCAN, INFO keyspace")
    for one in everything:
        yield Evidence(
            _place(one),
            f"{one.waiting} waiting, {counted(one.live, 'live process', 'live processes')}",
            "LLEN, processes",
        )


def _environments(local: LocalProcesses, connection: Connection, clients: Clients | Missing) -> Iterator[Verdict]:
    """What web processes of this host are told, against a worker of this Redis of the same application."""
    workers = [one for one in local.all if one.home and works_for(one, connection, clients, local)]
    homes = {one.home: one for one in workers if one.default_redis}
    differing: dict[str, list[WebProcess]] = {}
    hidden = [one for one in local.web if not one.home or (one.redis is None and one.home in homes)]
    if workers and hidden:
        yield Unknown(f"pid {hidden[0].pid}, a web server, may not be looked into", "the same user, or root")
    for web in local.web:
        worker = homes.get(web.home)
        if worker is not None and web.default_redis and not same(web.default_redis, worker.default_redis, local):
            differing.setdefault(web.home, []).append(web)
    for home, found in differing.items():
        yield _told_otherwise(homes[home], found, local)


def _told_otherwise(worker: LocalProcess, found: list[WebProcess], local: LocalProcesses) -> Verdict:
    first = found[0]
    others = [_address(one) for one in first.redis or ()]
    if any(same(one, _address(two), local) for one in others for two in worker.redis):
        names = f"pid {first.pid}, a web server, and the worker with pid {worker.pid} share one address and differ in"
        return Unknown(f"{names} {first.default_redis} and {worker.default_redis}", "PATH, with what configures Redis")
    return Finding(
        "redis",
        f"The web process with pid {first.pid} pushes to {first.default_redis}, and its application's worker reads"
        f" {worker.default_redis}",
        REMEDY,
        (
            Evidence("web", f"{first.title}: {first.default_redis}", f"/proc/{first.pid}/environ"),
            Evidence("worker", f"{worker.title}: {worker.default_redis}", f"/proc/{worker.pid}/environ"),
            Evidence("web processes that are told so", str(len(found)), "/proc"),
        ),
        key="environment",
    )


def _address(entry: str) -> str:
    return entry.partition("=")[2]


def _shared(stranded: Installation, other: Installation) -> list[str]:
    return sorted({name for name, size in stranded.queues if size} & set(other.process_queues))


def _serves(other: Installation, stranded: Installation) -> bool:
    """Live in another database, taking queues of the same names, which hold nothing there."""
    lengths = dict(other.queues)
    shared = _shared(stranded, other)
    elsewhere = other.database != stranded.database
    return elsewhere and other.live > 0 and bool(shared) and not any(lengths.get(name) for name in shared)


def _maybe_served(stranded: Installation, everything: tuple[Installation, ...]) -> Installation | None:
    """Whose workers take queues of the same names in another database, where none of its own ever worked."""
    if not stranded.waiting or stranded.live or stranded.processed or _neighbour(stranded, everything):
        return None
    others = (one for one in everything if one.database != stranded.database and one.live)
    return next((one for one in others if _shared(stranded, one)), None)


def _neighbour(stranded: Installation, everything: tuple[Installation, ...]) -> bool:
    """A live installation beside it in the same database: that split is NSP001's."""
    return any(one.live and one.database == stranded.database and _shared(stranded, one) for one in everything)


def _place(one: Installation) -> str:
    return f"database {one.database}" + (f", namespace {one.prefix}:" if one.prefix else "")


def _finding(stranded: Installation, other: Installation) -> Finding:
    sure = not stranded.processed and not stranded.processes
    shared = ", ".join(_shared(stranded, other))
    return Finding(
        "redis",
        f"{counted(stranded.waiting, 'job waits', 'jobs wait')} in {_place(stranded)}, and"
        f" the {counted(other.live, 'live worker reads', 'live workers read')} {_place(other)}",
        REMEDY,
        (
            Evidence(_place(stranded), f"{stranded.waiting} waiting, no live process", "LLEN, processes"),
            Evidence(
                _place(other),
                f"{counted(other.live, 'live process takes', 'live processes take')} {shared}, which is empty there",
                "info, LLEN",
            ),
            Evidence("classes that wait", ", ".join(stranded.job_classes) or "?", "LINDEX"),
            Evidence("a worker ever worked there", "no" if sure else "yes", "stat:processed"),
        ),
        Severity.CRITICAL if sure else Severity.CRITICAL.milder,
        key=f"database-{stranded.database}",
    )
