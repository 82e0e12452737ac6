"""Reliable fetch: every job lies in a private list of its process from its queue to its end.

Threads share what was fetched. Whoever finds it empty, or half empty while jobs are short, asks Redis for all: one
script carries the ends of jobs there and brings jobs back. Two connections take turns, so that one request is under way
while the other's jobs run. When every queue is empty one thread waits in a BLMOVE on each of them.
"""

import itertools
import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING, Any, Final, NoReturn
from weakref import WeakSet

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.runtime import forking, log
from kiqdoctor.runtime.capsule import Capsule
from kiqdoctor.runtime.channel import Script, command
from kiqdoctor.runtime.endings import Ending, returned
from kiqdoctor.runtime.fetching.beds import Beds
from kiqdoctor.runtime.fetching.lanes import Lane, lanes
from kiqdoctor.runtime.fetching.lease import Lease
from kiqdoctor.runtime.fetching.leaving import Exit, Leaving
from kiqdoctor.runtime.fetching.waits import BLOCK, Bell, Waits
from kiqdoctor.runtime.fetching.work import FencedError, Work
from kiqdoctor.wire.connections import WAITING
from kiqdoctor.wire.keys import Keys

if TYPE_CHECKING:
    from redis import Redis

MOST: Final = 200
AHEAD: Final = 0.005  # seconds of work that is fetched ahead
LONGEST_PAUSE: Final = 0.05  # seconds between two such looks
UNTOUCHED: Final = 0.02  # seconds after which what nobody started goes back to its queue
WORTH: Final = 4  # jobs ahead from which on asking before all are taken pays
WAKE: Final = 0.0001  # seconds; jobs that are shorter are run by whoever is awake
AUDIT: Final = 5.0  # seconds between two counts of the private lists


class ReliableFetch:
    """For the threads of one capsule."""

    def __init__(self, client: "Redis", keys: Keys, capsule: Capsule, lease: Lease, clock: Clock = SYSTEM) -> None:
        self._client, self._keys, self._capsule, self._clock = client, keys, capsule, clock
        self._origin = forking.origin("this worker")
        self._leaving = Leaving(client)
        self._exits: list[Exit] = []  # those that nobody uses
        self._exit_names = itertools.count()
        self._doubts: dict[Work, Exit] = {}  # whose leaving was asked for, and no reply was read
        self._script = Script("fetch")
        self.lease = lease
        self.local: deque[Work] = deque()
        self._ended: deque[Work] = deque()
        self.done: Callable[[Work], Any] = self._ended.append  # told with the next fetch, or by the ticker
        self.paused: frozenset[str] = frozenset()
        self.slowest = 0.0
        self.fetched_at = self.tried_at = clock.monotonic()
        self.unfound = 0  # acknowledgements that removed nothing: somebody else had the job
        self._leading = threading.Lock()
        self._beds = Beds(capsule.concurrency)
        self._alone: int | None = None
        self._solo = threading.Lock()
        self._pace = 0.0
        self._want = 1
        self._low = -1
        self._wide = True
        self._pause = 0.0
        self._no_blocking_until = 0.0
        self._first: tuple[Work | None, float] = (None, 0.0)
        self._bell = Bell()
        self._stopped = False
        self._hold(lease)
        _here.add(self)

    # -- identity ------------------------------------------------------------------------------------------------

    def adopt(self, lease: Lease) -> None:
        """Hold jobs under this lease from now on; what still runs under an older one ends by itself.

        Raises:
            redis.exceptions.RedisError: nothing has changed.
        """
        self.lease.leave_open()
        old = self._lanes
        for lane in old:
            lane.retired = True
            lane.channel.cut()
        self.wake()
        with ExitStack() as held:
            for lock in (self._leading, *(lane.lock for lane in old)):
                held.enter_context(lock)
            self._waits.close()
            for lane in old:
                lane.channel.close()
                if lane.pending is not None:  # also: a cycle through works is not seen by the garbage collector
                    self._ended.extend(lane.pending[1])
                    lane.pending = None
            self.local.clear()
            self._hold(lease)

    def _hold(self, lease: Lease) -> None:
        self.lease = lease
        self._taken: set[Work] = set()
        self._exits_key = self._keys.exits(lease.identity)
        self._lanes = lanes(self._client, self._keys, self._capsule.names, lease, self._script)
        self._waits = Waits(self._client, self._keys, self._lanes[-1].homes, self._bell, self._clock)

    # -- taking --------------------------------------------------------------------------------------------------

    def take(self, number: int) -> Work | None:
        """A job at hand, else ask Redis, or wait while another thread does."""
        if self._alone is not None and self._alone != number:
            threading.Event().wait(LONGEST_PAUSE)
            return None
        if len(self.local) <= self._low:
            lane = self._lanes[number & 1]
            if lane.lock.acquire(blocking=False):
                try:
                    self._beds.rouse()  # somebody goes on with what is at hand while we wait for the reply
                    self._refill(lane)
                finally:
                    lane.lock.release()
        try:
            work = self.local.popleft()
        except IndexError:
            return self._wait(number)
        if self._wide and self.local:
            self._beds.rouse()
        return work

    def _wait(self, number: int) -> Work | None:
        """Nothing is at hand: ask Redis and wait there, as one thread of all does, or sleep."""
        if self._stopped or not self._leading.acquire(blocking=False):
            return self._sleep(number)
        try:
            work = self._lead(number)
        finally:
            self._leading.release()
        if work is not None:
            self._beds.rouse()  # somebody must lead now, or take the rest
        return work

    def _lead(self, number: int) -> Work | None:
        for lane in (self._lanes[number & 1], self._lanes[1 - (number & 1)]):
            if lane.lock.acquire(blocking=False):
                try:
                    self._refill(lane)
                finally:
                    lane.lock.release()
                break
        if not self.local and not self._stopped and self._alone is None:
            self._park()
        try:
            work = self.local.popleft()
        except IndexError:
            return None
        self._pause = 0.0
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
        """Under the lane's lock: tell what ended, bring what is wanted."""
        self.tried_at = self._clock.monotonic()
        self._settle(lane)
        wanted = max(1, len(self._beds), self._want)
        jobs = self._request(lane, wanted)
        self.fetched_at = self._clock.monotonic()
        self._adapt(wanted, jobs)

    def _adapt(self, wanted: int, got: int) -> None:
        """As many ahead as run in five milliseconds, from few to more; none ahead where jobs are long."""
        pace = self._pace = max(self.slowest, self._pace * 0.7)
        self.slowest = 0.0
        ahead = min(MOST, int(AHEAD * self._capsule.concurrency / pace)) if pace else 1
        self._want = max(1, min(ahead, max(wanted, self._capsule.concurrency) * 2))
        self._low = self._want // 2 if got >= wanted and ahead >= WORTH else -1
        self._wide = not 0 < pace < WAKE

    def _request(self, lane: Lane, wanted: int) -> int:
        """How many jobs came."""
        if self._stopped or self._alone is not None:
            wanted = 0
        ended = [self._ended.popleft() for _ in range(len(self._ended))]
        if any(work.home.lane.retired for work in ended):
            ended = self._end_retired(ended)
        if not wanted and not ended:
            return 0
        lane.pending = (lane.request(wanted, ended, self._order(wanted)), ended)
        return self._answered(lane, ended, self._call(lane, lane.pending[0]))

    def _order(self, wanted: int) -> list[tuple[int, int]]:
        """Queues by number, and how many from each at first: all from the first that has some where order is strict."""
        if not wanted:
            return []
        shares = self._capsule.shares(wanted, random.random)
        return [(index + 1, share) for index, name, share in shares if name not in self.paused]

    def _call(self, lane: Lane, request: bytes) -> Any:
        try:
            return lane.channel.call(request, self._script)
        except BaseException:
            lane.lost = True
            raise

    def _answered(self, lane: Lane, ended: list[Work], reply: Any) -> int:
        lane.pending = None
        if reply[0] == b"FENCED":
            self._ended.extendleft(reversed(ended))
            self._expelled(lane)
        self._taken.difference_update(ended)
        if reply[0] == b"REPEATED":
            lane.lost = True
            return 0
        self.unfound += len(ended) - reply[1]
        for error in reply[2]:
            log.warn_seldom(f"fetch: {error.decode('utf-8', 'replace')}")
        if lane.lost:
            return 0  # the lease went while the reply was under way: what is still ours is found in the lists
        count = 0
        for at in range(3, len(reply), 2):
            home = lane.homes[reply[at] - 1]
            works = [Work(payload, home) for payload in reply[at + 1]]
            self._taken.update(works)
            self.local.extend(works)
            count += len(works)
        self._look_again(lane)
        return count

    def _look_again(self, lane: Lane) -> None:
        """What is at hand now, and would not be had it come a moment later."""
        if lane.lost:
            self._unsure()
        elif self._alone is not None:
            self._return_at_hand()

    # -- waiting -------------------------------------------------------------------------------------------------

    def _park(self) -> None:
        """Every queue was empty a moment ago: wait for the first job of any, or for a while."""
        indexes = [index for index, name in enumerate(self._capsule.names) if name not in self.paused]
        blocking = 0 < len(indexes) <= WAITING and self._clock.monotonic() >= self._no_blocking_until
        with self._hanging_up():
            self._settle_waits()
            if self.local:
                return
            if blocking:
                if self._clock.boottime() >= self.lease.good_until:
                    raise FencedError  # a wait asks for no lease, as the script does
                self._waits.ask(indexes)
            else:
                self._pause = min(LONGEST_PAUSE, self._pause * 2 or 0.001)
            self._waits.poll(BLOCK + 1 if blocking else self._pause)
            self._collect()
            self.fetched_at = self._clock.monotonic()

    def _collect(self) -> None:
        """What the waits have brought."""
        waiting, came = self._lanes[-1], False
        for index, reply in self._waits.collect():
            if isinstance(reply, Exception):
                self._no_blocking_until = self._clock.monotonic() + 1.0
                log.warn_seldom(f"fetch: {self._capsule.names[index]}: {reply}")
            elif reply is not None and not waiting.lost:  # else it is found in the list, if it is ours
                work = Work(reply, waiting.homes[index])
                self._taken.add(work)
                self.local.append(work)
                came = True
        if came:
            self._look_again(waiting)

    def _settle_waits(self) -> None:
        """Under the leading lock. What a wait brings and we have not read would be found and then read, and be two."""
        if self._waits.out and self._due(self._lanes[-1]):
            self._end_waits()
        self._settle(self._lanes[-1])

    @contextmanager
    def _hanging_up(self) -> Iterator[None]:
        """Where a wait is cut off, all are."""
        try:
            yield
        except BaseException:
            self._hang_up()
            raise

    def _hang_up(self) -> None:
        """What a wait moved is found in the list, now and again when its time must have run out."""
        self._lanes[-1].lost = True
        self._waits.hang_up()

    # -- what we do not know -------------------------------------------------------------------------------------

    def _settle(self, lane: Lane) -> None:
        """After a lost reply the request is repeated under its number, and the lists are compared with what we know."""
        if lane.retired:
            raise FencedError
        if lane.pending is not None:
            request, ended = lane.pending
            reply = self._call(lane, request)
            if reply[0] == b"FENCED":
                self._expelled(lane)  # it stays pending: under another number what it told may be told twice
            lane.pending = None
            self._taken.difference_update(ended)
            self.unfound += len(ended) - reply[1] if reply[0] == b"OK" else 0
            lane.lost = True
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

    def _due(self, lane: Lane) -> bool:
        """Whether settling it has something to do."""
        return lane.lost or lane.pending is not None or self._clock.monotonic() - lane.audited > AUDIT

    def _more_than_known(self, lane: Lane) -> bool:
        known = sum(work.home.lane is lane for work in self._taken.copy())
        stored = sum(int(lane.channel.call(command("LLEN", home.key))) for home in lane.homes)
        return stored > known

    def _reconcile(self, lane: Lane) -> None:
        """What lies in the lists, as a multiset, is at hand, running, ended, or came in a reply that was lost.

        What we know is looked at first: what ends meanwhile may be missing in the lists, and is none of the lost.
        """
        known = Counter((work.home.key, work.payload) for work in self._taken.copy() if work.home.lane is lane)
        for home in lane.homes:
            stored = Counter(lane.channel.call(command("LRANGE", home.key, 0, -1)))
            for payload, count in stored.items():
                for _ in range(count - known[home.key, payload]):
                    work = Work(payload, home)
                    self._taken.add(work)
                    self.local.append(work)
        self._look_again(lane)

    def fenced(self) -> None:
        """Without the lease nothing is started: what we had not started is dropped, and found again if it is ours."""
        self.lease.good_until = 0.0
        self._unsure()

    def _unsure(self) -> None:
        """Marked before it is dropped: whoever has a reply just now looks at the mark once it has added to it."""
        for lane in self._lanes:
            lane.lost = True
        self._taken.difference_update(self._at_hand())

    def _expelled(self, lane: Lane) -> NoReturn:
        if not lane.retired:
            self.fenced()
        raise FencedError

    def _lose(self, works: Iterable[Work]) -> None:
        """Where they are is not known; they are found again where they are ours. Marked last: then they are unknown."""
        listed = list(works)
        self._taken.difference_update(listed)
        for work in listed:
            work.home.lane.lost = True

    # -- ends ----------------------------------------------------------------------------------------------------

    def put_back(self, work: Work) -> None:
        """It is next again, if it is still ours."""
        self._lose([work])

    def send_on(self, work: Work, ending: Ending) -> bool:
        """Out of the private list and elsewhere in one step, once, though it is asked for again after a lost reply."""
        self._origin.check()
        by = self._doubts.pop(work, None) or self._exit()
        try:
            told = None if work.home.lane.retired else by
            left = self._leaving.leave(work.home.key, work.payload, ending.steps, by=told)
        except BaseException:
            self._doubts[work] = by
            raise
        by.number += 1
        self._exits.append(by)
        self._taken.discard(work)
        self.unfound += not left
        return bool(left)

    def _exit(self) -> Exit:
        try:
            by = self._exits.pop()
        except IndexError:
            return Exit(self._exits_key, str(next(self._exit_names)))
        by.key = self._exits_key
        return by

    def _end_retired(self, ended: list[Work]) -> list[Work]:
        """What ended under an older identity leaves its list one by one, where it is still there."""
        old = [work for work in ended if work.home.lane.retired]
        try:
            left = self._leaving.many([(work.home.key, work.payload, ()) for work in old])
        except BaseException:
            self._ended.extendleft(reversed(ended))
            raise
        self.unfound += len(old) - left
        return [work for work in ended if not work.home.lane.retired]

    def give_back(self, works: Iterable[Work]) -> int:
        """Out of the private list and back to the end that is taken next; the last of them comes out first.

        Raises:
            redis.exceptions.RedisError: those that are still ours are found in their lists, and at hand then.
        """
        self._origin.check()
        listed = list(works)
        leavers = [(work.home.key, work.payload, returned(self._keys, work.queue, work.payload)) for work in listed]
        try:
            left = self._leaving.many(leavers)
        except BaseException:
            self._lose(listed)
            raise
        self._taken.difference_update(listed)
        return left

    def alone(self, number: int) -> bool:
        """Nothing more is started or fetched; what was at hand goes back."""
        if not self._solo.acquire(blocking=False):
            return False
        self._alone = number
        self._low = -1
        self._return_at_hand()
        return True

    def together(self) -> None:
        """Go on as usual."""
        self._alone = None
        self._solo.release()
        self.wake()

    def _return_at_hand(self) -> None:
        try:
            self.give_back(self._at_hand())
        except Exception as error:  # noqa: BLE001 - the ticker tries again
            log.warn_seldom(f"give back: {type(error).__name__}: {error}")

    def _at_hand(self) -> list[Work]:
        """Take what was not started, newest first."""
        found = []
        try:
            while True:
                found.append(self.local.pop())
        except IndexError:
            return found

    def tick(self) -> None:
        """Acknowledgements that no fetch carried, and jobs that nobody read, found or started, do not wait."""
        if self._bell.gone:
            return
        for lane in self._lanes[:-1]:
            if (self._ended or self._due(lane)) and lane.lock.acquire(blocking=False):
                try:
                    self._settle(lane)
                    self._request(lane, 0)
                finally:
                    lane.lock.release()
        if (self._waits.out or self._due(self._lanes[-1])) and self._leading.acquire(blocking=False):
            try:
                with self._hanging_up():
                    self._collect()  # a wait beside the one that brought a job
                    self._settle_waits()
            finally:
                self._leading.release()
        self._return_untouched()

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
            return
        self._beds.rouse()
        if now - self._first[1] > UNTOUCHED and self._clock.boottime() < self.lease.good_until:
            self._want, self._low = 1, -1
            self._return_at_hand()

    def running(self) -> list[Work]:
        """What was taken, is not at hand and has not ended."""
        told = [work for lane in self._lanes if (pending := lane.pending) for work in pending[1]]
        return list(self._taken.difference(self.local.copy(), self._ended.copy(), told))

    def wake(self) -> None:
        """Whoever waits for jobs looks around."""
        self._beds.rouse_all()
        self._bell.ring()

    def stop(self) -> None:
        """Take nothing more."""
        self._origin.check()
        self._stopped = True
        self._low = -1
        self.wake()
        with self._leading, self._hanging_up():
            self._end_waits()

    def close(self) -> None:
        """Acknowledge, end the waits, and give back what nobody started."""
        self.stop()
        if (left := self._waits.over - self._clock.monotonic()) > 0:
            self._clock.sleep(left)  # what was cut off may bring a job still, to an account that we close
        for lane in self._lanes:
            with lane.lock:
                self._settle(lane)
                self._request(lane, 0)
        self.give_back(self._at_hand())
        self.abandon()

    def abandon(self) -> None:
        """Hang up, telling nothing."""
        self._waits.close()
        for lane in self._lanes:
            lane.channel.close()
        self._bell.close()

    def _end_waits(self) -> None:
        """Under the leading lock: what a wait still brings is at hand then, and goes back as all that nobody starts."""
        self._waits.unblock()
        deadline = self._clock.monotonic() + BLOCK + 1
        while self._waits.out and self._clock.monotonic() < deadline:
            self._waits.poll(BLOCK)
            self._collect()

    def _orphan(self) -> None:
        """In a child after fork: what is at hand is the parent's."""
        self.local = _Inherited(self._origin)
        self._low = -1


class _Inherited(deque[Work]):
    """In place of what is at hand: whoever takes from it is told why there is nothing."""

    def __init__(self, origin: forking.Origin) -> None:
        super().__init__()
        self._origin = origin

    def popleft(self) -> Work:
        self._origin.check()
        return super().popleft()


_here: "WeakSet[ReliableFetch]" = WeakSet()


def _orphan() -> None:
    for fetch in list(_here):
        fetch._orphan()  # noqa: SLF001 - it is this room's


forking.in_child(_orphan)
