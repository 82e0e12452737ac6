"""QUE014: a lock whose job is gone, on plain facts, and as the gem's versions and our runtime write it."""

import json
import time
from dataclasses import replace

import msgspec
import pytest
import redis as redis_py
from doctoring import check
from healthy import HEALTHY
from healthy.beside import JID, LOCK
from healthy.fleet import WORKER
from servers import RedisServer
from states import JID as PUSHED
from states import beat, in_flight, payload

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.beside import Lock, Locks, Sightings
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.report import Outcome, Result

NOWHERE = Sightings(1, frozenset({JID}), looked_at=1)
SEEN = Sightings(1, looked_at=1)


def judged(*seen: Sightings, lock: Lock = LOCK, apart_s: float = 20.0) -> Result:
    return diagnose("QUE014", HEALTHY.with_(Locks((lock,))).over(apart_s, *seen))


def test_its_job_is_nowhere_twice() -> None:
    [found] = judged(NOWHERE, NOWHERE).findings

    assert found.severity == "high"
    assert found.fingerprint == "QUE014:lock:uniquejobs:1234"


@pytest.mark.parametrize("seen", [(SEEN, SEEN), (NOWHERE, SEEN), (SEEN, NOWHERE)])
def test_its_twin_was_seen(seen: tuple[Sightings, Sightings]) -> None:
    assert judged(*seen).outcome is Outcome.PASS


@pytest.mark.parametrize(("version", "outcome"), [("7.3.9", Outcome.UNKNOWN), ("", Outcome.FAIL)])
def test_sidekiq_up_to_6_beats_twice_as_often(version: str, outcome: Outcome) -> None:
    fleet = Fleet((replace(WORKER, version=version),), 1)
    snapshot = HEALTHY.with_(Locks((LOCK,)), fleet).over(10.0, NOWHERE, NOWHERE)

    assert diagnose("QUE014", snapshot).outcome is outcome


@pytest.mark.parametrize(("seen", "apart_s"), [((NOWHERE,), 0.0), ((NOWHERE, NOWHERE), 9.0)])
def test_a_beat_may_still_show_it(seen: tuple[Sightings, ...], apart_s: float) -> None:
    found = judged(*seen, apart_s=apart_s)

    assert found.outcome is Outcome.UNKNOWN
    assert "--for 20" in (found.reason or "")


def test_it_is_meant_to_outlive_its_job() -> None:
    assert judged(NOWHERE, NOWHERE, lock=msgspec.structs.replace(LOCK, type="until_expired")).outcome is Outcome.PASS


def test_it_may_be_meant_to_outlive_its_job() -> None:
    assert judged(NOWHERE, NOWHERE, lock=msgspec.structs.replace(LOCK, ttl_s=900)).outcome is Outcome.UNKNOWN
    typed = msgspec.structs.replace(LOCK, ttl_s=900, type="until_executed")
    assert judged(NOWHERE, NOWHERE, lock=typed).outcome is Outcome.FAIL


def test_a_search_that_ended_early_proves_nothing() -> None:
    short = msgspec.structs.replace(NOWHERE, partial="5 of 9 jobs were looked at")

    assert judged(short, short).outcome is Outcome.UNKNOWN
    assert judged(short, NOWHERE).outcome is Outcome.UNKNOWN


def test_locks_that_were_not_read_may_be_orphans() -> None:
    assert diagnose("QUE014", HEALTHY.with_(Locks((LOCK,), "more than 100000 locks"))).outcome is Outcome.UNKNOWN


def outcome(url: str) -> tuple[str, str]:
    result = check(url, "--select", "QUE014").result("QUE014")
    return result["outcome"], str(result["reason"])


@pytest.mark.parametrize("version", [6, 7, 9, "ours"])
def test_every_keeper_on_a_real_redis(version: object, redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    beat(redis)
    if version == "ours":
        redis.set("kiq:unique:0011", PUSHED, px=900_000)
    elif version == 6:
        redis.sadd("unique:keys", "uniquejobs:1234")
        redis.set("uniquejobs:1234:EXISTS", PUSHED)
        redis.hset("uniquejobs:1234:GRABBED", PUSHED, time.time())
    else:
        held = f"{time.time()}" if version == 7 else json.dumps({"time": time.time(), "type": "until_executed"})
        redis.zadd("uniquejobs:digests", {"uniquejobs:1234": time.time()})
        redis.hset("uniquejobs:1234:LOCKED", PUSHED, held)

    said, why = outcome(redis_server.url)
    assert said == "unknown"
    assert f"{PUSHED}, which holds " in why
    assert "is nowhere" in why


def test_version_8_tells_the_type_of_a_lock_without_end_too(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    beat(redis)
    redis.zadd("uniquejobs:digests", {"uniquejobs:1234": time.time()})
    redis.hset("uniquejobs:1234:LOCKED", PUSHED, time.time())
    redis.set("uniquejobs:1234:INFO", json.dumps({"type": "until_expired"}))

    assert outcome(redis_server.url)[0] == "pass"


@pytest.mark.parametrize("place", ["queue", "unregistered", "schedule", "dead", "private", "in-flight"])
def test_wherever_its_job_lies(place: str, redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    beat(redis)
    redis.zadd("uniquejobs:digests", {"uniquejobs:1234": time.time()})
    redis.hset("uniquejobs:1234:LOCKED", PUSHED, time.time())
    if place == "queue":
        redis.sadd("queues", "default")
    if place in {"queue", "unregistered"}:
        redis.lpush("queue:default", payload())
    elif place in {"schedule", "dead"}:
        redis.zadd(place, {payload(): time.time() + 60})
    elif place == "private":
        redis.lpush("queue:sq|other-host:71:0123456789ab|default", payload())
    else:
        in_flight(redis, "other-host:71:0123456789ab")

    assert outcome(redis_server.url)[0] == "pass"
