"""The basic fetch, as Sidekiq's own."""

from collections.abc import Iterator
from typing import Any

import pytest
from fetching import KEYS, RETRY, jobs, push
from servers import RedisServer

from kiqdoctor.runtime.capsule import Capsule
from kiqdoctor.runtime.config import Settings, connect
from kiqdoctor.runtime.fetching.basic import BasicFetch


@pytest.fixture
def basic(redis: Any, redis_server: RedisServer) -> Iterator[BasicFetch]:
    client = connect(Settings(redis_server.url), 4)
    yield BasicFetch(client, KEYS, Capsule("default", 2, (("default", 0), ("other", 0))), lambda: False)
    client.close()


def test_the_basic_fetch_takes_gives_back_and_sends_on(redis: Any, basic: BasicFetch) -> None:
    first, second = jobs(2)
    push(redis, first, second)
    work = basic.take(0)
    assert work is not None
    assert work.payload == first
    assert basic.running() == [work]
    basic.put_back(work)
    again_taken = basic.take(0)
    assert again_taken is not None
    assert again_taken.payload == first
    assert basic.send_on(again_taken, RETRY)
    assert redis.zcard("retry") == 1


def test_the_basic_fetch_holds_nothing_that_was_put_back(redis: Any, basic: BasicFetch) -> None:
    push(redis, *jobs(1))
    work = basic.take(0)
    assert work is not None
    basic.put_back(work)
    assert basic.running() == []
