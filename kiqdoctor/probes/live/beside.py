"""What lies beside jobs, as the probes read it: periodic jobs, locks, batches, and the jobs that they name."""

from collections.abc import Sequence
from typing import Any, ClassVar, TypeVar

from kiqdoctor.doctor.facts.beside import Batches, Locks, PeriodicJobs, Sightings
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.live import Workers
from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.doctor.snapshot import Refused, Snapshot
from kiqdoctor.probes.beside import batches, locks, periodic, sightings
from kiqdoctor.probes.live.reader import LiveReader
from kiqdoctor.probes.live.workers import settled

Fact = TypeVar("Fact")


class PeriodicReader(LiveReader):
    """While somebody looks: its keys are found by a scan."""

    fact: ClassVar[type] = PeriodicJobs
    every: ClassVar[float] = 30.0
    unseen: ClassVar[bool] = False

    def read(self, replies: Sequence[Any], now: float, seen: Snapshot) -> object:
        """With who lives, for our runtime's processes say which of theirs they still want."""
        del replies
        return periodic.periodic.read(redis=self.redis, fleet=_fleet(seen, now))


class BatchesReader(LiveReader):
    """While somebody looks: its keys are found by a scan."""

    fact: ClassVar[type] = Batches
    every: ClassVar[float] = 30.0
    unseen: ClassVar[bool] = False

    def read(self, replies: Sequence[Any], now: float, seen: Snapshot) -> object:
        """As the probe reads them."""
        del replies, now, seen
        return batches.batches.read(redis=self.redis)


class LocksReader(LiveReader):
    """While somebody looks: its keys are found by a scan."""

    fact: ClassVar[type] = Locks
    every: ClassVar[float] = 30.0
    unseen: ClassVar[bool] = False

    def read(self, replies: Sequence[Any], now: float, seen: Snapshot) -> object:
        """As the probe reads them."""
        del replies, now, seen
        return locks.locks.read(redis=self.redis)


class SightingsReader(LiveReader):
    """After locks and batches, by its name: it searches for the jobs that they name."""

    fact: ClassVar[type] = Sightings
    every: ClassVar[float] = 30.0
    unseen: ClassVar[bool] = False

    def read(self, replies: Sequence[Any], now: float, seen: Snapshot) -> object:
        """Within the probe's bytes and seconds."""
        del replies
        held, made = _there(seen, Locks), _there(seen, Batches)
        return sightings.sightings.read(redis=self.redis, locks=held, batches=made, fleet=_fleet(seen, now))


def _fleet(seen: Snapshot, now: float) -> Fleet:
    """Those that beat, as this look has read them; of none where it could not."""
    value = seen.get(Workers)
    if not isinstance(value, Workers):
        return Fleet(partial=value.reason)
    workers = settled(value, now)
    return Fleet(workers.processes, workers.members, workers.partial)


def _there(seen: Snapshot, kind: type[Fact]) -> Fact:
    """The fact.

    Raises:
        RefusalError: it was not read.
    """
    value: Any = seen.get(kind)
    if not isinstance(value, kind):
        raise RefusalError(value.reason, value.unlock if isinstance(value, Refused) else "")
    found: Fact = value
    return found
