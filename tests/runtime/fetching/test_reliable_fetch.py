"""The reliable fetch on a real Redis, with each fault put in between two commands."""

import contextlib
import os
import shutil
import signal
import subprocess
import threading
from collections import Counter, deque
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
from faults import Proxy
from fetching import FETCH, KEYS, LEAVE, Process, bytes_of, jobs, payload, push, queued, ticked
from servers import RedisServer, eventually

from kiqdoctor.runtime.capsule import Capsule
from kiqdoctor.runtime.channel import command
from kiqdoctor.runtime.config import Settings, connect
from kiqdoctor.runtime.endings import End, Ending, Step
from kiqdoctor.runtime.fetching.basic import BasicFetch
from kiqdoctor.runtime.fetching.pace import MOST
from kiqdoctor.runtime.fetching.parking import LONGEST_PAUSE
from kiqdoctor.runtime.fetching.reliable import UNTOUCHED
from kiqdoctor.runtime.fetching.work import FencedError, Work
from kiqdoctor.runtime.forking import ForkedError
from kiqdoctor.wire.connections import WAITING

Start = Callable[..., Process]
LOST = (redis_py.ConnectionError, redis_py.TimeoutError)
RETRY = Ending((Step("ZADD", KEYS.retry, ("1", b"to be tried again")),), End.RETRY)
TWIN = payload("Job", "the same jid")


@pytest.fixture
def proxy(redis: Any, redis_server: RedisServer) -> Iterator[Proxy]:
    with Proxy.start(redis_server.port) as found:
        yield found


@pytest.fixture
def start(redis: Any, redis_server: RedisServer) -> Iterator[Start]:
    """Processes; straight at the server, or at the url that is given."""
    started: list[Process] = []

    def one(url: str = "", **options: Any) -> Process:
        started.append(Process(url or redis_server.url, **options))
        return started[-1]

    yield one
    for process in started:
        process.leave()


def again(process: Process, number: int = 0) -> Work | None:
    """As a processor: an error of the connection is followed by another look."""
    for _ in range(5):
        try:
            work = process.take(number)
        except LOST:
            continue
        if work is not None:
            return work
    return None


def all_again(process: Process) -> list[Work]:
    found: list[Work] = []
    while (work := again(process)) is not None:
        found.append(work)
    return found


def tick(process: Process) -> None:
    """As the ticker: what fails is tried again."""
    with contextlib.suppress(redis_py.RedisError, FencedError):
        process.fetch.tick()


def told(process: Process) -> None:
    """Everything that ended is known to Redis."""

    def nothing_waits() -> bool:
        tick(process)
        return not process.fetch.holdings.ended and not any(lane.pending for lane in process.fetch.holdings.lanes)

    eventually(nothing_waits)


def put_away(process: Process, client: Any) -> None:
    """Nothing is held, nothing runs, nobody is in the index."""
    process.fetch.close()
    assert process.lease.release()
    assert client.keys("kiq:*") == []


def retire(process: Process, client: Any) -> None:
    """The lease runs out, and others close the account."""
    client.delete(KEYS.lease(process.identity))
    client.hdel(KEYS.index, process.identity)


# -- a reply is lost, a request is repeated ------------------------------------------------------------------------


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


def connections(client: Any) -> set[int]:
    return {int(one["id"]) for one in client.client_list()}


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


# -- the lease is lost ---------------------------------------------------------------------------------------------


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


# -- errors of the server ------------------------------------------------------------------------------------------


def test_a_wrong_type_on_one_of_several_queues_strands_nothing_of_another(redis: Any, start: Start) -> None:
    process, pushed = start(queues=(("broken", 0), ("default", 0), ("other", 0))), jobs(3)
    redis.set("queue:broken", "no list")
    push(redis, *pushed[:2])
    push(redis, pushed[2], queue="other")

    works = process.take_all()
    for work in works:
        process.fetch.done(work)
    told(process)

    assert bytes_of(works) == Counter(pushed)
    assert process.held(redis) == Counter()


@pytest.mark.parametrize("kind", ["hash", "no number"])
def test_a_sequence_of_the_wrong_type_is_written_anew(redis: Any, start: Start, kind: str) -> None:
    process, pushed = start(), jobs(2)
    push(redis, pushed[0])
    first = process.take()
    for key in redis.keys("kiq:sequence:*"):
        redis.delete(key)
        redis.hset(key, "a", "b") if kind == "hash" else redis.set(key, "b")
    push(redis, pushed[1])

    second = process.take()
    told(process)

    assert first is not None
    assert second is not None
    assert [first.payload, second.payload] == pushed


def test_beside_a_queue_of_the_wrong_type_waits_go_on(redis: Any, start: Start) -> None:
    process = start(queues=(("broken", 0), ("default", 0)))
    redis.set("queue:broken", "no list")
    assert process.take() is None
    assert process.take() is None

    [job] = jobs(1)
    push(redis, job)
    eventually(lambda: process.held(redis))
    work = process.take()

    assert work is not None
    assert work.payload == job


def test_a_retry_set_of_the_wrong_type_leaves_the_job_where_it_was(redis: Any, start: Start) -> None:
    process = start()
    push(redis, *jobs(1))
    [work] = process.take_all()
    redis.set("retry", "no sorted set")

    with pytest.raises(redis_py.ResponseError, match="WRONGTYPE"):
        process.fetch.send_on(work, RETRY)
    assert process.held(redis) == Counter([work.payload])
    redis.delete("retry")

    assert process.fetch.send_on(work, RETRY)
    assert process.held(redis) == Counter()


def stored(number: int) -> Ending:
    """An end that stores the job under this number."""
    return Ending((Step("ZADD", KEYS.retry, ("1", b"%d \xff" % number)),), End.RETRY)


@pytest.mark.parametrize("act", ["lose", "refuse"])
def test_exits_that_go_with_a_request_happen_once_and_spare_an_equal_job(
    redis: Any, proxy: Proxy, start: Start, act: str
) -> None:
    process = start(proxy.url)
    push(redis, *[TWIN] * 5)
    works = all_again(process)
    for number, work in enumerate(works[:3]):
        process.fetch.leave(work, stored(number))
    process.fetch.done(works[3])
    getattr(proxy, act)(FETCH)
    told(process)

    assert redis.zcard("retry") == 3
    assert process.held(redis) == Counter([TWIN])
    assert process.fetch.running() == [works[4]]
    assert process.fetch.unfound == 0


def test_what_leaves_with_a_request_and_is_somebody_else_s_by_now_changes_nothing(redis: Any, start: Start) -> None:
    process = start()
    push(redis, *jobs(2))
    first, second = process.take_all()
    redis.lrem(first.home.key, 1, first.payload)
    lock = KEYS.unique("a")
    redis.set(lock, "j")
    process.fetch.leave(first, Ending((Step("DELIF", lock, ("j",)), *stored(1).steps)))
    process.fetch.leave(second, stored(2))
    told(process)

    assert redis.get(lock) == b"j"
    assert redis.zrange("retry", 0, -1) == [b"2 \xff"]
    assert process.fetch.unfound == 1


def test_a_retry_set_of_the_wrong_type_leaves_a_job_where_it_was_and_no_other(redis: Any, start: Start) -> None:
    process = start()
    push(redis, *jobs(3))
    works = process.take_all()
    redis.set("retry", "no sorted set")
    process.fetch.leave(works[0], stored(1))
    process.fetch.leave(works[1], Ending((Step("ZADD", KEYS.dead, ("1", b"dead")),), End.DEAD))
    process.fetch.done(works[2])
    told(process)

    assert process.held(redis) == bytes_of(works[:1])
    assert redis.zcard("dead") == 1
    assert process.fetch.running() == works[:1]
    redis.delete("retry")
    process.skipped += 2
    told(process)

    assert redis.zcard("retry") == 1
    assert process.held(redis) == Counter()
    assert process.fetch.running() == []


def test_a_place_that_takes_no_job_is_asked_on_until_somebody_mends_it(redis: Any, start: Start) -> None:
    process = start()
    push(redis, *jobs(1))
    [work] = process.take_all()
    redis.set("retry", "no sorted set")
    process.fetch.leave(work, stored(1))
    for _ in range(3):
        told(process)
        process.skipped += 1.1
    assert process.held(redis) == bytes_of([work])
    redis.delete("retry")
    process.skipped += 5.1
    told(process)

    assert process.held(redis) == Counter()
    assert redis.zcard("retry") == 1
    assert process.fetch.running() == []


def test_what_was_refused_and_has_left_since_takes_no_equal_job_with_it(redis: Any, start: Start) -> None:
    """A client that sent again leaves two equal payloads in one list."""
    process = start()
    [twin, other] = jobs(2)
    push(redis, twin, twin, other)
    works = process.take_all()
    first, second = (work for work in works if work.payload == works[0].payload)
    [third] = (work for work in works if work.payload != works[0].payload)
    redis.set("retry", "no sorted set")
    process.fetch.leave(first, stored(1))
    told(process)
    redis.delete("retry")
    process.skipped += 2
    told(process)
    assert redis.zcard("retry") == 1
    redis.set("dead", "no sorted set")
    process.fetch.leave(third, Ending((Step("ZADD", KEYS.dead, ("1", b"dead")),), End.DEAD))
    for _ in range(3):
        told(process)
        process.skipped += 2

    assert process.held(redis) == bytes_of([second, third])
    assert process.fetch.unfound == 0


def test_what_was_to_leave_under_a_former_identity_leaves_with_its_consequences(redis: Any, start: Start) -> None:
    process = start()
    push(redis, *jobs(3))
    ours, theirs, refused = process.take_all()
    for number, work in enumerate((ours, theirs)):
        process.fetch.leave(work, stored(number))
    process.fetch.leave(refused, Ending((Step("ZADD", "queues", ("1", b"no")),), End.RETRY))
    redis.lrem(theirs.home.key, 1, theirs.payload)
    retire(process, redis)
    assert not process.regain()
    told(process)

    assert redis.zrange("retry", 0, -1) == [b"0 \xff"]
    assert redis.lrange(refused.home.key, 0, -1) == [refused.payload]


@pytest.fixture
def full(redis: Any) -> Iterator[Callable[[], None]]:
    def fill() -> None:
        redis.config_set("maxmemory", 1)
        with pytest.raises(redis_py.exceptions.OutOfMemoryError):
            redis.set("more", "than there is")

    yield fill
    redis.config_set("maxmemory", 0)


def test_with_memory_full_jobs_are_fetched_ended_given_back_and_tried_again(
    redis: Any, start: Start, full: Callable[[], None]
) -> None:
    process, pushed = start(), jobs(6)
    push(redis, *pushed)
    full()

    first, second, third = (process.take() for _ in range(3))
    assert first is not None
    assert second is not None
    assert third is not None
    process.fetch.done(first)
    told(process)
    assert process.fetch.send_on(second, RETRY)
    assert process.fetch.give_back([third]) == 1
    assert process.lease.renew()
    again_third = process.need()
    process.fetch.leave(again_third, stored(3))
    told(process)

    assert redis.zcard("retry") == 2
    rest = process.take_all()
    assert bytes_of([first, second, again_third, *rest]) == Counter(pushed)
    put_away_as_far_as(process, redis, rest)


def put_away_as_far_as(process: Process, client: Any, works: list[Work]) -> None:
    for work in works:
        process.fetch.done(work)
    put_away(process, client)


def test_with_memory_full_a_lease_that_ran_out_is_taken_again_and_a_new_process_starts(
    redis: Any, start: Start, full: Callable[[], None]
) -> None:
    process = start()
    push(redis, *jobs(2))
    running = process.take()
    assert running is not None
    full()
    redis.delete(KEYS.lease(process.identity))

    assert process.regain()
    retire(process, redis)
    assert not process.regain()

    assert start().take() is not None


def test_with_memory_full_waits_end_and_looking_goes_on(redis: Any, start: Start, full: Callable[[], None]) -> None:
    process = start()
    push(redis, *jobs(1))
    full()
    [work] = process.take_all()
    process.fetch.done(work)
    told(process)
    assert process.take() is None
    redis.config_set("maxmemory", 0)
    push(redis, *jobs(1))
    redis.config_set("maxmemory", 1)
    assert process.take() is not None


def test_a_server_that_may_not_write_is_asked_again_and_nothing_is_lost(redis: Any, start: Start) -> None:
    process, pushed = start(), jobs(4)
    push(redis, *pushed)
    first, second = process.take(), process.take()
    assert first is not None
    assert second is not None
    process.fetch.done(first)
    redis.replicaof("127.0.0.1", 1)
    try:
        with pytest.raises(redis_py.ReadOnlyError):
            process.fetch.tick()
        with pytest.raises(redis_py.ReadOnlyError):
            process.take()
        with pytest.raises(redis_py.ResponseError, match="read only replica"):  # Redis 6.2 says it in its own way
            process.fetch.send_on(second, RETRY)
        with pytest.raises(redis_py.ReadOnlyError):
            process.lease.renew()
    finally:
        redis.replicaof("NO", "ONE")

    assert process.fetch.send_on(second, RETRY)
    rest = all_again(process)
    told(process)
    assert bytes_of([first, second, *rest]) == Counter(pushed)
    assert redis.zcard("retry") == 1
    assert process.held(redis) == bytes_of(rest)


def test_a_server_that_is_loading_is_asked_again(tmp_path: Path) -> None:
    slow = {"key-load-delay": "300", "loading-process-events-interval-bytes": "1024", "dbfilename": "dump.rdb"}
    with RedisServer.start(slow) as server, server.client() as client:
        process = Process(server.url)
        pushed = jobs(3)
        push(client, *pushed)
        first = process.take()
        assert first is not None
        process.fetch.done(first)
        client.mset({f"filler:{number}": "x" * 60 for number in range(3000)})
        client.save()
        server.down(signal.SIGKILL)

        seen: set[str] = set()
        with ThreadPoolExecutor(1) as pool:
            back = pool.submit(server.up)
            while not back.done():
                try:
                    process.fetch.tick()
                except redis_py.RedisError as error:
                    seen.add(type(error).__name__)
                except FencedError:
                    process.regain()
            back.result()
        eventually(lambda: regained(process))

        assert "BusyLoadingError" in seen
        assert bytes_of([first, *all_again(process)]) == Counter(pushed)
        process.leave()


def regained(process: Process) -> bool:
    try:
        return process.regain()
    except redis_py.RedisError:
        return False


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    mount = shutil.which("mount")
    folder = tmp_path / "small"
    folder.mkdir()
    made = mount is not None and os.geteuid() == 0 and (
        subprocess.run([mount, "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=False).returncode == 0
    )  # fmt: skip
    if not made:
        pytest.skip("a disk that can be filled needs root, to mount a tmpfs of one megabyte")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


def test_a_full_disk_stops_everything_and_nothing_is_lost(small_disk: Path) -> None:
    settings = {"appendonly": "yes", "appendfsync": "everysec", "dir": str(small_disk)}
    with RedisServer.start(settings) as server, server.client() as client:
        process, pushed = Process(server.url), jobs(5)
        push(client, *pushed)
        process.fetch.pace.want = 2
        first, second = process.take(), process.take()
        assert first is not None
        assert second is not None
        process.fetch.done(first)
        blob = small_disk / "blob"
        with contextlib.suppress(OSError), blob.open("wb", buffering=0) as file:
            while True:
                file.write(b"x" * 4096)

        def refused() -> bool:
            try:
                client.set("filler", "x" * 10_000)
            except redis_py.ResponseError as error:
                return "MISCONF" in str(error)
            return False

        eventually(refused)
        with pytest.raises(redis_py.ResponseError, match="MISCONF"):
            process.fetch.send_on(second, RETRY)
        with pytest.raises(redis_py.ResponseError, match="MISCONF"):
            process.fetch.tick()
        assert process.held(client) >= Counter([first.payload, second.payload])

        blob.unlink()
        eventually(lambda: sent_through(process, second))
        told(process)
        eventually(lambda: regained(process))
        rest = all_again(process)
        assert bytes_of([first, second, *rest]) == Counter(pushed)
        assert process.held(client) == bytes_of(rest)
        process.leave()


def sent_through(process: Process, work: Work) -> bool:
    try:
        return process.fetch.send_on(work, RETRY)
    except redis_py.ResponseError:
        return False


# -- an outage of Redis --------------------------------------------------------------------------------------------


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


# -- order and shares ----------------------------------------------------------------------------------------------


def names(works: list[Work]) -> list[str]:
    return [work.queue for work in works]


def test_strict_order_holds_within_and_between_batches(redis: Any, start: Start) -> None:
    process = start(queues=(("first", 0), ("second", 0), ("third", 0)))
    for queue in ("third", "second", "first"):
        push(redis, *jobs(30, queue), queue=queue)
    process.fetch.pace.want = 20

    works = process.take_all()

    assert names(works) == ["first"] * 30 + ["second"] * 30 + ["third"] * 30
    assert [work.payload for work in works] == jobs(30, "first") + jobs(30, "second") + jobs(30, "third")


def test_weights_divide_batches_as_they_divide_single_fetches(redis: Any, start: Start) -> None:
    process = start(queues=(("heavy", 6), ("middle", 3), ("light", 1)))
    for queue in ("heavy", "middle", "light"):
        push(redis, *jobs(800, queue), queue=queue)
    counts: Counter[str] = Counter()
    for _ in range(40):
        process.fetch.pace.want = 20
        process.fetch._refill(process.fetch.holdings.lanes[0])
        counts.update(names(list(process.fetch.local)))
        process.fetch.local.clear()

    total = counts.total()
    assert 0.52 < counts["heavy"] / total < 0.68
    assert 0.24 < counts["middle"] / total < 0.36
    assert 0.06 < counts["light"] / total < 0.14


def test_single_shares_are_drawn_by_weight(redis: Any, start: Start) -> None:
    process = start(queues=(("heavy", 3), ("light", 1)))
    for queue in ("heavy", "light"):
        push(redis, *jobs(700, queue), queue=queue)
    process.fetch.pace.adapt = lambda wanted, got, slowest: None  # type: ignore[method-assign]
    process.fetch.pace.want = 1
    counts = Counter(names([work for work in (process.take() for _ in range(600)) if work is not None]))
    assert 0.68 < counts["heavy"] / 600 < 0.82


def test_what_one_queue_lacks_others_fill(redis: Any, start: Start) -> None:
    process = start(queues=(("heavy", 9), ("light", 1)))
    push(redis, *jobs(20, "light"), queue="light")
    process.fetch.pace.want = 20
    process.fetch._refill(process.fetch.holdings.lanes[0])
    assert len(process.fetch.local) == 20


def test_a_paused_queue_is_neither_asked_nor_waited_for(redis: Any, start: Start) -> None:
    process = start(queues=(("default", 0), ("other", 0)))
    process.fetch.pause(frozenset({"other"}))
    push(redis, *jobs(2, "other"), queue="other")
    push(redis, *jobs(2))
    assert names(process.take_all()) == ["default", "default"]
    assert process.fetch.parking.waits.out == {0}
    process.fetch.pause(frozenset())
    assert names(process.take_all()) == ["other", "other"]


def test_with_every_queue_paused_nothing_is_taken(redis: Any, start: Start) -> None:
    process = start()
    process.fetch.pause(frozenset({"default"}))
    push(redis, *jobs(2))
    assert process.take_all() == []
    assert redis.llen("queue:default") == 2


def test_more_queues_than_are_waited_for_are_looked_at(redis: Any, start: Start) -> None:
    queues = tuple((f"queue-{number}", 0) for number in range(WAITING + 1))
    process = start(queues=queues)
    assert process.fetch.take(0) is None
    assert not process.fetch.parking.waits.out
    for name, _ in queues:
        push(redis, *jobs(1, name), queue=name)
    assert sorted(names(process.take_all())) == sorted(name for name, _ in queues)


def test_a_pause_between_two_looks_grows_and_begins_anew_after_a_job(redis: Any, start: Start) -> None:
    queues = tuple((f"queue-{number}", 0) for number in range(WAITING + 1))
    process = start(queues=queues)
    assert process.fetch.take(0) is None
    assert process.fetch.parking.pause == LONGEST_PAUSE
    push(redis, *jobs(1, "queue-3"), queue="queue-3")
    assert process.take() is not None
    assert process.fetch.parking.pause == 0.0


def test_more_is_fetched_ahead_of_short_jobs_and_nothing_ahead_of_long_ones(redis: Any, start: Start) -> None:
    process = start()
    push(redis, *jobs(3000))
    fetch = process.fetch
    sizes: list[int] = []
    while len(sizes) < 12:
        work = process.take()
        assert work is not None
        fetch.slowest = 0.000_02
        fetch.done(work)
        if not sizes or fetch.pace.want != sizes[-1]:
            sizes.append(fetch.pace.want)
        if fetch.pace.want == MOST:
            break
    assert sizes == sorted(sizes)
    assert sizes[-1] == MOST
    while fetch.local:
        fetch.done(fetch.local.popleft())

    fetch.slowest = 2.0
    assert process.take() is not None
    fetch.slowest = 2.0
    while fetch.local:
        fetch.done(fetch.local.popleft())
    before = redis.llen("queue:default")
    assert process.take() is not None
    assert redis.llen("queue:default") == before - 1
    assert not fetch.local


# -- what nobody starts --------------------------------------------------------------------------------------------


def test_what_lies_behind_busy_threads_goes_to_another_process(redis: Any, start: Start) -> None:
    busy, idle = start(concurrency=1), start()
    pushed = jobs(4)
    push(redis, *pushed)
    busy.fetch.pace.want = 4
    running = busy.take()
    assert running is not None
    assert len(busy.fetch.local) == 3

    eventually(lambda: ticked(busy) and redis.llen("queue:default") == 3)

    assert [work.payload for work in idle.take_all()] == pushed[1:]
    assert busy.held(redis) == Counter([running.payload])


def test_what_was_just_fetched_is_not_given_back(redis: Any, start: Start) -> None:
    process = start(concurrency=1)
    turned = [0.0]
    process.fetch._clock = type(process.clock)(monotonic=lambda: turned[0], boottime=process.clock.boottime)
    push(redis, *jobs(3))
    process.fetch.pace.want = 3
    assert process.take() is not None
    process.fetch.tick()
    turned[0] += UNTOUCHED * 0.9
    process.fetch.tick()
    assert len(process.fetch.local) == 2
    turned[0] += UNTOUCHED
    process.fetch.tick()
    assert not process.fetch.local


def test_nothing_is_given_back_by_a_process_that_was_suspended_past_its_lease(redis: Any, start: Start) -> None:
    process, other = start(concurrency=1), start()
    push(redis, *jobs(3))
    process.fetch.pace.want = 3
    assert process.take() is not None
    process.fetch.tick()
    process.skipped += 60
    redis.delete(KEYS.lease(process.identity))
    assert other.recovery().scan() == 3

    def looked() -> bool:
        tick(process)
        return not process.fetch.local or process.clock.monotonic() - process.fetch._first[1] > 2 * UNTOUCHED

    eventually(looked)
    assert redis.llen("queue:default") == 3


def test_ends_that_race_with_a_give_back_are_counted_once(redis: Any, start: Start) -> None:
    process = start()
    push(redis, TWIN, TWIN)
    first, second = process.take_all()

    process.fetch.done(first)
    assert process.fetch.give_back([first, second]) == 2  # what was not acknowledged in time runs again
    told(process)

    assert process.held(redis) + queued(redis) == Counter([TWIN, TWIN])
    assert process.fetch.unfound == 1
    assert process.fetch.running() == []


def test_what_ended_and_is_not_told_yet_does_not_count_as_running(redis: Any, proxy: Proxy, start: Start) -> None:
    process = start(proxy.url)
    push(redis, *jobs(2))
    first, second = all_again(process)
    process.fetch.done(first)
    proxy.refuse(FETCH)
    tick(process)

    assert process.fetch.running() == [second]


class CountedBefore(deque[Work]):
    """As a lane sees what ended where another one takes some of it after it was counted."""

    def __len__(self) -> int:
        return super().__len__() + 1


def test_what_ended_is_told_though_another_lane_took_some_of_it(redis: Any, start: Start) -> None:
    process = start()
    push(redis, *jobs(2))
    process.fetch.holdings.ended = CountedBefore(all_again(process))

    process.fetch.tick()

    assert process.held(redis) == Counter()


# -- alone ---------------------------------------------------------------------------------------------------------


def test_a_job_that_must_run_alone_has_the_process_for_itself(redis: Any, start: Start) -> None:
    process, other = start(), start()
    pushed = jobs(4)
    push(redis, *pushed)
    process.fetch.pace.want = 4
    suspect = process.take(0)
    assert suspect is not None

    assert process.fetch.alone(0)
    assert not process.fetch.alone(1)
    assert redis.llen("queue:default") == 3
    assert process.fetch.take(1) is None
    assert redis.llen("queue:default") == 3
    assert [work.payload for work in other.take_all()] == pushed[1:]
    process.fetch.done(suspect)
    process.fetch.together(0)
    other.leave()

    push(redis, *jobs(1))
    assert process.take(1) is not None


def test_what_was_under_way_when_a_job_began_alone_goes_back(redis: Any, proxy: Proxy, start: Start) -> None:
    process = start(proxy.url)
    push(redis, *jobs(1))
    suspect = process.take(0)
    assert suspect is not None
    push(redis, *jobs(3))
    process.fetch.pace.want = 3
    reply = proxy.hold_reply(FETCH)
    with ThreadPoolExecutor(1) as pool:
        taking = pool.submit(process.take, 1)
        reply.wait()
        assert process.fetch.alone(0)
        reply.go_on.set()
        assert taking.result() is None

    assert redis.llen("queue:default") == 3
    assert process.fetch.running() == [suspect]


def test_the_right_to_run_alone_is_not_stuck_when_redis_is_away(redis: Any, proxy: Proxy, start: Start) -> None:
    process = start(proxy.url)
    push(redis, *jobs(3))
    process.fetch.pace.want = 3
    suspect = process.take(0)
    assert suspect is not None
    proxy.refuse(LEAVE)

    assert process.fetch.alone(0)
    process.fetch.done(suspect)
    process.fetch.together(0)

    assert len(all_again(process)) == 2


# -- the end -------------------------------------------------------------------------------------------------------


def test_a_stop_with_waits_under_way_leaves_nothing(redis: Any, start: Start) -> None:
    process = start(queues=(("default", 0), ("other", 0)))
    assert process.take() is None
    assert len(process.fetch.parking.waits.out) == 2

    process.fetch.stop()
    push(redis, *jobs(1), queue="other")
    assert redis.llen("queue:other") == 1

    put_away(process, redis)
    assert redis.llen("queue:other") == 1


def test_what_a_wait_brings_while_stopping_goes_back(redis: Any, start: Start) -> None:
    process = start(queues=(("default", 0), ("other", 0)))
    assert process.take() is None
    pushed = jobs(2)
    push(redis, pushed[0])
    push(redis, pushed[1], queue="other")
    eventually(lambda: len(process.held(redis)) == 2)

    put_away(process, redis)

    assert queued(redis) == Counter([pushed[0]])
    assert queued(redis, "other") == Counter([pushed[1]])


def test_a_stop_while_a_thread_waits_ends_the_wait(redis: Any, start: Start) -> None:
    process = start()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(process.fetch.take, 0)
        eventually(lambda: process.fetch.parking.waits.out)
        process.fetch.stop()
        assert waiting.result() is None
    put_away(process, redis)


def test_a_stop_ends_waits_that_were_cut_off_too(redis: Any, proxy: Proxy, start: Start) -> None:
    process = start(proxy.url)
    assert process.take() is None
    wait = process.fetch.parking.waits._ids[0]
    proxy.cut()
    with contextlib.suppress(*LOST):
        process.fetch.stop()
    push(redis, *jobs(2))

    eventually(lambda: closed(process))
    assert process.lease.release()
    assert redis.llen("queue:default") == 2
    assert wait not in connections(redis)
    assert redis.keys("kiq:*") == []


def closed(process: Process) -> bool:
    try:
        process.fetch.close()
    except LOST:
        return False
    return True


def test_jobs_in_hand_at_the_end_stay_with_the_account_for_the_survivors(redis: Any, start: Start) -> None:
    process, other = start(), start()
    push(redis, *jobs(1))
    assert process.take() is not None

    process.fetch.close()
    assert not process.lease.release()

    assert redis.hexists(KEYS.index, process.identity)
    assert not redis.exists(KEYS.lease(process.identity))
    assert other.recovery().scan() == 1


def test_a_thread_that_outlives_the_fetch_writes_into_no_file_of_others(
    redis: Any, start: Start, tmp_path: Path
) -> None:
    process = start()
    push(redis, *jobs(1))
    assert process.take() is not None
    assert process.fetch.alone(0)
    process.fetch.close()
    files = [(tmp_path / str(number)).open("wb") for number in range(8)]  # they get the numbers that became free

    process.fetch.together(0)

    for file in files:
        file.close()
    assert [(tmp_path / str(number)).read_bytes() for number in range(8)] == [b""] * 8


def test_threads_that_ask_while_the_end_comes_leave_nothing_behind(redis: Any, start: Start) -> None:
    for _ in range(5):
        process = start(concurrency=4)
        push(redis, *jobs(200))
        stop = threading.Event()
        errors: list[Exception] = []

        def run(number: int, process: Process = process, stop: threading.Event = stop, errors: Any = errors) -> None:
            while not stop.is_set():
                try:
                    work = process.fetch.take(number)
                except Exception as error:  # noqa: BLE001 - it is looked at below
                    errors.append(error)
                    return
                if work is not None:
                    process.fetch.done(work)

        threads = [threading.Thread(target=run, args=(number,)) for number in range(4)]
        for thread in threads:
            thread.start()
        eventually(lambda: redis.llen("queue:default") < 150)
        process.fetch.stop()
        stop.set()
        process.fetch.wake()
        for thread in threads:
            thread.join()
        put_away(process, redis)
        assert errors == []
        redis.delete("queue:default")


# -- fork ----------------------------------------------------------------------------------------------------------


def in_child(act: Callable[[], str]) -> str:
    """What it says in a child after fork."""
    reader, writer = os.pipe()
    pid = os.fork()
    if not pid:
        try:
            os.write(writer, act().encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    with os.fdopen(reader) as file:
        return file.read()


def tried(act: Callable[[], Any]) -> str:
    try:
        return f"did it: {act()}"
    except ForkedError as error:
        return f"ForkedError: {error}"
    except Exception as error:  # noqa: BLE001 - a child must say what it met
        return f"{type(error).__name__}: {error}"


def test_a_child_after_fork_touches_nothing_of_its_parent(redis: Any, start: Start) -> None:
    process, pushed = start(), jobs(4)
    push(redis, *pushed)
    process.fetch.pace.want = 3
    running = process.take()
    assert running is not None

    acts: list[Callable[[], Any]] = [
        lambda: process.fetch.take(0),
        lambda: process.fetch.send_on(running, RETRY),
        lambda: process.fetch.give_back([running]),
        process.fetch.close,
        process.lease.renew,
        process.lease.release,
        process.lease.reclaim,
    ]
    for act in acts:
        assert "ForkedError" in in_child(partial(tried, act)), act

    assert redis.exists(KEYS.lease(process.identity))
    rest = process.take_all()
    assert bytes_of([running, *rest]) == Counter(pushed)
    process.fetch.done(running)
    told(process)
    assert process.held(redis) == bytes_of(rest)


# -- the basic fetch -----------------------------------------------------------------------------------------------


@pytest.fixture
def basic(redis: Any, redis_server: RedisServer) -> Iterator[BasicFetch]:
    client = connect(Settings(redis_server.url), 4)
    yield BasicFetch(client, KEYS, Capsule("default", 2, (("default", 0), ("other", 0))), lambda: False)
    client.close()


def test_the_basic_fetch_takes_gives_back_and_sends_on(redis: Any, basic: BasicFetch) -> None:
    first, second = jobs(2)
    push(redis, first, second)
    work = basic.take(0)
    assert work is not None
    assert work.payload == first
    assert basic.running() == [work]
    basic.put_back(work)
    again_taken = basic.take(0)
    assert again_taken is not None
    assert again_taken.payload == first
    assert basic.send_on(again_taken, RETRY)
    assert redis.zcard("retry") == 1


def test_the_basic_fetch_holds_nothing_that_was_put_back(redis: Any, basic: BasicFetch) -> None:
    push(redis, *jobs(1))
    work = basic.take(0)
    assert work is not None
    basic.put_back(work)
    assert basic.running() == []
