"""What the tests of job features share: a configured runtime, a poller that looks into the future, what jobs noted."""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import pytest
from servers import RedisServer, eventually

import kiqdoctor
from kiqdoctor.runtime import context
from kiqdoctor.runtime.job import REGISTRY
from kiqdoctor.runtime.periodic import PERIODIC
from kiqdoctor.runtime.scheduled import Poller
from kiqdoctor.wire.keys import Keys


@pytest.fixture(autouse=True)
def configured(redis: Any, redis_server: RedisServer) -> Iterator[None]:
    """The session's server, and no job, periodic or carried variable of another test."""
    kiqdoctor.configure(redis=redis_server.url)
    jobs, times, carried = dict(REGISTRY), list(PERIODIC), dict(context._carried)
    PERIODIC.clear()
    yield
    REGISTRY.clear()
    REGISTRY.update(jobs)
    PERIODIC[:] = times
    context._carried.clear()
    context._carried.update(carried)
    kiqdoctor.configure(redis=redis_server.url)


@dataclass
class Lab:
    """Questions to Redis and waits for what workers do."""

    redis: Any
    seen: list[Any] = field(default_factory=list)

    def note(self, what: Any) -> None:
        """For jobs of this process."""
        self.seen.append(what)

    def sees(self, *wanted: Any) -> None:
        """Wait until jobs noted just this, in any order."""
        eventually(lambda: len(self.seen) >= len(wanted), f"{wanted}, and not only {self.seen}")
        assert sorted(map(repr, self.seen)) == sorted(map(repr, wanted))

    def poll(self, ahead: float = 0.0) -> int:
        """Push what is due in so many seconds, as a worker's poller would then; how many."""
        for key in ("retry", "schedule"):
            due = self.redis.zrangebyscore(key, "-inf", time.time() + ahead)
            if due:
                self.redis.zadd(key, dict.fromkeys(due, 1))  # Redis' own clock cannot be turned
        return Poller(self.redis, Keys(), threading.Event()).poll()

    def jobs(self, key: str) -> list[dict[str, Any]]:
        """What lies in a queue (next last) or a sorted set (by score), decoded."""
        raws = self.redis.lrange(key, 0, -1) if self.redis.type(key) == b"list" else self.redis.zrange(key, 0, -1)
        return [json.loads(raw) for raw in raws]

    def waits(self, key: str, count: int = 1) -> list[dict[str, Any]]:
        """The jobs there, once they are so many."""
        size: Callable[[str], int] = self.redis.llen if key.startswith("queue:") else self.redis.zcard
        eventually(lambda: size(key) >= count, f"{count} in {key}")
        return self.jobs(key)

    def idle(self) -> None:
        """Wait until nothing is queued and nothing is held by any process."""
        eventually(lambda: not [*self.redis.scan_iter("queue:*"), *self.redis.scan_iter("kiq:taken:*")], "idle workers")


@pytest.fixture
def lab(redis: Any) -> Lab:
    return Lab(redis)
