import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from typing import Any
from unittest.mock import Mock

import pytest
from fetching import Process, payload
from servers import RedisServer, eventually
from workers import Worker

import kiqdoctor
from kiqdoctor.clock import boottime
from kiqdoctor.runtime import performing, processor
from kiqdoctor.runtime.books import RedisBooks
from kiqdoctor.runtime.fetching.leaving import Leaving
from kiqdoctor.runtime.fetching.work import Place, Work
from kiqdoctor.runtime.job import Job
from kiqdoctor.runtime.limits import IDLE, PASSED_ON, QUICK, SLOW, SOON, Limits, Waiting
from kiqdoctor.wire.keys import Keys

APP = """
import time
import redis
from kiqdoctor import job
client = redis.Redis.from_url("{url}")

@job(name="Few", limit=2)
def few(n):
    client.rpush("levels", client.incr("level"))
    while client.exists("hold"):
        time.sleep(0.01)
    client.decr("level")
"""


def few(count: int) -> list[str]:
    @kiqdoctor.job(name="Few", limit=2)
    def declared(n: int) -> None: ...

    return declared.perform_bulk([[n] for n in range(count)])


def waiting(lab: Any, name: str = "Few") -> int:
    return int(lab.redis.llen(f"kiq:waiting:{name}"))


def slots(lab: Any) -> int:
    return int(lab.redis.zcard("kiq:slots:Few"))


def test_no_more_at_once_in_two_processes(lab: Any, redis_server: RedisServer) -> None:
    app = APP.replace("{url}", redis_server.url)
    lab.redis.set("hold", 1)
    few(12)
    with (
        Worker.start(app, redis_server.url, "-c", "4") as one,
        Worker.start(app, redis_server.url, "-c", "4") as two,
    ):
        eventually(lambda: waiting(lab) == 10)
        eventually(lambda: lab.redis.llen("levels") == 2)
        lab.redis.delete("hold")
        eventually(lambda: lab.redis.llen("levels") == 12, one.log() + two.log())
        eventually(lambda: not slots(lab))
        eventually(lambda: not lab.redis.exists("kiq:limited", "kiq:waiting:Few"))

    assert {int(level) for level in lab.redis.lrange("levels", 0, -1)} <= {1, 2}


def test_over_the_limit_it_waits_as_it_is_and_is_no_failure(lab: Any) -> None:
    few(1)
    lab.redis.zadd("kiq:slots:Few", {"somebody|a": 1, "somebody|b": 2})
    lab.redis.set("kiq:lease:somebody", "1", ex=60)
    [raw] = lab.redis.lrange("queue:default", 0, -1)
    lab.work()

    assert lab.redis.lrange("kiq:waiting:Few", 0, -1) == [raw]
    assert lab.redis.hgetall("kiq:limited") == {b"Few": b"2 0 0"}
    assert not lab.redis.exists("retry", "dead")
    assert lab.redis.get("stat:failed") in {None, b"0"}
    assert lab.redis.get("stat:processed") in {None, b"0"}


def test_the_place_of_a_process_that_is_gone_is_free(lab: Any) -> None:
    few(1)
    lab.redis.zadd("kiq:slots:Few", {"gone|a": 1, "gone|b": 2})
    lab.work()

    assert not lab.redis.exists("kiq:waiting:Few", "kiq:slots:Few")


@pytest.mark.parametrize("options", [{}, {"retry": False}, {"retry": 0}])
def test_a_failure_frees_its_place(lab: Any, options: dict[str, Any]) -> None:
    @kiqdoctor.job(name="Few", limit=1, **options)
    def failing() -> None:
        lab.note(lab.redis.zcard("kiq:slots:Few"))
        raise ValueError

    failing.perform_async()
    lab.work()

    assert lab.seen == [1]
    assert slots(lab) == 0


def test_a_killed_worker_s_places_are_free_after_its_recovery(lab: Any, redis_server: RedisServer) -> None:
    app = APP.replace("{url}", redis_server.url)
    lab.redis.set("hold", 1)
    few(2)
    with Worker.start(app, redis_server.url, "-c", "2") as worker:
        eventually(lambda: lab.redis.llen("levels") == 2)
        worker.kill()
    assert slots(lab) == 2
    lab.redis.delete("hold")
    with Worker.start(app, redis_server.url, "-c", "2") as second:
        eventually(lambda: lab.redis.llen("levels") == 4, second.log())
        eventually(lambda: not slots(lab))


def test_a_place_is_free_when_a_worker_gave_its_job_back_at_the_deadline(lab: Any, redis_server: RedisServer) -> None:
    app = APP.replace("{url}", redis_server.url)
    lab.redis.set("hold", 1)
    few(2)
    with Worker.start(app, redis_server.url, "-c", "2", "-t", "0.1") as worker:
        eventually(lambda: lab.redis.llen("levels") == 2)
        assert worker.stop() == 0

    assert slots(lab) == 0
    assert lab.redis.llen("queue:default") == 2


@pytest.fixture
def rated() -> Job[..., None]:
    @kiqdoctor.job(name="Rated", rate=(3, 0.2))
    def rated() -> None: ...

    return rated


def test_no_window_of_that_length_has_more_starts(lab: Any, rated: Job[..., None]) -> None:
    limits = Limits(lab.redis, Keys())
    starts: list[float] = []
    waits: list[float] = []

    def ask() -> bool:
        wait = limits.enter(rated, "us")
        if wait:
            waits.append(wait)
        else:
            starts.append(lab.redis.zrange("kiq:rate:Rated", -1, -1, withscores=True)[0][1])
        return len(starts) == 16

    eventually(ask)

    assert all(later - earlier >= 200_000 for earlier, later in zip(starts, starts[3:], strict=False))
    assert max(waits) <= 0.201
    assert lab.redis.zcard("kiq:rate:Rated") <= 3


def test_what_the_script_answers_is_when_there_is_room(lab: Any, rated: Job[..., None]) -> None:
    limits = Limits(lab.redis, Keys())
    waits = iter(lambda: limits.enter(rated, "us"), None)
    time.sleep(eventually(lambda: next(waits)))

    assert next(waits) == 0


def test_the_rate_holds_for_workers(lab: Any) -> None:
    @kiqdoctor.job(name="Rated", rate=(5, 60))
    def rated(n: int) -> None:
        lab.note(n)

    rated.perform_bulk([[n] for n in range(8)])
    lab.work(concurrency=4)

    assert len(lab.seen) == 5
    assert waiting(lab, "Rated") == 3


def test_a_place_is_handed_on_to_who_waited_longest(lab: Any) -> None:
    few(1)
    [raw] = lab.redis.lrange("queue:default", 0, -1)
    lab.redis.rpush("kiq:waiting:Few", *[payload("Few", str(n), queue="other") for n in range(3)])
    lab.redis.sadd("kiq:turns:Few", json.loads(raw)["jid"])
    lab.work()

    assert [json.loads(one)["jid"] for one in lab.redis.lrange("queue:other", 0, -1)] == ["0"]
    assert waiting(lab) == 2
    assert raw not in lab.redis.lrange("kiq:waiting:Few", 0, -1)


def test_a_rate_is_used_to_the_full_under_contention(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[float] = []
    started: dict[bytes, float] = {}  # by Redis' own clock, whoever saw it
    unused: set[bytes] = set()
    owe = Limits._owe

    def noted(self: Limits, job_class: str, places: Any, starts: Any) -> None:
        unused.update(one.encode() for one in starts)
        owe(self, job_class, places, starts)

    monkeypatch.setattr(Limits, "_owe", noted)

    @kiqdoctor.job(name="Rated", rate=(20, 1))
    def rated(n: int) -> None:
        started.update(lab.redis.zrange("kiq:rate:Rated", 0, -1, withscores=True))
        done.append(time.monotonic())

    rated.perform_bulk([[n] for n in range(100)])
    with kiqdoctor.embed(concurrency=8):
        eventually(lambda: len(done) == 100)
    done.sort()
    print(f"100 jobs at 20 a second took {done[-1] - done[0]:.1f} s")  # 4 s are allowed, 5 s are promised
    starts = sorted(at for name, at in started.items() if name not in unused)
    assert len(starts) > 20
    assert all(later - earlier >= 1_000_000 for earlier, later in zip(starts, starts[20:], strict=False))


def test_whoever_does_not_know_a_class_hands_its_jobs_on_by_its_limits(lab: Any) -> None:
    lab.redis.rpush("kiq:waiting:Strange", *[payload("Strange", str(n)) for n in range(5)])
    lab.redis.hset("kiq:limited", "Strange", "2 0 0")
    lab.redis.hset("kiq:limited", "Gone", "what")
    waits = Waiting(lab.redis, Keys(), threading.Event())

    assert waits.look() == QUICK
    assert lab.redis.llen("queue:default") == 2
    assert not lab.redis.hexists("kiq:limited", "Gone")
    lab.redis.zadd("kiq:slots:Strange", {"somebody|a": 1, "somebody|b": 2})
    lab.redis.set("kiq:lease:somebody", "1", ex=60)
    assert waits.look() == QUICK
    assert waiting(lab, "Strange") == 3


def test_those_that_are_handed_on_together_keep_their_order(lab: Any) -> None:
    lab.redis.rpush("kiq:waiting:Strange", *[payload("Strange", str(n)) for n in range(5)])
    lab.redis.hset("kiq:limited", "Strange", "3 0 0")
    Waiting(lab.redis, Keys(), threading.Event()).look()

    assert [one["jid"] for one in reversed(lab.jobs("queue:default"))] == ["0", "1", "2"]  # as they are taken
    assert [one["jid"] for one in lab.jobs("kiq:waiting:Strange")] == ["3", "4"]


def test_whose_queue_is_no_list_holds_up_no_other_of_its_class(lab: Any) -> None:
    lab.redis.set("queue:broken", "text")
    lab.redis.rpush("kiq:waiting:Strange", *[payload("Strange", f"b{n}", queue="broken") for n in range(3)])
    lab.redis.rpush("kiq:waiting:Strange", *[payload("Strange", str(n)) for n in range(2)])
    lab.redis.hset("kiq:limited", "Strange", "2 0 0")
    waits = Waiting(lab.redis, Keys(), threading.Event())
    for _ in range(4):
        waits.look()

    assert {one["jid"] for one in lab.jobs("queue:default")} == {"0", "1"}
    assert {one["jid"] for one in lab.jobs("kiq:waiting:Strange")} == {"b0", "b1", "b2"}


@pytest.mark.parametrize("words", [{"limit": 1}, {"rate": (1, 60)}])
def test_what_comes_takes_no_room_from_those_that_wait(lab: Any, words: dict[str, Any]) -> None:
    @kiqdoctor.job(name="Kept", **words)
    def kept(n: int) -> None:
        lab.note(n)

    lab.redis.rpush("kiq:waiting:Kept", *[payload("Kept", f"j{n}", n, queue="other") for n in range(3)])
    kept.perform_bulk([[7], [8]])
    lab.work()
    assert lab.seen == []
    assert [one["args"] for one in lab.jobs("queue:other")] == [[0]]  # the room that they found
    assert [one["args"] for one in lab.jobs("kiq:waiting:Kept")] == [[1], [2], [7], [8]]

    kept.perform_async(9)
    lab.redis.lmove("queue:other", "queue:default", "RIGHT", "LEFT")  # so that the one that came later is asked first
    lab.work()
    assert lab.seen[0] == 0
    assert not lab.redis.sismember("kiq:turns:Kept", "j0")
    assert [one["args"] for one in lab.jobs("kiq:waiting:Kept")][-1] == [9]


def test_whose_turn_it_was_waits_before_the_others_where_it_finds_no_room_after_all(lab: Any) -> None:
    few(2)
    early, late = lab.jobs("queue:default")[::-1]
    lab.redis.zadd("kiq:slots:Few", {"somebody|a": 1, "somebody|b": 2})
    lab.redis.set("kiq:lease:somebody", "1", ex=60)
    lab.redis.rpush("kiq:waiting:Few", payload("Few", "waits"))
    lab.redis.sadd("kiq:turns:Few", early["jid"])
    lab.work()

    assert [one["jid"] for one in lab.jobs("kiq:waiting:Few")] == [early["jid"], "waits", late["jid"]]
    assert not lab.redis.exists("kiq:turns:Few")


def test_with_a_waiting_list_of_another_type_jobs_run_while_there_is_room(lab: Any) -> None:
    lab.redis.set("kiq:waiting:Few", "text")

    @kiqdoctor.job(name="Few", limit=2)
    def declared() -> None:
        lab.note("ran")

    declared.perform_async()
    lab.work()
    assert lab.seen == ["ran"]


@pytest.mark.parametrize("key", ["waiting", "slots", "rate"])
def test_a_class_with_a_key_of_another_type_holds_up_no_other(lab: Any, key: str) -> None:
    for name in ("One", "Two", "Three"):
        lab.redis.rpush(f"kiq:waiting:{name}", payload(name, name))
        lab.redis.hset("kiq:limited", name, "2 3 1000000")
    for name in ("One", "Two"):
        lab.redis.delete(f"kiq:{key}:{name}")
        lab.redis.set(f"kiq:{key}:{name}", "text")
    Waiting(lab.redis, Keys(), threading.Event()).look()

    assert [one["jid"] for one in lab.jobs("queue:default")] == ["Three"]


@pytest.mark.parametrize(
    ("told", "seconds"),
    [
        ("0 5 200000", 0.025),
        ("3 5 200000", 0.025),
        ("0 5 60000000", QUICK),
        ("0 5 1000", SOON),
        ("3 0 0", QUICK),
        ("3 0 8000", QUICK),
        ("what", QUICK),
        (None, SLOW),
    ],
)
def test_within_a_short_period_it_is_looked_often(lab: Any, told: str | None, seconds: float) -> None:
    if told is not None:
        lab.redis.hset("kiq:limited", "Strange", told)
        lab.redis.rpush("kiq:waiting:Strange", payload("Strange", "waits"))

    assert Waiting(lab.redis, Keys(), threading.Event()).look() == seconds


@pytest.mark.parametrize(
    "words", [{"limit": 0}, {"limit": True}, {"limit": "1"}, {"rate": 5}, {"rate": (0, 1)}, {"rate": (1, 0)}]
)
def test_what_cannot_be_is_told_at_once(words: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=r"limit|rate"):
        kiqdoctor.job(**words)


@pytest.fixture
def short() -> Job[..., None]:
    @kiqdoctor.job(name="Few", limit=4)
    def short(n: int) -> None: ...

    short.least = 0.0001
    return short


@pytest.fixture
def process(redis_server: RedisServer) -> Iterator[Process]:
    found = Process(redis_server.url)
    yield found
    found.leave()


def asked(lab: Any) -> int:
    return int(lab.redis.info("commandstats")["cmdstat_evalsha"]["calls"])


def works(lab: Any, job: Job[..., None], process: Process, count: int) -> list[Work]:
    """So many of its jobs: the first is to begin, the others are at hand."""
    job.perform_bulk([[n] for n in range(count)])
    process.fetch.pace.want = count
    return [process.need(), *process.fetch.ahead()]


def test_the_place_of_a_short_job_is_passed_on_and_given_up_when_none_takes_it(
    lab: Any, short: Job[..., None], process: Process
) -> None:
    first, second, third = works(lab, short, process, 3)
    limits = Limits(lab.redis, Keys(), process.fetch.ahead)

    assert limits.enter(short, process.identity, first) == 0
    [name] = lab.redis.zrange("kiq:slots:Few", 0, -1)
    before, held = asked(lab), first.place
    assert held is not None
    assert name == held.name.encode()
    assert limits.pass_on(short, first)
    assert limits.enter(short, process.identity, second) == 0
    assert (first.place, second.place) == (None, held)
    assert asked(lab) == before
    limits.tick()
    assert slots(lab) == 1  # it is in use

    assert limits.pass_on(short, second)
    time.sleep(2 * IDLE)
    limits.tick()
    assert slots(lab) == 0
    assert limits.enter(short, process.identity, third) == 0
    assert slots(lab) == 1


def test_a_place_is_not_passed_on_for_long(lab: Any, short: Job[..., None], process: Process) -> None:
    [first] = works(lab, short, process, 1)
    limits = Limits(lab.redis, Keys(), process.fetch.ahead)
    limits.enter(short, process.identity, first)
    time.sleep(PASSED_ON)

    assert not limits.pass_on(short, first)
    assert first.place is not None


def test_a_place_is_not_passed_on_while_others_wait(lab: Any, short: Job[..., None], process: Process) -> None:
    first, second = works(lab, short, process, 2)
    limits = Limits(lab.redis, Keys(), process.fetch.ahead)
    limits.enter(short, process.identity, first)
    lab.redis.rpush("kiq:waiting:Few", payload("Few", "waits"))
    limits.enter(short, process.identity, second)

    assert not limits.pass_on(short, second)
    assert not limits.pass_on(short, first)


def test_a_process_that_ends_gives_up_what_it_kept(lab: Any, short: Job[..., None], process: Process) -> None:
    first, second = works(lab, short, process, 2)
    limits = Limits(lab.redis, Keys(), process.fetch.ahead)
    limits.enter(short, process.identity, first)
    limits.enter(short, process.identity, second)
    assert limits.pass_on(short, first)
    limits.close()

    assert slots(lab) == 1
    assert not limits.pass_on(short, second)


def test_what_could_not_be_given_up_is_given_up_later(
    lab: Any, short: Job[..., None], process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    [first] = works(lab, short, process, 1)
    limits = Limits(lab.redis, Keys(), process.fetch.ahead)
    limits.enter(short, process.identity, first)
    limits.pass_on(short, first)
    with monkeypatch.context() as patch:
        patch.setattr(Leaving, "store", Mock(side_effect=ConnectionError))
        with pytest.raises(ConnectionError):
            limits.close()
    assert slots(lab) == 1
    limits.tick()

    assert slots(lab) == 0


@pytest.mark.parametrize("options", [{"limit": 2}, {"rate": (5, 60)}, {"limit": 2, "rate": (5, 60)}])
def test_what_was_perhaps_given_is_given_up_where_the_reply_was_lost(
    lab: Any, options: dict[str, Any], process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    @kiqdoctor.job(name="Few", **options)
    def some(n: int) -> None: ...

    some.least = 0.0001
    first, *_ = works(lab, some, process, 4)
    limits = Limits(lab.redis, Keys(), process.fetch.ahead)
    script = limits._script

    def lost(**words: Any) -> None:
        script(**words)
        raise ConnectionError

    with monkeypatch.context() as patch:
        patch.setattr(limits, "_script", lost)
        with pytest.raises(ConnectionError):
            limits.enter(some, process.identity, first)
    assert lab.redis.exists("kiq:slots:Few", "kiq:rate:Few") == len(options)
    limits.tick()

    assert not lab.redis.exists("kiq:slots:Few", "kiq:rate:Few")
    assert limits.enter(some, process.identity, first) == 0


def test_a_place_is_given_up_where_its_job_is_no_longer_ours(lab: Any, short: Job[..., None], process: Process) -> None:
    [first] = works(lab, short, process, 1)
    limits = Limits(lab.redis, Keys(), process.fetch.ahead)
    limits.enter(short, process.identity, first)
    limits.give_up(short, first)
    limits.tick()

    assert first.place is None
    assert slots(lab) == 0


def test_another_identity_has_none_of_the_places_of_the_first(
    lab: Any, short: Job[..., None], process: Process
) -> None:
    first, second = works(lab, short, process, 2)
    limits = Limits(lab.redis, Keys(), process.fetch.ahead)
    limits.enter(short, "before", first)
    limits.pass_on(short, first)

    assert limits.enter(short, process.identity, second) == 0
    assert second.place is not None
    assert second.place.name.startswith(f"{process.identity}|")


def test_short_jobs_ask_for_starts_together_and_give_up_those_that_none_takes(lab: Any, process: Process) -> None:
    @kiqdoctor.job(name="Rated", rate=(5, 60))
    def rated(n: int) -> None: ...

    rated.least = 0.0001
    first, *others = works(lab, rated, process, 4)
    few(3)
    limits = Limits(lab.redis, Keys(), process.fetch.ahead)

    assert limits.enter(rated, process.identity, first) == 0
    assert lab.redis.zcard("kiq:rate:Rated") == 4  # none for another class
    before = asked(lab)
    assert limits.enter(rated, process.identity, others[0]) == 0
    assert asked(lab) == before
    time.sleep(2 * IDLE)
    limits.tick()
    assert lab.redis.zcard("kiq:rate:Rated") == 2


def test_starts_of_another_identity_are_given_up(lab: Any, process: Process) -> None:
    @kiqdoctor.job(name="Rated", rate=(5, 60))
    def rated(n: int) -> None: ...

    rated.least = 0.0001
    first, second, *_ = works(lab, rated, process, 4)
    limits = Limits(lab.redis, Keys(), process.fetch.ahead)
    limits.enter(rated, "before", first)
    assert lab.redis.zcard("kiq:rate:Rated") == 4

    process.fetch.local.clear()
    assert limits.enter(rated, process.identity, second) == 0
    limits.tick()
    assert lab.redis.zcard("kiq:rate:Rated") == 2


def test_a_place_that_is_taken_just_when_it_would_be_given_up(
    lab: Any, short: Job[..., None], process: Process
) -> None:
    class Taken(deque[Place]):
        def __bool__(self) -> bool:
            return True  # as it was a moment ago

    [first] = works(lab, short, process, 1)
    limits = Limits(lab.redis, Keys(), process.fetch.ahead)
    limits.enter(short, process.identity, first)
    limits._held["Few"].places = Taken()
    limits.tick()

    assert slots(lab) == 1


def test_starts_of_before_a_standstill_are_none_any_more(
    lab: Any, process: Process, monkeypatch: pytest.MonkeyPatch
) -> None:
    @kiqdoctor.job(name="Rated", rate=(5, 60))
    def rated(n: int) -> None: ...

    rated.least = 0.0001
    first, second, *_ = works(lab, rated, process, 4)
    limits = Limits(lab.redis, Keys(), process.fetch.ahead)
    limits.enter(rated, process.identity, first)
    before = asked(lab)
    monkeypatch.setattr("kiqdoctor.runtime.limits.boottime", lambda: boottime() + 2.0)  # as after SIGCONT

    assert limits.enter(rated, process.identity, second) == 0
    assert asked(lab) == before + 1
    limits.close()
    assert lab.redis.zcard("kiq:rate:Rated") == 2


@pytest.mark.parametrize(("rate", "granted"), [(10_000, 363), (1_000, 230), (130, 122), (100, 100)])
def test_where_there_is_plenty_starts_are_asked_for_pages_to_come(
    lab: Any, process: Process, rate: int, granted: int
) -> None:
    @kiqdoctor.job(name="Rated", rate=(rate, 60))
    def rated(n: int) -> None: ...

    rated.least = 0.0001
    first, *_ = works(lab, rated, process, 121)
    limits = Limits(lab.redis, Keys(), process.fetch.ahead)

    assert limits.enter(rated, process.identity, first) == 0
    assert lab.redis.zcard("kiq:rate:Rated") == granted


def test_a_jid_with_a_bar_costs_nobody_his_place(lab: Any) -> None:
    seen: list[int] = []

    @kiqdoctor.job(name="Few", limit=1)
    def one(n: int) -> None:
        seen.append(lab.redis.zcard("kiq:slots:Few"))
        time.sleep(0.05)
        seen.append(lab.redis.zcard("kiq:slots:Few"))

    lab.redis.lpush("queue:default", *[payload("Few", f"a|{n}", args=[n]) for n in range(3)])
    with kiqdoctor.embed(concurrency=3):
        eventually(lambda: len(seen) == 6)

    assert set(seen) == {1}


def test_of_short_jobs_too_no_more_run_at_once_and_each_place_is_given_up(lab: Any) -> None:
    level, levels, lock = [0], [], threading.Lock()

    @kiqdoctor.job(name="Few", limit=3)
    def few(n: int) -> None:
        with lock:
            level[0] += 1
            levels.append(level[0])
        if n % 40 == 0:
            time.sleep(0.03)
        with lock:
            level[0] -= 1

    few.perform_bulk([[n] for n in range(1_500)])
    with kiqdoctor.embed(concurrency=10):
        eventually(lambda: len(levels) == 1_500 and not lab.redis.keys("kiq:taken:*"), "all of them")

    assert max(levels) <= 3
    assert not slots(lab)
    eventually(lambda: not waiting(lab))


def test_what_is_asked_before_a_job_says_nothing_of_its_class_s_pace(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[str] = []  # each question takes a hundred seconds
    monkeypatch.setattr(processor, "boottime", lambda: boottime() + 100 * len(asked))
    monkeypatch.setattr(performing, "boottime", lambda: boottime() + 100 * len(asked))

    def slow(name: str) -> None:
        real = getattr(RedisBooks, name)

        def asks(self: RedisBooks, *words: Any) -> Any:
            asked.append(name)
            return real(self, *words)

        monkeypatch.setattr(RedisBooks, name, asks)

    slow("enter")
    slow("cursor")

    @kiqdoctor.job(name="Steps", limit=1)
    def steps(*, cursor: int | None = None) -> Iterator[int]:
        yield cursor or 0

    steps.perform_async()
    lab.work()

    assert asked == ["enter", "cursor"]
    assert 0 < steps.pace < 100
