"""What a worker asks of Redis while it has nothing to do, as the server counts it: also what scripts ask counts."""

import threading
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest
from redis.exceptions import ConnectionError as RedisConnectionError
from servers import RedisServer
from workers import Worker

from kiqdoctor.clock import SYSTEM
from kiqdoctor.runtime.board import Board
from kiqdoctor.runtime.capsule import Capsule
from kiqdoctor.runtime.channel import Script
from kiqdoctor.runtime.config import Settings
from kiqdoctor.runtime.fetching.holdings import Holdings
from kiqdoctor.runtime.fetching.lanes import lanes
from kiqdoctor.runtime.fetching.lease import Lease
from kiqdoctor.runtime.fetching.parking import Parking
from kiqdoctor.runtime.fetching.waits import Bell, Waits
from kiqdoctor.runtime.recover import Recovery
from kiqdoctor.wire.account import Account, Whereabouts
from kiqdoctor.wire.keys import Keys

SECONDS: Final = 6.0  # more than a beat
NAMES: Final = ("one", "two")
APP: Final = "from kiqdoctor import job\n\n\n@job(name='Nothing')\ndef nothing(): ...\n"


def asked(redis: Any, seconds: float) -> float:
    """Commands a second."""
    redis.config_resetstat()
    began = time.monotonic()
    time.sleep(seconds)
    told = redis.info("commandstats")
    return float(sum(one["calls"] for one in told.values())) / (time.monotonic() - began)


@pytest.mark.parametrize(("queues", "most"), [(40, 60), (1_000, 200)])
def test_a_worker_without_jobs_asks_little(redis: Any, redis_server: RedisServer, queues: int, most: int) -> None:
    words = [word for number in range(queues) for word in ("-q", f"q{number}")]
    with Worker.start(APP, redis_server.url, *words):
        time.sleep(1)  # its first looks
        assert asked(redis, SECONDS) <= most


@pytest.fixture
def parking(redis: Any) -> Iterator[Parking]:
    keys, script, bell = Keys(), Script("fetch"), Bell()
    lease = Lease(redis, keys, "host:1:aa", NAMES)
    lease.acquire()
    holdings = Holdings(script, SYSTEM)
    holdings.hold(lease, lanes(redis, keys, NAMES, lease, script))
    found = Parking(Capsule("", 1, tuple((name, 0) for name in NAMES)), holdings, bell, SYSTEM)
    found.waits = Waits(redis, keys, holdings.lanes[-1].homes, bell, SYSTEM)
    yield found
    found.waits.close()
    for lane in holdings.lanes:
        lane.channel.close()
    bell.close()


def test_a_server_without_a_connection_left_is_looked_at_and_not_waited_at(
    redis: Any, parking: Parking, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(_: object) -> None:
        raise RedisConnectionError("max number of clients reached")

    monkeypatch.setattr(parking.waits, "ask", full)
    parking.park(frozenset())
    redis.lpush("queue:two", "a job")
    parking.park(frozenset())  # asks no wait: else it would fail again

    assert not parking.waits.out
    assert parking.pause > 0
    assert redis.lrange("queue:two", 0, -1) == [b"a job"]  # the script is to fetch it


def test_what_a_wait_brings_beside_others_is_read_at_once(redis: Any, parking: Parking) -> None:
    parking.waits.ask(range(len(NAMES)))
    redis.lpush("queue:two", "a job")

    parking.waits.poll(1)
    assert parking.waits.collect() == [(1, b"a job")]
    assert parking.waits.out == {0}
    assert parking.waits.collect() == []
    assert redis.lrange(parking.lane.homes[1].key, 0, -1) == [b"a job"]


FLEET: Final = 1_000  # processes


def test_the_index_of_a_large_fleet_is_read_by_few(redis: Any) -> None:
    for number in range(FLEET):
        at = Whereabouts(f"machine {number % 10}", "pid:[1]", 1 + number, "1")
        redis.hset(Keys().index, f"host:{number}:aa", Account(("default",), at).encode())
        redis.set(Keys().lease(f"host:{number}:aa"), "1", ex=60)
    lease = Lease(redis, Keys(), "here:1:aa", NAMES)
    lease.acquire()
    lease._steady_since -= 60
    ones = [Recovery(redis, Settings("redis://unused"), lambda: lease, threading.Event(), Board()) for _ in range(20)]
    for one in ones:
        one._here = Whereabouts("machine 3", "pid:[1]", 1, "1")
    redis.delete(Keys().lease("host:7:aa"))
    redis.config_resetstat()

    looked = [one for one in ones if one._due()]
    others, silent = looked[0]._census()

    assert len(looked) == 1
    assert silent == {"host:7:aa"}
    assert len(others) == FLEET // 10 + 1  # of this machine, and who is silent elsewhere
    assert redis.info("stats")["total_net_output_bytes"] < FLEET * 50
    assert sum(one["calls"] for one in redis.info("commandstats").values()) < 100


def test_a_turn_of_the_wrong_type_is_no_reason_never_to_look(redis: Any) -> None:
    lease = Lease(redis, Keys(), "here:1:aa", NAMES)
    lease.acquire()
    one = Recovery(redis, Settings("redis://unused"), lambda: lease, threading.Event(), Board())
    redis.lpush(Keys().recovering_here(one._here.boot), "no string")

    assert not one._due()
    assert one._due()
