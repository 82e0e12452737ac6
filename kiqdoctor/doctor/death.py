"""What proves that a registered process is dead: its seat was taken again, or its host knows it no more."""

from collections.abc import Iterable

from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.snapshot import Missing

FIRST_PIDS = "pid:[4026531836]"  # the machine's own namespaces have these numbers in every kernel
FIRST_NAMES = "uts:[4026531838]"

Seat = tuple[str, int | None]  # host and pid


def proofs_of_death(processes: Iterable[Process], fleet: Fleet, local: LocalProcesses | Missing) -> dict[str, str]:
    """Proofs in words, by identity, of those of these processes whose death is proven.

    A late beat proves nothing: who is starved beats late too.
    """
    heirs = _heirs(fleet)
    proofs = {one.identity: _succeeded(one, heirs) or _gone(one, fleet, local) for one in processes}
    return {identity: proof for identity, proof in proofs.items() if proof}


def _heirs(fleet: Fleet) -> dict[Seat, Process]:
    """Who started last of the living in each seat."""
    by_start = sorted(fleet.live, key=lambda one: one.started_at or 0.0)
    return {(one.hostname, one.pid): one for one in by_start if one.pid is not None}


def _succeeded(process: Process, heirs: dict[Seat, Process]) -> str:
    heir = heirs.get((process.hostname, process.pid))
    if heir is None or heir.identity == process.identity or (heir.started_at or 0) <= (process.started_at or 0):
        return ""
    if process.beat is not None and process.beat > (heir.started_at or 0) + 1:
        return ""  # both live: containers that share a host name number their processes alike
    return f"the same host and pid registered again as {heir.identity}"


def _gone(process: Process, fleet: Fleet, local: LocalProcesses | Missing) -> str:
    """What shows that a process of this host is gone; "" where nothing does."""
    if not isinstance(local, LocalProcesses) or local.hostname != process.hostname or local.partial:
        return ""
    if process.pid is None or any(process.pid in one.namespace_pids for one in local.all):
        return ""
    if _elsewhere(process, fleet, local):
        return ""
    if process.pid not in local.pids:
        return f"no process with pid {process.pid} lives on this host"
    born = local.start_times.get(process.pid)
    if born is not None and process.beat is not None and born > process.beat + 1:
        return f"pid {process.pid} belongs to a process that started after its last beat"
    return ""


def _elsewhere(process: Process, fleet: Fleet, local: LocalProcesses) -> bool:
    """Whether it may live where this doctor's /proc does not reach, under the same host name.

    Containers of one pod share the name and not the pids, and so does one that has its host's network.
    """
    if local.pid_namespace in {"", FIRST_PIDS}:
        return False
    began = local.start_times.get(1)
    if began is None or process.started_at is None or process.started_at < began:
        return True
    own = {pid for worker in local.all for pid in (worker.pid, *worker.namespace_pids)}
    neighbours = {one.pid for one in fleet.live if one.hostname == local.hostname}
    return local.uts_namespace not in {"", FIRST_NAMES} and not own & neighbours
