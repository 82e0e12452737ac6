"""Reliable fetch: every job lies in a private list of its process from its queue to its end.

Threads share what was fetched. Whoever finds it empty, or half empty while jobs are short, asks Redis for all: one
script carries the ends of jobs there and brings jobs back. Two connections take turns, so that one request is under way
while the other's jobs run. When every queue is empty one thread waits in a BLMOVE on each of them.
"""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Final
from weakref import WeakSet

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.runtime import forking, log
from kiqdoctor.runtime.alike import Likewise
from kiqdoctor.runtime.capsule import Capsule
from kiqdoctor.runtime.channel import Script
from kiqdoctor.runtime.endings import Ending, returned
from kiqdoctor.runtime.fetching.asking import Asking
from kiqdoctor.runtime.fetching.beds import Beds
from kiqdoctor.runtime.fetching.holdings import Holdings
from kiqdoctor.runtime.fetching.lanes import Lane, lanes
from kiqdoctor.runtime.fetching.lease import Lease
from kiqdoctor.runtime.fetching.leaving import Doors, Leaving
from kiqdoctor.runtime.fetching.marks import Marks
from kiqdoctor.runtime.fetching.pace import Pace
from kiqdoctor.runtime.fetching.parking import LONGEST_PAUSE, Parking
from kiqdoctor.runtime.fetching.solo import Solo
from kiqdoctor.runtime.fetching.waits import BLOCK, Bell, Waits
from kiqdoctor.runtime.fetching.work import Work
from kiqdoctor.wire.keys import Keys

if TYPE_CHECKING:
    from redis import Redis

UNTOUCHED: Final = 0.02  # seconds after which what nobody started goes back to its queue
GLANCE: Final = 0.002  # seconds in which a thread that runs all short jobs by itself takes the next one


class ReliableFetch:
    """For the threads of one capsule."""

    def __init__(self, client: "Redis", keys: Keys, capsule: Capsule, lease: Lease, clock: Clock = SYSTEM) -> None:
        self._client, self._keys, self._capsule, self._clock = client, keys, capsule, clock
        self._origin = forking.origin("this worker")
        self._script = Script("fetch")
        self._doors = Doors(Leaving(client))
        self._bell = Bell()
        self.holdings = Holdings(self._script, clock)
        self.holdings.looked = self._return_if_alone
        self._asking = Asking(capsule, self.holdings, self._doors)
        self.parking = Parking(capsule, self.holdings, self._bell, clock)
        self.pace = Pace(capsule.concurrency)
        self.local = self.holdings.local
        self.running = self.holdings.running
        self.done: Callable[[Work], Any] = self.holdings.ended.append  # told with the next fetch, or by the ticker
        self.slowest = 0.0
        self.fetched_at = self.tried_at = self._ticked_at = clock.monotonic()
        self._leading = threading.Lock()
        self._beds = Beds(capsule.concurrency)
        self._solo = Solo(clock)
        self._marks = Marks(client)
        self.unbegun = self._marks.unbegun
        self._first: tuple[Work | None, float] = (None, 0.0)
        self._stopped = False
        self._hold(lease)
        _here.add(self)

    # -- identity ------------------------------------------------------------------------------------------------

    @property
    def unfound(self) -> int:
        """Acknowledgements that removed nothing: somebody else had the job."""
        return self.holdings.unfound

    def adopt(self, lease: Lease) -> None:
        """Hold jobs under this lease from now on; what still runs under an older one ends by itself.

        The old account is left open first: a wait that is cut off goes on in Redis for a moment, and may bring a job
        to a list that nobody would look at. Then whoever reads from Redis is cut off, and only after that are the locks
        waited for, which they hold.

        Raises:
            redis.exceptions.RedisError: nothing has changed.
        """
        self.lease.leave_open()
        old = self.holdings.lanes
        for lane in old:
            lane.retired = True
            lane.channel.cut()
        self.wake()
        with ExitStack() as held:
            for lock in (self._leading, *(lane.lock for lane in old)):
                held.enter_context(lock)
            self.parking.waits.close()
            for lane in old:
                lane.channel.close()
                lane.asked = 0
                if lane.pending is not None:  # also: a cycle through works is not seen by the garbage collector
                    self.holdings.ended.extend(lane.pending[1])
                    lane.pending = None
            self.local.clear()
            self._hold(lease)

    def _hold(self, lease: Lease) -> None:
        found = lanes(self._client, self._keys, self._capsule.names, lease, self._script)
        self.lease = lease
        self._doors.key = self._keys.exits(lease.identity)
        self.holdings.hold(lease, found)
        self.parking.waits = Waits(self._client, self._keys, found[-1].homes, self._bell, self._clock)

    # -- taking --------------------------------------------------------------------------------------------------

    def pause(self, queues: frozenset[str]) -> None:
        """Take nothing from these, and from the others again."""
        self._asking.paused = queues

    def take(self, number: int) -> Work | None:
        """A job at hand, else ask Redis, or wait while another thread does."""
        if (alone := self._solo.who) is not None and alone != number:
            threading.Event().wait(LONGEST_PAUSE)
            return None
        local, pace = self.local, self.pace
        if len(local) <= pace.low:
            self._ask_early(number)
        try:
            work = local.popleft()
        except IndexError:
            return self._wait(number)
        if pace.wide and local:
            self._beds.rouse()
        return work

    def works(self, number: int) -> Iterator[Work]:
        """The same again and again, until nothing is at hand; where nothing is to be asked, without a call for each."""
        solo, pace, work = self._solo, self.pace, self.take(number)
        while work is not None:
            yield work
            local = self.local
            if solo.who is not None or len(local) <= pace.low:
                work = self.take(number)
                continue
            try:
                work = local.popleft()
            except IndexError:
                return
            if pace.wide and local:
                self._beds.rouse()

    def _ask_early(self, number: int) -> None:
        """While something is at hand still, where nobody asks on this thread's lane."""
        lane = self.holdings.lanes[number & 1]
        if not lane.lock.acquire(blocking=False):
            return
        try:
            if self.pace.alone and self.local:
                self._ask_ahead(lane)
            else:
                self._beds.rouse()  # somebody goes on with what is at hand while we wait for the reply
                self._refill(lane)
        finally:
            lane.lock.release()

    def next_at_hand(self, number: int) -> Work | None:
        """None, too, where it is time to ask for more, and this thread's lane is free for that."""
        low = len(self.local) <= self.pace.low and not self.holdings.lanes[number & 1].lock.locked()
        if low or self._solo.who is not None:
            return None
        try:
            return self.local.popleft()
        except IndexError:
            return None

    def _wait(self, number: int) -> Work | None:
        """Nothing is at hand: ask Redis and wait there, as one thread of all does, or sleep.

        One leads and the others sleep: ten threads that each asked an empty Redis would get ten times the replies and
        no more jobs, and would fight for the GIL over them.
        """
        if self._stopped or not self._leading.acquire(blocking=False):
            return self._sleep(number)
        try:
            work = self._lead(number)
        finally:
            self._leading.release()
        if work is not None and not (self.pace.alone and self.local):
            self._beds.rouse()  # somebody must lead now, or take the rest
        return work

    def _lead(self, number: int) -> Work | None:
        own, other = self.holdings.lanes[number & 1], self.holdings.lanes[1 - (number & 1)]
        for lane in (other, own) if other.asked else (own, other):
            if lane.lock.acquire(blocking=False):
                try:
                    self._refill(lane)
                finally:
                    lane.lock.release()
                break
        if not self.local and not self._stopped and self._solo.who is None:
            self.parking.park(self._asking.paused)
            self.fetched_at = self._clock.monotonic()
        try:
            work = self.local.popleft()
        except IndexError:
            return None
        self.parking.pause = 0.0
        return work

    def _sleep(self, number: int) -> Work | None:
        self._beds.sleep(number, BLOCK, self._worth_staying_up)
        try:
            return self.local.popleft()
        except IndexError:
            return None

    def _worth_staying_up(self) -> bool:
        """Something is at hand, or nobody leads."""
        return bool(self.local or not self._leading.locked()) and not self._stopped

    def _refill(self, lane: Lane) -> None:
        """Under the lane's lock: tell what ended, bring what is wanted; or what was asked for before."""
        if lane.asked:
            self._hear(lane)
            return
        self.tried_at = self._clock.monotonic()
        self.holdings.settle(lane)  # first: a new request would outdate the number of one whose reply was lost
        wanted = max(1, len(self._beds), self.pace.want)
        self._came(wanted, self._request(lane, wanted))

    def _ask_ahead(self, lane: Lane) -> None:
        """The same without waiting for the reply: whoever finds nothing at hand reads it, or the ticker."""
        if lane.asked:
            return
        self.tried_at = self._clock.monotonic()
        self.holdings.settle(lane)
        if self._stopped or self._solo.who is not None:
            return
        self._asking.send(lane, self.pace.want)
        self.pace.low = -1  # until it was read
        log.spell()  # here, while Redis works: a thread that did so for all would take the interpreter's lock from us

    def _hear(self, lane: Lane) -> None:
        self._came(*self._asking.hear(lane))

    def _came(self, wanted: int, jobs: int) -> None:
        self.fetched_at = self._clock.monotonic()
        slowest, self.slowest = self.slowest, 0.0
        self.pace.adapt(wanted, jobs, slowest)

    def _request(self, lane: Lane, wanted: int) -> int:
        """How many jobs came."""
        return self._asking.ask(lane, 0 if self._stopped or self._solo.who is not None else wanted)

    # -- ends ----------------------------------------------------------------------------------------------------

    def fenced(self) -> None:
        """Our lease is gone."""
        self.holdings.fenced()

    def ahead(self) -> Iterable[Work]:
        """What comes next."""
        return self.local.copy()

    def put_back(self, work: Work) -> None:
        """It is next again, if it is still ours."""
        self.holdings.lose([work])

    def send_on(self, work: Work, ending: Ending | Likewise) -> bool:
        """Out of the private list and elsewhere in one step, once, though it is asked for again after a lost reply."""
        self._origin.check()
        left = self._doors.send(work, ending.steps)
        self.holdings.taken.discard(work)
        self.holdings.unfound += not left
        return bool(left)

    def leave(self, work: Work, ending: Ending | Likewise) -> None:
        """With the next request, as what is simply done: a round trip for each would be most of a short job's cost."""
        work.ending = ending
        self.done(work)

    def give_back(self, works: Iterable[Work]) -> int:
        """Out of the private list and back to the end that is taken next; the last of them comes out first.

        Raises:
            redis.exceptions.RedisError: those that are still ours are found in their lists, and at hand then.
        """
        self._origin.check()
        listed = list(works)
        try:
            left = self._doors.many([(work, returned(self._keys, work.queue, work.payload)) for work in listed])
        except BaseException:
            self.holdings.lose(listed)
            raise
        self.holdings.taken.difference_update(listed)
        return left

    def begin(self, work: Work, marked: bytes, owner: str) -> bool:
        """The list says who began it, before it begins."""
        return self._marks.begin(work, marked, self._keys.lease(owner))

    # -- one alone -----------------------------------------------------------------------------------------------

    def alone(self, number: int) -> bool:
        """Nothing more is started or fetched, for a while; what was at hand goes back."""
        if not self._solo.begin(number):  # first: what comes to hand from now on is looked at, and goes back too
            return False
        self.pace.low = -1
        self._return_at_hand()
        return True

    def together(self, number: int) -> None:
        """Go on as usual, where it was this thread that was alone."""
        if self._solo.end(number):
            self.wake()

    def _return_if_alone(self) -> None:
        if self._solo.who is not None:
            self._return_at_hand()

    def _return_at_hand(self) -> None:
        try:
            self.give_back(self.holdings.at_hand())
        except Exception as error:  # noqa: BLE001 - the ticker tries again
            log.warn_seldom(f"give back: {type(error).__name__}: {error}")

    # -- beside the threads --------------------------------------------------------------------------------------

    def tick(self) -> None:
        """Acknowledgements that no fetch carried, and jobs that nobody read, found or started, do not wait."""
        if self._bell.gone:
            return
        if (alone := self._solo.over) is not None:
            self.together(alone)
        held, parking = self.holdings, self.parking
        held.try_again()
        ended = held.ended and not self._asks_soon()
        for lane in held.lanes[:-1]:
            if (ended or held.due(lane)) and lane.lock.acquire(blocking=False):
                try:
                    self._tick(lane)
                finally:
                    lane.lock.release()
        if parking.due and self._leading.acquire(blocking=False):
            try:
                with parking.hanging_up():
                    parking.waits.peek()
                    parking.collect()  # a wait beside the one that brought a job
                    parking.settle()
            finally:
                self._leading.release()
        self._return_untouched()
        if not (self.local or self._stopped or self._leading.locked()):
            self._beds.rouse()  # whoever would hear of a new job runs one that was to be short

    def _asks_soon(self) -> bool:
        """Whether a thread that runs short jobs by itself has asked since the last tick: its next request tells all."""
        ticked, self._ticked_at = self._ticked_at, self.tried_at
        return (self.pace.alone and ticked != self.tried_at) or any(lane.asked for lane in self.holdings.lanes)

    def _tick(self, lane: Lane) -> None:
        if not lane.asked:
            self.holdings.settle(lane)
            self._request(lane, 0)
        elif lane.channel.ready():  # whoever asked is busy with one job for longer than its like
            self._hear(lane)

    def _return_untouched(self) -> None:
        """What lies at hand for long lies behind long jobs: others may have a thread for it."""
        try:
            first = self.local[0]
        except IndexError:
            self._first = (None, 0.0)
            return
        now = self._clock.monotonic()
        if first is not self._first[0]:
            self._first = (first, now)
            if self.pace.alone:  # nobody else is awake, and this one may be a long one
                self._clock.sleep(GLANCE)
                if next(iter(self.local.copy()), None) is first:
                    self._beds.rouse()
            return
        self._beds.rouse()
        if now - self._first[1] > UNTOUCHED and self._clock.boottime() < self.lease.good_until:
            self.pace.rest()
            self._return_at_hand()

    def wake(self) -> None:
        """Whoever waits for jobs looks around."""
        self._beds.rouse_all()
        self._bell.ring()

    # -- the end -------------------------------------------------------------------------------------------------

    def stop(self) -> None:
        """Take nothing more."""
        self._origin.check()
        self._stopped = True
        self.pace.low = -1
        self.wake()
        with self._leading, self.parking.hanging_up():
            self.parking.end()

    def close(self) -> None:
        """Acknowledge, end the waits, and give back what nobody started."""
        self.stop()
        if (left := self.parking.over_in) > 0:
            self._clock.sleep(left)  # what was cut off may bring a job still, to an account that we close
        for lane in self.holdings.lanes:
            with lane.lock:
                if lane.asked:
                    self._hear(lane)
                self.holdings.settle(lane)
                self._request(lane, 0)
        self.give_back(self.holdings.at_hand())
        self.abandon()

    def abandon(self) -> None:
        """Hang up, telling nothing."""
        self.parking.waits.close()
        for lane in self.holdings.lanes:
            lane.channel.close()
        self._bell.close()

    def _orphan(self) -> None:
        """In a child after fork."""
        self.holdings.inherit(self._origin)
        self.local = self.holdings.local
        self.pace.low = -1


_here: "WeakSet[ReliableFetch]" = WeakSet()


def _orphan() -> None:
    for fetch in list(_here):
        fetch._orphan()  # noqa: SLF001 - it is this room's


forking.in_child(_orphan)
