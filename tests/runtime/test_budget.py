"""The line about connections at boot, on servers that tell all, little or nothing."""

import threading
from typing import Any

import pytest
import redis as redis_py
from servers import RedisServer, eventually

import kiqdoctor
from kiqdoctor.runtime.budget import Budget, Room, budget, read
from kiqdoctor.wire.connections import WAITING
from kiqdoctor.wire.heartbeat import read_info

POOLS = [("fetch", 4), ("jobs", 10)]


@pytest.mark.parametrize(
    ("server", "line", "short"),
    [
        (
            Room(10_000, 12),
            "opens at most 14 Redis connections (fetch 4, jobs 10) of the server's 10000; 12 are in use",
            False,
        ),
        (
            Room(20, 15),
            (
                "opens at most 14 Redis connections (fetch 4, jobs 10) of the server's 20, but only 6 are left:"
                " lower the concurrency, or raise maxclients"
            ),
            True,
        ),
        (
            Room(10_000, None, why="INFO was refused (NOPERM)"),
            (
                "opens at most 14 Redis connections (fetch 4, jobs 10) of the server's 10000;"
                " how many are in use is unknown: INFO was refused (NOPERM)"
            ),
            False,
        ),
        (
            Room(None, 12, why="CONFIG GET was refused (NOPERM)"),
            (
                "opens at most 14 Redis connections (fetch 4, jobs 10);"
                " the server's limit is unknown: CONFIG GET was refused (NOPERM)"
            ),
            False,
        ),
        (
            Room(None, None),
            "opens at most 14 Redis connections (fetch 4, jobs 10); the server's limit is unknown: it does not say",
            False,
        ),
    ],
)
def test_what_is_said(server: Room, line: str, short: bool) -> None:
    assert budget(POOLS, server) == Budget(line, short)


def test_our_own_connection_is_not_counted_twice() -> None:
    assert not budget(POOLS, Room(20, 7, ours=1)).short
    assert budget(POOLS, Room(20, 8, ours=1)).short
    assert not budget(POOLS, Room(20, 8, ours=2)).short


def test_more_than_the_limit_is_short_even_where_its_use_is_unknown() -> None:
    assert budget(POOLS, Room(13, None)).short
    assert "only 0 are left" in budget(POOLS, Room(5, 50)).line


def test_no_pools() -> None:
    assert budget([], Room(10, 1)).line == "opens at most 0 Redis connections of the server's 10; 1 are in use"


def test_a_server_that_tells() -> None:
    with RedisServer.start({"maxclients": "50"}) as server, server.client() as redis:  # nobody else's comes or goes
        found = read(redis)
        with server.client() as other:
            other.ping()
            more = read(redis, ours=2)

    assert found.limit is not None
    assert 0 < found.limit <= 50
    assert found.used is not None
    assert found.used >= 1
    assert found.why == ""
    assert (more.used, more.ours) == (found.used + 1, 2)


@pytest.mark.parametrize(
    ("rules", "limited", "counted", "why"),
    [
        (["+@all", "-config"], True, True, ""),
        (["+@all", "-info"], True, False, "INFO was refused"),
        (["+@all", "-info", "-config"], False, False, "CONFIG GET was refused"),
    ],
)
def test_a_server_that_refuses(
    redis: "redis_py.Redis", redis_server: RedisServer, rules: list[str], limited: bool, counted: bool, why: str
) -> None:
    command: Any = redis.execute_command
    command("ACL", "SETUSER", "shy", "on", ">pw", "~*", *rules)
    try:
        with redis_server.client(username="shy", password="pw") as client:
            found = read(client)
    finally:
        command("ACL", "DELUSER", "shy")

    assert (found.limit is not None, found.used is not None) == (limited, counted)
    assert found.why.startswith(why)
    assert "\n" not in found.why
    assert bool(found.why) == bool(why)


def test_a_server_without_its_config_command() -> None:
    with RedisServer.start({"rename-command": "CONFIG NOCONFIG"}) as server, server.client() as client:
        assert read(client).limit is not None


def test_a_server_that_is_gone() -> None:
    with RedisServer.start() as server:
        client = server.client()
    found = read(client)
    client.close()

    assert (found.limit, found.used) == (None, None)
    assert "CONFIG GET was refused" in found.why


@pytest.mark.parametrize("fetch", ["reliable", "basic"])
@pytest.mark.parametrize("queues", [1, WAITING + 1])
def test_what_it_may_open_is_what_it_says_and_what_it_opens(
    redis: Any, redis_server: RedisServer, fetch: str, queues: int
) -> None:
    kiqdoctor.configure(redis=redis_server.url)
    counted = threading.Event()

    @kiqdoctor.job(name="Pushing", queue="queue-0")
    def pushing(left: int) -> None:
        counted.wait()
        if left:
            pushing.perform_async(left - 1)

    pushing.perform_bulk([[3]] * 200)
    before = int(redis.info("clients")["connected_clients"])
    most = 0
    names = [f"queue-{number}" for number in range(queues)]
    with kiqdoctor.embed(concurrency=12, queues=names, fetch=fetch) as launcher:
        while redis.exists("queue:queue-0"):
            most = max(most, int(redis.info("clients")["connected_clients"]) - before)
            counted.set()
        [identity] = eventually(lambda: redis.smembers("processes"), "its first beat")
        told = read_info(redis.hget(identity, "info")).connections

    assert told == sum(size for _, size in launcher.pools)
    assert f"opens at most {told} Redis connections" in budget(launcher.pools, Room(None, None)).line
    assert 1 < most <= told
