"""Of short jobs more are asked for by a thread that goes on: the reply is read when it is needed, or by others."""

import threading
from collections import Counter
from typing import Any

import pytest
from faults import Proxy
from fetching import FETCH, KEYS, LOST, Process, Start, all_again, bytes_of, jobs, push, queued, retire, ticked, told
from servers import eventually

from kiqdoctor.runtime.fetching.work import Work


def under_way(process: Process, client: Any, pushed: list[bytes]) -> list[Work]:
    """Two of eight jobs run, two are at hand, four come in a reply that nobody has read."""
    push(client, *pushed)
    pace = process.fetch.pace
    pace.want = 4
    first = process.need()
    pace.want, pace.low, pace.alone = 4, 3, True
    second = process.need()
    [asked] = [lane.asked for lane in process.fetch.holdings.lanes if lane.asked]
    assert asked == 4
    assert len(process.fetch.local) == 2
    return [first, second]


def test_the_thread_that_asks_goes_on_and_reads_the_reply_when_nothing_is_at_hand(redis: Any, start: Start) -> None:
    process, pushed = start(), jobs(8)
    works = under_way(process, redis, pushed)

    works += [process.need(), process.need()]
    assert not process.fetch.local
    works.append(process.need())
    assert len(process.fetch.local) == 3
    works += all_again(process)

    assert bytes_of(works) == Counter(pushed)
    for work in works:
        process.fetch.done(work)
    told(process)
    assert process.fetch.unfound == 0
    assert process.held(redis) == Counter()


def test_what_it_brings_is_not_left_to_a_thread_that_is_busy(redis: Any, start: Start) -> None:
    busy, other, pushed = start(), start(), jobs(8)
    running = under_way(busy, redis, pushed)

    eventually(lambda: ticked(busy) and redis.llen("queue:default") == 6)

    assert [work.payload for work in other.take_all()] == pushed[2:]
    assert busy.held(redis) == bytes_of(running)


def test_another_thread_reads_it_before_it_asks_itself(redis: Any, start: Start) -> None:
    process, pushed = start(), jobs(8)
    under_way(process, redis, pushed)
    assert [process.take(1) is not None for _ in range(3)] == [True] * 3
    assert not any(lane.asked for lane in process.fetch.holdings.lanes)
    assert len(process.fetch.local) == 3


def test_a_stop_gives_it_back(redis: Any, start: Start) -> None:
    process, pushed = start(), jobs(8)
    running = under_way(process, redis, pushed)

    process.fetch.close()

    assert queued(redis) == Counter(pushed[2:])
    assert process.held(redis) == bytes_of(running)


@pytest.mark.parametrize("act", ["lose", "refuse"])
def test_where_it_is_lost_its_jobs_are_found(redis: Any, proxy: Proxy, start: Start, act: str) -> None:
    process, pushed = start(proxy.url), jobs(8)
    push(redis, *pushed)
    process.fetch.pace.want = 4
    works = [process.need()]
    process.fetch.done(works[0])
    process.fetch.pace.want, process.fetch.pace.low, process.fetch.pace.alone = 4, 3, True
    fault = getattr(proxy, act)(FETCH)
    works += [process.need() for _ in range(3)]

    with pytest.raises(LOST):
        process.take()
    works += all_again(process)

    assert fault.happened.is_set()
    assert bytes_of(works) == Counter(pushed)
    for work in works[1:]:
        process.fetch.done(work)
    told(process)
    assert process.fetch.unfound == 0
    assert process.held(redis) == Counter()


def test_whoever_settles_without_hearing_it_takes_no_other_reply_for_it(redis: Any, start: Start) -> None:
    process, pushed = start(), jobs(8)
    running = under_way(process, redis, pushed)
    [lane] = [lane for lane in process.fetch.holdings.lanes if lane.asked]

    process.fetch.holdings.settle(lane)

    assert bytes_of([*running, *all_again(process)]) == Counter(pushed)


def test_under_another_lease_it_is_nobodys_and_others_find_it(redis: Any, start: Start) -> None:
    process, other, pushed = start(), start(), jobs(8)
    under_way(process, redis, pushed)
    former = process.identity
    retire(process, redis)

    assert not process.regain()

    assert process.take() is None
    assert process.held(redis, former) == Counter(pushed)  # as the account says that was left open
    assert not any(lane.asked for lane in process.fetch.holdings.lanes)
    redis.delete(KEYS.recovering)
    assert other.recovery().scan() == 8


def test_somebody_hears_of_new_jobs_though_the_last_at_hand_was_to_be_short(start: Start) -> None:
    """It may be long after all: then nobody would wait in Redis."""
    process = start()
    sleeper = threading.Thread(target=process.fetch._beds.sleep, args=(1, 60.0, lambda: False))
    sleeper.start()
    eventually(lambda: len(process.fetch._beds) == 1)

    process.fetch.tick()

    sleeper.join(30)
    assert not sleeper.is_alive()
