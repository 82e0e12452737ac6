"""Failed jobs by what they have in common: counted, or reckoned from a sample within its budget."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis as redis_py
from servers import RedisServer

from kiqdoctor.clock import SYSTEM
from kiqdoctor.connection import ReadOnlyConnection, resolve_url
from kiqdoctor.doctor.facts.live import ErrorGroup, Errors, Failure, Looked
from kiqdoctor.doctor.snapshot import Refused
from kiqdoctor.probes.asking import READ_BUDGET
from kiqdoctor.probes.door import Door
from kiqdoctor.probes.live.depths import DepthsReader
from kiqdoctor.probes.live.errors import MOST, MOST_GROUPS, ErrorsReader
from kiqdoctor.probes.live.follower import Follower
from kiqdoctor.text import clean

NOW = 1_800_000_000.0


def failed(number: int, **fields: Any) -> bytes:
    """A payload as Sidekiq writes it after a failure."""
    job = {"class": "Pay", "args": [number], "queue": "mail", "jid": f"{number:024x}", "retry": True}
    told = {"error_class": "Boom", "error_message": f"no {number}", "failed_at": NOW - 100, "retry_count": 0}
    return json.dumps({key: value for key, value in (job | told | fields).items() if value is not None}).encode()


@contextmanager
def connected(url: str) -> Iterator[ReadOnlyConnection]:
    connection = ReadOnlyConnection(resolve_url(url, {}), name="test")
    connection.open()
    try:
        yield connection
    finally:
        connection.close()


def read(url: str, namespace: str | None = None) -> tuple[Errors | Any, int, int]:
    """The fact, with the round trips and bytes that it took beyond what moves."""
    with connected(url) as connection:
        door = Door(connection, namespace)
        before = Follower(door, SYSTEM, (DepthsReader,))
        before.look()
        trips, received = connection.bill.round_trips, connection.bill.bytes_received
        before.look()
        usual = connection.bill.round_trips - trips, connection.bill.bytes_received - received
        trips, received = connection.bill.round_trips, connection.bill.bytes_received
        found = Follower(door, SYSTEM, (DepthsReader, ErrorsReader)).look().get(Errors)
        spent = connection.bill.round_trips - trips, connection.bill.bytes_received - received
    return found, spent[0] - usual[0], spent[1] - usual[1]


def test_jobs_that_failed_alike_are_one_group(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    for number in range(3):
        redis.zadd("retry", {failed(number, failed_at=NOW - 100 - number): NOW + number})
    redis.zadd("retry", {failed(3, retried_at=NOW - 5): NOW + 60, failed(4, queue="low"): NOW + 7})
    redis.zadd("dead", {failed(5): NOW - 50, failed(6, error_class="Gone", **{"class": "Report"}): NOW - 1})

    found, *_ = read(redis_server.url)

    assert found.groups == (
        ErrorGroup(Failure("Pay", "Boom", "mail"), 4, 1, NOW - 5, NOW),
        ErrorGroup(Failure("Pay", "Boom", "low"), 1, 0, NOW - 100, NOW + 7),
        ErrorGroup(Failure("Report", "Gone", "mail"), 0, 1, NOW - 100, None),
    )
    assert (found.retrying, found.dead, found.whole) == (Looked(5, 5), Looked(2, 2), True)
    assert [found.jobs(group) for group in found.groups] == [5, 1, 1]


def test_every_sidekiq_s_stamps_and_wrappers_are_read(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    wrapped = {"class": "ActiveJob::QueueAdapters::SidekiqAdapter::JobWrapper", "wrapped": "Report"}
    redis.zadd("shop:retry", {failed(1, **wrapped, failed_at=int(NOW * 1000)): NOW})  # 8.0 on: milliseconds
    redis.zadd("shop:retry", {failed(2, error_class=None, failed_at=None): NOW + 1})

    found, *_ = read(redis_server.url, "shop")

    assert found.groups == (
        ErrorGroup(Failure("Pay", "", "mail"), 1, 0, None, NOW + 1),
        ErrorGroup(Failure("Report", "Boom", "mail"), 1, 0, NOW, NOW),
    )


def test_nothing_failed_is_nothing(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    found, *_ = read(redis_server.url)

    assert (found.groups, found.whole, found.partial) == ((), True, "")


def test_of_a_large_set_a_sample_from_end_to_end_is_looked_at(
    redis: "redis_py.Redis", redis_server: RedisServer
) -> None:
    total = 40_000
    for start in range(0, total, 10_000):
        error = "Late" if start >= 30_000 else "Early"
        redis.zadd("retry", {failed(one, error_class=error): NOW + one for one in range(start, start + 10_000)})
    redis.zadd("dead", {failed(1): NOW})

    found, trips, received = read(redis_server.url)

    assert (found.retrying, found.dead, found.whole) == (Looked(MOST, total), Looked(1, 1), False)
    assert [group.failure.error_class for group in found.groups] == ["Early", "Late", "Boom"]
    assert [round(found.jobs(group), -3) for group in found.groups] == [30_000, 10_000, 0]
    assert found.groups[0].next_try == NOW
    assert trips == 2
    assert received < READ_BUDGET


def test_of_large_members_fewer_are_read(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    redis.zadd("retry", {failed(one, args=["x" * 60_000]): NOW + one for one in range(400)})

    found, _, received = read(redis_server.url)

    assert 0 < found.retrying.at < 100
    assert found.jobs(found.groups[0]) == pytest.approx(400)
    assert received < READ_BUDGET


def test_what_is_no_payload_is_counted_and_hostile_text_is_neutralised(
    redis: "redis_py.Redis", redis_server: RedisServer
) -> None:
    hostile = "E\x1b]52;c;ZXZpbA==\x07\u202e"
    redis.zadd("retry", {b"{": NOW, b"[1]": NOW + 1, failed(1, error_class=hostile, queue=7): NOW + 2})

    found, *_ = read(redis_server.url)

    assert found.unread == 2
    assert [group.failure for group in found.groups] == [Failure("Pay", clean(hostile), "")]
    assert found.groups[0].failure.error_class.isprintable()


def test_groups_have_a_limit(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    redis.zadd("dead", {failed(one, error_class=f"Error{one}"): NOW + one for one in range(MOST_GROUPS + 9)})

    found, *_ = read(redis_server.url)

    assert len(found.groups) == MOST_GROUPS
    assert found.partial == "9 smaller groups are left out"


def test_without_permission_it_is_refused_with_what_opens_it(
    redis: "redis_py.Redis", redis_server: RedisServer
) -> None:
    redis.zadd("retry", {failed(1): NOW})
    redis.acl_setuser(
        "watcher", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@read", "+ping", "+client", "-zrange"]
    )
    try:
        found, *_ = read(redis_server.url.replace("redis://", "redis://watcher:pw@"))
    finally:
        redis.acl_deluser("watcher")

    assert isinstance(found, Refused)
    assert "ZRANGE" in found.reason
    assert found.unlock == "ACL SETUSER watcher +zrange"
