"""What the server refuses, and says why: types, memory, disk, a replica, loading."""

import contextlib
import os
import shutil
import signal
import subprocess
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import redis as redis_py
from faults import Proxy
from fetching import (
    FETCH,
    KEYS,
    RETRY,
    TWIN,
    Process,
    Start,
    all_again,
    bytes_of,
    jobs,
    push,
    put_away,
    retire,
    told,
)
from servers import RedisServer, eventually

from kiqdoctor.runtime.alike import Kinds, Likewise
from kiqdoctor.runtime.endings import End, Ending, Step
from kiqdoctor.runtime.fetching.holdings import AGAIN
from kiqdoctor.runtime.fetching.work import FencedError, Work
from kiqdoctor.runtime.job import Job, JobOptions
from kiqdoctor.wire.payload import plain_payload


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


def test_of_ends_that_are_alike_those_that_are_refused_are_told_again_and_no_other(redis: Any, start: Start) -> None:
    """By themselves, and of two kinds, in one request: each refusal is put to the job that was refused."""
    process, kinds = start(concurrency=20), Kinds(KEYS)
    job: Job[..., Any] = Job(print, "Job", JobOptions(status=True))
    push(redis, *jobs(9))
    works = process.take_all()
    redis.set(KEYS.retry, "no sorted set")
    for number, work in enumerate(works):
        record, raw = plain_payload(work.payload), work.payload
        if number % 3 == 0:
            ending: Ending | Likewise = Ending((Step("ZADD", KEYS.retry, ("2.5", raw[:-1] + b" again}")),), End.RETRY)
        elif number % 3 == 1:
            ending = kinds.tried_again(job, record, raw, "2.5", " again}", 1.5)
        else:
            ending = kinds.done(job, record, raw, 1.5)
        process.fetch.leave(work, ending)
    process.fetch.take(0)

    assert process.held(redis) == bytes_of(work for number, work in enumerate(works) if number % 3 < 2)
    done = [plain_payload(work.payload).jid for work in works[2::3]]
    assert [redis.hget(KEYS.status(jid), "state") for jid in done] == [b"done"] * 3
    assert len(redis.keys(KEYS.status("*"))) == 3

    redis.delete(KEYS.retry)
    process.skipped += AGAIN
    told(process)
    assert process.held(redis) == Counter()
    assert set(redis.zrange(KEYS.retry, 0, -1)) == {
        work.payload[:-1] + b" again}" for number, work in enumerate(works) if number % 3 < 2
    }
    assert [redis.hget(KEYS.status(jid), "version") for jid in done] == [b"1"] * 3


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
