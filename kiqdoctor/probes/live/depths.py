"""Queues and sets: how long, how late; of jobs, only the oldest of each queue is looked at."""

from collections.abc import Sequence
from typing import Any, ClassVar, Final

from kiqdoctor.clock import Clock
from kiqdoctor.connection import Command
from kiqdoctor.doctor.facts.live import Depths
from kiqdoctor.doctor.facts.queues import JobSet, Queue
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import MEMBER_LIMIT, PAGE, average_sizes, batched, told
from kiqdoctor.probes.live.members import Members
from kiqdoctor.probes.live.reader import LiveReader
from kiqdoctor.text import decode, undecoded
from kiqdoctor.wire import payload
from kiqdoctor.wire.fields import CREATED_AT, ENQUEUED_AT
from kiqdoctor.wire.keys import SETS

MOST_QUEUES: Final = 2_000
MOST_OLDEST: Final = 200  # queues whose oldest job is looked at, the longest first
MEASURED_FOR: Final = 60.0  # seconds that a queue's average size is believed


class DepthsReader(LiveReader):
    """At each look."""

    fact: ClassVar[type] = Depths

    def __init__(self, redis: Redis, clock: Clock) -> None:
        super().__init__(redis, clock)
        self._names = Members(redis, clock, self.keys.queues, MOST_QUEUES)
        self._averages: dict[str, tuple[float, float | None]] = {}
        self._oldest: dict[str, tuple[bytes, float | None]] = {}

    def asks(self) -> Sequence[Command]:
        """The sets' lengths, then the first page of queues, and of those that are paused."""
        return [
            *(("ZCARD", self.keys.name(name)) for name in SETS),
            ("SSCAN", self.keys.queues, 0, "COUNT", PAGE),
            ("SSCAN", self.keys.paused, 0, "COUNT", PAGE),
        ]

    def read(self, replies: Sequence[Any], now: float, seen: Snapshot) -> Depths:
        """Each with its length, or why that could not be read."""
        del seen
        *sizes, names, paused = replies
        raw, complete = self._names.after(names)
        halted = set(paused[1]) if isinstance(paused, list) else set()
        listed = sorted(raw)
        lengths = list(map(told, batched(self.redis, [("LLEN", self._key(decode(name))) for name in listed])))
        found = {decode(name): length for name, (length, _) in zip(listed, lengths, strict=True)}
        oldest = self._oldest_of(found)
        queues = tuple(
            Queue(
                name=decode(name),
                size=found[decode(name)],
                oldest_at=oldest.get(decode(name)),
                unread=unread,
                paused=name in halted,
            )
            for name, (_, unread) in zip(listed, lengths, strict=True)
        )
        sets = tuple(
            JobSet(name, size, unread=unread) for name, (size, unread) in zip(SETS, map(told, sizes), strict=True)
        )
        return Depths(now, queues, sets, "" if complete else f"{len(listed)} queues were read, there are more")

    def _key(self, name: str) -> str:
        return self.keys.queue(undecoded(name))

    def _oldest_of(self, sizes: dict[str, int]) -> dict[str, float | None]:
        """When the oldest job of each queue was enqueued; only where payloads are known to be of a sane size."""
        names = sorted((name for name, size in sizes.items() if size), key=lambda name: -sizes[name])[:MOST_OLDEST]
        self._measure(names, sizes)
        small = [name for name in names if (self._averages[name][1] or 0) <= MEMBER_LIMIT]
        replies = batched(self.redis, [("LINDEX", self._key(name), -1) for name in small])
        return {name: self._stamp(name, raw) for name, raw in zip(small, replies, strict=True)}

    def _measure(self, names: Sequence[str], sizes: dict[str, int]) -> None:
        now = self.clock.monotonic()
        old = [name for name in names if now - self._averages.get(name, (-MEASURED_FOR, 0))[0] >= MEASURED_FOR]
        found = average_sizes(self.redis, [self._key(name) for name in old], [sizes[name] for name in old])
        self._averages |= {name: (now, average) for name, average in zip(old, found, strict=True)}

    def _stamp(self, name: str, raw: Any) -> float | None:
        if not isinstance(raw, bytes):
            return None
        known = self._oldest.get(name)
        if known is None or known[0] != raw:
            try:
                job = payload.read(raw)
                at = job.at(ENQUEUED_AT) or job.at(CREATED_AT)
            except payload.PayloadError:
                at = None
            self._oldest[name] = known = (raw, at)
        return known[1]
