"""Jobs are taken so that a killed process loses them, and processes do get killed.

## Why it hurts
Basic fetch takes a job out of its queue before it runs. Whatever ends the process without asking it (the kernel for
want of memory, a crash in native code, the loss of the host) takes the jobs along, and no retry knows of them.

In the log: `start` without `done` or `fail`, and no `Bye!`.

## How it is found
Formula: low if a live process fetches the basic way and a worker of this host was killed for memory or crashed, or if
files start workers that do and a job has the tag `critical`; info if they only fetch that way, or are told to in files

Files that merely start Sidekiq as it is are no finding: what they show is listed.

A process that keeps what it took in a private list says so: our runtime by a label, Sidekiq Pro by a set of its own,
gitlab-sidekiq-fetcher and sidekiq-unique-jobs 9 by keys of the same host and pid.
Kills are read of the worker's own cgroup, crashes of its log and cores, as PRO009 and NAT004 do.

## When it is wrong
Jobs that are driven again anyway, by a sweep over the database or a schedule: suppress it.

## Confirm by hand
`redis-cli smembers super_processes`, `redis-cli hkeys kiq:index`; the initializer (`config.super_fetch!`).

## How to fix
`config.super_fetch!` of Sidekiq Pro, gitlab-sidekiq-fetcher, or our runtime's reliable fetch, which is its default.

Risk: a job that killed its process runs again, and may kill the next one (QUE013).

Undo: take the fetcher out again, when nothing runs.

## Unknown when
The lock file has Sidekiq Pro or gitlab-sidekiq-fetcher, and whether they are turned on is not to be seen; the keys
could not be gone through, and so not who keeps a private list; nothing was found and files could not be parsed.

## Source
lib/sidekiq/fetch.rb; Sidekiq's wiki, Reliability.
"""

from collections.abc import Iterator, Sequence

from kiqdoctor.doctor import Evidence, Finding, Missing, NotApplicable, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.code import Code, Place
from kiqdoctor.doctor.facts.code.habits import Fetching
from kiqdoctor.doctor.facts.config import WorkerCommand, WorkerSettings
from kiqdoctor.doctor.facts.fleet import Fleet, PrivateLists, Process
from kiqdoctor.doctor.facts.host import LocalProcesses, MemoryGroups
from kiqdoctor.doctor.facts.native import Crashes
from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.doctor.facts.redis import Clients, Connection
from kiqdoctor.doctor.halves import beside, unseen
from kiqdoctor.doctor.rules import settled
from kiqdoctor.doctor.workers_here import present

FETCHERS = ("sidekiq-pro", "gitlab-sidekiq-fetcher", "sidekiq-reliable-fetch")
SHOWN = 5
REMEDY = "Use a reliable fetch: super_fetch of Sidekiq Pro, gitlab-sidekiq-fetcher, or our runtime's own."


@check("CFG003", severity=Severity.MEDIUM, caused_by=("PRO009", "NAT004"))
def unreliable_fetch(
    fleet: Fleet | Missing,
    packages: Packages | Missing,
    local: LocalProcesses | Missing,
    groups: MemoryGroups | Missing,
    crashes: Crashes | Missing,
    connection: Connection | Missing,
    clients: Clients | Missing,
    code: Code | Missing,
    fetching: Fetching | Missing,
    workers: WorkerSettings | Missing,
    private: PrivateLists | Missing,
) -> Iterator[Verdict]:
    judged = isinstance(code, Code) and isinstance(fetching, Fetching)
    if isinstance(code, Code) and isinstance(fetching, Fetching):
        yield from beside(_in_source(code, fetching, workers, packages), fleet)
    if isinstance(fleet, Fleet):
        yield from _live(fleet, private, packages, local, groups, crashes, connection, clients)
    else:
        yield from unseen(fleet, judged=judged)


def _in_source(
    code: Code, fetching: Fetching, workers: WorkerSettings | Missing, packages: Packages | Missing
) -> Iterator[Verdict]:
    """What files start: Sidekiq without a fetcher that is turned on, or our runtime that is told to be basic."""
    libraries = {job.library for job in code.jobs} & {"sidekiq", "activejob"}
    locked = isinstance(packages, Packages) and packages.find("ruby", "sidekiq")
    reliable = [one for one in fetching.sites if one.name == "reliable"]
    told = [one for one in _commands(workers) if ("fetch", "basic") in one.options]
    basic = Evidence("told to fetch", "basic", f"{told[0].path}:{told[0].line}") if told else None
    if libraries and locked and not reliable:
        basic = Evidence("nothing turns another fetch on", "super_fetch!, config[:fetch]", counted(code.files, "file"))
    for one in reliable[:1]:
        place = code.place(one)
        yield Evidence("keeps what it takes", "turned on", f"{place.path}:{place.line}")
    critical = [code.place(one) for one in fetching.sites if one.name == "critical"]
    chosen = bool(told or critical)
    if basic is not None:
        yield _started(critical, basic) if chosen else basic
    yield from settled(code, fetching, found=basic is not None and chosen)


def _commands(workers: WorkerSettings | Missing) -> tuple[WorkerCommand, ...]:
    return workers.commands if isinstance(workers, WorkerSettings) else ()


def _started(critical: Sequence[Place], basic: Evidence) -> Finding:
    seen = tuple(Evidence("tagged critical", one.path, f"{one.path}:{one.line}") for one in critical[:SHOWN])
    return Finding(
        "application",
        "Workers are started so that they lose what they run when they are killed"
        + (", and jobs are tagged critical" if critical else ""),
        REMEDY if critical else "",
        (basic, *seen),
        Severity.MEDIUM.milder if critical else Severity.INFO,
        key="files",
    )


def _live(
    fleet: Fleet,
    private: PrivateLists | Missing,
    packages: Packages | Missing,
    local: LocalProcesses | Missing,
    groups: MemoryGroups | Missing,
    crashes: Crashes | Missing,
    connection: Connection | Missing,
    clients: Clients | Missing,
) -> Iterator[Verdict]:
    known = private if isinstance(private, PrivateLists) else PrivateLists()
    basic = [one for one in fleet.live if not one.reliable and not known.keeps(one)]
    if not fleet.live:
        yield NotApplicable("no process is alive")
    hidden = [name for name in FETCHERS if isinstance(packages, Packages) and packages.find("ruby", name)]
    ends = list(_ends(fleet, local, groups, crashes, connection, clients))
    if basic and hidden:
        why = f"{hidden[0]} is in the lock file, and whether it is turned on is not to be seen"
        yield Unknown(f"{basic[0].identity} keeps no private list; {why}", "the initializer")
    elif basic and (unread := _unread(private)) is not None:
        yield unread
    elif basic:
        yield _finding(basic, len(fleet.live), ends)
    yield Evidence(
        "processes that keep a private list", f"{len(fleet.live) - len(basic)} of {len(fleet.live)}", "Redis"
    )


def _unread(private: PrivateLists | Missing) -> Unknown | None:
    """Why it is not known which processes a gem makes reliable."""
    if isinstance(private, PrivateLists):
        return Unknown(private.partial, "a smaller database") if private.partial else None
    return Unknown(private.reason, getattr(private, "unlock", ""))


def _ends(
    fleet: Fleet,
    local: LocalProcesses | Missing,
    groups: MemoryGroups | Missing,
    crashes: Crashes | Missing,
    connection: Connection | Missing,
    clients: Clients | Missing,
) -> Iterator[Evidence]:
    """What shows that workers of this Redis do get killed."""
    if not isinstance(local, LocalProcesses):
        return
    here = {one.worker.pid for one in present(fleet, local, connection, clients).here}
    for group in groups.all if isinstance(groups, MemoryGroups) else ():
        if group.pid in here and group.alone and group.oom_kills:
            yield Evidence("killed for want of memory", str(group.oom_kills), group.name)
    for crash in crashes.all if isinstance(crashes, Crashes) else ():
        if crash.in_tree or crash.owner in here:
            yield Evidence("crashed", crash.what, crash.source)


def _finding(basic: list[Process], live: int, ends: list[Evidence]) -> Finding:
    names = tuple(Evidence("basic fetch", one.identity, "Redis") for one in basic[:SHOWN])
    killed = ", and workers do get killed" if ends else ""
    who = "The only process loses" if live == 1 else f"{len(basic)} of {live} processes lose"
    return Finding(
        "redis",
        f"{who} what {'it runs when it is' if live == 1 else 'they run when they are'} killed{killed}",
        "Use a reliable fetch: super_fetch of Sidekiq Pro, gitlab-sidekiq-fetcher, or our runtime's own."
        if ends
        else "",
        (*ends[:SHOWN], *names),
        Severity.MEDIUM.milder if ends else Severity.INFO,
        key="basic",
    )
