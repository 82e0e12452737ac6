"""Processes that beat. A record changes at its process' beat, every 5 to 10 s: until then the beat alone is read."""

from collections.abc import Sequence
from dataclasses import replace
from typing import Any, ClassVar, Final

from kiqdoctor.clock import Clock
from kiqdoctor.connection import Command
from kiqdoctor.doctor.facts.fleet import Process
from kiqdoctor.doctor.facts.live import Workers
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import PAGE, batched, word
from kiqdoctor.probes.fleet import fleet
from kiqdoctor.probes.live.members import MOST_PAGES, Members
from kiqdoctor.probes.live.reader import LiveReader
from kiqdoctor.text import decode
from kiqdoctor.wire.heartbeat import BEAT, DEPLOY, RUNTIME

MOST_PROCESSES: Final = 2_000


class WorkersReader(LiveReader):
    """At each look."""

    fact: ClassVar[type] = Workers

    def __init__(self, redis: Redis, clock: Clock) -> None:
        super().__init__(redis, clock)
        self._identities = Members(redis, clock, self.keys.processes, MOST_PAGES * PAGE)
        self._processes: dict[bytes, Process] = {}
        self._beats: dict[bytes, Any] = {}

    def asks(self) -> Sequence[Command]:
        """The first page of processes, and who leads."""
        return [("SSCAN", self.keys.processes, 0, "COUNT", PAGE), ("GET", self.keys.leader)]

    def read(self, replies: Sequence[Any], now: float, seen: Snapshot) -> Workers:
        """Those whose beat is there, each as of its last beat."""
        del seen
        names, leader = replies
        raw, complete = self._identities.after(names)
        known = self._existing(raw)
        beats = batched(self.redis, [("HGET", fleet.key_of(self.keys, one), BEAT) for one in known])
        alive = [(one, beat) for one, beat in zip(known, beats, strict=True) if isinstance(beat, bytes)]
        changed = [one for one, beat in alive[:MOST_PROCESSES] if self._beats.get(one) != beat]
        read = fleet.with_work(self.redis, self.keys, fleet.records(self.redis, self.keys, changed, now))
        by_name = {process.identity: process for process in self._deployed(read)}
        self._processes |= {one: by_name[decode(one)] for one in changed if decode(one) in by_name}
        self._beats = dict(alive)
        self._processes = {one: self._processes[one] for one, _ in alive if one in self._processes}
        processes = tuple(self._processes[one] for one in sorted(self._processes))
        partial = "" if complete and len(alive) <= MOST_PROCESSES else f"{len(processes)} processes were read"
        return Workers(now, processes, len(raw), partial, word(leader))

    def _deployed(self, processes: list[Process]) -> list[Process]:
        """Our runtime says what it was deployed as beside its record."""
        ours = [one for one in processes if one.runtime == RUNTIME]
        told = batched(self.redis, [("HGET", self.keys.about(one.identity), DEPLOY) for one in ours])
        deploys = {one.identity: word(deploy) for one, deploy in zip(ours, told, strict=True)}
        return [replace(one, deploy=deploys.get(one.identity, "")) for one in processes]

    def _existing(self, identities: list[bytes]) -> list[bytes]:
        """Where ghosts abound, their records are not asked for one by one."""
        if len(identities) <= PAGE:
            return identities
        return fleet.sorted_out(self.redis, self.keys, identities)[0]


def settled(workers: Workers, now: float) -> Workers:
    """The same with each beat's age as of ``now``, as a recording wants it."""
    processes = tuple(
        replace(one, beat_age_s=now - one.beat) if one.beat is not None else one for one in workers.processes
    )
    return replace(workers, processes=processes)
