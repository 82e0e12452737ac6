"""What the fleet has counted, ever and today."""

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, ClassVar

from kiqdoctor.connection import Command
from kiqdoctor.doctor.facts.live import Counters
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.probes.asking import number
from kiqdoctor.probes.live.reader import LiveReader, must


class CountersReader(LiveReader):
    """At each look."""

    fact: ClassVar[type] = Counters

    def asks(self) -> Sequence[Command]:
        """Both counters, whole and of today."""
        today = datetime.fromtimestamp(self.clock.now(), UTC).strftime("%Y-%m-%d")
        return [("MGET", *(self.keys.stat(name, day) for day in ("", today) for name in ("processed", "failed")))]

    def read(self, replies: Sequence[Any], now: float, seen: Snapshot) -> Counters:
        """What is not there is 0."""
        del seen
        return Counters(now, *map(number, must(replies[0])))
