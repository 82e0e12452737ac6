"""Units of work: taken from queues, acknowledged, sent on, given back; reliable, or basic as Sidekiq's BRPOP."""

import random
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Protocol

from kiqdoctor.runtime import log, lua
from kiqdoctor.runtime.capsule import Capsule
from kiqdoctor.runtime.retrying import Ending
from kiqdoctor.wire.keys import Keys

if TYPE_CHECKING:
    from redis import Redis

BLOCK = 2.0  # seconds that BRPOP waits
BYTES = 256 * 1024  # of payloads in one fetch
LONGEST_PAUSE = 0.05  # seconds between two looks at empty queues
DEAD_AGE = 180 * 24 * 3600.0  # seconds
DEAD_SIZE = 10_000


class FencedError(Exception):
    """Our lease is gone: somebody may be running what we took."""


@dataclass(slots=True, eq=False)
class Work:
    """A job's bytes and the bare queue that it came from; two with equal bytes are two."""

    payload: bytes
    queue: str


class Fetch(Protocol):
    """How a capsule's threads get work and rid of it."""

    def take(self, stopping: Callable[[], bool]) -> Work | None:
        """The next job, or None when there is none for now."""

    def done(self, work: Work) -> None:
        """It ended."""

    def send_on(self, work: Work, ending: Ending) -> None:
        """It goes elsewhere (retry, dead), or nowhere."""

    def give_back(self, works: Iterable[Work]) -> int:
        """Back into their queues, to be taken next; how many."""

    def close(self) -> None:
        """Give back what was taken and not started; tell Redis what ended."""


class BasicFetch:
    """BRPOP: what a killed process was running is lost, as with Sidekiq's own open source."""

    def __init__(self, client: "Redis", keys: Keys, capsule: Capsule) -> None:
        self._client, self._keys, self._capsule = client, keys, capsule

    def take(self, stopping: Callable[[], bool]) -> Work | None:
        """One job, waiting up to two seconds."""
        names = {self._keys.queue(name).encode(): name for name in self._capsule.order(random.shuffle)}
        found: Any = self._client.brpop(list(names), timeout=BLOCK)
        if found is None:
            return None
        work = Work(found[1], names[found[0]])
        if stopping():
            self.give_back([work])
            return None
        return work

    def done(self, work: Work) -> None:
        """Nothing is left to acknowledge."""

    def send_on(self, work: Work, ending: Ending) -> None:  # noqa: ARG002 - the work has left Redis already
        """Into retry or dead."""
        store(self._client, self._keys, ending)

    def give_back(self, works: Iterable[Work]) -> int:
        """RPUSH, so that they are next."""
        count = 0
        with self._client.pipeline(transaction=False) as pipe:
            for work in works:
                pipe.rpush(self._keys.queue(work.queue), work.payload)
                count += 1
            pipe.execute()
        return count

    def close(self) -> None:
        """Nothing is held."""


def store(client: "Redis", keys: Keys, ending: Ending) -> None:
    """Write an ending by plain commands."""
    if not ending.place:
        return
    with client.pipeline(transaction=True) as pipe:
        pipe.zadd(keys.name(ending.place), {ending.payload: ending.score})
        if ending.place == "dead":
            pipe.zremrangebyscore(keys.dead, "-inf", ending.score - DEAD_AGE)
            pipe.zremrangebyrank(keys.dead, 0, -DEAD_SIZE)
        pipe.execute()


class ReliableFetch:
    """Every job lies in this process's private list from its queue to its end; one script moves many at once.

    One thread at a time asks Redis, for all: it carries the acknowledgements of the others, and brings as many jobs as
    there are idle threads, and more where jobs are short.
    """

    def __init__(self, client: "Redis", keys: Keys, capsule: Capsule, identity: str) -> None:
        self._client, self._keys, self._capsule = client, keys, capsule
        self._identity = identity
        self._script = client.register_script(lua.source("fetch"))
        self._leave = client.register_script(lua.source("leave"))
        self._asking = threading.Lock()
        self._mutex = threading.Lock()
        self._local: deque[Work] = deque()
        self._ended: deque[Work] = deque()
        self._running: set[Work] = set()
        self._idle = 0
        self._pause = 0.0
        self._prefetch = 0
        self._wake = threading.Event()
        self._lost = False

    def private(self, queue: str) -> str:
        """The list of what was taken from a queue and has not ended."""
        return self._keys.private(self._identity, queue)

    def take(self, stopping: Callable[[], bool]) -> Work | None:
        """A job at hand, else ask Redis, or wait while another thread does."""
        with self._mutex:
            if self._local and not stopping():
                return self._start()
            self._idle += 1
        try:
            if self._asking.acquire(timeout=LONGEST_PAUSE):
                try:
                    if not self._local and not stopping():
                        self._ask()
                finally:
                    self._asking.release()
        finally:
            with self._mutex:
                self._idle -= 1
        with self._mutex:
            return self._start() if self._local and not stopping() else None

    def _start(self) -> Work:
        work = self._local.popleft()
        self._running.add(work)
        return work

    def _ask(self) -> None:
        if self._lost:
            self._reconcile()
        ended = self._taken_ended()
        with self._mutex:
            wanted = max(1, self._idle) + self._prefetch
        try:
            taken = self._fetch(wanted, ended)
        except Exception:
            self._ended.extendleft(reversed(ended))
            self.reconcile_later()
            raise
        self._adapt(wanted, len(taken), len(ended))
        with self._mutex:
            self._local.extend(taken)
        if not taken:
            self._pause = min(LONGEST_PAUSE, self._pause * 2 or 0.002)
            self._wake.wait(self._pause)
            self._wake.clear()
        else:
            self._pause = 0.0

    def _adapt(self, wanted: int, got: int, ended: int) -> None:
        """More at a time while jobs end faster than we ask, none ahead where they are long."""
        if got < wanted:
            self._prefetch = 0
        elif ended >= self._capsule.concurrency:
            self._prefetch = min(100, max(self._capsule.concurrency, self._prefetch * 2))
        else:
            self._prefetch //= 2

    def _fetch(self, wanted: int, ended: list[Work]) -> list[Work]:
        order = self._capsule.order(random.shuffle)
        names = [*order, *dict.fromkeys(work.queue for work in ended if work.queue not in order)]
        keys = [self._keys.lease(self._identity)]
        for name in names:
            keys += [self._keys.queue(name), self.private(name)]
        places = {name: number for number, name in enumerate(names, 1)}
        acks: list[bytes | int] = [part for work in ended for part in (places[work.queue], work.payload)]
        reply = self._script(keys=keys, args=[wanted, BYTES, len(ended), *acks])
        if reply[0] == b"FENCED":
            with self._mutex:
                self._local.clear()  # not started, and perhaps somebody else's by now; what is left of it is read again
            self._lost = True
            raise FencedError
        for error in reply[2]:
            log.warn(f"fetch: {error.decode('utf-8', 'replace')}")
        flat = reply[3]
        return [Work(flat[at + 1], names[flat[at] - 1]) for at in range(0, len(flat), 2)]

    def reconcile_later(self) -> None:
        """A reply was lost: what Redis did is compared with what we know before anything more is taken."""
        self._lost = True

    def _reconcile(self) -> None:
        """What lies in the private lists, as a multiset, is running, at hand, ended and untold, or in the lost reply.

        What ended and lies there no more was told already: telling it twice would remove an equal job that still runs.
        """
        stored: Counter[tuple[bytes, str]] = Counter()
        for queue in self._capsule.names:
            raws: Any = self._client.lrange(self.private(queue), 0, -1)
            stored.update((raw, queue) for raw in raws)
        with self._mutex:
            held = Counter((one.payload, one.queue) for one in (*self._local, *self._running.copy()))
            for work in self._taken_ended():
                if stored[work.payload, work.queue] > held[work.payload, work.queue]:
                    held[work.payload, work.queue] += 1
                    self._ended.append(work)
            self._local.extend(Work(*one) for one in (stored - held).elements())
        self._lost = False

    def done(self, work: Work) -> None:
        """Told to Redis with the next fetch, or by ``flush``."""
        self._ended.append(work)  # both are atomic, and in this order it is never in neither
        self._running.discard(work)

    def waiting(self) -> bool:
        """Whether something ended that Redis has not heard of."""
        return bool(self._ended)

    def flush(self) -> None:
        """Acknowledge what no fetch carried."""
        with self._asking:
            if self._lost:
                self._reconcile()
            ended = self._taken_ended()
            if not ended:
                return
            try:
                self._fetch(0, ended)
            except BaseException:
                self._ended.extendleft(reversed(ended))
                self._lost = True
                raise

    def send_on(self, work: Work, ending: Ending) -> None:
        """Out of the private list and into retry or dead in one step, once."""
        if not ending.place:
            self.done(work)
            return
        age = ending.score - DEAD_AGE if ending.place == "dead" else ""
        self._leave(
            keys=[self.private(work.queue), self._keys.name(ending.place)],
            args=[work.payload, ending.payload, "zset", repr(ending.score), age, DEAD_SIZE],
        )
        self._forget(work)

    def _forget(self, work: Work) -> None:
        self._running.discard(work)

    def _taken_ended(self) -> list[Work]:
        """What ended until now; others may go on appending."""
        return [self._ended.popleft() for _ in range(len(self._ended))]

    def give_back(self, works: Iterable[Work]) -> int:
        """Out of the private list and back to the end that is taken next."""
        count = 0
        for work in works:
            count += self._leave(
                keys=[self.private(work.queue), self._keys.queue(work.queue)],
                args=[work.payload, work.payload, "list", 0, "", 0],
            )
        return count

    def close(self) -> None:
        """Acknowledge, and give back what nobody started."""
        self.flush()
        with self._mutex:
            left = list(self._local)
            self._local.clear()
        self.give_back(left)
