"""A job that must run alone has the process for itself."""

from concurrent.futures import ThreadPoolExecutor
from typing import Any

from faults import Proxy
from fetching import FETCH, LEAVE, Start, all_again, jobs, push


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
