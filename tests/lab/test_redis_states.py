"""Faults and their healthy twins on a real Redis, through the command line."""

import json
import time

import pytest
import redis as redis_py
from doctoring import check
from servers import RedisServer
from states import beat, in_flight, push


@pytest.fixture
def healthy(redis: "redis_py.Redis") -> "redis_py.Redis":
    beat(redis)
    push(redis)
    return redis


def test_a_healthy_fleet() -> None:
    """On a server of its own: that of the session keeps nothing on disk, and each test flushes it."""
    with RedisServer.start({"save": "3600 1"}) as server, server.client() as client:
        beat(client)
        push(client)
        found = check(server.url)

    assert found.status == 0
    told = [(one["check"], each["severity"]) for one in found.report["results"] for each in one["findings"]]
    assert told == [("CFG003", "info")]  # it loses what it runs when it is killed
    unknown = {one["check"]: one["reason"] for one in found.report["results"] if one["outcome"] == "unknown"}
    settled = ("--for", "--baseline-run", "the doctor on their host", "kiqdoctor check PATH")
    assert {check for check, reason in unknown.items() if not any(one in reason for one in settled)} <= {
        "PRO004",
        "QUE005",  # no job failed that could tell
    }


def test_no_worker_for_waiting_jobs(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    push(redis, count=3)

    found = check(redis_server.url)

    assert found.status == 1
    assert found.severities("PRO001") == ["critical"]


def test_a_stale_beat_is_no_life(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    push(redis)
    beat(redis, age=90)

    assert check(redis_server.url).severities("PRO001") == ["critical"]


def test_jobs_under_a_namespace_that_no_worker_reads(healthy: "redis_py.Redis", redis_server: RedisServer) -> None:
    push(healthy, prefix="shop:", count=4)

    assert check(redis_server.url).severities("NSP001") == ["critical"]


def test_two_namespaces_with_workers_each(healthy: "redis_py.Redis", redis_server: RedisServer) -> None:
    push(healthy, prefix="shop:")
    beat(healthy, prefix="shop:")

    assert check(redis_server.url).outcome("NSP001") == "pass"
    assert check(redis_server.url, "--namespace", "shop").status == 0


def test_a_queue_whose_name_looks_like_a_namespace(healthy: "redis_py.Redis", redis_server: RedisServer) -> None:
    push(healthy, queue="shop:queues")
    healthy.hset("other-host:71:0123456789ab", "quiet", "false")

    assert check(redis_server.url).outcome("NSP001") == "pass"


def test_jobs_in_another_database(healthy: "redis_py.Redis", redis_server: RedisServer) -> None:
    healthy.delete("queue:default")
    with redis_server.client(db=3) as other:
        push(other, count=2)

    found = check(redis_server.url)

    assert found.severities("NSP002") == ["critical"]
    assert "database 3" in found.result("NSP002")["findings"][0]["title"]
    assert check(redis_server.url.replace("/0", "/3")).severities("NSP002") == ["critical"]


def test_another_application_in_another_database(healthy: "redis_py.Redis", redis_server: RedisServer) -> None:
    with redis_server.client(db=3) as other:
        push(other, queue="invoices")
        beat(other, queues=("invoices",))

    assert check(redis_server.url).outcome("NSP002") == "pass"


def test_what_resque_left_behind(healthy: "redis_py.Redis", redis_server: RedisServer) -> None:
    healthy.sadd("resque:queues", "pictures")
    healthy.rpush("resque:queue:pictures", json.dumps({"class": "Resize", "args": [1]}))
    healthy.sadd("resque:workers", "old:811:pictures")
    healthy.rpush("resque:failed", "{}")

    found = check(redis_server.url)

    assert found.severities("NSP004") == ["low"]
    assert "flush" not in json.dumps(found.result("NSP004")).lower()


def test_a_live_resque_is_information(healthy: "redis_py.Redis", redis_server: RedisServer) -> None:
    healthy.sadd("resque:workers", "old:811:pictures")
    healthy.rpush("resque:failed", "{}")
    stamp = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() - 30))
    healthy.hset("resque:workers:heartbeat", "old:811:pictures", stamp)

    assert check(redis_server.url).severities("NSP004") == ["info"]


def test_a_prefix_alone_is_nobody(healthy: "redis_py.Redis", redis_server: RedisServer) -> None:
    healthy.set("resque:note", "we used this once")
    healthy.set("rq:anything", "1")
    healthy.rpush("failed", "application data")

    assert check(redis_server.url).outcome("NSP004") == "pass"


def test_resque_s_jobs_in_a_sidekiq_queue(healthy: "redis_py.Redis", redis_server: RedisServer) -> None:
    healthy.rpush("queue:default", json.dumps({"class": "Resize", "args": [1]}))

    assert check(redis_server.url).severities("NSP004") == ["medium"]


def test_ghosts(healthy: "redis_py.Redis", redis_server: RedisServer) -> None:
    healthy.sadd("processes", "gone:1:aaaaaaaaaaaa")

    assert check(redis_server.url).severities("PRO002") == ["medium"]


def test_jobs_of_a_worker_that_is_gone(healthy: "redis_py.Redis", redis_server: RedisServer) -> None:
    identity = "dead-host:4711:aabbccddeeff"
    beat(healthy, identity, age=40)
    in_flight(healthy, identity, 3)

    found = check(redis_server.url)

    assert found.severities("PRO008") == ["high"]
    beat(healthy, identity, age=1)
    assert check(redis_server.url).outcome("PRO008") == "pass"


def test_the_plan_s_limit_against_the_fleet(healthy: "redis_py.Redis", redis_server: RedisServer) -> None:
    assert check(redis_server.url, "--redis-limit", "10").severities("RED003") == ["high"]
    assert check(redis_server.url, "--redis-limit", "1000").outcome("RED003") == "pass"


def test_a_full_server() -> None:
    with RedisServer.start({"maxclients": "4"}) as server:
        clients = [server.client() for _ in range(4)]
        for client in clients:
            client.ping()
        found = check(server.url)
        for client in clients:
            client.close()

    assert found.status == 3
    assert found.severities("RED002") == ["critical"]
    assert found.outcome("RED001") == "unknown"


def test_nearly_full() -> None:
    with RedisServer.start({"maxclients": "10"}) as server:
        clients = [server.client() for _ in range(8)]
        for client in clients:
            client.ping()
        found = check(server.url)
        for client in clients:
            client.close()

    assert found.severities("RED002") == ["high"]
