"""What proves that a registered process is dead: its seat was taken again, or its host knows it no more."""

from collections.abc import Iterable

from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.snapshot import Missing


def proofs_of_death(processes: Iterable[Process], fleet: Fleet, local: LocalProcesses | Missing) -> dict[str, str]:
    """Proofs in words, by identity, of those of these processes whose death is proven.

    A late beat proves nothing: who is starved beats late too.
    """
    heirs = _heirs(fleet)
    proofs = {one.identity: _succeeded(one, heirs) or _gone(one, local) for one in processes}
    return {identity: proof for identity, proof in proofs.items() if proof}


Seat = tuple[str, int | None]  # host and pid


def _heirs(fleet: Fleet) -> dict[Seat, Process]:
    """Who started last of the living in each seat."""
    by_start = sorted(fleet.live, key=lambda one: one.started_at or 0.0)
    return {(one.hostname, one.pid): one for one in by_start if one.pid is not None}


def _succeeded(process: Process, heirs: dict[Seat, Process]) -> str:
    heir = heirs.get((process.hostname, process.pid))
    if heir is None or heir.identity == process.identity or (heir.started_at or 0) <= (process.started_at or 0):
        return ""
    return f"the same host and pid registered again as {heir.identity}"


def _gone(process: Process, local: LocalProcesses | Missing) -> str:
    """What shows that a process of this host is gone; "" where nothing does."""
    if not isinstance(local, LocalProcesses) or local.hostname != process.hostname or local.partial:
        return ""
    if process.pid is None or any(process.pid in one.namespace_pids for one in local.all):
        return ""
    if process.pid not in local.pids:
        return f"no process with pid {process.pid} lives on this host"
    born = local.start_times.get(process.pid)
    if born is not None and process.beat is not None and born > process.beat + 1:
        return f"pid {process.pid} belongs to a process that started after its last beat"
    return ""
