"""The control groups that limit the memory of this host's workers, of either version."""

from collections.abc import Iterable
from pathlib import Path
from typing import Final

from kiqdoctor.doctor.facts.host import LocalProcess, LocalProcesses, MemoryGroup, MemoryGroups
from kiqdoctor.doctor.probe import Lane, Read, probe
from kiqdoctor.doctor.tools import Host
from kiqdoctor.probes.host.cgroups import UNIFIED, Group, groups, mounted, number, numbers
from kiqdoctor.probes.host.files import read

NO_LIMIT: Final = 1 << 60  # bytes: version 1 says a number of that size where there is none
MOST_MEMBERS: Final = 500  # processes of one group
MOST_GENERATIONS: Final = 64


@probe(
    Read("memory.max, memory.current, memory.events, cgroup.procs of a worker's cgroup", "", "workers only"),
    Read(
        "memory.limit_in_bytes, memory.usage_in_bytes, memory.oom_control, memory.failcnt", "", "the same in version 1"
    ),
    lane=Lane.HOST,
)
def memory_groups(host: Host, local: LocalProcesses) -> MemoryGroups:
    """One a worker."""
    mounts = mounted(host.proc)
    found: list[MemoryGroup] = []
    unseen: list[int] = []
    workers = frozenset(one.pid for one in local.all)
    for worker in local.all:
        own = groups(host.proc / str(worker.pid), mounts)
        group = own.get("memory") or own.get(UNIFIED)
        if group is None:
            unseen.append(worker.pid)
        else:
            found.append(_group(worker, group, workers, host.proc))
    return MemoryGroups(tuple(found), tuple(unseen))


def _group(worker: LocalProcess, group: Group, workers: frozenset[int], proc: Path) -> MemoryGroup:
    old = group.controller != UNIFIED
    limits = [number(one / ("memory.limit_in_bytes" if old else "memory.max")) for one in group.above]
    counts = numbers(group.folder / ("memory.oom_control" if old else "memory.events"))
    usage = number(group.folder / ("memory.usage_in_bytes" if old else "memory.current"))
    return MemoryGroup(
        pid=worker.pid,
        name=group.name,
        limit_bytes=min((one for one in limits if one is not None and one < NO_LIMIT), default=None),
        used_bytes=usage,
        oom_kills=counts.get("oom_kill"),
        refusals=number(group.folder / "memory.failcnt") if old else counts.get("max"),
        alone=_alone(group, workers, proc),
    )


def _alone(group: Group, workers: frozenset[int], proc: Path) -> bool:
    """Whether every member is a worker, or a parent or child of one."""
    words = (read(group.folder / "cgroup.procs") or b"").split()
    members = [int(word) for word in words if word.isdigit()]
    above = {pid for worker in workers for pid in _ancestors(worker, proc)}
    return len(members) <= MOST_MEMBERS and all(
        one in above or not workers.isdisjoint({one, *_ancestors(one, proc)}) for one in members
    )


def _ancestors(pid: int, proc: Path) -> Iterable[int]:
    found: list[int] = []
    for _ in range(MOST_GENERATIONS):
        cells = (read(proc / str(pid) / "stat") or b"").rpartition(b")")[2].split()
        pid = int(cells[1]) if len(cells) > 1 else 0
        if pid <= 1:
            break
        found.append(pid)
    return found
