"""Ends that are alike, on a real server: each happens once, whatever becomes of the request that tells them."""

import json
from collections import Counter
from typing import Any

import pytest
from faults import Proxy
from fetching import FETCH, KEYS, Process, Start, all_again, push, retire, told

from kiqdoctor.runtime.alike import Kinds
from kiqdoctor.runtime.endings import End
from kiqdoctor.runtime.fetching.work import Work
from kiqdoctor.runtime.job import Job, JobOptions
from kiqdoctor.wire.payload import known_payload

JOB: Job[..., Any] = Job(print, "Job", JobOptions(status=True))
JIDS = [f"j{number}" for number in range(6)]


@pytest.fixture
def pushed(redis: Any) -> list[bytes]:
    """Of one batch, each with a lock, and one of them twice."""
    made = [
        json.dumps(
            {"class": "Job", "args": [], "jid": jid, "queue": "default", "kiq_lock": jid, "kiq_batch": "b"}
        ).encode()
        for jid in JIDS
    ]
    for jid in JIDS:
        redis.set(KEYS.unique(jid), jid)
    redis.set(KEYS.unique("j1"), "somebody else's")
    redis.sadd(KEYS.batch("b", "open"), *JIDS)
    redis.sadd(KEYS.batch("b", "pending"), *JIDS)
    callback = '{"class":"Call","args":[],"jid":"c"}'
    account = {
        "sealed": 1,
        "complete": callback,
        "complete_queue": "calls",
        "success": callback,
        "success_queue": "calls",
    }
    redis.hset(KEYS.batch("b"), mapping=account)
    push(redis, *made, made[0])
    return made


def end(process: Process, kinds: Kinds, work: Work, end: End = End.DONE) -> None:
    record = known_payload(work.payload)
    if end is End.RETRY:
        likewise = kinds.tried_again(JOB, record, work.payload, "5.0", ' ,"again":1}', 1.5)
    else:
        likewise = kinds.done(JOB, record, work.payload, 1.5)
    process.fetch.leave(work, likewise)


def state(redis: Any) -> list[tuple[bytes | None, ...]]:
    return [tuple(redis.hmget(KEYS.status(jid), "state", "version")) for jid in JIDS]


@pytest.mark.parametrize("act", ["lose", "refuse", ""])
def test_they_happen_once_and_spare_an_equal_job(
    redis: Any, proxy: Proxy, start: Start, pushed: list[bytes], act: str
) -> None:
    process, kinds = start(proxy.url), Kinds(KEYS)
    works = all_again(process)
    twin = next(work for work in works if work.payload == pushed[0])
    rest = [work for work in works if work is not twin]
    for work in rest:
        end(process, kinds, work, End.RETRY if b'"j3"' in work.payload else End.DONE)
    if act:
        getattr(proxy, act)(FETCH)
    told(process)

    assert process.held(redis) == Counter([pushed[0]])
    assert process.fetch.running() == [twin]
    assert process.fetch.unfound == 0
    assert redis.zrange("retry", 0, -1, withscores=True) == [(pushed[3][:-1] + b' ,"again":1}', 5.0)]
    assert state(redis) == [(b"retry" if jid == "j3" else b"done", b"1") for jid in JIDS]
    assert {jid for jid in JIDS if redis.exists(KEYS.unique(jid))} == {"j1", "j3"}
    assert redis.smembers(KEYS.batch("b", "pending")) == {b"j3"}
    assert redis.llen("queue:calls") == 1  # complete, and not success

    end(process, kinds, twin)
    told(process)
    assert process.held(redis) == Counter()
    assert redis.llen("queue:calls") == 1


def test_what_ended_under_a_former_identity_ends_where_it_is_still_there(
    redis: Any, start: Start, pushed: list[bytes]
) -> None:
    process, kinds = start(), Kinds(KEYS)
    works = all_again(process)
    gone = next(work for work in works if work.payload == pushed[5])
    lists = {work.home.key for work in works}
    retire(process, redis)
    redis.lrem(gone.home.key, 1, gone.payload)
    assert not process.regain()
    for work in works:
        end(process, kinds, work)
    told(process)

    assert not redis.exists(*lists)
    assert process.fetch.unfound == 1
    assert state(redis)[5] == (None, None)
    assert redis.smembers(KEYS.batch("b", "pending")) == {b"j5"}
    assert redis.exists(KEYS.unique("j5"))
    assert redis.llen("queue:calls") == 0


@pytest.mark.parametrize("key", [KEYS.batch("b"), KEYS.batch("b", "pending"), KEYS.unique("j2"), KEYS.status("j2")])
def test_what_goes_with_them_may_be_of_another_type(redis: Any, start: Start, pushed: list[bytes], key: str) -> None:
    process, kinds = start(), Kinds(KEYS)
    redis.delete(key)
    redis.lpush(key, "a list")
    for work in all_again(process):
        end(process, kinds, work)
    told(process)

    assert process.held(redis) == Counter()
    assert process.fetch.running() == []
    assert redis.lrange(key, 0, -1) == [b"a list"]
