"""What was fetched and nobody starts goes to others, and is counted once."""

from collections import Counter, deque
from dataclasses import replace
from typing import Any

import pytest
from faults import Proxy
from fetching import FETCH, KEYS, TWIN, Start, all_again, jobs, push, queued, tick, ticked, told
from servers import eventually

from kiqdoctor.runtime.fetching.reliable import UNTOUCHED
from kiqdoctor.runtime.fetching.work import Work


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


@pytest.mark.parametrize("moves", [False, True])
def test_one_long_job_among_short_ones_holds_up_no_other_until_the_next_tick(
    redis: Any, start: Start, monkeypatch: pytest.MonkeyPatch, *, moves: bool
) -> None:
    """Where one thread runs them all by itself, another is roused as soon as it is seen that it does not go on."""
    process = start(concurrency=2)
    push(redis, *jobs(3))
    process.fetch.pace.want = 3
    assert process.take() is not None
    process.fetch.pace.alone = True
    roused = []

    def sleep(_seconds: float) -> None:
        if moves:
            process.fetch.local.popleft()

    monkeypatch.setattr(process.fetch._beds, "rouse", lambda: roused.append(True))
    process.fetch._clock = replace(process.clock, sleep=sleep)
    process.fetch.tick()

    assert roused == ([] if moves else [True])


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
