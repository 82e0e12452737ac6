"""What `top` writes: each action on a real Redis, its words beforehand, and taking it back."""

import json
import time
from collections.abc import Iterator
from typing import Any, Final

import pytest
import redis as redis_py
from faults import Proxy
from ruby import RubyConsole, Sidekiq
from servers import RedisServer, eventually

from kiqdoctor.actions import Actions, JobEntry, Proposal, Verb, propose
from kiqdoctor.connection import ConnectError, resolve_url
from kiqdoctor.wire import stamps
from kiqdoctor.wire.payload import read

NOW = 1_700_000_000.0


def payload(number: int, queue: str = "mail", **fields: Any) -> bytes:
    job = {"class": "SendMail", "args": [number, "s3cret"], "queue": queue, "jid": f"{number:024x}", "retry": True}
    return json.dumps(job | {"created_at": NOW, "enqueued_at": NOW} | fields, separators=(",", ":")).encode()


@pytest.fixture
def actions(redis_server: RedisServer, redis: "redis_py.Redis") -> Iterator[Actions]:
    made = Actions(resolve_url(redis_server.url, {}), None)
    yield made
    made.close()


def in_set(redis: "redis_py.Redis", place: str, *members: bytes, score: float = NOW) -> list[JobEntry]:
    for member in members:
        redis.zadd(place, {member: score})
    return [JobEntry(place, member, score) for member in members]


def scored(redis: Any, place: str) -> list[tuple[bytes, float]]:
    """Members with their scores, lowest first."""
    return list(redis.zrange(place, 0, -1, withscores=True))


def in_queue(redis: "redis_py.Redis", *members: bytes, queue: str = "mail") -> list[JobEntry]:
    redis.sadd("queues", queue)
    redis.lpush(f"queue:{queue}", *members)
    return [JobEntry(f"queue:{queue}", member) for member in members]


def test_retry_moves_a_job_to_its_queue_with_one_try_less_and_a_new_stamp(
    redis: "redis_py.Redis", actions: Actions
) -> None:
    jobs = in_set(redis, "retry", payload(1, retry_count=3, error_class="Boom"))

    done = actions.carry_out(propose(Verb.RETRY, jobs=jobs))

    assert (done.changed, done.gone, done.problems) == (1, 0, ())
    assert redis.zcard("retry") == 0
    assert redis.smembers("queues") == {b"mail"}
    [raw] = redis.lrange("queue:mail", 0, -1)
    moved = json.loads(raw)
    assert (moved["retry_count"], moved["error_class"], moved["args"]) == (2, "Boom", [1, "s3cret"])
    assert abs(moved["enqueued_at"] - time.time()) < 60


def test_undoing_a_retry_puts_back_what_still_waits(redis: "redis_py.Redis", actions: Actions) -> None:
    first, second = payload(1, retry_count=0), payload(2, retry_count=0)
    done = actions.carry_out(propose(Verb.RETRY, jobs=in_set(redis, "retry", first, second, score=123.5)))
    redis.rpop("queue:mail")  # a worker has begun the first

    undone = actions.undo(done)

    assert (undone.changed, undone.gone) == (1, 1)
    assert scored(redis, "retry") == [(second, 123.5)]
    assert redis.llen("queue:mail") == 0


def test_enqueue_sends_a_scheduled_job_now(redis: "redis_py.Redis", actions: Actions) -> None:
    done = actions.carry_out(propose(Verb.ENQUEUE, jobs=in_set(redis, "schedule", payload(1, at=NOW + 60))))

    [raw] = redis.lrange("queue:mail", 0, -1)
    assert done.changed == 1
    assert "at" not in json.loads(raw)
    assert redis.zcard("schedule") == 0


@pytest.mark.parametrize("place", ["retry", "schedule", "dead"])
def test_deleted_jobs_of_a_set_come_back_at_their_time(place: str, redis: "redis_py.Redis", actions: Actions) -> None:
    jobs = in_set(redis, place, payload(1), payload(2), score=77.25)

    done = actions.carry_out(propose(Verb.DELETE, jobs=jobs[:1]))
    left = redis.zrange(place, 0, -1)
    undone = actions.undo(done)

    assert (done.changed, left) == (1, [payload(2)])
    assert undone.changed == 1
    assert redis.zscore(place, payload(1)) == 77.25


def test_deleted_jobs_of_a_queue_come_back_at_its_front(redis: "redis_py.Redis", actions: Actions) -> None:
    jobs = in_queue(redis, payload(1), payload(2), payload(3))

    done = actions.carry_out(propose(Verb.DELETE, jobs=[jobs[2]]))
    assert redis.lrange("queue:mail", 0, -1) == [payload(2), payload(1)]
    actions.undo(done)

    assert redis.rpop("queue:mail") == payload(3)


@pytest.mark.parametrize("verb", [Verb.DELETE, Verb.KILL])
def test_jobs_come_back_to_their_queue_in_their_order(verb: Verb, redis: "redis_py.Redis", actions: Actions) -> None:
    jobs = in_queue(redis, *(payload(n) for n in range(300)))
    before = redis.lrange("queue:mail", 0, -1)

    done = actions.carry_out(propose(verb, jobs=jobs))
    left = redis.llen("queue:mail")
    actions.undo(done)

    assert (done.changed, left) == (300, 0)
    assert redis.lrange("queue:mail", 0, -1) == before


def test_undo_puts_a_job_back_at_the_time_that_it_had_and_not_at_the_one_that_was_seen(
    redis: "redis_py.Redis", actions: Actions
) -> None:
    in_set(redis, "retry", payload(1), score=0.1 + 0.2)

    done = actions.carry_out(propose(Verb.KILL, jobs=[JobEntry("retry", payload(1))]))
    actions.undo(done)

    assert redis.zscore("retry", payload(1)) == 0.1 + 0.2


def test_undo_leaves_a_job_that_came_back_by_itself(redis: "redis_py.Redis", actions: Actions) -> None:
    done = actions.carry_out(propose(Verb.DELETE, jobs=in_set(redis, "retry", payload(1), score=1.0)))
    redis.zadd("retry", {payload(1): 2.0})

    undone = actions.undo(done)

    assert (undone.changed, undone.gone) == (0, 1)
    assert redis.zscore("retry", payload(1)) == 2.0


def test_a_long_queue_is_searched_for_few_jobs_at_once(redis: "redis_py.Redis", actions: Actions) -> None:
    """As many commands of one request as go through a million entries."""
    in_queue(redis, *(b"%d" % n for n in range(100_000)))
    redis.config_resetstat()
    jobs = [JobEntry("queue:mail", b"%d" % n) for n in (0, 99_999, 50_000, 7, 99_000, *range(200, 220))]

    done = actions.carry_out(propose(Verb.KILL, jobs=jobs))
    evals = redis.info("commandstats")["cmdstat_eval"]["calls"]
    undone = actions.undo(done)

    assert evals == 3  # 10 jobs each
    assert (done.changed, undone.changed, redis.llen("queue:mail")) == (25, 25, 100_000)


def test_of_equal_jobs_one_is_deleted(redis: "redis_py.Redis", actions: Actions) -> None:
    jobs = in_queue(redis, payload(1), payload(1))

    actions.carry_out(propose(Verb.DELETE, jobs=jobs[:1]))

    assert redis.llen("queue:mail") == 1


def test_killed_jobs_lie_in_dead_and_come_back(redis: "redis_py.Redis", actions: Actions) -> None:
    jobs = [*in_set(redis, "retry", payload(1), score=5.5), *in_queue(redis, payload(2))]

    done = actions.carry_out(propose(Verb.KILL, jobs=jobs))
    dead: Any = scored(redis, "dead")
    undone = actions.undo(done)

    assert {member for member, _ in dead} == {payload(1), payload(2)}
    assert all(abs(score - time.time()) < 60 for _, score in dead)
    assert undone.changed == 2
    assert scored(redis, "retry") == [(payload(1), 5.5)]
    assert redis.lrange("queue:mail", 0, -1) == [payload(2)]
    assert redis.zcard("dead") == 0


def test_killing_keeps_the_dead_sets_limits(redis: "redis_py.Redis", actions: Actions) -> None:
    redis.zadd("dead", {f"old{n}": time.time() - 1 + n / 1e6 for n in range(10_000)})
    redis.zadd("dead", {"ancient": time.time() - 200 * 86_400})

    actions.carry_out(propose(Verb.KILL, jobs=in_set(redis, "retry", payload(1))))

    assert redis.zcard("dead") == 9_999  # one less than its limit, as Sidekiq trims
    assert redis.zscore("dead", payload(1)) is not None
    assert redis.zscore("dead", "ancient") is None


def test_a_job_that_left_meanwhile_is_gone(redis: "redis_py.Redis", actions: Actions) -> None:
    jobs = in_set(redis, "retry", payload(1), payload(2))
    redis.zrem("retry", payload(1))

    for verb in (Verb.RETRY, Verb.DELETE, Verb.KILL):
        done = actions.carry_out(propose(verb, jobs=jobs[:1]))
        assert (done.changed, done.gone, done.problems, done.reversal) == (0, 1, (), None)
    assert (redis.llen("queue:mail"), redis.zcard("dead"), redis.zcard("retry")) == (0, 0, 1)


def test_a_job_that_is_no_payload_stays(redis: "redis_py.Redis", actions: Actions) -> None:
    done = actions.carry_out(propose(Verb.RETRY, jobs=in_set(redis, "dead", b"\x1b]52;c;evil\x07{")))

    assert done.changed == 0
    assert redis.zcard("dead") == 1
    assert len(done.problems) == 1
    assert "\x1b" not in done.problems[0]


@pytest.mark.parametrize("wrong", ["queue:mail", "queues"])
def test_nothing_moves_where_a_key_is_of_another_kind(wrong: str, redis: "redis_py.Redis", actions: Actions) -> None:
    jobs = in_set(redis, "retry", payload(1))
    redis.set(wrong, "?")

    done = actions.carry_out(propose(Verb.RETRY, jobs=jobs))

    assert done.changed == 0
    assert "WRONGTYPE" in done.problems[0]
    assert redis.zcard("retry") == 1


def test_pause_and_resume(redis: "redis_py.Redis", actions: Actions) -> None:
    done = actions.carry_out(propose(Verb.PAUSE, queues=["mail", "low"]))
    assert redis.smembers("paused") == {b"mail", b"low"}

    actions.undo(done)
    assert redis.smembers("paused") == set()

    redis.sadd("paused", "mail")
    assert actions.carry_out(propose(Verb.RESUME, queues=["mail"])).changed == 1
    assert redis.smembers("paused") == set()


def test_undo_leaves_alone_what_somebody_else_had_paused(redis: "redis_py.Redis", actions: Actions) -> None:
    redis.sadd("paused", "low")

    done = actions.carry_out(propose(Verb.PAUSE, queues=["mail", "low"]))
    actions.undo(done)

    assert (done.changed, done.gone) == (1, 1)
    assert redis.smembers("paused") == {b"low"}


@pytest.mark.parametrize(("verb", "signal"), [(Verb.QUIET, b"TSTP"), (Verb.STOP, b"TERM")])
def test_signals_expire_and_cannot_be_undone(
    verb: Verb, signal: bytes, redis: "redis_py.Redis", actions: Actions
) -> None:
    done = actions.carry_out(propose(verb, processes=["web-1:4711:ab12"]))

    assert (done.changed, done.reversal) == (1, None)
    assert redis.lrange("web-1:4711:ab12-signals", 0, -1) == [signal]
    assert 0 < redis.ttl("web-1:4711:ab12-signals") <= 60


def test_a_signal_that_cannot_be_put_down_was_not_sent(redis: "redis_py.Redis", actions: Actions) -> None:
    redis.set("web-1:4711:ab12-signals", "?")

    done = actions.carry_out(propose(Verb.QUIET, processes=["web-1:4711:ab12"]))

    assert done.changed == 0
    assert "WRONGTYPE" in done.problems[0]


def test_a_cleared_queue_comes_back_whole(redis: "redis_py.Redis", actions: Actions) -> None:
    in_queue(redis, *(payload(n) for n in range(5)))
    before = redis.lrange("queue:mail", 0, -1)

    done = actions.carry_out(propose(Verb.CLEAR, queues=["mail"]))
    [aside] = redis.keys("kiq:cleared:*")
    assert (done.changed, redis.exists("queue:mail"), redis.smembers("queues")) == (5, 0, set())
    assert 0 < redis.ttl(aside) <= 3600
    undone = actions.undo(done)

    assert undone.changed == 5
    assert redis.lrange("queue:mail", 0, -1) == before
    assert redis.ttl("queue:mail") == -1
    assert redis.smembers("queues") == {b"mail"}


def test_a_queue_is_not_cleared_by_halves(redis: "redis_py.Redis", actions: Actions) -> None:
    in_queue(redis, payload(1))
    redis.delete("queues")
    redis.set("queues", "?")

    done = actions.carry_out(propose(Verb.CLEAR, queues=["mail", "none"]))

    assert (done.changed, done.reversal) == (0, None)
    assert "WRONGTYPE" in done.problems[0]
    assert redis.llen("queue:mail") == 1
    assert redis.keys("kiq:cleared:*") == []


def test_a_cleared_queue_whose_hour_is_over_is_lost(redis: "redis_py.Redis", actions: Actions) -> None:
    in_queue(redis, payload(1))
    done = actions.carry_out(propose(Verb.CLEAR, queues=["mail"]))
    redis.delete(*redis.keys("kiq:cleared:*"))

    undone = actions.undo(done)

    assert undone.changed == 0
    assert undone.problems == ("mail: the hour is over, nothing can be put back",)


def test_what_was_cleared_goes_before_what_came_since(redis: "redis_py.Redis", actions: Actions) -> None:
    in_queue(redis, *(payload(n) for n in range(2_500)))
    done = actions.carry_out(propose(Verb.CLEAR, queues=["mail"]))
    in_queue(redis, payload(9_000), payload(9_001))

    undone = actions.undo(done)

    numbers = [json.loads(raw)["args"][0] for raw in redis.lrange("queue:mail", 0, -1)]
    assert undone.changed == 2_500
    assert numbers == [9_001, 9_000, *reversed(range(2_500))]
    assert redis.keys("kiq:cleared:*") == []


def test_ten_thousand_jobs_go_in_parts(redis: "redis_py.Redis", actions: Actions) -> None:
    redis.zadd("retry", {payload(n, queue=f"q{n % 3}"): n for n in range(10_000)})
    found: Any = scored(redis, "retry")
    jobs = [JobEntry("retry", member, score) for member, score in found]

    done = actions.carry_out(propose(Verb.RETRY, jobs=jobs))

    assert done.changed == 10_000
    assert sum(redis.llen(f"queue:q{n}") for n in range(3)) == 10_000
    assert actions.undo(done).changed == 10_000
    assert redis.zcard("retry") == 10_000


def test_requests_stay_small_whatever_the_jobs_size(redis: "redis_py.Redis", actions: Actions) -> None:
    large = [payload(n, filling="x" * 700_000) for n in range(5)]

    done = actions.carry_out(propose(Verb.KILL, jobs=in_set(redis, "retry", *large)))

    assert (done.changed, redis.zcard("dead")) == (5, 5)
    assert actions.undo(done).changed == 5


def test_one_bad_job_among_many_does_not_hold_the_others_up(redis: "redis_py.Redis", actions: Actions) -> None:
    bad = [b"no payload" + b"." * n for n in range(50)]
    jobs = in_set(redis, "retry", *bad, *(payload(n) for n in range(50)))

    done = actions.carry_out(propose(Verb.RETRY, jobs=jobs))

    assert (done.changed, redis.zcard("retry"), redis.llen("queue:mail")) == (50, 50, 50)
    assert all("stays in retry" in line for line in done.problems)


def test_keys_lie_under_the_namespace(redis_server: RedisServer, redis: "redis_py.Redis") -> None:
    actions = Actions(resolve_url(redis_server.url, {}), "shop")
    redis.zadd("shop:retry", {payload(1): NOW})
    chosen = propose(Verb.RETRY, jobs=[JobEntry("retry", payload(1), NOW)], namespace="shop")

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
    assert reader.may_not_write() == "the Redis user reader may not write; ACL SETUSER reader +zrem ~retry lets it"
    assert redis.dbsize() == before


@pytest.fixture
def half(redis: "redis_py.Redis", redis_server: RedisServer) -> Iterator[Any]:
    """Actions of a user who has these rules and no others."""
    made: list[Actions] = []

    def user(commands: str, *keys: str) -> Actions:
        rules = ["+ping", "+client", *commands.split()]
        redis.acl_setuser("half", enabled=True, passwords=["+pw"], keys=list(keys), commands=rules)
        made.append(Actions(resolve_url(redis_server.url.replace("redis://", "redis://half:pw@"), {}), None))
        return made[-1]

    yield user
    for one in made:
        one.close()
    redis.acl_deluser("half")


MOVING: Final = "+eval +type +zscore +llen +lpos +zadd +lpush +rpush +sadd +zrem +lrem"
JOB: Final = JobEntry("retry", payload(1), NOW)


@pytest.mark.parametrize(
    ("chosen", "commands", "keys", "opens"),
    [
        (propose(Verb.DELETE, jobs=[JOB]), "+zadd", ["*"], "+zrem ~retry"),
        (propose(Verb.DELETE, jobs=[JOB]), "+zrem", ["dead"], "~retry"),
        (propose(Verb.PAUSE, queues=["mail"]), "+srem", ["*"], "+sadd ~paused"),
        (propose(Verb.STOP, processes=["a:1:b"]), "+multi +exec +expire", ["*"], "+lpush ~*-signals"),
        (propose(Verb.RETRY, jobs=[JOB]), "+eval +type", ["queues", "retry"], "~retry ~queue:* ~queues"),
        (
            propose(Verb.KILL, jobs=[JOB]),
            "+zrem",
            ["*"],
            f"{MOVING} +zremrangebyscore +zremrangebyrank ~retry ~dead",
        ),
    ],
)
def test_the_missing_permission_is_named(
    chosen: Proposal, commands: str, keys: list[str], opens: str, half: Any, redis: "redis_py.Redis"
) -> None:
    redis.zadd("retry", {JOB.member: NOW})

    done = half(commands, *keys).carry_out(chosen)

    assert (done.changed, redis.zcard("retry")) == (0, 1)
    assert done.problems[0].endswith(f"; to allow it: ACL SETUSER half {opens}")
    assert "pw" not in done.problems[0]


TO_QUEUE: Final = frozenset({"+type", "+zscore", "+zrem", "+lpush", "+sadd"})
TO_DEAD: Final = frozenset({"+type", "+zscore", "+zrem", "+zadd"})


@pytest.mark.parametrize(
    ("verb", "needed", "lacking"),
    [
        *((Verb.RETRY, TO_QUEUE, one) for one in sorted(TO_QUEUE)),
        *((Verb.KILL, TO_DEAD, one) for one in sorted(TO_DEAD)),
    ],
)
def test_a_job_is_neither_doubled_nor_lost_where_a_permission_is_missing(
    verb: Verb, needed: frozenset[str], lacking: str, half: Any, redis: "redis_py.Redis"
) -> None:
    redis.zadd("retry", {JOB.member: NOW})
    actions = half(f"+eval {' '.join(needed - {lacking})}", "*")

    done = actions.carry_out(propose(verb, jobs=[JOB]))

    assert (done.changed, redis.zcard("retry")) == (0, 1)
    assert redis.zcard("dead") + redis.llen("queue:mail") == 0
    assert "ACL SETUSER half" in done.problems[0]


@pytest.mark.parametrize("lacking", ["+type", "+lpos", "+lrem", "+zadd"])
def test_a_queued_job_is_neither_doubled_nor_lost(lacking: str, half: Any, redis: "redis_py.Redis") -> None:
    jobs = in_queue(redis, payload(1))
    rules = "+eval +llen +type +lpos +lrem +zadd".replace(lacking, "")

    done = half(rules, "*").carry_out(propose(Verb.KILL, jobs=jobs))

    assert (done.changed, redis.llen("queue:mail"), redis.zcard("dead")) == (0, 1, 0)
    assert "ACL SETUSER half" in done.problems[0]


@pytest.mark.parametrize("lacking", ["+expire", "+rename", "+srem", "+llen"])
def test_a_queue_stays_where_a_permission_is_missing(lacking: str, half: Any, redis: "redis_py.Redis") -> None:
    in_queue(redis, payload(1))

    done = half("+eval +type +llen +rename +expire +srem".replace(lacking, ""), "*").carry_out(
        propose(Verb.CLEAR, queues=["mail"])
    )

    assert done.changed == 0
    assert (redis.llen("queue:mail"), redis.smembers("queues")) == (1, {b"mail"})


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

        done = actions.carry_out(propose(Verb.PAUSE, queues=["mail"]))
        with pytest.raises(ConnectError):
            actions.may_not_write()
        server.up()
        again = actions.carry_out(propose(Verb.PAUSE, queues=["mail"]))
        actions.close()

    assert done.changed == 0
    assert "Redis went away" in done.problems[0]
    assert again.changed == 1


@pytest.mark.parametrize(("fault", "left"), [("refuse", 500), ("lose", 400)])
def test_a_connection_that_breaks_in_between_tells_how_far_it_came(
    fault: str, left: int, redis: "redis_py.Redis", redis_server: RedisServer
) -> None:
    jobs = in_set(redis, "retry", *(payload(n) for n in range(1_000)))

    with Proxy.start(redis_server.port) as proxy:
        actions = Actions(resolve_url(proxy.url, {}), None)
        getattr(proxy, fault)(f'"jid":"{550:024x}"'.encode())
        done = actions.carry_out(propose(Verb.RETRY, jobs=jobs))
        remaining = redis.zcard("retry")
        undone = actions.undo(done)
        actions.close()

    assert (done.changed, remaining) == (500, left)
    assert len(done.problems) == 1
    assert done.problems[0].startswith("Redis went away after 500 changes (ping: ")
    assert done.problems[0].endswith("whether the last request arrived is not known")
    assert (undone.changed, redis.zcard("retry")) == (500, left + 500)


HOSTILE = payload(1, **{"class": "A\x1b]52;c;aGk=\x07\u202e[/x]", "queue": "q\x1b[2J"})


@pytest.mark.parametrize(
    "chosen",
    [
        propose(Verb.RETRY, jobs=[JobEntry("retry", HOSTILE, 1.0)] * 100),
        propose(Verb.DELETE, jobs=[JobEntry("queue:q\x1b[2J", b"x" * 1_000_000)]),
        propose(Verb.KILL, jobs=[JobEntry("schedule", b'{"class": 7}', 1.0)]),
        propose(Verb.CLEAR, queues=["q\x1b[2J"]),
        propose(Verb.PAUSE, queues=["q\u202e"] * 3),
        propose(Verb.STOP, processes=["web\x1b[2J:1:2"]),
    ],
)
def test_the_words_beforehand_are_clean_short_and_without_arguments(chosen: Proposal) -> None:
    said = "\n".join((chosen.title, *chosen.sent, chosen.effect, chosen.undo))

    assert not any(char in said for char in "\x1b\x07\u202e")
    assert "s3cret" not in said
    assert len(chosen.sent) <= 13
    assert len(said) < 5_000


def test_the_words_say_what_is_sent() -> None:
    chosen = propose(Verb.DELETE, jobs=[JobEntry("retry", payload(n), NOW) for n in range(30)])

    assert chosen.title == "Delete 30 jobs of retry"
    assert chosen.sent[0] == f"ZREM retry <{len(payload(0))} bytes: SendMail {0:024x}>"
    assert chosen.sent[-1] == "and 18 more like these"
    assert chosen.effect.startswith("They will not run.")
    assert chosen.undo == "they are put back: in a set at their old time, in a queue at its front"


@pytest.mark.parametrize(
    ("chosen", "sent"),
    [
        (
            propose(Verb.RETRY, jobs=[JOB]),
            "ZREM retry {job}; SADD queues mail; LPUSH queue:mail <the same, stamped>",
        ),
        (propose(Verb.RETRY, jobs=[JobEntry("dead", b"?", 1.0)]), "nothing: <1 bytes, no payload> stays in dead"),
        (
            propose(Verb.KILL, jobs=[JobEntry("queue:mail", JOB.member)]),
            "LREM queue:mail -1 {job}; ZADD dead <now> <the same>",
        ),
        (propose(Verb.PAUSE, queues=["mail"]), "SADD paused mail"),
        (propose(Verb.RESUME, queues=["mail"], namespace="shop"), "SREM shop:paused mail"),
        (
            propose(Verb.CLEAR, queues=["mail"]),
            "RENAME queue:mail kiq:cleared:mail:…; EXPIRE kiq:cleared:mail:… 3600; SREM queues mail",
        ),
        (propose(Verb.QUIET, processes=["a:1:b"]), "LPUSH a:1:b-signals TSTP; EXPIRE a:1:b-signals 60"),
    ],
)
def test_each_verb_says_its_commands(chosen: Proposal, sent: str) -> None:
    assert chosen.sent[0] == sent.replace("{job}", f"<{len(JOB.member)} bytes: SendMail {1:024x}>")


@pytest.mark.parametrize(
    ("verb", "targets", "said"),
    [
        (Verb.RETRY, {}, "none was chosen"),
        (Verb.CLEAR, {}, "none was chosen"),
        (Verb.STOP, {}, "none was chosen"),
        (Verb.RETRY, {"jobs": [JobEntry("queue:mail", b"{}")]}, "cannot be asked to retry"),
        (Verb.ENQUEUE, {"jobs": [JobEntry("dead", b"{}")]}, "cannot be asked to enqueue"),
        (Verb.KILL, {"jobs": [JobEntry("dead", b"{}")]}, "cannot be asked to kill"),
        (Verb.DELETE, {"jobs": [JobEntry("dead", b"{}")]}, "with its score at hand"),
        (Verb.PAUSE, {"jobs": [JobEntry("dead", b"{}", 1.0)]}, "pause needs a queue: none was chosen"),
        (Verb.STOP, {"processes": ["a:1:b", "c:2:d"], "embedded": {"c:2:d"}}, "c:2:d is embedded in another program"),
    ],
)
def test_verbs_that_do_not_fit_are_one_line(verb: Verb, targets: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        propose(verb, **targets)


# Ruby beside us


RUBY: Final = """\
class Note
  include Sidekiq::Worker
  def perform(text)
    Sidekiq.redis { |redis| redis.rpush('noted', text) }
  end
end
"""


@pytest.fixture
def ruby(redis: "redis_py.Redis", redis_server: RedisServer, sidekiq: Sidekiq) -> Iterator[RubyConsole]:
    with sidekiq.console(redis_server.url) as console:
        yield console


def pushed_by(ruby: RubyConsole, redis: Any, text: str, place: str) -> JobEntry:
    """A job that Ruby wrote, moved into the set by Ruby's own API."""
    code = "Sidekiq::Client.push('class' => 'Note', 'args' => [text], 'queue' => 'rb', 'retry_count' => 3)"
    ruby.ask(code, text=text)
    member = redis.rpop("queue:rb")
    ruby.ask(
        "Sidekiq::JobSet.new(place).schedule(Time.now.to_f + 3600.25, JSON.parse(raw))",
        place=place,
        raw=member.decode(),
    )
    [(found, score)] = scored(redis, place)
    return JobEntry(place, found, score)


@pytest.mark.ruby
@pytest.mark.parametrize(("place", "verb"), [("retry", Verb.RETRY), ("dead", Verb.RETRY), ("schedule", Verb.ENQUEUE)])
def test_what_we_send_to_its_queue_is_what_ruby_would_send(
    place: str, verb: Verb, ruby: RubyConsole, redis: "redis_py.Redis", actions: Actions, sidekiq: Sidekiq
) -> None:
    theirs = pushed_by(ruby, redis, "hello", place)
    ruby.ask(f"Sidekiq::JobSet.new(place).first.{'retry' if verb is Verb.RETRY else 'add_to_queue'}; nil", place=place)
    sent_by_ruby = read(redis.rpop("queue:rb")).fields  # type: ignore[arg-type]
    redis.zadd(place, {theirs.member: theirs.score})  # type: ignore[dict-item]

    actions.carry_out(propose(verb, jobs=[theirs]))

    sent_by_us = read(redis.rpop("queue:rb")).fields  # type: ignore[arg-type]
    stamp, ours = sent_by_ruby.pop("enqueued_at"), sent_by_us.pop("enqueued_at")
    assert (type(stamp), type(ours)) == (sidekiq.stamp, float)
    assert stamps.seconds(stamp) == pytest.approx(stamps.seconds(ours), abs=60, rel=0)
    assert sent_by_us == sent_by_ruby


@pytest.mark.ruby
def test_ruby_sees_what_we_did(ruby: RubyConsole, redis: "redis_py.Redis", actions: Actions) -> None:
    job = pushed_by(ruby, redis, "hello", "retry")
    jid = read(job.member).jid

    killed = actions.carry_out(propose(Verb.KILL, jobs=[job]))
    assert ruby.ask("Sidekiq::DeadSet.new.map { |job| [job.jid, job.args] }") == [[jid, ["hello"]]]
    actions.undo(killed)
    assert ruby.ask("[Sidekiq::DeadSet.new.size, Sidekiq::RetrySet.new.find_job(jid).score]", jid=jid) == [0, job.score]

    actions.carry_out(propose(Verb.RETRY, jobs=[job]))
    assert ruby.ask("Sidekiq::Queue.new('rb').map { |job| [job.jid, job['retry_count']] }") == [[jid, 2]]
    cleared = actions.carry_out(propose(Verb.CLEAR, queues=["rb"]))
    assert ruby.ask("Sidekiq::Queue.all.map(&:name)") == []
    actions.undo(cleared)
    assert ruby.ask("Sidekiq::Queue.all.map { |queue| [queue.name, queue.size] }") == [["rb", 1]]

    actions.carry_out(propose(Verb.PAUSE, queues=["rb"]))
    assert ruby.ask("Sidekiq.redis { |redis| redis.smembers('paused') }") == ["rb"]


@pytest.mark.long
@pytest.mark.ruby
def test_a_ruby_worker_runs_what_we_retry_and_stops_when_we_say_so(
    ruby: RubyConsole, redis: "redis_py.Redis", redis_server: RedisServer, actions: Actions, sidekiq: Sidekiq
) -> None:
    with sidekiq.start(RUBY, redis_server.url, queues=("rb",)) as worker:
        ruby.ask("Sidekiq::RetrySet.new.schedule(Time.now.to_f + 3600, item); nil", item=NOTE)
        [(member, score)] = scored(redis, "retry")

        done = actions.carry_out(propose(Verb.RETRY, jobs=[JobEntry("retry", member, score)]))
        eventually(lambda: redis.lrange("noted", 0, -1) == [b"hello"], worker.log())
        undone = actions.undo(done)
        actions.carry_out(propose(Verb.QUIET, processes=[worker.identity]))
        eventually(lambda: redis.hget(worker.identity, "quiet") == b"true", worker.log())
        actions.carry_out(propose(Verb.STOP, processes=[worker.identity]))

        assert (undone.changed, undone.gone) == (0, 1)
        assert worker.process is not None
        assert worker.process.wait(60) == 0


NOTE: Final = {
    "class": "Note",
    "args": ["hello"],
    "queue": "rb",
    "jid": "a" * 24,
    "retry": True,
    "retry_count": 0,
    "created_at": NOW,
    "enqueued_at": NOW,
    "error_class": "RuntimeError",
    "error_message": "boom",
    "failed_at": NOW,
}
