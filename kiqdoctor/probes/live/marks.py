"""Deploys that were marked, for the charts."""

from collections.abc import Sequence
from typing import Any, ClassVar

from kiqdoctor.doctor.facts.queues import Marks
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.probes.live.reader import LiveReader
from kiqdoctor.probes.queues import marks


class MarksReader(LiveReader):
    """While somebody looks: a deploy is seldom."""

    fact: ClassVar[type] = Marks
    every: ClassVar[float] = 60.0
    unseen: ClassVar[bool] = False

    def read(self, replies: Sequence[Any], now: float, seen: Snapshot) -> object:
        """As the probe reads them."""
        del replies, seen
        return marks.marks.read(redis=self.redis, clock=ServerTime(now, self.clock.now()))
