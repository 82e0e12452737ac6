"""One thread waits in Redis for the first job of any queue, while the others sleep."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from kiqdoctor.clock import Clock
from kiqdoctor.runtime import log
from kiqdoctor.runtime.capsule import Capsule
from kiqdoctor.runtime.fetching.holdings import Holdings, ReplyError
from kiqdoctor.runtime.fetching.lanes import Lane
from kiqdoctor.runtime.fetching.waits import BLOCK, Bell, Waits
from kiqdoctor.runtime.fetching.work import FencedError, Work
from kiqdoctor.wire.connections import WAITING

LONGEST_PAUSE: Final = 0.05  # seconds between two looks where nothing is waited for
FIRST_PAUSE: Final = 0.001  # seconds
NONE_LEFT: Final = "max number of clients"  # so the server refuses a connection
FULL_FOR: Final = 10.0  # seconds that are looked through after the server had no connection left
REFUSED_FOR: Final = 1.0  # seconds that are looked through after a wait was refused


class Parking:
    """Under the leading lock. A wait fills the list of the lane that makes no other requests."""

    def __init__(self, capsule: Capsule, holdings: Holdings, bell: Bell, clock: Clock) -> None:
        self._capsule, self._holdings, self._bell, self._clock = capsule, holdings, bell, clock
        self.waits: Waits
        self.pause = 0.0
        self._no_blocking_until = 0.0

    @property
    def lane(self) -> Lane:
        """The one whose lists the waits fill."""
        return self._holdings.lanes[-1]

    @property
    def due(self) -> bool:
        """Whether a wait is under way, or its lane is to be settled."""
        return bool(self.waits.out) or self._holdings.due(self.lane)

    def park(self, paused: frozenset[str]) -> None:
        """Every queue was empty a moment ago: wait for the first job of any, or for a while.

        With more queues than connections are worth, and where a wait was refused, we look again and again instead: with
        memory full Redis refuses BLMOVE, while the script, which removes first, still moves jobs.
        """
        import redis

        indexes = [index for index, name in enumerate(self._capsule.names) if name not in paused]
        blocking = 0 < len(indexes) <= WAITING and self._clock.monotonic() >= self._no_blocking_until
        with self.hanging_up():
            self.settle()
            if self._holdings.local:
                return
            if blocking:
                try:
                    self._wait(indexes)
                except redis.ConnectionError as error:
                    if NONE_LEFT not in str(error):
                        raise
                    self._no_blocking_until = self._clock.monotonic() + FULL_FOR
                    log.warn_seldom(f"fetch: {error}: queues are looked at again and again")
                    self.hang_up()
            else:
                self._look(indexes)

    def _wait(self, indexes: list[int]) -> None:
        """For a while; a wait whose time is up begins anew here, without asking for all queues first."""
        until = self._clock.monotonic() + BLOCK
        while self._clock.monotonic() < until:
            if self._clock.boottime() >= self._holdings.lease.good_until:
                raise FencedError  # a wait asks for no lease, as the script does
            self.waits.ask(indexes)
            heard = self.waits.poll(BLOCK)
            refused = self._no_blocking_until
            self.collect()
            if heard or self._holdings.local or self.lane.lost or self._no_blocking_until != refused:
                return

    def _look(self, indexes: list[int]) -> None:
        """As long, with a growing pause; who was asked for nothing waits for the bell."""
        until = self._clock.monotonic() + BLOCK
        while self._clock.monotonic() < until:
            self.pause = min(LONGEST_PAUSE, self.pause * 2 or FIRST_PAUSE)
            heard = self.waits.poll(self.pause)
            self.collect()  # waits beside one that was refused go on
            if heard or self._holdings.local or (indexes and self._any(indexes)):
                return

    def _any(self, indexes: list[int]) -> bool:
        return bool(self.lane.channel.call(self.waits.question(indexes)))

    def collect(self) -> None:
        """What the waits have brought."""
        came = False
        for index, reply in self.waits.collect():
            if isinstance(reply, Exception):
                self._no_blocking_until = self._clock.monotonic() + REFUSED_FOR
                log.warn_seldom(f"fetch: {self._capsule.names[index]}: {reply}")
            elif reply is not None and not self.lane.lost:  # else it is found in the list, if it is ours
                if not isinstance(reply, bytes):
                    self.hang_up()
                    raise ReplyError(f"a wait was answered with {type(reply).__name__}, as by no Redis")
                self._holdings.bring([Work(reply, self.lane.homes[index])])
                came = True
        if came:
            self._holdings.look_again(self.lane)

    def settle(self) -> None:
        """What a wait brings and we have not read would be found and then read, and be two: so the waits end first."""
        if self.waits.out and self._holdings.due(self.lane):
            self.end()
        self._holdings.settle(self.lane)

    def end(self) -> None:
        """What a wait still brings is at hand then, and goes back as all that nobody starts."""
        self.waits.unblock()
        deadline = self._clock.monotonic() + BLOCK + 1
        while self.waits.out and self._clock.monotonic() < deadline:
            self.waits.poll(BLOCK)
            self.collect()

    @contextmanager
    def hanging_up(self) -> Iterator[None]:
        """Where a wait is cut off, all are."""
        try:
            yield
        except BaseException:
            self.hang_up()
            raise

    def hang_up(self) -> None:
        """What a wait moved is found in the list, now and again when its time must have run out."""
        self.lane.lost = True
        self.waits.hang_up()

    @property
    def over_in(self) -> float:
        """Seconds until no wait that was cut off goes on in Redis."""
        return self.waits.over - self._clock.monotonic()
