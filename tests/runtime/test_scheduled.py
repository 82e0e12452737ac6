"""What is due leaves its sorted set on a real Redis, whatever becomes of what lies before it."""

import threading
from typing import Any

import pytest
import redis as redis_py
from fetching import KEYS, payload

from kiqdoctor.runtime import log
from kiqdoctor.runtime.scheduled import PAGE, Poller


@pytest.mark.parametrize("key", [KEYS.retry, KEYS.schedule])
def test_more_refused_jobs_than_a_page_holds_keep_nobody_waiting(redis: Any, key: str) -> None:
    redis.set(KEYS.queue("broken"), "no list")
    refused = {payload("Job", f"refused {number}", queue="broken"): number for number in range(PAGE + 5)}
    redis.zadd(key, refused)
    redis.zadd(key, {payload("Job", f"due {number}"): 1000 + number for number in range(PAGE + 1)})

    assert Poller(redis, KEYS, threading.Event()).poll() == PAGE + 1

    assert redis.llen(KEYS.queue("default")) == PAGE + 1
    assert redis.zcard(key) == PAGE + 5


def test_with_memory_full_due_jobs_go_to_their_queues(redis: Any) -> None:
    redis.zadd(KEYS.retry, {payload("Job", f"due {number}"): number for number in range(3)})
    redis.zadd(KEYS.schedule, {b"no JSON": 1})
    redis.config_set("maxmemory", 1)
    try:
        assert Poller(redis, KEYS, threading.Event()).poll() == 4
    finally:
        redis.config_set("maxmemory", 0)
    assert redis.llen(KEYS.queue("default")) == 3
    assert redis.zrange(KEYS.dead, 0, -1) == [b"no JSON"]


def test_two_pollers_push_each_due_job_once(redis: Any) -> None:
    pollers = [Poller(redis, KEYS, threading.Event()) for _ in range(3)]
    redis.zadd(KEYS.retry, {payload("Job", f"due {number}"): number for number in range(300)})
    counts: list[int] = []
    threads = [threading.Thread(target=lambda one=one: counts.append(one.poll())) for one in pollers]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sum(counts) == 300
    assert redis.llen(KEYS.queue("default")) == 300


def test_a_server_that_refuses_to_write_keeps_what_is_due(redis: Any) -> None:
    redis.zadd(KEYS.retry, {payload("Job", "due"): 1})
    redis.replicaof("127.0.0.1", 1)
    try:
        with pytest.raises(redis_py.ResponseError, match="read only replica"):  # Redis 6.2 says it in its own way
            Poller(redis, KEYS, threading.Event()).poll()
    finally:
        redis.replicaof("NO", "ONE")
    assert redis.zcard(KEYS.retry) == 1


def test_a_page_leaves_in_one_round_trip(redis: Any) -> None:
    redis.zadd(KEYS.retry, {payload("Job", f"due {number}"): number for number in range(PAGE - 1)})
    redis.config_resetstat()

    assert Poller(redis, KEYS, threading.Event()).poll() == PAGE - 1

    assert redis.info("commandstats")["cmdstat_evalsha"]["calls"] <= 5  # two loads of scripts, two looks, one page
    assert redis.llen(KEYS.queue("default")) == PAGE - 1


def test_a_set_of_queues_of_the_wrong_type_keeps_no_due_job(redis: Any) -> None:
    redis.set(KEYS.queues, "no set")
    redis.zadd(KEYS.retry, {payload("Job", f"due {number}"): number for number in range(3)})

    assert Poller(redis, KEYS, threading.Event()).poll() == 3

    assert redis.llen(KEYS.queue("default")) == 3
    assert redis.zcard(KEYS.retry) == 0


@pytest.mark.parametrize(("broken", "sound"), [(KEYS.retry, KEYS.schedule), (KEYS.schedule, KEYS.retry)])
def test_a_set_of_the_wrong_type_is_named_and_holds_up_no_other(
    redis: Any, broken: str, sound: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[str] = []
    monkeypatch.setattr(log, "warn_seldom", told.append)
    redis.set(broken, "no set")
    redis.zadd(sound, {payload("Job", "due"): 1})

    assert Poller(redis, KEYS, threading.Event()).poll() == 1

    [line] = told
    assert line.startswith(f"scheduler: {broken}: ")
