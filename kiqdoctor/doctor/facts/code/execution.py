"""How jobs run: what decides whether two of them share a process, and what a job inherits."""

from enum import StrEnum
from typing import Final

import msgspec

from kiqdoctor.doctor.facts.code.table import Job, Place


class Model(StrEnum):
    """What runs jobs side by side; ``SOLO``: nothing does, one process runs one job after the other."""

    THREADS = "threads"
    PREFORK = "prefork, one job a process"
    FORK_PER_JOB = "a fork for each job"
    GREENLETS = "greenlets"
    EVENT_LOOP = "an event loop"
    SOLO = "one process, one job at a time"
    UNKNOWN = "unknown"


SHARES: Final = {
    Model.THREADS: True,
    Model.GREENLETS: True,
    Model.PREFORK: False,
    Model.FORK_PER_JOB: False,
    Model.SOLO: False,
    Model.EVENT_LOOP: False,
    Model.UNKNOWN: None,
}
"""Whether jobs that run at the same time share a process, so that each can be interrupted within the other's."""
IN_THREADS: Final = frozenset({"taskiq", "saq"})
"""Libraries that hand a job that is no coroutine from their event loop to a thread."""
QUEUE: Final = {"celery": "celery"}
"""What a library's queue is called where nobody names one; of all others ``default``."""


class Way(msgspec.Struct, frozen=True, omit_defaults=True):
    """How one library's jobs run, as one command, one setting, or else the library itself says.

    ``said``: who says so, in words. ``queues``: what the command takes; () is what nobody else is told to take.
    ``amount``: threads or processes, where it is known. ``inherits``: jobs run in forks of what loaded the application.
    """

    library: str
    model: Model
    said: str
    place: Place | None = None
    queues: tuple[str, ...] = ()
    amount: int | None = None
    adapter: str = ""  # the library that Active Job hands its jobs to, where that is told

    @property
    def inherits(self) -> bool:
        """Whether jobs run in children of a process that has loaded the application."""
        return self.model in {Model.PREFORK, Model.FORK_PER_JOB}

    @property
    def proof(self) -> str:
        """In words: what runs its jobs, and who says so."""
        return f"{self.library}: {self.model} ({self.said})"

    @property
    def source(self) -> str:
        """Where that stands; "" where nothing but the library says it."""
        return f"{self.place.path}:{self.place.line}" if self.place is not None else ""


class Sharing(msgspec.Struct, frozen=True):
    """Whether a job shares its process with others that run meanwhile (None: it cannot be told), and the proof."""

    truth: bool | None
    proof: str
    source: str = ""


class Execution(msgspec.Struct, frozen=True):
    """Every way in which the application's jobs run; several of one library where queues or commands differ."""

    ways: tuple[Way, ...] = ()

    @property
    def seen(self) -> str:
        """What was found, in words."""
        return "; ".join(dict.fromkeys(one.proof for one in self.ways))

    def of(self, job: Job) -> tuple[Way, ...]:
        """How this job may run: as those run that take its queue, where that tells them apart."""
        if not job.library:
            return self.ways
        own = tuple(one for one in self.ways if one.library == job.library)
        queue = job.queue or QUEUE.get(job.library, "default")
        taking = tuple(one for one in own if queue in one.queues)
        return taking or tuple(one for one in own if not one.queues) or own

    def sharing(self, job: Job) -> Sharing:
        """Whether what one run of this job does to the process reaches another job that runs meanwhile."""
        ways = self.of(job)
        if not ways:
            return Sharing(None, f"nothing tells how {job.library or 'these'} jobs run")
        found = {_shares(one, job) for one in ways}
        proof = "; ".join(dict.fromkeys(one.proof for one in ways))
        source = next((one.source for one in ways if one.source), "")
        return Sharing(found.pop() if len(found) == 1 else None, proof, source)

    def inherits(self, job: Job) -> bool | None:
        """Whether this job runs in forks of what loaded the application; None where that cannot be told."""
        ways = self.of(job)
        found = {None if one.model is Model.UNKNOWN else one.inherits for one in ways}
        return found.pop() if len(found) == 1 else None


def _shares(way: Way, job: Job) -> bool | None:
    if way.model is Model.EVENT_LOOP and way.library in IN_THREADS and not job.coroutine:
        return True
    return SHARES[way.model]
