"""A reply is lost, a request is repeated: nothing is lost, nothing happens twice."""

import contextlib
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from faults import Proxy
from fetching import (
    FETCH,
    KEYS,
    LEAVE,
    LOST,
    RETRY,
    TWIN,
    Process,
    Start,
    again,
    all_again,
    bytes_of,
    connections,
    jobs,
    payload,
    push,
    put_away,
    queued,
    tick,
    told,
)
from servers import eventually

from kiqdoctor.runtime.channel import command
from kiqdoctor.runtime.endings import End, Ending, Step
from kiqdoctor.runtime.fetching.work import FencedError, Work


@pytest.mark.parametrize("act", ["lose", "refuse"])
def test_a_fetch_that_was_cut_off_loses_and_doubles_nothing(redis: Any, proxy: Proxy, start: Start, act: str) -> None:
    process, pushed = start(proxy.url), jobs(3)
    push(redis, *pushed)
    fault = getattr(proxy, act)(FETCH)

    with pytest.raises(LOST):
        process.take()
    works = all_again(process)

    assert fault.happened.is_set()
    assert bytes_of(works) == Counter(pushed)
    for work in works:
        process.fetch.done(work)
    told(process)
    assert process.fetch.unfound == 0
    put_away(process, redis)


@pytest.mark.parametrize("act", ["lose", "refuse"])
def test_an_acknowledgement_that_is_repeated_spares_an_equal_job_that_still_runs(
    redis: Any, proxy: Proxy, start: Start, act: str
) -> None:
    process = start(proxy.url)
    push(redis, TWIN, TWIN)
    first, second = all_again(process)
    process.fetch.done(first)
    fault = getattr(proxy, act)(FETCH)

    told(process)
    process.fetch.tick()

    assert fault.happened.is_set()
    assert process.held(redis) == Counter([TWIN])
    assert process.fetch.running() == [second]


def test_a_reply_that_brought_equal_jobs_is_lost_and_each_is_found(redis: Any, proxy: Proxy, start: Start) -> None:
    process = start(proxy.url)
    push(redis, TWIN)
    running = again(process)
    push(redis, TWIN, TWIN)
    proxy.lose(FETCH)

    works = all_again(process)

    assert running is not None
    assert bytes_of(works) == Counter([TWIN, TWIN])
    assert process.held(redis) == Counter([TWIN] * 3)


@pytest.mark.parametrize("act", ["lose", "refuse"])
def test_a_failure_that_is_told_twice_is_stored_once_and_spares_an_equal_job(
    redis: Any, proxy: Proxy, start: Start, act: str
) -> None:
    process = start(proxy.url)
    push(redis, TWIN, TWIN)
    failed, runs = all_again(process)
    getattr(proxy, act)(LEAVE)

    with pytest.raises(LOST):
        process.fetch.send_on(failed, RETRY)
    assert process.fetch.send_on(failed, RETRY)

    assert process.held(redis) == Counter([TWIN])
    assert redis.zcard("retry") == 1
    assert process.fetch.send_on(runs, Ending((Step("ZADD", KEYS.retry, ("1", b"the other")),), End.RETRY))
    assert redis.zcard("retry") == 2


def test_failures_of_threads_at_the_same_time_are_each_told_once(redis: Any, proxy: Proxy, start: Start) -> None:
    process = start(proxy.url)
    push(redis, *[TWIN] * 8)
    works = all_again(process)
    faults = [proxy.lose(LEAVE) for _ in range(3)]

    def tell(number: int) -> None:
        ending = Ending((Step("ZADD", KEYS.retry, ("1", b"%d" % number)),), End.RETRY)
        for _ in range(9):
            with contextlib.suppress(*LOST):
                assert process.fetch.send_on(works[number], ending)
                return

    with ThreadPoolExecutor(6) as pool:
        list(pool.map(tell, range(6)))

    assert all(fault.happened.is_set() for fault in faults)
    assert redis.zcard("retry") == 6
    assert process.held(redis) == Counter([TWIN] * 2)
    assert len(process.fetch.running()) == 2


@pytest.mark.parametrize("act", ["lose", "refuse"])
def test_a_give_back_that_was_cut_off_leaves_each_job_in_one_place(
    redis: Any, proxy: Proxy, start: Start, act: str
) -> None:
    process, pushed = start(proxy.url), jobs(4)
    push(redis, *pushed)
    first = again(process)
    process.fetch.pace.want = 3
    assert first is not None
    second = again(process)
    assert second is not None
    assert process.fetch.local
    getattr(proxy, act)(LEAVE)

    with pytest.raises(LOST):
        process.fetch.give_back(process.fetch.holdings.at_hand())
    works = all_again(process)

    assert bytes_of([first, second, *works]) == Counter(pushed)
    assert process.held(redis) == Counter(pushed)


@pytest.mark.parametrize("act", ["lose", "refuse"])
def test_untouched_jobs_whose_give_back_was_cut_off_are_given_back_later(
    redis: Any, proxy: Proxy, start: Start, act: str
) -> None:
    process, pushed = start(proxy.url), jobs(4)
    push(redis, *pushed)
    process.fetch.pace.want = 4
    running = again(process)
    assert running is not None
    getattr(proxy, act)(LEAVE)

    def returned() -> bool:
        tick(process)
        return bool(redis.llen("queue:default") == 3)

    eventually(returned)

    assert queued(redis) == Counter(pushed) - Counter([running.payload])
    assert process.held(redis) == Counter([running.payload])


def test_a_wait_whose_reply_was_lost_leaves_its_job_to_be_found(redis: Any, proxy: Proxy, start: Start) -> None:
    process = start(proxy.url)
    assert process.take() is None
    process.fetch.parking.hang_up()
    proxy.lose(b"BLMOVE")
    assert process.take() is None
    [job] = jobs(1)

    push(redis, job)
    work = again(process)

    assert work is not None
    assert work.payload == job
    assert process.held(redis) == Counter([job])


def test_what_a_wait_had_moved_is_found_while_the_process_is_busy(redis: Any, proxy: Proxy, start: Start) -> None:
    process = start(proxy.url, queues=(("default", 0), ("other", 0)))
    assert process.take() is None
    assert len(process.fetch.parking.waits.out) == 2
    [lost] = jobs(1)
    redis.lpush(process.private("w"), lost)  # as the server does it when nobody reads the reply

    proxy.cut()
    found: list[Work] = []

    def found_it() -> bool:
        tick(process)
        if process.fetch.local:
            found.append(process.fetch.local.popleft())
        return bool(found)

    eventually(found_it)

    assert bytes_of(found) == Counter([lost])


@pytest.mark.parametrize("why", ["it is time to count", "the lease was lost"])
def test_what_a_wait_brought_and_nobody_read_yet_is_found_once(redis: Any, start: Start, why: str) -> None:
    process = start()
    assert process.take() is None
    [job] = jobs(1)
    push(redis, job)  # the wait moves it, and its reply lies in the socket
    assert process.held(redis) == Counter([job])

    process.fetch.holdings.lanes[2].audited = 0.0
    if why == "the lease was lost":
        redis.delete(KEYS.lease(process.identity))
        with pytest.raises(FencedError):
            process.take()
        assert process.regain()

    assert bytes_of(process.take_all()) == Counter([job])


def test_a_lane_that_nobody_asks_through_is_looked_at_all_the_same(redis: Any, proxy: Proxy, start: Start) -> None:
    process, pushed = start(proxy.url, concurrency=1), jobs(2)
    push(redis, *pushed)
    with process.fetch.holdings.lanes[0].lock:
        proxy.lose(FETCH)
        with pytest.raises(LOST):
            process.take()  # the other lane, as the first is telling acknowledgements
    assert redis.llen(process.private("1")) == 1

    works: list[Work] = []

    def found_all() -> bool:
        tick(process)
        with contextlib.suppress(IndexError):
            works.append(process.fetch.local.popleft())
        return len(works) == 1

    eventually(found_all)
    assert bytes_of([*works, *all_again(process)]) == Counter(pushed)


def test_numbers_go_on_after_a_reconnection(redis: Any, start: Start) -> None:
    process = start()
    for number in range(1, 4):
        push(redis, *jobs(1))
        work = process.take()
        assert work is not None
        process.fetch.done(work)
        process.fetch.holdings.lanes[0].channel.close()
        told(process)
        assert int(redis.get(KEYS.sequence(process.identity, "0"))) == 2 * number


def test_every_kind_of_connection_may_be_killed(redis: Any, start: Start) -> None:
    process = start(queues=(("default", 0), ("other", 0)), concurrency=2)
    others = {int(redis.client_id())}
    expected: Counter[bytes] = Counter()
    taken: list[Work] = []
    for number in range(40):
        job = payload("Job", str(number))
        push(redis, job, queue=("default", "other")[number % 2])
        expected[job] += 1
        alive = sorted(connections(redis) - others)
        redis.client_kill_filter(_id=str(alive[number % len(alive)]))
        tick(process)
        if (work := again(process, number % 2)) is not None:
            taken.append(work)
            with contextlib.suppress(*LOST):
                process.fetch.give_back([work]) if number % 5 == 4 else process.fetch.done(work)
                taken = taken[:-1] if number % 5 == 4 else taken

    def all_taken() -> bool:
        tick(process)
        taken.extend(all_again(process))
        return bytes_of(taken) >= expected

    eventually(all_taken)
    assert set(bytes_of(taken)) == set(expected)


@pytest.mark.parametrize("kind", ["0", "1", "w", "wait", "pool"])
def test_a_connection_of_this_kind_is_killed(redis: Any, start: Start, kind: str) -> None:
    process, pushed = start(queues=(("default", 0), ("other", 0))), jobs(6)
    assert process.take(0) is None
    assert process.take(1) is None
    fetch = process.fetch
    with fetch.holdings.lanes[2].lock:
        fetch.holdings.lanes[2].channel.call(command("PING"))
    channels = {"0": fetch.holdings.lanes[0], "1": fetch.holdings.lanes[1], "w": fetch.holdings.lanes[2]}
    if kind == "pool":
        process.client.ping()
        known = {channel.call(command("CLIENT", "ID")) for channel in [one.channel for one in fetch.holdings.lanes]}
        known |= {number for number in fetch.parking.waits._ids if number}
        ids = [one for one in connections(redis) - {int(redis.client_id())} if one not in known]
    elif kind == "wait":
        ids = [number for number in fetch.parking.waits._ids if number]
    else:
        ids = [channels[kind].channel.call(command("CLIENT", "ID"))]
    assert ids

    for one in ids:
        redis.client_kill_filter(_id=str(one))
    push(redis, *pushed[:3])
    push(redis, *pushed[3:], queue="other")
    taken: list[Work] = []

    def all_taken() -> bool:
        tick(process)
        taken.extend(all_again(process))
        return len(taken) >= 6

    eventually(all_taken)
    assert bytes_of(taken) == Counter(pushed)
    for work in taken[:3]:
        process.fetch.done(work)
    for work in taken[3:]:
        eventually(lambda work=work: sent_on(process, work))
    told(process)
    assert process.held(redis) == Counter()


def sent_on(process: Process, work: Work) -> bool:
    try:
        return process.fetch.send_on(work, Ending((Step("ZADD", KEYS.retry, ("1", work.payload)),), End.RETRY))
    except LOST:
        return False


def test_a_killed_wait_is_noticed_though_another_one_brings_jobs(redis: Any, start: Start) -> None:
    process, pushed = start(queues=(("default", 0), ("other", 0))), jobs(3)
    assert process.take() is None
    other = process.fetch.parking.waits._ids[1]

    redis.client_kill_filter(_id=str(other))
    push(redis, pushed[0])
    eventually(lambda: redis.llen(process.private("w")) == 1)
    for _ in range(3):
        tick(process)
    push(redis, *pushed[1:], queue="other")

    assert bytes_of(all_again(process)) == Counter(pushed)
    assert process.take() is None
    assert process.fetch.parking.waits.out == {0, 1}
    assert all(channel.open for channel in process.fetch.parking.waits._channels)
