"""At the end nothing is left behind: waits, jobs in hand, threads."""

import contextlib
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from faults import Proxy
from fetching import (
    KEYS,
    LOST,
    Process,
    Start,
    connections,
    jobs,
    push,
    put_away,
    queued,
)
from servers import eventually


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
