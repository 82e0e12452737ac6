"""`kiqdoctor why` on a real Redis, beside the real Sidekiqs and our own runtime."""

import json
import time
from typing import Any

import pytest
import redis as redis_py
from doctoring import kiqdoctor
from ruby import Sidekiq
from servers import RedisServer, eventually
from states import JID, beat, in_flight, payload
from workers import Worker

from kiqdoctor.wire.keys import Keys

OTHER = "other-host:71:0123456789ab"
GONE = "web-9:12:aabbccddeeff"


def why(server: RedisServer, *words: str) -> tuple[int, dict[str, Any]]:
    ran = kiqdoctor("why", *words, "--redis", server.url, "--format", "json")
    found: dict[str, Any] = json.loads(ran.out)
    assert found["schema"] == "kiqdoctor.why/1"
    return ran.status, found


def places(found: dict[str, Any]) -> list[str]:
    return [one["place"] for one in found["found"]]


def test_where_it_waits(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    beat(redis)
    redis.sadd("queues", "default")
    redis.lpush("queue:default", *[payload(jid=f"{number:024x}") for number in range(1_200)])

    status, found = why(redis_server, f"{3:024x}")
    assert status == 0
    [hit] = found["found"]
    assert (hit["place"], hit["queue"], hit["position"], hit["of"]) == ("queue", "default", 3, 1_200)
    assert found["class"] == "SendMail"
    assert found["starts_in_s"] is None
    assert "nothing was taken before it" in found["basis"]


@pytest.mark.parametrize("place", ["schedule", "retry", "dead"])
def test_sets(place: str, redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    beat(redis)
    due = time.time() + (900 if place != "dead" else -5)
    failed: dict[str, Any] = (
        {} if place == "schedule" else {"retry_count": 2, "error_class": "Boom", "error_message": "no"}
    )
    redis.zadd(place, {payload(**failed): due})

    status, found = why(redis_server, JID)
    [hit] = found["found"]
    assert hit["place"] == place
    if place == "dead":
        assert status == 1
        assert "nothing runs it" in found["reasons"][0]["title"]
    else:
        assert status == 0
        assert hit["due_at"] == pytest.approx(due)
        assert 890 < found["starts_in_s"]["low"] < found["starts_in_s"]["high"] < 920
    assert (hit["attempt"], hit["error"]) == ((None, None) if place == "schedule" else (4, "Boom: no"))


def test_what_keeps_it_is_the_finding_of_a_check(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    beat(redis)
    redis.sadd("queues", "mail")
    redis.lpush("queue:mail", payload(queue="mail", enqueued_at=time.time() - 120))

    status, found = why(redis_server, JID)
    assert status == 1
    [reason] = found["reasons"]
    assert (reason["check"], reason["subject"]) == ("QUE001", "queue:mail")
    assert {"label": "waiting", "value": "1", "source": "LLEN queue:mail"} in reason["evidence"]


def test_in_flight_private_and_elsewhere(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    beat(redis)
    in_flight(redis, OTHER)
    redis.lpush(f"queue:sq|{GONE}|mail", payload(queue="mail"))
    redis.sadd("shop:queues", "mail")
    redis.lpush("shop:queue:mail", payload(queue="mail"))
    with redis_server.client(db=3) as client:
        client.sadd("queues", "mail")
        client.lpush("queue:mail", payload(queue="mail"))

    status, found = why(redis_server, JID)
    assert status == 1
    assert places(found) == ["in-flight", "private-list", "other-namespace", "other-database"]
    assert [one["process"] for one in found["found"][:2]] == [OTHER, GONE]
    assert [one["database"] for one in found["found"]] == [None, None, None, 3]
    assert {one["check"] for one in found["reasons"]} >= {"PRO014", "NSP001", "NSP002"}


def test_by_class_queue_and_arguments(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    beat(redis)
    redis.lpush("queue:default", payload("A", jid="a1"), payload("B", args=["ann@example.org"], jid="b1"))
    redis.zadd("schedule", {payload("B", queue="mail", jid="b2"): time.time() + 60})

    found = [why(redis_server, *words)[1] for words in (["--class", "B"], ["--queue", "mail"], ["--args-like", "ann@"])]
    assert [[one["jid"] for one in each["found"]] for each in found] == [["b1", "b2"], ["b2"], ["b1"]]
    assert "ann@" not in json.dumps(found)


def test_a_limit_a_lock_and_a_batch_that_name_it(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    beat(redis)
    redis.zadd("schedule", {payload(): time.time() + 60})
    redis.zadd("kiq:slots:SendMail", {f"{OTHER}|other": time.time()})
    redis.set("kiq:unique:0011", JID, px=900_000)

    told = why(redis_server, JID)[1]["told"]
    assert "it holds the unique lock kiq:unique:0011" in told
    assert "its class is limited: 1 job holds a place (kiq:slots:SendMail)" in told


def test_nowhere(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    beat(redis)
    status, found = why(redis_server, JID)

    assert (status, found["found"], found["starts_in_s"]) == (0, [], None)
    assert any("it is nowhere in" in one for one in found["told"])


def test_what_may_not_be_looked_at_is_said(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    beat(redis)
    redis.lpush("queue:default", payload())
    redis.acl_setuser("seer", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@all", "-lrange"])
    try:
        ran = kiqdoctor("why", JID, "--redis", f"redis://seer:pw@localhost:{redis_server.port}/0", "--format", "json")
    finally:
        redis.acl_deluser("seer")

    assert ran.status == 3
    assert "+lrange" in str(json.loads(ran.out)["unknown"])


def test_a_redis_that_is_not_there_is_nowhere_looked_at() -> None:
    ran = kiqdoctor("why", JID, "--redis", "redis://127.0.0.1:1/0")

    assert ran.status == 3
    assert "not all could be looked at" in ran.out


def test_without_anything_to_look_for() -> None:
    assert kiqdoctor("why").status == 2


def test_its_text_is_neutralised(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    beat(redis)
    redis.lpush("queue:default", payload("\x1b[31mEvil\u202e", jid=JID))

    ran = kiqdoctor("why", JID, "--redis", redis_server.url)
    assert ran.out.startswith("␛[31mEvil\\u202e")
    assert "waits in queue default, the next to be taken" in ran.out


APP = """\
class Slow
  include Sidekiq::Worker
  def perform
    sleep 600
  end
end
"""


PUSH = "Sidekiq::Client.push('class' => 'Slow', 'args' => []{more})"


@pytest.mark.long
@pytest.mark.ruby
def test_beside_the_real_sidekiq(redis: "redis_py.Redis", redis_server: RedisServer, sidekiq: Sidekiq) -> None:
    url = redis_server.url
    with sidekiq.start(APP, url, concurrency=1) as worker:
        jobs = [PUSH.format(more="")] * 3 + [PUSH.format(more=", 'at' => Time.now.to_f + 600")]
        first, _, last, later = sidekiq.run(f"puts [{', '.join(jobs)}].join(' ')", url).split()
        eventually(lambda: redis.hlen(f"{worker.identity}:{sidekiq.work}") == 1, worker.log())
        runs, waits, scheduled = (why(redis_server, jid) for jid in (first, last, later))

    assert (runs[0], places(runs[1]), runs[1]["found"][0]["process"]) == (0, ["in-flight"], worker.identity)
    assert (waits[0], places(waits[1]), waits[1]["found"][0]["position"]) == (0, ["queue"], 1)
    assert (scheduled[0], places(scheduled[1])) == (0, ["schedule"])
    assert 500 < scheduled[1]["found"][0]["due_at"] - time.time() < 601


OURS = """\
import time
from kiqdoctor import job

@job(name="Slow")
def slow(number: int) -> None:
    time.sleep(600)
"""


def test_beside_our_own_runtime(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    with Worker.start(OURS, redis_server.url, "-c", "1") as worker:
        redis.lpush("queue:default", payload("Slow", jid="1" * 24))
        eventually(lambda: redis.llen("queue:default") == 0, "the first job is taken")
        eventually(lambda: bool([*redis.scan_iter("*:work")]), "its beat")
        status, found = why(redis_server, "1" * 24)
        assert status == 0
        assert set(places(found)) == {"in-flight", "private-list"}
        assert "nobody recorded how long Slow takes" in str(found["told"])
        assert "--deep, or kiqdoctor dump" in str(found["told"])
        assert "its thread stands in slow, " in str(why(redis_server, "1" * 24, "--deep")[1]["told"])
        worker.kill()
        redis.delete(*redis.keys("kiq:lease:*"), *redis.smembers("processes"))  # as if a minute had passed
        status, found = why(redis_server, "1" * 24)
    assert status == 1
    assert "PRO014" in {one["check"] for one in found["reasons"]}


def test_one_that_waits_for_room_under_a_limit(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    redis.rpush(Keys().waiting("SendMail"), payload())

    _, found = why(redis_server, JID)

    assert [(one["place"], one["position"]) for one in found["found"]] == [("queue", None)]
    assert "kiq:waiting:SendMail" in str(found["looked_at"])
