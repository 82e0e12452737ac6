"""QUE015: a batch that waits for what cannot come, on plain facts, and as our runtime and Sidekiq Pro write it."""

import time
from typing import Any

import msgspec
import pytest
import redis as redis_py
from doctoring import check
from healthy import HEALTHY
from healthy.beside import BATCH, JID
from healthy.moment import NOW
from servers import RedisServer
from states import JID as PUSHED
from states import beat, payload

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.beside import Batches, Sightings
from kiqdoctor.doctor.report import Outcome, Result

SEEN = Sightings(1, looked_at=1)
NOWHERE = Sightings(1, frozenset({JID}), looked_at=1)
DEAD = Sightings(1, only_dead=frozenset({JID}), looked_at=1)


def judged(*seen: Sightings, apart_s: float = 20.0, **changes: Any) -> Result:
    batch = msgspec.structs.replace(BATCH, **changes)
    return diagnose("QUE015", HEALTHY.with_(Batches((batch,), 1)).over(apart_s, *seen))


@pytest.mark.parametrize(("seen", "said"), [
    ((NOWHERE, NOWHERE), "1 of its jobs is nowhere"),
    ((DEAD,), "1 of its jobs is dead"),
])  # fmt: skip
def test_what_it_waits_for_cannot_come(seen: tuple[Sightings, ...], said: str) -> None:
    [found] = judged(*seen).findings

    assert found.severity == "high"
    assert found.finding.subject == "batch:0123456789abcdef"
    assert said in found.finding.title


@pytest.mark.parametrize("seen", [(SEEN, SEEN), (NOWHERE, SEEN), (SEEN, NOWHERE)])
def test_its_twin_s_job_is_somewhere(seen: tuple[Sightings, Sightings]) -> None:
    assert judged(*seen).outcome is Outcome.PASS


@pytest.mark.parametrize("changes", [{"pending": -1, "remaining": ()}, {"sealed": False}])
def test_what_one_look_proves(changes: dict[str, Any]) -> None:
    assert judged(SEEN, **changes).outcome is Outcome.FAIL
    assert judged(SEEN, created_at=NOW - 599, **changes).outcome is Outcome.PASS


@pytest.mark.parametrize(("seen", "changes"), [
    ((NOWHERE,), {}),
    ((msgspec.structs.replace(DEAD, partial="5 of 9 jobs"),), {}),
    ((SEEN,), {"odd": "it counts 3 pending jobs and names 2"}),
    ((SEEN,), {"created_at": None}),
])  # fmt: skip
def test_what_cannot_be_told(seen: tuple[Sightings, ...], changes: dict[str, Any]) -> None:
    assert judged(*seen, **changes).outcome is Outcome.UNKNOWN


def ours(client: "redis_py.Redis", *jids: str, **fields: Any) -> None:
    at = time.time() - 900
    hash_: dict[Any, Any] = {"created_at": repr(at), "total": len(jids), "sealed": 1, "success": "{}", **fields}
    client.hset("kiq:batch:0011223344556677", mapping=hash_)
    client.sadd("kiq:batch:0011223344556677:pending", *jids)


def pro(client: "redis_py.Redis", pending: int, *jids: str) -> None:
    hash_: dict[Any, Any] = {"created_at": time.time() - 900, "total": 5, "pending": pending, "failures": 0}
    client.hset("b-Xy_0-aBcDeFgHi", mapping=hash_)
    if jids:
        client.sadd("b-Xy_0-aBcDeFgHi-jids", *jids)


def test_on_a_real_redis(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    beat(redis)
    ours(redis, PUSHED)
    pro(redis, 1, PUSHED)
    redis.lpush("queue:default", payload())
    assert check(redis_server.url, "--select", "QUE015").outcome("QUE015") == "pass"

    redis.delete("queue:default")
    redis.zadd("dead", {payload(): time.time()})
    found = check(redis_server.url, "--select", "QUE015").result("QUE015")
    assert {one["subject"] for one in found["findings"]} == {"batch:0011223344556677", "batch:Xy_0-aBcDeFgHi"}


@pytest.mark.parametrize(("pending", "jids", "outcome"), [(-1, (), "fail"), (2, ("a",), "unknown"), (0, (), "pass")])
def test_what_sidekiq_pro_counts(
    pending: int, jids: tuple[str, ...], outcome: str, redis: "redis_py.Redis", redis_server: RedisServer
) -> None:
    beat(redis)
    pro(redis, pending, *jids)

    assert check(redis_server.url, "--select", "QUE015").outcome("QUE015") == outcome


def test_short_names_of_another_thing_are_no_batches(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    beat(redis)
    redis.hset("b-17", mapping={"title": "x"})
    assert check(redis_server.url, "--select", "QUE015").outcome("QUE015") == "pass"

    redis.hset("b-17", mapping={"created_at": time.time() - 900, "pending": -1})
    assert check(redis_server.url, "--select", "QUE015").outcome("QUE015") == "fail"
