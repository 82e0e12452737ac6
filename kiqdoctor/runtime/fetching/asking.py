"""One request of a lane: what ended is told, and jobs come to hand."""

import random
from typing import Any

from kiqdoctor.runtime import log
from kiqdoctor.runtime.capsule import Capsule
from kiqdoctor.runtime.fetching.holdings import Holdings
from kiqdoctor.runtime.fetching.lanes import Lane
from kiqdoctor.runtime.fetching.leaving import Doors
from kiqdoctor.runtime.fetching.work import Work


class Asking:
    """Under the lane's lock, once the lane is settled."""

    def __init__(self, capsule: Capsule, holdings: Holdings, doors: Doors) -> None:
        self._capsule, self._holdings, self._doors = capsule, holdings, doors
        self._strict, self._places = capsule.strict, tuple(enumerate(capsule.names, 1))
        self.paused: frozenset[str] = frozenset()

    def ask(self, lane: Lane, wanted: int) -> int:
        """How many jobs came."""
        request, ended = self._request(lane, wanted)
        return self._answered(lane, ended, self._holdings.call(lane, request)) if request else 0

    def send(self, lane: Lane, wanted: int) -> None:
        """The same without waiting for the reply, which is to be heard before anything else of this lane."""
        request, _ = self._request(lane, wanted)
        self._holdings.send(lane, request)
        lane.asked = wanted

    def hear(self, lane: Lane) -> tuple[int, int]:
        """The reply to what was sent: how many jobs were wanted, and how many came."""
        wanted, lane.asked = lane.asked, 0  # first: what cannot be read is lost
        if lane.pending is None:
            return wanted, 0
        request, ended = lane.pending
        return wanted, self._answered(lane, ended, self._holdings.hear(lane, request))

    def _request(self, lane: Lane, wanted: int) -> tuple[bytes, list[Work]]:
        """What is to be sent, and what it tells; nothing where there is nothing to say."""
        ended = self._holdings.take_ended()
        if self._holdings.outdated and any(work.home.lane.retired for work in ended):
            ended = self._end_retired(ended)
        if not wanted and not ended:
            return b"", ended
        request, ended = lane.request(wanted, ended, self._order(wanted))
        lane.pending = (request, ended)  # before: it may be lost on its way
        return lane.pending

    def _order(self, wanted: int) -> list[tuple[int, int]]:
        """Queues by number, and how many from each at first: all from the first that has some where order is strict."""
        if not wanted:
            return []
        if self._strict:
            return [(place, wanted) for place, name in self._places if name not in self.paused]
        shares = self._capsule.shares(wanted, random.random)
        return [(index + 1, share) for index, name, share in shares if name not in self.paused]

    def _answered(self, lane: Lane, ended: list[Work], reply: Any) -> int:
        held = self._holdings
        lane.pending = None
        if reply[0] == b"FENCED":
            held.ended.extendleft(reversed(ended))  # nothing was done: they are told under whatever identity is next
            held.expelled(lane)
        held.told(ended, reply)
        if reply[0] == b"REPEATED":  # it was applied before: what it brought is in the lists
            lane.lost = True
            return 0
        for error in reply[2]:
            log.warn_seldom(f"fetch: {error.decode('utf-8', 'replace')}")
        if lane.lost:
            return 0  # the lease went while the reply was under way: what is still ours is found in the lists
        count = 0
        for at in range(4, len(reply), 2):
            home = lane.homes[reply[at] - 1]
            works = [Work(payload, home) for payload in reply[at + 1]]
            held.bring(works)
            count += len(works)
        held.look_again(lane)
        return count

    def _end_retired(self, ended: list[Work]) -> list[Work]:
        """What ended under an older identity leaves its list one by one, where it is still there."""
        old = [work for work in ended if work.home.lane.retired]
        try:
            replies = self._doors.each([(work, work.ending.steps if work.ending else ()) for work in old])
        except BaseException:
            self._holdings.ended.extendleft(reversed(ended))
            raise
        for work, left in zip(old, replies, strict=True):
            if isinstance(left, Exception):
                self._holdings.refused(work, str(left))
            else:
                self._holdings.unfound += not left
        return [work for work in ended if not work.home.lane.retired]
