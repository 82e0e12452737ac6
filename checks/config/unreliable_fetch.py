"""Jobs are taken so that a killed process loses them, and processes do get killed.

## Why it hurts
Basic fetch takes a job out of its queue before it runs. Whatever ends the process without asking it (the kernel for
want of memory, a crash in native code, the loss of the host) takes the jobs along, and no retry knows of them.

In the log: `start` without `done` or `fail`, and no `Bye!`.

## How it is found
Formula: low if a live process fetches the basic way and a worker of this host was killed for memory or crashed; info
if it only fetches that way

A process that keeps what it took in a private list says so: our runtime by a label, Sidekiq Pro by a set of its own.
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
The lock file has Sidekiq Pro or gitlab-sidekiq-fetcher, and whether they are turned on is not to be seen.

## Source
lib/sidekiq/fetch.rb; Sidekiq's wiki, Reliability.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, NotApplicable, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.host import LocalProcesses, MemoryGroups
from kiqdoctor.doctor.facts.native import Crashes
from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.doctor.facts.redis import Clients, Connection
from kiqdoctor.doctor.workers_here import present

FETCHERS = ("sidekiq-pro", "gitlab-sidekiq-fetcher", "sidekiq-reliable-fetch")
SHOWN = 5
REMEDY = "Use a reliable fetch: super_fetch of Sidekiq Pro, gitlab-sidekiq-fetcher, or our runtime's own."


@check("CFG003", severity=Severity.MEDIUM, caused_by=("PRO009", "NAT004"))
def unreliable_fetch(
    fleet: Fleet,
    packages: Packages | Missing,
    local: LocalProcesses | Missing,
    groups: MemoryGroups | Missing,
    crashes: Crashes | Missing,
    connection: Connection | Missing,
    clients: Clients | Missing,
) -> Iterator[Verdict]:
    basic = [one for one in fleet.live if not one.reliable]
    if not fleet.live:
        yield NotApplicable("no process is alive")
    hidden = [name for name in FETCHERS if isinstance(packages, Packages) and packages.find("ruby", name)]
    ends = list(_ends(fleet, local, groups, crashes, connection, clients))
    if basic and hidden:
        why = f"{hidden[0]} is in the lock file, and whether it is turned on is not to be seen"
        yield Unknown(f"{basic[0].identity} keeps no private list; {why}", "the initializer")
    elif basic:
        yield _finding(basic, len(fleet.live), ends)
    yield Evidence(
        "processes that keep a private list", f"{len(fleet.live) - len(basic)} of {len(fleet.live)}", "Redis"
    )


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
    return Finding(
        "redis",
        f"{len(basic)} of {live} processes lose what they run when they are killed{killed}",
        "Use a reliable fetch: super_fetch of Sidekiq Pro, gitlab-sidekiq-fetcher, or our runtime's own."
        if ends
        else "",
        (*ends[:SHOWN], *names),
        Severity.MEDIUM.milder if ends else Severity.INFO,
        key="basic",
    )
