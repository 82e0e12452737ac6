"""A pool, an engine or a producer connects while modules are loaded, and processes fork afterwards.

## Why it hurts
Parent and children write on one socket: a query gets another's rows, TLS breaks, a transaction is committed by a
stranger. Clients with threads (MongoDB's, Kafka's) hang in the child, for a fork copies locks and no threads.

In the log: `decryption failed or bad record mac`, `lost synchronization with server`, `MongoClient opened before fork`.

## How it is found
Formula: high if code that runs when a module is loaded (up to three calls away) connects by an engine, a MongoClient,
or holds a connection or producer that it opened, and files prove that its process forks (gunicorn's preload_app, uWSGI
without lazy-apps, prefork workers, `multiprocessing`), and no hook after the fork disposes of it or opens it anew, nor
does a listener of the pool's `checkout` compare `os.getpid()`; medium for PyMongo from 4.3 on, and where nobody seems
to load the module

`create_engine(...)` alone connects to nothing; an engine with `NullPool` keeps nothing.

## When it is wrong
A module that the forking process never loads.

## Confirm by hand
THR005 shows such a socket in living processes.

## How to fix
Connect after the fork; or `engine.dispose(close=False)` in `worker_process_init`, `post_fork`, or
`os.register_at_fork(after_in_child=...)`.

Risk: what read a value at load needs another place for it.

Undo: the line in its old place.

## Unknown when
Something connects at load and no file tells how processes start; or nothing was found and files could not be parsed.

## Source
SQLAlchemy, "Using Connection Pools with Multiprocessing or os.fork()"; PyMongo, "Is PyMongo fork-safe?"; Celery issue
1564; librdkafka, "Is the library fork safe?".
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Location, Missing, NotApplicable, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.code import AtBoot, Booted, BuiltAtLoad, Call, Calls, Code, Execution, Forks
from kiqdoctor.doctor.facts.deployment import Deployment, Starts
from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.doctor.rules import foreign, forked, served, settled, through
from kiqdoctor.doctor.versions import version_of

OTHERS = ("redis", "Redis", "django")
"""Clients that see a fork themselves."""
MONGO = "pymongo"
SOFTER = "4.3"  # PyMongo makes its locks anew in the child
ENDS = ("dispose", "close", "closeall", "disconnect")
LISTENS = ("listens_for", "listen")
CHECKOUT = "checkout"  # SQLAlchemy's event, in which its documentation compares the pids
PID = "os.getpid"


@check("DBC002", severity=Severity.HIGH)
def engine_shared_across_fork(
    code: Code,
    boot: AtBoot,
    built: BuiltAtLoad,
    calls: Calls,
    forks: Forks,
    execution: Execution,
    starts: Starts,
    deployment: Deployment | Missing,
    packages: Packages | Missing,
) -> Iterator[Verdict]:
    if apart := foreign(code, "python"):
        yield NotApplicable(apart)
        return
    held = {(one.function, one.line, one.column) for one in built.sites}
    found: dict[tuple[int, str], Booted] = {}
    for site in boot.sites:
        kept = site.name != site.made_by or (site.function, site.line, site.column) in held
        if site.made_by and not site.made_by.startswith(OTHERS) and kept and not _anew(code, boot, calls, site):
            found.setdefault((site.function, site.made_by), site)
    proof = forked("python", execution, starts) or _forks(code, forks)
    if found and proof is None:
        yield _untold(code, next(iter(found.values())), served("python", deployment))
    elif proof is not None:
        yield from (_finding(code, one, proof, packages) for one in found.values())
    yield from settled(code, boot, found=bool(found))


def _anew(code: Code, boot: AtBoot, calls: Calls, site: Booted) -> bool:
    """Whether some hook after the fork lets go of it, or opens another; or the pool asks whose a connection is."""
    for call in calls.sites:
        last = call.name.rpartition(".")[2]
        if call.function in boot.hooks and (last in ENDS or call.name == site.made_by):
            return True
        if last in LISTENS and any(one.text == CHECKOUT for one in call.arguments) and _asks_the_pid(code, calls, call):
            return True
        if last == "dispose" and any(one.name == "close" and one.text == "False" for one in call.arguments):
            return True
    return False


def _asks_the_pid(code: Code, calls: Calls, listens: Call) -> bool:
    """Whether what listens to a pool's checkout compares processes."""
    handed = {one.text for one in listens.arguments}
    heard = {number for number, one in enumerate(code.functions) if one.name in handed} if not listens.decorator else ()
    return any(one.name == PID and one.function in (heard or (listens.function,)) for one in calls.sites)


def _forks(code: Code, forks: Forks) -> Evidence | None:
    first = next(iter(forks.sites), None)
    if first is None:
        return None
    place = code.place(first)
    return Evidence("forks what was loaded", first.name, f"{place.path}:{place.line}")


def _untold(code: Code, site: Booted, server: Evidence | None) -> Unknown | Evidence:
    place = f"{code.place(site).path}:{code.place(site).line}"
    if server is not None:
        return Evidence(f"{site.name} at load", f"{server.value} loads it in each child", place)
    return Unknown(
        f"{site.name} connects at load ({place}), and no file tells how processes start", "a Procfile or unit"
    )


def _finding(code: Code, site: Booted, proof: Evidence, packages: Packages | Missing) -> Finding:
    place = code.place(site)
    severity = Severity.HIGH if site.loaded and not _softer(site, packages) else Severity.MEDIUM
    where = Evidence("connects when it is loaded", site.name, f"{place.path}:{place.line}")
    again = "Call engine.dispose(close=False) in a hook after the fork, or connect later."
    return Finding(
        f"file:{place.path}",
        f"{site.name} connects while modules are loaded; each forked process inherits the connection",
        again if "create_engine" in site.made_by else f"Build {site.made_by}() in a hook after the fork.",
        (*through(code, site.through), where, proof),
        severity,
        location=Location(place.path, place.line, place.column),
        key=site.made_by,
    )


def _softer(site: Booted, packages: Packages | Missing) -> bool:
    locked = packages.version_of("python", MONGO) if isinstance(packages, Packages) else ""
    version, softer = version_of(locked), version_of(SOFTER)
    return site.made_by.startswith(MONGO) and version is not None and softer is not None and version >= softer
