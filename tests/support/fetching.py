"""What a worker has for fetching, without its threads: a test takes the part of each of them."""

import itertools
import json
import os
import secrets
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace
from typing import Any, Final

import redis as redis_py
from servers import eventually

from kiqdoctor.clock import Clock, boottime
from kiqdoctor.runtime.board import Board
from kiqdoctor.runtime.capsule import Capsule
from kiqdoctor.runtime.channel import Script
from kiqdoctor.runtime.config import Settings, connect
from kiqdoctor.runtime.endings import End, Ending, Step
from kiqdoctor.runtime.fetching.lease import Lease
from kiqdoctor.runtime.fetching.reliable import ReliableFetch
from kiqdoctor.runtime.fetching.work import FencedError, Work
from kiqdoctor.runtime.recover import Recovery
from kiqdoctor.wire.account import Whereabouts
from kiqdoctor.wire.keys import LANES, Keys

KEYS: Final = Keys(None)
FETCH: Final = Script("fetch").digest.encode()
LEAVE: Final = Script("leave").digest.encode()
SCRIPTS: Final = ("fetch", "leave", "forget", "reclaim", "restate", "begin")
LOST: Final = (redis_py.ConnectionError, redis_py.TimeoutError)
RETRY: Final = Ending((Step("ZADD", KEYS.retry, ("1", b"to be tried again")),), End.RETRY)
_numbers = itertools.count(1)


ELSEWHERE: Final = Whereabouts("another host")
"""Where a process sits of which nobody here can see more than its lease."""


class Never:
    """In place of an event that is never set."""

    def wait(self, timeout: float) -> bool:
        return False


class Process:
    """A process with an identity of its own; ``skipped`` are seconds that it was suspended for."""

    def __init__(self, url: str, queues: Sequence[tuple[str, int]] = (("default", 0),), concurrency: int = 2) -> None:
        self.client = connect(Settings(url), 8)
        for name in SCRIPTS:
            self.client.script_load(Script(name).source)
        self.skipped, self.seat = 0.0, ELSEWHERE
        self.clock = Clock(
            boottime=lambda: boottime() + self.skipped, monotonic=lambda: time.monotonic() + self.skipped
        )
        self.capsule = Capsule("default", concurrency, tuple(queues))
        self.lease = self._new_lease()
        self.lease.acquire()
        self.fetch = ReliableFetch(self.client, KEYS, self.capsule, self.lease, self.clock)
        self.former: list[str] = []

    @property
    def identity(self) -> str:
        return self.lease.identity

    def _new_lease(self) -> Lease:
        identity = f"here:{os.getpid()}:{next(_numbers)}{secrets.token_hex(3)}"
        found = Lease(self.client, KEYS, identity, self.capsule.names, self.clock)
        found.account = replace(found.account, seat=self.seat)
        return found

    def sit(self, seat: Whereabouts) -> None:
        """There from now on, and its lease is good."""
        self.lease.account = replace(self.lease.account, seat=seat)
        self.lease.acquire()

    def take(self, number: int = 0) -> Work | None:
        """One look; a wait that it begins goes on beside."""
        self.fetch.wake()
        return self.fetch.take(number)

    def need(self) -> Work:
        """One that must be there."""
        work = self.take()
        assert work is not None
        return work

    def take_all(self, number: int = 0) -> list[Work]:
        """Until two looks find nothing."""
        found: list[Work] = []
        empty = 0
        while empty < 2:
            work = self.take(number)
            if work is None:
                empty += 1
            else:
                empty = 0
                found.append(work)
        return found

    def regain(self) -> bool:
        """As the launcher does it where the lease is gone; whether the identity is still the same."""
        if self.lease.renew():
            return True
        self.fetch.fenced()
        if self.lease.reclaim():
            return True
        new = self._new_lease()
        new.acquire()
        self.fetch.adopt(new)
        self.former.append(self.identity)
        self.lease = new
        return False

    def recovery(self, settings: Settings | None = None) -> Recovery:
        """One that has renewed for long enough to judge others."""
        stop: Any = Never()
        made = Recovery(
            self.client, settings or Settings("redis://unused"), lambda: self.lease, stop, Board(), self.clock
        )
        self.lease._steady_since = self.clock.boottime() - 16
        return made

    def private(self, lane: str, queue: str = "default") -> str:
        return KEYS.private(self.identity, lane, queue)

    def held(self, client: Any, identity: str | None = None) -> Counter[bytes]:
        """What lies in its private lists."""
        names = [KEYS.private(identity or self.identity, lane, queue) for lane in LANES for queue in self.capsule.names]
        return Counter(raw for name in names for raw in client.lrange(name, 0, -1))

    def die(self) -> None:
        """Nothing is told any more."""
        self.fetch.abandon()
        self.client.connection_pool.disconnect()

    def leave(self) -> None:
        """As a worker that stops, as far as Redis lets it."""
        with suppress(redis_py.RedisError, FencedError):
            self.fetch.close()
            self.lease.release()
        self.die()


Start = Callable[..., Process]
"""Starts a process; straight at the server, or at the url that is given."""


def payload(name: str = "Job", jid: str = "", *args: Any, queue: str = "default", **more: Any) -> bytes:
    fields = {"retry": True, "queue": queue, "class": name, "args": list(args), "jid": jid or secrets.token_hex(12)}
    return json.dumps({**fields, "created_at": 1.5, "enqueued_at": 1.5, **more}, separators=(",", ":")).encode()


def push(client: Any, *payloads: bytes, queue: str = "default") -> None:
    client.sadd("queues", queue)
    client.lpush(KEYS.queue(queue), *payloads)


def jobs(count: int, queue: str = "default") -> list[bytes]:
    return [payload("Job", f"{queue}-{number}", queue=queue) for number in range(count)]


def bytes_of(works: Iterable[Work]) -> Counter[bytes]:
    return Counter(work.payload for work in works)


def queued(client: Any, queue: str = "default") -> Counter[bytes]:
    return Counter(client.lrange(KEYS.queue(queue), 0, -1))


def ticked(process: Process) -> bool:
    """True, after a tick: for conditions that need one."""
    process.fetch.tick()
    return True


TWIN: Final = payload("Job", "the same jid")


@contextmanager
def starting(url: str) -> Iterator[Start]:
    """Processes, at ``url`` or at one that is given; they leave at the end."""
    started: list[Process] = []

    def one(other: str = "", **options: Any) -> Process:
        started.append(Process(other or url, **options))
        return started[-1]

    yield one
    for process in started:
        process.leave()


def again(process: Process, number: int = 0) -> Work | None:
    """As a processor: an error of the connection is followed by another look."""
    for _ in range(5):
        try:
            work = process.take(number)
        except LOST:
            continue
        if work is not None:
            return work
    return None


def all_again(process: Process) -> list[Work]:
    found: list[Work] = []
    while (work := again(process)) is not None:
        found.append(work)
    return found


def tick(process: Process) -> None:
    """As the ticker: what fails is tried again."""
    with suppress(redis_py.RedisError, FencedError):
        process.fetch.tick()


def told(process: Process) -> None:
    """Everything that ended is known to Redis."""

    def nothing_waits() -> bool:
        tick(process)
        return not process.fetch.holdings.ended and not any(lane.pending for lane in process.fetch.holdings.lanes)

    eventually(nothing_waits)


def put_away(process: Process, client: Any) -> None:
    """Nothing is held, nothing runs, nobody is in the index."""
    process.fetch.close()
    assert process.lease.release()
    assert client.keys("kiq:*") == []


def retire(process: Process, client: Any) -> None:
    """The lease runs out, and others close the account."""
    client.delete(KEYS.lease(process.identity))
    client.hdel(KEYS.index, process.identity)


def connections(client: Any) -> set[int]:
    return {int(one["id"]) for one in client.client_list()}
