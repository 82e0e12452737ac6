"""What `top` writes: each action on a real Redis, its words beforehand, and taking it back."""

import json
import time
from collections.abc import Iterator
from typing import Any

import pytest
import redis as redis_py
from servers import RedisServer

from kiqdoctor.actions import Actions, Job, Plan, Verb, plan
from kiqdoctor.connection import ConnectError, resolve_url

NOW = 1_700_000_000.0


def payload(number: int, queue: str = "mail", **fields: Any) -> bytes:
    job = {"class": "SendMail", "args": [number, "s3cret"], "queue": queue, "jid": f"{number:024x}", "retry": True}
    return json.dumps(job | {"created_at": NOW, "enqueued_at": NOW} | fields, separators=(",", ":")).encode()


@pytest.fixture
def actions(redis_server: RedisServer, redis: "redis_py.Redis") -> Iterator[Actions]:
    made = Actions(resolve_url(redis_server.url, {}), None)
    yield made
    made.close()


def in_set(redis: "redis_py.Redis", place: str, *members: bytes, score: float = NOW) -> list[Job]:
    for member in members:
        redis.zadd(place, {member: score})
    return [Job(place, member, score) for member in members]


def in_queue(redis: "redis_py.Redis", *members: bytes, queue: str = "mail") -> list[Job]:
    redis.sadd("queues", queue)
    redis.lpush(f"queue:{queue}", *members)
    return [Job(f"queue:{queue}", member) for member in members]


def test_retry_moves_a_job_to_its_queue_with_one_try_less_and_a_new_stamp(
    redis: "redis_py.Redis", actions: Actions
) -> None:
    jobs = in_set(redis, "retry", payload(1, retry_count=3, error_class="Boom"))

    done = actions.carry_out(plan(Verb.RETRY, jobs=jobs))

    assert (done.changed, done.gone, done.problems) == (1, 0, ())
    assert redis.zcard("retry") == 0
    assert redis.smembers("queues") == {b"mail"}
    [raw] = redis.lrange("queue:mail", 0, -1)
    moved = json.loads(raw)
    assert (moved["retry_count"], moved["error_class"], moved["args"]) == (2, "Boom", [1, "s3cret"])
    assert abs(moved["enqueued_at"] - time.time()) < 60


def test_undoing_a_retry_puts_back_what_still_waits(redis: "redis_py.Redis", actions: Actions) -> None:
    first, second = payload(1, retry_count=0), payload(2, retry_count=0)
    done = actions.carry_out(plan(Verb.RETRY, jobs=in_set(redis, "retry", first, second, score=123.5)))
    redis.rpop("queue:mail")  # a worker has begun the first

    undone = actions.undo(done)

    assert (undone.changed, undone.gone) == (1, 1)
    assert redis.zrange("retry", 0, -1, withscores=True) == [(second, 123.5)]
    assert redis.llen("queue:mail") == 0


def test_enqueue_sends_a_scheduled_job_now(redis: "redis_py.Redis", actions: Actions) -> None:
    done = actions.carry_out(plan(Verb.ENQUEUE, jobs=in_set(redis, "schedule", payload(1, at=NOW + 60))))

    [raw] = redis.lrange("queue:mail", 0, -1)
    assert done.changed == 1
    assert "at" not in json.loads(raw)
    assert redis.zcard("schedule") == 0


@pytest.mark.parametrize("place", ["retry", "schedule", "dead"])
def test_deleted_jobs_of_a_set_come_back_at_their_time(place: str, redis: "redis_py.Redis", actions: Actions) -> None:
    jobs = in_set(redis, place, payload(1), payload(2), score=77.25)

    done = actions.carry_out(plan(Verb.DELETE, jobs=jobs[:1]))
    left = redis.zrange(place, 0, -1)
    undone = actions.undo(done)

    assert (done.changed, left) == (1, [payload(2)])
    assert undone.changed == 1
    assert redis.zscore(place, payload(1)) == 77.25


def test_deleted_jobs_of_a_queue_come_back_at_its_front(redis: "redis_py.Redis", actions: Actions) -> None:
    jobs = in_queue(redis, payload(1), payload(2), payload(3))

    done = actions.carry_out(plan(Verb.DELETE, jobs=[jobs[2]]))
    assert redis.lrange("queue:mail", 0, -1) == [payload(2), payload(1)]
    actions.undo(done)

    assert redis.rpop("queue:mail") == payload(3)


def test_of_equal_jobs_one_is_deleted(redis: "redis_py.Redis", actions: Actions) -> None:
    jobs = in_queue(redis, payload(1), payload(1))

    actions.carry_out(plan(Verb.DELETE, jobs=jobs[:1]))

    assert redis.llen("queue:mail") == 1


def test_killed_jobs_lie_in_dead_and_come_back(redis: "redis_py.Redis", actions: Actions) -> None:
    jobs = [*in_set(redis, "retry", payload(1), score=5.5), *in_queue(redis, payload(2))]

    done = actions.carry_out(plan(Verb.KILL, jobs=jobs))
    dead: Any = redis.zrange("dead", 0, -1, withscores=True)
    undone = actions.undo(done)

    assert {member for member, _ in dead} == {payload(1), payload(2)}
    assert all(abs(score - time.time()) < 60 for _, score in dead)
    assert undone.changed == 2
    assert redis.zrange("retry", 0, -1, withscores=True) == [(payload(1), 5.5)]
    assert redis.lrange("queue:mail", 0, -1) == [payload(2)]
    assert redis.zcard("dead") == 0


def test_killing_keeps_the_dead_sets_limits(redis: "redis_py.Redis", actions: Actions) -> None:
    redis.zadd("dead", {f"old{n}": time.time() - 1 + n / 1e6 for n in range(10_000)})
    redis.zadd("dead", {"ancient": time.time() - 200 * 86_400})

    actions.carry_out(plan(Verb.KILL, jobs=in_set(redis, "retry", payload(1))))

    assert redis.zcard("dead") == 10_000
    assert redis.zscore("dead", payload(1)) is not None
    assert redis.zscore("dead", "ancient") is None


def test_a_job_that_left_meanwhile_is_gone(redis: "redis_py.Redis", actions: Actions) -> None:
    jobs = in_set(redis, "retry", payload(1), payload(2))
    redis.zrem("retry", payload(1))

    for verb in (Verb.RETRY, Verb.DELETE, Verb.KILL):
        done = actions.carry_out(plan(verb, jobs=jobs[:1]))
        assert (done.changed, done.gone, done.problems, done.reversal) == (0, 1, (), None)
    assert (redis.llen("queue:mail"), redis.zcard("dead"), redis.zcard("retry")) == (0, 0, 1)


def test_a_job_that_is_no_payload_stays(redis: "redis_py.Redis", actions: Actions) -> None:
    done = actions.carry_out(plan(Verb.RETRY, jobs=in_set(redis, "dead", b"\x1b]52;c;evil\x07{")))

    assert done.changed == 0
    assert redis.zcard("dead") == 1
    assert len(done.problems) == 1
    assert "\x1b" not in done.problems[0]


@pytest.mark.parametrize("wrong", ["queue:mail", "queues"])
def test_nothing_moves_where_a_key_is_of_another_kind(wrong: str, redis: "redis_py.Redis", actions: Actions) -> None:
    jobs = in_set(redis, "retry", payload(1))
    redis.set(wrong, "?")

    done = actions.carry_out(plan(Verb.RETRY, jobs=jobs))

    assert done.changed == 0
    assert "WRONGTYPE" in done.problems[0]
    assert redis.zcard("retry") == 1


def test_pause_and_resume(redis: "redis_py.Redis", actions: Actions) -> None:
    done = actions.carry_out(plan(Verb.PAUSE, queues=["mail", "low"]))
    assert redis.smembers("paused") == {b"mail", b"low"}

    actions.undo(done)
    assert redis.smembers("paused") == set()

    redis.sadd("paused", "mail")
    assert actions.carry_out(plan(Verb.RESUME, queues=["mail"])).changed == 1
    assert redis.smembers("paused") == set()


@pytest.mark.parametrize(("verb", "signal"), [(Verb.QUIET, b"TSTP"), (Verb.STOP, b"TERM")])
def test_signals_expire_and_cannot_be_undone(
    verb: Verb, signal: bytes, redis: "redis_py.Redis", actions: Actions
) -> None:
    done = actions.carry_out(plan(verb, processes=["web-1:4711:ab12"]))

    assert (done.changed, done.reversal) == (1, None)
    assert redis.lrange("web-1:4711:ab12-signals", 0, -1) == [signal]
    assert 0 < redis.ttl("web-1:4711:ab12-signals") <= 60


def test_a_cleared_queue_comes_back_whole(redis: "redis_py.Redis", actions: Actions) -> None:
    in_queue(redis, *(payload(n) for n in range(5)))
    before = redis.lrange("queue:mail", 0, -1)

    done = actions.carry_out(plan(Verb.CLEAR, queues=["mail"]))
    [aside] = redis.keys("kiq:cleared:*")
    assert (done.changed, redis.exists("queue:mail"), redis.smembers("queues")) == (5, 0, set())
    assert 0 < redis.ttl(aside) <= 3600
    undone = actions.undo(done)

    assert undone.changed == 5
    assert redis.lrange("queue:mail", 0, -1) == before
    assert redis.ttl("queue:mail") == -1
    assert redis.smembers("queues") == {b"mail"}


def test_what_was_cleared_goes_before_what_came_since(redis: "redis_py.Redis", actions: Actions) -> None:
    in_queue(redis, *(payload(n) for n in range(2_500)))
    done = actions.carry_out(plan(Verb.CLEAR, queues=["mail"]))
    in_queue(redis, payload(9_000), payload(9_001))

    undone = actions.undo(done)

    numbers = [json.loads(raw)["args"][0] for raw in redis.lrange("queue:mail", 0, -1)]
    assert undone.changed == 2_500
    assert numbers == [9_001, 9_000, *reversed(range(2_500))]
    assert redis.keys("kiq:cleared:*") == []


def test_ten_thousand_jobs_go_in_parts(redis: "redis_py.Redis", actions: Actions) -> None:
    redis.zadd("retry", {payload(n, queue=f"q{n % 3}"): n for n in range(10_000)})
    found: Any = redis.zrange("retry", 0, -1, withscores=True)
    jobs = [Job("retry", member, score) for member, score in found]

    done = actions.carry_out(plan(Verb.RETRY, jobs=jobs))

    assert done.changed == 10_000
    assert sum(redis.llen(f"queue:q{n}") for n in range(3)) == 10_000
    assert actions.undo(done).changed == 10_000
    assert redis.zcard("retry") == 10_000


def test_keys_lie_under_the_namespace(redis_server: RedisServer, redis: "redis_py.Redis") -> None:
    actions = Actions(resolve_url(redis_server.url, {}), "shop")
    redis.zadd("shop:retry", {payload(1): NOW})
    chosen = plan(Verb.RETRY, jobs=[Job("retry", payload(1), NOW)], namespace="shop")

    actions.carry_out(chosen)
    actions.close()

    assert "ZREM shop:retry" in chosen.sent[0]
    assert "LPUSH shop:queue:mail" in chosen.sent[0]
    assert set(redis.keys()) == {b"shop:queues", b"shop:queue:mail"}
    assert redis.smembers("shop:queues") == {b"mail"}


@pytest.fixture
def reader(redis: "redis_py.Redis", redis_server: RedisServer) -> Iterator[Actions]:
    redis.acl_setuser("reader", enabled=True, passwords=["+pw"], keys=["*"], commands=["+@read", "+ping", "+client"])
    made = Actions(resolve_url(redis_server.url.replace("redis://", "redis://reader:pw@"), {}), None)
    yield made
    made.close()
    redis.acl_deluser("reader")


def test_a_user_who_may_not_write_is_told_why(reader: Actions, actions: Actions, redis: "redis_py.Redis") -> None:
    before = redis.dbsize()

    assert actions.may_not_write() == ""
    assert "the Redis user reader may not write" in reader.may_not_write()
    assert redis.dbsize() == before


def test_a_missing_permission_is_named_and_nothing_is_doubled(
    redis: "redis_py.Redis", redis_server: RedisServer
) -> None:
    rules = ["+eval", "+type", "+zscore", "+lpos", "+zadd", "+lpush", "+rpush", "+sadd", "+ping", "+client"]
    redis.acl_setuser("half", enabled=True, passwords=["+pw"], keys=["*"], commands=rules)
    actions = Actions(resolve_url(redis_server.url.replace("redis://", "redis://half:pw@"), {}), None)

    done = actions.carry_out(plan(Verb.RETRY, jobs=in_set(redis, "retry", payload(1))))
    actions.close()
    redis.acl_deluser("half")

    assert done.changed == 0
    assert (redis.llen("queue:mail"), redis.zcard("retry")) == (0, 1)
    assert "ACL SETUSER half" in done.problems[0]
    assert "+zrem" in done.problems[0]
    assert "pw" not in done.problems[0]


def test_a_replica_takes_no_writes() -> None:
    with RedisServer.start() as server:
        client = server.client()
        client.replicaof("127.0.0.1", 1)  # nobody is there
        actions = Actions(resolve_url(server.url, {}), None)
        said = actions.may_not_write()
        actions.close()
        client.close()

    assert said == "this Redis is a replica, which takes no writes"


def test_a_redis_that_goes_away_is_one_line_and_comes_back() -> None:
    with RedisServer.start() as server:
        actions = Actions(resolve_url(server.url, {}), None)
        assert actions.may_not_write() == ""
        server.down()

        done = actions.carry_out(plan(Verb.PAUSE, queues=["mail"]))
        with pytest.raises(ConnectError):
            actions.may_not_write()
        server.up()
        again = actions.carry_out(plan(Verb.PAUSE, queues=["mail"]))
        actions.close()

    assert done.changed == 0
    assert "Redis went away" in done.problems[0]
    assert again.changed == 1


HOSTILE = payload(1, **{"class": "A\x1b]52;c;aGk=\x07\u202e[/x]", "queue": "q\x1b[2J"})


@pytest.mark.parametrize(
    "chosen",
    [
        plan(Verb.RETRY, jobs=[Job("retry", HOSTILE, 1.0)] * 100),
        plan(Verb.DELETE, jobs=[Job("queue:q\x1b[2J", b"x" * 1_000_000)]),
        plan(Verb.KILL, jobs=[Job("schedule", b'{"class": 7}', 1.0)]),
        plan(Verb.CLEAR, queues=["q\x1b[2J"]),
        plan(Verb.PAUSE, queues=["q\u202e"] * 3),
        plan(Verb.STOP, processes=["web\x1b[2J:1:2"]),
    ],
)
def test_the_words_beforehand_are_clean_short_and_without_arguments(chosen: Plan) -> None:
    said = "\n".join((chosen.title, *chosen.sent, chosen.effect, chosen.undo))

    assert not any(char in said for char in "\x1b\x07\u202e")
    assert "s3cret" not in said
    assert len(chosen.sent) <= 13
    assert len(said) < 5_000


def test_the_words_say_what_is_sent() -> None:
    chosen = plan(Verb.DELETE, jobs=[Job("retry", payload(n), NOW) for n in range(30)])

    assert chosen.title == "Delete 30 jobs of retry"
    assert chosen.sent[0] == f"ZREM retry <{len(payload(0))} bytes: SendMail {0:024x}>"
    assert chosen.sent[-1] == "and 18 more like these"


@pytest.mark.parametrize(
    ("verb", "targets", "said"),
    [
        (Verb.RETRY, {}, "none was chosen"),
        (Verb.CLEAR, {}, "none was chosen"),
        (Verb.STOP, {}, "none was chosen"),
        (Verb.RETRY, {"jobs": [Job("queue:mail", b"{}")]}, "cannot be asked to retry"),
        (Verb.ENQUEUE, {"jobs": [Job("dead", b"{}")]}, "cannot be asked to enqueue"),
        (Verb.KILL, {"jobs": [Job("dead", b"{}")]}, "cannot be asked to kill"),
    ],
)
def test_verbs_that_do_not_fit_are_one_line(verb: Verb, targets: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        plan(verb, **targets)
