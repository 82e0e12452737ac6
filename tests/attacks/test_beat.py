"""What anybody may write on a worker's own keys does not silence it: its record goes on being told."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import redis as redis_py
from servers import RedisServer, eventually

from kiqdoctor.runtime.config import configure
from kiqdoctor.runtime.embedding import embed
from kiqdoctor.runtime.job import job
from kiqdoctor.wire.keys import Keys

KEYS = Keys(None)
DAMAGE: dict[str, Callable[["redis_py.Redis", str], object]] = {
    "a counter is no number": lambda client, _: client.set(KEYS.stat("processed"), "abc"),
    "a counter is a list": lambda client, _: client.lpush(KEYS.stat("failed"), "x"),
    "what is paused is a list": lambda client, _: client.lpush(KEYS.paused, "x"),
    "its signals are a text": lambda client, who: client.set(KEYS.signals(who), "x"),
    "its facts are a text": lambda client, who: client.set(KEYS.about(who), "x"),
    "its jobs in flight are a text": lambda client, who: client.set(KEYS.work(who), "x"),
}


@contextlib.contextmanager
def working(url: str) -> Iterator[None]:
    configure(redis=url)
    with embed(concurrency=1, queues=["default"]):
        yield


def members(client: "redis_py.Redis") -> list[bytes]:
    found: Any = client.smembers(KEYS.processes)
    return list(found)


def beaten(client: "redis_py.Redis", identity: str) -> float:
    raw = client.hget(KEYS.process(identity), "beat")
    return float(raw) if raw else 0.0


@pytest.mark.parametrize("what", DAMAGE)
def test_it_beats_on(what: str, redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    @job(queue="default", name="Quick")
    def quick() -> None: ...

    with working(redis_server.url):
        [identity] = eventually(lambda: [str(one, "utf-8") for one in members(redis)], "a process")
        DAMAGE[what](redis, identity)
        quick.perform_async()
        before = beaten(redis, identity)

        eventually(lambda: beaten(redis, identity) > before, "another beat after the damage")
