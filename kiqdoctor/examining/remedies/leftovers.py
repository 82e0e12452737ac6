"""A worker of an older deploy on this host takes no more jobs, and ends when it is idle."""

import signal
from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING

from kiqdoctor.actions.exact import Leaving, Step
from kiqdoctor.actions.stopping import catches, started
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.host import LocalProcess, LocalProcesses
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.text import clean
from kiqdoctor.wire.heartbeat import BEAT, BUSY, QUIET
from kiqdoctor.wire.keys import Keys
from kiqdoctor.wire.stamps import plain

if TYPE_CHECKING:
    from kiqdoctor.doctor.report import Finding
    from kiqdoctor.doctor.tools import Redis


def leftovers(findings: Sequence["Finding"], seen: Snapshot, redis: "Redis") -> Iterator[Step]:  # noqa: ARG001 - one for all
    """Of those that the check accuses by what /proc shows, where another process takes each of their queues."""
    local, fleet = seen.get(LocalProcesses), seen.get(Fleet)
    if not (isinstance(local, LocalProcesses) and isinstance(fleet, Fleet)):
        return
    accused = {pid: one for one in findings if one.key not in {"upgraded", "version", "mark"} for pid in _pids(one)}
    targets = {_parent(worker, local).pid: accused[worker.pid] for worker in local.all if worker.pid in accused}
    going = {record.identity for pid in targets for record in _records(pid, local, fleet)}
    for pid, finding in targets.items():
        step = _ended(pid, finding, local, fleet, going)
        if step is not None:
            yield step


def _pids(finding: "Finding") -> set[int]:
    words = (one.source.split("/") for one in finding.evidence if one.source.startswith("/proc/"))
    return {int(parts[2]) for parts in words if len(parts) > 2 and parts[2].isdigit()}  # noqa: PLR2004


def _parent(worker: LocalProcess, local: LocalProcesses) -> LocalProcess:
    """Of our own worker the parent, which would start another child."""
    above = next((one for one in local.all if one.pid == worker.ppid and one.kind == worker.kind), None)
    return worker if above is None or worker.kind != "kiqdoctor" else _parent(above, local)


def _records(pid: int, local: LocalProcesses, fleet: Fleet) -> list[Process]:
    """What it and its children registered."""
    own = {number for one in local.all if pid in {one.pid, one.ppid} for number in (one.pid, *one.namespace_pids)}
    return [one for one in fleet.live if one.pid in own and one.hostname == local.hostname]


def _ended(pid: int, finding: "Finding", local: LocalProcesses, fleet: Fleet, going: set[str]) -> Step | None:
    worker = next(one for one in local.all if one.pid == pid)
    born, records = started(pid), _records(pid, local, fleet)
    if not records or born is None or worker.stopping or not catches(pid, signal.SIGTSTP, signal.SIGTERM):
        return None
    others = [one for one in fleet.live if one.identity not in going and not one.quiet]
    wanted = {queue for one in records for queue in one.queues or ("",)}
    if not wanted <= {queue for one in others for queue in one.queues or ()}:
        return None  # nobody would take what it takes
    identities = tuple(one.identity for one in records)
    named = clean(", ".join(identities))
    return Step(
        "PRO003", finding.subject,
        f"Send TSTP to pid {pid} ({named}), wait until it runs no job, then TERM",
        "it is not ended before its jobs are; a supervisor may start it again",
        "none: start it again from its release, where that still exists",
        leaving=Leaving(pid, born, identities, clean(worker.title), clean(worker.cwd or "")),
    )  # fmt: skip


def idle(leaving: Leaving, redis: "Redis") -> Callable[[], bool]:
    """Whether each of its records says in a beat after our signal that it is quiet and runs nothing, or is gone."""
    keys = Keys(redis.namespace)
    [*before] = (_said(redis, keys, one) for one in leaving.identities)

    def now_idle() -> bool:
        after = [_said(redis, keys, one) for one in leaving.identities]
        return all(_rests(old, new) for old, new in zip(before, after, strict=True))

    return now_idle


Said = tuple[bytes | None, bytes | None, bytes | None]


def _said(redis: "Redis", keys: Keys, identity: str) -> Said:
    beat, busy, quiet = redis.ask("HMGET", keys.process(identity), BEAT, BUSY, QUIET)
    return beat, busy, quiet


def _rests(old: Said, new: Said) -> bool:
    beat, busy, quiet = new
    if beat is None:
        return True
    return (plain(beat) or 0.0) > (plain(old[0]) or 0.0) and busy == b"0" and quiet == b"true"
