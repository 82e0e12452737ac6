"""What lies in our private lists by our own account, and how the account is made to agree with the lists."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from math import inf
from typing import Any, Final, NoReturn

from kiqdoctor.clock import Clock
from kiqdoctor.runtime import forking, log
from kiqdoctor.runtime.channel import Script, command
from kiqdoctor.runtime.fetching.lanes import Lane
from kiqdoctor.runtime.fetching.lease import Lease
from kiqdoctor.runtime.fetching.work import FencedError, Work
from kiqdoctor.text import clean

AGAIN: Final = 1.0  # seconds until an end that was refused is told again
REFUSALS: Final = 3  # after which it is told rarely: its new place is of another type, until somebody mends that
RARELY: Final = 5.0  # seconds
SAID: Final = frozenset({b"OK", b"FENCED", b"REPEATED"})
"""What a reply of the fetch script begins with."""
AUDIT: Final = 5.0  # seconds between two counts of the private lists


class ReplyError(Exception):
    """A reply that no Redis gives."""


class Holdings:
    """Jobs at hand, running, and ended but not told yet; under one identity, over its lanes.

    Threads take from ``local`` and add to ``ended`` without a lock: each is one step of a deque.
    """

    def __init__(self, script: Script, clock: Clock) -> None:
        self._script, self._clock = script, clock
        self.local: deque[Work] = deque()  # at hand: taken and not started
        self.ended: deque[Work] = deque()
        self.taken: set[Work] = set()  # all that we hold, by object: two jobs with equal bytes are two
        self._refusals: dict[Work, int] = {}  # ends that were refused, and how often for good
        self._to_tell: deque[Work] = deque()  # those of them that no request tells now
        self._again_at = inf  # monotonic
        self.unfound = 0  # acknowledgements that removed nothing: somebody else had the job
        self.looked: Callable[[], None] = lambda: None  # told when something has come to hand
        self.lanes: Sequence[Lane] = ()
        self.outdated = False  # whether there was an identity before: jobs of its may end
        self.lease: Lease

    def hold(self, lease: Lease, lanes: Sequence[Lane]) -> None:
        """Under this identity from now on. The lanes last: whoever sees them fetches, and adds to what is there."""
        self.taken = set()
        self.outdated = bool(self.lanes)
        self.lease = lease
        self.lanes = lanes

    def bring(self, works: list[Work]) -> None:
        """To hand; whoever does this looks again once all is there."""
        self.taken.update(works)
        self.local.extend(works)

    def look_again(self, lane: Lane) -> None:
        """What is at hand now, and would not be had it come a moment later, goes again.

        A mark is looked at after adding, and made before dropping: one of the two sees the other.
        """
        if lane.lost:
            self.unsure()
        else:
            self.looked()

    def at_hand(self) -> list[Work]:
        """Take what was not started, newest first."""
        found = []
        try:
            while True:
                found.append(self.local.pop())
        except IndexError:
            return found

    def take_ended(self) -> list[Work]:
        """What nobody tells yet, oldest first; another lane may take some once they are counted."""
        found: list[Work] = []
        with suppress(IndexError):
            for _ in range(len(self.ended)):
                found.append(self.ended.popleft())  # noqa: PERF401 - what was taken before the error is ours to tell
        return found

    def running(self) -> list[Work]:
        """What was taken, is not at hand and has not ended."""
        told = [work for lane in self.lanes if (pending := lane.pending) for work in pending[1]]
        return list(self.taken.difference(self.local.copy(), self.ended.copy(), told))

    def told(self, ended: Sequence[Work], reply: Any) -> None:
        """The fetch script's answer to a request that told what ended."""
        self.taken.difference_update(ended)
        if reply[0] != b"OK":
            return
        refused = reply[3]
        self.unfound += len(ended) - reply[1] - len(refused) // 2
        exits = [work for work in ended if work.ending is not None] if refused else []
        again = {exits[place - 1]: why for place, why in zip(refused[::2], refused[1::2], strict=True)}
        for work, why in again.items():
            self.refused(work, why.decode("utf-8", "replace"))
        if self._refusals:
            for work in ended:
                if work not in again:
                    self._refusals.pop(work, None)  # told once more it would take an equal job with it, which may run

    def refused(self, work: Work, why: str) -> None:
        """Its new place did not take it, so it lies in its private list: in a moment it is let go again.

        Rarely after a few times: that place is of another type, and no trouble of the moment.
        """
        self.taken.add(work)
        count = self._refusals.get(work, 0) + ("WRONGTYPE" in why)
        if count == REFUSALS:
            log.warn(f"{clean(work.home.key)} keeps a job that its new place refuses: {why}")
        else:
            log.warn_seldom(f"the end of a job could not be told yet: {why}")
        self._refusals[work] = count
        self._to_tell.append(work)
        self._again_at = min(self._again_at, self._clock.monotonic() + (AGAIN if count < REFUSALS else RARELY))

    def try_again(self) -> None:
        """Let go what was refused a moment ago."""
        if self._to_tell and self._clock.monotonic() >= self._again_at:
            self._again_at = inf
            for _ in range(len(self._to_tell)):
                self.ended.append(self._to_tell.popleft())

    # -- what we do not know -------------------------------------------------------------------------------------

    def due(self, lane: Lane) -> bool:
        """Whether settling it has something to do."""
        return lane.lost or lane.pending is not None or self._clock.monotonic() - lane.audited > AUDIT

    def settle(self, lane: Lane) -> None:
        """After a lost reply the request is repeated under its number, and the lists are compared with what we know.

        Under the lane's lock, and before its next request: the script ignores a number that it has seen, so that a
        newer number would make a request that Redis never got one that it never gets.

        Raises:
            FencedError: what lies in the lists may be somebody else's.
        """
        if lane.retired:
            raise FencedError
        if lane.asked:  # whoever settles hears it first; else the next reply on this connection would be taken for it
            lane.asked = 0
            lane.channel.close()
        if lane.pending is not None:
            request, ended = lane.pending
            reply = self.call(lane, request)
            if reply[0] == b"FENCED":
                self.expelled(lane)  # it stays pending: under another number what it told may be told twice
            lane.pending = None
            self.told(ended, reply)
            lane.lost = True  # whatever the answer was: what the first reply brought is in the lists
        now = self._clock.monotonic()
        if lane.lost or now - lane.audited > AUDIT:
            if self._clock.boottime() >= self.lease.good_until:
                raise FencedError  # what lies there now may be somebody else's in a moment
            lost, lane.lost = lane.lost, False  # whoever sets it meanwhile wants another look
            try:
                if lost or self._more_than_known(lane):
                    self._reconcile(lane)
            except BaseException:
                lane.lost = True
                raise
            lane.audited = 0.0 if lost else now

    def call(self, lane: Lane, request: bytes) -> Any:
        """Send and read; where that fails nobody knows what the request did.

        Raises:
            ReplyError: what came is nothing that the script says, and tells as little.
        """
        try:
            return _said(lane.channel.call(request, self._script))
        except BaseException:
            lane.lost = True
            raise

    def send(self, lane: Lane, request: bytes) -> None:
        """Send, to ``hear`` of it later; where that fails the same holds."""
        try:
            lane.channel.send(request)
        except BaseException:
            lane.lost = True
            raise

    def hear(self, lane: Lane, request: bytes) -> Any:
        """The reply to what was sent.

        Raises:
            ReplyError: as above.
        """
        try:
            return _said(lane.channel.hear(request, self._script))
        except BaseException:
            lane.lost = True
            raise

    def _more_than_known(self, lane: Lane) -> bool:
        """So a way to strand jobs that nobody foresaw costs seconds, not jobs. Fewer is no fault: some just ended."""
        known = Counter(work.home.key for work in self.taken.copy() if work.home.lane is lane)
        empty = [home.key for home in lane.homes if not known[home.key]]  # by our account: one question for all
        if empty and lane.channel.call(command("EXISTS", *empty)):
            return True
        return any(int(lane.channel.call(command("LLEN", key))) > count for key, count in known.items())

    def _reconcile(self, lane: Lane) -> None:
        """What lies in the lists, as a multiset, is at hand, running, ended, or came in a reply that was lost.

        As a multiset: a jid is there twice where a client sent again, and two payloads may be equal. What we know is
        looked at first: what ends meanwhile may be missing in the lists, and is none of the lost. The other way round
        a job that ends between the two looks would be found in the list, be unknown, and run again.
        """
        known = Counter((work.home.key, work.payload) for work in self.taken.copy() if work.home.lane is lane)
        for home in lane.homes:
            stored = Counter(lane.channel.call(command("LRANGE", home.key, 0, -1)))
            for payload, count in stored.items():
                self.bring([Work(payload, home) for _ in range(count - known[home.key, payload])])
        self.look_again(lane)

    def fenced(self) -> None:
        """Without the lease nothing is started: what we had not started is dropped, and found again if it is ours."""
        self.lease.good_until = 0.0
        self.unsure()

    def unsure(self) -> None:
        """Marked before it is dropped: whoever has a reply just now looks at the mark once it has added to it."""
        for lane in self.lanes:
            lane.lost = True
        self.taken.difference_update(self.at_hand())

    def expelled(self, lane: Lane) -> NoReturn:
        """The script saw no lease.

        Raises:
            FencedError: always.
        """
        if not lane.retired:
            self.fenced()
        raise FencedError

    def lose(self, works: Iterable[Work]) -> None:
        """Where they are is not known; they are found again where they are ours. Marked last: then they are unknown."""
        listed = list(works)
        self.taken.difference_update(listed)
        for work in listed:
            work.home.lane.lost = True

    def inherit(self, origin: forking.Origin) -> None:
        """In a child after fork: what is at hand is the parent's."""
        self.local = _Inherited(origin)


class _Inherited(deque[Work]):
    """In place of what is at hand: whoever takes from it is told why there is nothing."""

    def __init__(self, origin: forking.Origin) -> None:
        super().__init__()
        self._origin = origin

    def popleft(self) -> Work:
        self._origin.check()
        return super().popleft()


def _said(reply: Any) -> Any:
    if not (isinstance(reply, list) and reply and reply[0] in SAID):
        raise ReplyError(f"the fetch script was answered for with {type(reply).__name__}, as by no Redis")
    return reply
