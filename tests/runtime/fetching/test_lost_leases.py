"""The lease is lost, or Redis is away for so long: what ran stays whose it is."""

import contextlib
import signal
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import redis as redis_py
from faults import Proxy
from fetching import (
    FETCH,
    KEYS,
    LOST,
    TWIN,
    Process,
    Start,
    again,
    all_again,
    bytes_of,
    jobs,
    push,
    queued,
    retire,
    tick,
    told,
)
from servers import RedisServer, eventually

from kiqdoctor.runtime.fetching.work import FencedError


def test_without_a_lease_nothing_at_hand_is_started_until_it_is_there_again(redis: Any, start: Start) -> None:
    process, pushed = start(), jobs(4)
    push(redis, *pushed)
    process.fetch.pace.want = 4
    running = process.take()
    assert running is not None
    redis.delete(KEYS.lease(process.identity))

    process.fetch.done(running)
    with pytest.raises(FencedError):
        process.fetch.tick()
    assert not process.fetch.local
    assert process.regain()
    rest = process.take_all()
    told(process)

    assert bytes_of([running, *rest]) == Counter(pushed)
    assert process.held(redis) == bytes_of(rest)
    assert process.fetch.unfound == 0


def test_what_others_took_back_ends_under_the_old_identity_and_is_counted(redis: Any, start: Start) -> None:
    process, other = start(), start()
    push(redis, *jobs(3))
    process.fetch.pace.want = 3
    running = process.take()
    assert running is not None
    redis.delete(KEYS.lease(process.identity))
    eventually(lambda: other.recovery().scan() or not process.held(redis))
    retire(process, redis)

    assert not process.regain()
    assert not process.fetch.local
    process.fetch.done(running)
    told(process)

    assert process.fetch.unfound == 1
    assert sum(queued(redis).values()) == 3
    assert len(process.take_all()) == 3


def test_an_end_that_is_told_again_and_removes_nothing_is_counted(redis: Any, proxy: Proxy, start: Start) -> None:
    process, other = start(proxy.url), start()
    push(redis, *jobs(1))
    process.fetch.done(process.need())
    proxy.refuse(FETCH)
    tick(process)
    redis.delete(KEYS.lease(process.identity))
    assert other.recovery().scan() == 1

    assert process.regain()
    told(process)

    assert process.fetch.unfound == 1


def test_an_end_whose_reply_was_lost_before_the_identity_changed_is_counted_too(
    redis: Any, proxy: Proxy, start: Start
) -> None:
    process, other = start(proxy.url), start()
    push(redis, *jobs(1))
    process.fetch.done(process.need())
    proxy.refuse(FETCH)
    tick(process)
    redis.delete(KEYS.lease(process.identity))
    assert other.recovery().scan() == 1
    retire(process, redis)

    assert not process.regain()
    told(process)

    assert process.fetch.unfound == 1


def test_a_reply_that_was_under_way_when_the_lease_was_lost_starts_nothing_that_others_took(
    redis: Any, proxy: Proxy, start: Start
) -> None:
    process, other = start(proxy.url), start()
    push(redis, *jobs(5))
    process.fetch.pace.want = 5
    reply = proxy.hold_reply(FETCH)
    with ThreadPoolExecutor(1) as pool:
        taking = pool.submit(process.take)
        reply.wait()
        process.skipped += 60
        redis.delete(KEYS.lease(process.identity))
        assert other.recovery().scan() == 5
        theirs = other.take_all()
        assert len(theirs) == 5
        assert process.regain()  # its account is not closed yet
        reply.go_on.set()
        assert taking.result() is None

    assert not process.fetch.local
    assert all_again(process) == []


def test_a_reply_that_was_under_way_when_a_new_identity_was_taken_starts_nothing(
    redis: Any, proxy: Proxy, start: Start
) -> None:
    process, other = start(proxy.url), start()
    push(redis, *jobs(5))
    process.fetch.pace.want = 5
    lane = process.fetch.holdings.lanes[0]
    reply = proxy.hold_reply(FETCH)
    with ThreadPoolExecutor(2) as pool:
        taking = pool.submit(process.take)
        reply.wait()
        process.skipped += 60
        redis.delete(KEYS.lease(process.identity))
        assert other.recovery().scan() == 5
        retire(process, redis)
        regained = pool.submit(process.regain)
        eventually(lambda: lane.retired)
        reply.go_on.set()
        with contextlib.suppress(*LOST, FencedError):
            assert taking.result() is None
        assert not regained.result()

    assert not process.fetch.local
    assert len(other.take_all()) == 5
    assert process.fetch.running() == []


def test_a_job_that_was_put_back_when_the_identity_changed_is_not_started(redis: Any, start: Start) -> None:
    process, other = start(), start()
    push(redis, *jobs(1))
    work = process.take()
    assert work is not None
    process.skipped += 60
    redis.delete(KEYS.lease(process.identity))
    assert other.recovery().scan() == 1
    retire(process, redis)
    assert not process.regain()

    process.fetch.put_back(work)

    assert not process.fetch.local
    assert len(other.take_all()) == 1
    assert process.take() is None


def test_a_job_that_was_put_back_is_found_again_where_the_lease_was_not_lost(redis: Any, start: Start) -> None:
    process = start()
    push(redis, *jobs(1))
    work = process.take()
    assert work is not None
    process.skipped += 12

    process.fetch.put_back(work)
    with pytest.raises(FencedError):
        process.take()
    assert process.regain()

    assert bytes_of(process.take_all()) == Counter([work.payload])
    assert process.held(redis) == Counter([work.payload])


def test_nothing_is_found_in_its_lists_before_the_lease_is_there_again(redis: Any, proxy: Proxy, start: Start) -> None:
    process, other = start(proxy.url), start()
    push(redis, *jobs(2))
    proxy.lose(FETCH)
    with pytest.raises(LOST):
        process.take()
    process.skipped += 60

    with pytest.raises(FencedError):
        process.take()
    redis.delete(KEYS.lease(process.identity))
    assert other.recovery().scan() == 1
    assert process.regain()

    assert bytes_of([*all_again(process), *other.take_all()]).total() == 2


def test_an_acknowledgement_that_was_applied_is_not_told_again_under_another_number_after_the_fence(
    redis: Any, proxy: Proxy, start: Start
) -> None:
    process = start(proxy.url)
    push(redis, TWIN, TWIN)
    first, second = all_again(process)
    process.fetch.done(first)
    proxy.lose(FETCH)
    tick(process)
    redis.delete(KEYS.lease(process.identity))

    with pytest.raises(FencedError):
        process.fetch.tick()
    assert process.regain()
    told(process)

    assert process.held(redis) == Counter([TWIN])
    assert process.fetch.running() == [second]


def test_a_wait_that_outlives_its_identity_leaves_its_job_to_the_survivors(redis: Any, start: Start) -> None:
    process, other = start(), start()
    assert process.take() is None
    assert process.fetch.parking.waits.out
    retire(process, redis)
    redis.delete(KEYS.sequence(process.identity, "0"))

    process.fetch.parking.waits._channels[0].connect()
    push(redis, *jobs(1))  # the wait is still there, and moves it
    eventually(lambda: process.held(redis))
    assert not process.regain()

    assert not process.fetch.local
    assert process.fetch.running() == []
    assert other.recovery().scan() == 1
    assert sum(queued(redis).values()) == 1
    assert process.held(redis, process.former[0]) == Counter()


def test_adopting_another_identity_waits_for_nobody_who_waits_for_redis(redis: Any, proxy: Proxy, start: Start) -> None:
    process = start(proxy.url)
    held = proxy.hold_request(FETCH)
    with ThreadPoolExecutor(2) as pool:
        taking = pool.submit(process.take)
        held.wait()
        retire(process, redis)
        assert not pool.submit(process.regain).result(5)
        with pytest.raises((*LOST, FencedError)):
            taking.result(5)
        held.go_on.set()
    push(redis, *jobs(1))
    assert again(process) is not None


def test_after_an_outage_of_the_whole_fleet_nobody_takes_anybody_for_dead() -> None:
    settings = {"appendonly": "yes", "appendfsync": "always"}
    with RedisServer.start(settings) as server, server.client() as client:
        fleet = [Process(server.url) for _ in range(3)]
        recoveries = [one.recovery() for one in fleet]
        push(client, *jobs(6))
        running = [[one.need(), one.need()] for one in fleet]
        server.down(signal.SIGKILL)
        for one in fleet:
            one.skipped += 60  # the outage, of which everybody's renewals hear
            with pytest.raises(redis_py.ConnectionError):
                one.lease.renew()
            one.lease.interrupted()
        server.up()
        client.delete(*[KEYS.lease(one.identity) for one in fleet])

        assert [one.scan() for one in recoveries] == [0, 0, 0]
        assert all(one.regain() for one in fleet)
        assert [one.scan() for one in recoveries] == [0, 0, 0]

        for one, works in zip(fleet, running, strict=True):
            for work in works:
                if work is not None:
                    one.fetch.done(work)
            told(one)
            assert one.fetch.unfound == 0
            one.leave()
