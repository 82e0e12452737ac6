"""What tests of job features share: a configured runtime, a poller ahead of its time, a proxy that loses replies."""

import json
import select
import socket
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
def configured(redis: Any, redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """The session's server, and no job, periodic or carried variable of another test, nor any traces."""
    monkeypatch.setenv("OTEL_SDK_DISABLED", "true")
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
    url: str
    seen: list[Any] = field(default_factory=list)

    def configure(self, **options: Any) -> None:
        """The session's server with more."""
        kiqdoctor.configure(**{"redis": self.url, **options})

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
        kind = self.redis.type(key)
        if kind == b"none":
            return []
        raws = self.redis.lrange(key, 0, -1) if kind == b"list" else self.redis.zrange(key, 0, -1)
        return [json.loads(raw) for raw in raws]

    def waits(self, key: str, count: int = 1) -> list[dict[str, Any]]:
        """The jobs there, once they are so many."""
        size: Callable[[str], int] = self.redis.llen if key.startswith("queue:") else self.redis.zcard
        eventually(lambda: size(key) >= count, f"{count} in {key}")
        return self.jobs(key)

    @staticmethod
    def waits_for(holds: Callable[[], Any]) -> Any:
        """Ask until it is so."""
        return eventually(holds)

    def idle(self, queue: str = "default") -> None:
        """Wait until nothing is queued there and nothing is held by any process; at one moment, for jobs push jobs."""

        def nothing() -> bool:
            with self.redis.pipeline(transaction=True) as pipe:
                pipe.exists(f"queue:{queue}")
                pipe.keys("kiq:taken:*")
                return not any(pipe.execute())

        eventually(nothing, "idle workers")

    def work(self, queue: str = "default", **options: Any) -> None:
        """Run what is queued, and what that pushes, with an embedded worker of one thread or more."""
        with kiqdoctor.embed(**{"concurrency": 1, "queues": [queue], **options}):
            self.idle(queue)


@pytest.fixture
def lab(redis: Any, redis_server: RedisServer) -> Lab:
    return Lab(redis, redis_server.url)


class Proxy:
    """Between clients and a server: counts round trips, and loses replies on demand."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self.trips = 0
        self.swallow = 0  # so many replies from now on are lost, each with its connection
        self._stop = threading.Event()
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    @property
    def url(self) -> str:
        return f"redis://127.0.0.1:{self.port}/0"

    def _accept(self) -> None:
        self._listener.settimeout(0.05)
        while not self._stop.is_set():
            try:
                client, _ = self._listener.accept()
            except TimeoutError:
                continue
            thread = threading.Thread(target=self._carry, args=(client,))
            thread.start()
            self._threads.append(thread)

    def _carry(self, client: socket.socket) -> None:
        with client, socket.create_connection(("127.0.0.1", self._target)) as server:
            asked = False
            while not self._stop.is_set():
                ready, _, _ = select.select([client, server], [], [], 0.05)
                for side in ready:
                    if side is server and select.select([client], [], [], 0.005)[0]:
                        continue  # an early reply to a request that is still being sent
                    try:
                        data = side.recv(1 << 20)
                    except ConnectionError:
                        return
                    if not data:
                        return
                    if side is server and self.swallow:
                        self.swallow -= 1
                        return
                    self.trips += side is client and not asked
                    asked = side is client
                    (server if side is client else client).sendall(data)

    def close(self) -> None:
        self._stop.set()
        for thread in self._threads:
            thread.join()
        self._listener.close()


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[Proxy]:
    made = Proxy(redis_server.port)
    yield made
    made.close()
