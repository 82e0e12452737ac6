"""Which workers of the examined Redis run on this host, each tied to what it registered; and who could not be seen."""

from collections import Counter
from collections.abc import Container, Iterator

import msgspec

from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.host import LocalProcess, LocalProcesses
from kiqdoctor.doctor.facts.redis import Clients, Connection, ServerTime
from kiqdoctor.doctor.ownership import works_for
from kiqdoctor.doctor.snapshot import Missing
from kiqdoctor.doctor.verdict import Evidence, NotApplicable, Unknown

KINDS = frozenset({"sidekiq", "kiqdoctor", "sidekiq-embedded"})
ROOT = "the same user, or root"
NO_VEIL = "root, or a /proc mounted without hidepid"
SHOWN = 5
YOUNG = 120.0  # seconds: twice what a record lasts
BOOTING = 300.0  # seconds from the start of a process to its registration, an application's loading in between


class Here(msgspec.Struct, frozen=True):
    """A worker of this Redis on this host; ``process`` is its record in ``processes``, None where it has none."""

    worker: LocalProcess
    process: Process | None = None

    @property
    def subject(self) -> str:
        """How findings name it."""
        return self.process.subject if self.process else f"process:{self.worker.tag or self.worker.kind}"

    @property
    def lasting(self) -> str:
        """How fingerprints name it."""
        return self.process.lasting if self.process else ""

    @property
    def named(self) -> str:
        """In words."""
        return self.process.identity if self.process else f"the worker with pid {self.worker.pid}"

    @property
    def version(self) -> str:
        """What either of the two says of its version."""
        return self.worker.version or (self.process.version if self.process else "")

    @property
    def threads(self) -> int | None:
        """How many run jobs; None where neither of the two says it."""
        told = self.process.concurrency if self.process else None
        return told if told is not None else self.worker.concurrency

    def connections(self, ports: Container[str]) -> Counter[str]:
        """How many of its established connections go to each address with one of these ports."""
        return Counter(remote for _, remote in self.worker.sockets if remote.rpartition(":")[2] in ports)


class Present(msgspec.Struct, frozen=True):
    """Workers of this Redis: those of this host, live processes that are not among them, and what hides others."""

    here: tuple[Here, ...] = ()
    elsewhere: tuple[Process, ...] = ()
    veiled: str = ""

    def unseen(self) -> Iterator[Unknown | NotApplicable]:
        """What a check of this host must say where it did not see every worker."""
        if self.elsewhere:
            names = ", ".join(one.identity for one in self.elsewhere[:SHOWN])
            more = f" and {len(self.elsewhere) - SHOWN} more" if len(self.elsewhere) > SHOWN else ""
            why = f"; {self.veiled}" if self.veiled else ""
            yield Unknown(f"{names}{more} cannot be seen from this host{why}", "the doctor on their host")
        elif not self.here and self.veiled:
            yield Unknown(self.veiled, NO_VEIL)
        elif not self.here:
            yield NotApplicable("no worker of this Redis runs here, nor is one registered")

    @property
    def evidence(self) -> Evidence:
        """What was looked at."""
        names = ", ".join(one.named for one in self.here[:SHOWN])
        more = f" and {len(self.here) - SHOWN} more" if len(self.here) > SHOWN else ""
        return Evidence("workers on this host", f"{len(self.here)}: {names}{more}" if self.here else "0", "/proc")


def present(
    fleet: Fleet, local: LocalProcesses, connection: Connection | Missing, clients: Clients | Missing
) -> Present:
    """Workers of another Redis are left out, and of another namespace those that name it; one that names no Redis
    counts where it is registered here.

    A child that a registered one forked bears its title and holds its connections, and is no worker.
    """
    found: list[Here] = []
    for worker in local.all:
        if worker.kind in KINDS:
            own = works_for(worker, connection, clients, local) if isinstance(connection, Connection) else None
            process = _by_way_of_another(worker, fleet, local) if own is False else registered(worker, fleet, local)
            if process is not None or (own and worker.namespace in {None, fleet.namespace}):
                found.append(Here(worker, process))
    seen = {one.process.identity for one in found if one.process}
    known = {one.worker.pid for one in found if one.process}
    found = [one for one in found if one.process or one.worker.ppid not in known]
    return Present(tuple(found), tuple(one for one in fleet.live if one.identity not in seen), local.partial)


def _by_way_of_another(worker: LocalProcess, fleet: Fleet, local: LocalProcesses) -> Process | None:
    """The record of a worker whose connections lead to another address, where it beats here: by a proxy, a tunnel."""
    found = registered(worker, fleet, local)
    if found is None or not found.live or found.started_at is None or _seat(found) != (local.hostname, worker.pid):
        return None
    return found if 0 <= found.started_at - worker.started_at + 1 < BOOTING else None


def registered(worker: LocalProcess, fleet: Fleet, local: LocalProcesses) -> Process | None:
    """Its record, or the member of ``processes`` that lost it; of several with its pid the one that beat last.

    Containers number their processes alike, so of several that live it is the one of its own host name, or none.
    """
    own = [one for one in fleet.processes if _is(one, worker, local)]
    alive = [one for one in own if one.live]
    if len(worker.namespace_pids) > 1 and len(alive) > 1:
        named = [one for one in alive if _seat(one)[0] in worker.host_names]
        return named[0] if len(named) == 1 else None
    return max(own, key=lambda one: (one.exists, one.started_at or 0.0), default=None)


def _is(process: Process, worker: LocalProcess, local: LocalProcesses) -> bool:
    """By host and pid; one in a container has a host name and a pid of its own, so its start must fit too."""
    host, pid = _seat(process)
    if host == local.hostname:
        return pid in {worker.pid, *worker.namespace_pids} and not _before(process, worker)
    within = len(worker.namespace_pids) > 1 and pid == worker.namespace_pids[-1]
    return within and process.started_at is not None and 0 <= process.started_at - worker.started_at + 1 < BOOTING


def lost_beat(
    fleet: Fleet,
    local: LocalProcesses | Missing,
    clock: ServerTime | Missing,
    connection: Connection | Missing,
    clients: Clients | Missing,
) -> list[Process]:
    """Members of ``processes`` that do not beat any more and whose process lives on: its heartbeat is lost, not it.

    One that has just begun may have the number of one that is gone.
    """
    if not (isinstance(local, LocalProcesses) and isinstance(clock, ServerTime) and isinstance(connection, Connection)):
        return []
    taken = {_seat(one) for one in fleet.live}
    old = {
        (local.hostname, one.pid)
        for one in local.all
        if one.kind in KINDS and not one.stopping and clock.local_now - one.started_at > YOUNG
        and works_for(one, connection, clients, local) is not False
    }  # fmt: skip
    return [one for one in fleet.processes if not one.live and _seat(one) in old - taken and not _late(one, local)]


def _late(process: Process, local: LocalProcesses) -> bool:
    """Whether what has its number began after it registered."""
    born = local.start_times.get(process.pid or 0)
    return process.started_at is not None and born is not None and born > process.started_at + 1


def _seat(process: Process) -> tuple[str, int | None]:
    if process.hostname:
        return process.hostname, process.pid
    from kiqdoctor.wire.heartbeat import split_identity

    return split_identity(process.identity)


def _before(process: Process, worker: LocalProcess) -> bool:
    """Whether it beat for the last time before this process began: its pid was given again."""
    return process.beat is not None and process.beat + 1 < worker.started_at
