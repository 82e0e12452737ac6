"""A child after fork pushes by connections of its own, and must not go on with a worker of its parent."""

import os
import sys
import traceback
import warnings
from collections.abc import Callable
from typing import Any

import pytest
from servers import RedisServer, eventually
from workers import Worker

import kiqdoctor
from kiqdoctor.runtime import config, forking, loops
from kiqdoctor.runtime.forking import ForkedError
from kiqdoctor.runtime.job import Job


def in_child(act: Callable[[], Any]) -> str:
    """What a forked child's call answered, or its error as one line."""
    reading, writing = os.pipe()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # of 3.12: that there are threads is what is tested
        child = os.fork()
    if child == 0:
        try:
            said = repr(act())
        except BaseException as error:  # noqa: BLE001
            said = f"{type(error).__name__}: {error}"
        finally:
            os.write(writing, said.encode())
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as answer:
        said = answer.read()
    assert os.waitpid(child, 0)[1] == 0
    return said


@pytest.fixture
def note(lab: Any) -> Job[..., None]:
    @kiqdoctor.job(name="Note")
    def note(what: Any) -> None:
        lab.note(what)

    return note


def test_a_child_pushes_by_connections_of_its_own(lab: Any, note: Job[..., None]) -> None:
    note.perform_async("parent")
    before = lab.redis.info("clients")["connected_clients"]
    seen = lab.redis.info("stats")["total_connections_received"]
    said = in_child(lambda: [note.perform_async(n) for n in range(3)])
    note.perform_async("parent again")

    assert len(said.split(",")) == 3
    assert lab.redis.llen("queue:default") == 5
    assert lab.redis.info("stats")["total_connections_received"] > seen
    eventually(lambda: lab.redis.info("clients")["connected_clients"] <= before)


def test_a_grandchild_does_too(lab: Any, note: Job[..., None]) -> None:
    note.perform_async("parent")
    in_child(lambda: in_child(lambda: note.perform_async("grandchild")))

    assert lab.redis.llen("queue:default") == 2


def test_a_child_runs_coroutines_on_a_loop_of_its_own(lab: Any) -> None:
    async def answer() -> int:
        return os.getpid()

    assert loops.run(answer()) == os.getpid()
    assert in_child(lambda: loops.run(answer()) == os.getpid()) == "True"
    assert loops.run(answer()) == os.getpid()
    loops.stop()


def test_a_pipeline_that_was_opened_before_fork_is_the_parent_s(lab: Any, note: Job[..., None]) -> None:
    def leave() -> None:
        block.__exit__(None, None, None)

    block = kiqdoctor.pipelined()
    block.__enter__()
    note.perform_async(1)
    line = sys._getframe().f_lineno - 2
    said = in_child(leave)
    block.__exit__(None, None, None)

    assert said.startswith(f"ForkedError: pipelined() was opened before fork at {__file__}:{line}")
    assert lab.redis.llen("queue:default") == 1


def test_a_batch_that_was_opened_before_fork_is_the_parent_s(lab: Any, note: Job[..., None]) -> None:
    batch = kiqdoctor.Batch()
    line = sys._getframe().f_lineno - 1
    with batch:
        note.perform_async(1)
        said = in_child(lambda: batch.__exit__(None, None, None))

    assert f"a batch was opened before fork at {__file__}:{line}" in said
    assert lab.redis.llen("queue:default") == 1


def test_the_error_says_what_where_and_what_next() -> None:
    origin = forking.origin("a thing")
    line = sys._getframe().f_lineno - 1
    assert origin.here
    origin.check()

    said = in_child(origin.check)
    assert said.startswith(f"ForkedError: a thing was opened before fork at {__file__}:{line}:")
    assert "post_fork" in said
    assert len(said.splitlines()) == 1


def test_a_child_that_leaves_the_block_of_an_embedded_worker_ends_nothing(lab: Any, note: Job[..., None]) -> None:
    block = kiqdoctor.embed(concurrency=1)
    block.__enter__()
    try:
        identities = lab.redis.smembers("processes")
        assert in_child(lambda: block.__exit__(None, None, None)) in {"False", "None"}
        assert lab.redis.smembers("processes") == identities
        assert lab.redis.exists(*[f"kiq:lease:{name.decode()}" for name in identities])
        note.perform_async("still")
        lab.sees("still")
    finally:
        block.__exit__(None, None, None)


@pytest.mark.parametrize("use", ["quiet", "stop", "beat", "start"])
def test_a_worker_of_the_parent_refuses_in_a_child_and_says_where_it_was_opened(
    lab: Any, note: Job[..., None], use: str
) -> None:
    with kiqdoctor.embed(concurrency=1) as worker:
        line = sys._getframe().f_lineno - 1
        said = in_child(getattr(worker, use))
        note.perform_async("still")
        lab.sees("still")

    assert said.startswith("ForkedError: ")
    assert f"{__file__}:{line}" in said


def test_a_child_has_a_worker_of_its_own(lab: Any, note: Job[..., None]) -> None:
    def work() -> list[Any]:
        note.perform_async("in the child")
        with kiqdoctor.embed(concurrency=1):
            lab.idle()
        return list(lab.seen)

    lab.configure()
    config.client()
    assert in_child(work) == "['in the child']"
    assert lab.seen == []


APP = """
import asyncio, os, sys, redis
from kiqdoctor import job
client = redis.Redis.from_url("{url}")

def child_of(way):
    after.perform_async("child")
    if way == "raises":
        raise ValueError("in the child")
    if way == "exits":
        sys.exit(3)
    if way == "ends":
        os._exit(4)

def wait_for(child, way):
    client.rpush("forked", f"{way} {os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])}")

@job(name="Forks", retry=0)
def forks(way):
    child = os.fork()
    if child == 0:
        return child_of(way)
    wait_for(child, way)

@job(name="AsyncForks", retry=0)
async def async_forks(way):
    child = os.fork()
    if child == 0:
        child_of(way)
        return await asyncio.sleep(600)
    await asyncio.get_running_loop().run_in_executor(None, wait_for, child, way)

@job(name="After")
def after(who):
    client.rpush("after", who)

@job(name="AsyncAfter")
async def async_after(who):
    await asyncio.sleep(0.001)
    client.rpush("after", who)
"""


@pytest.mark.parametrize(("way", "status"), [("returns", 0), ("raises", 1), ("exits", 3), ("ends", 4)])
def test_a_child_that_comes_back_from_a_job_neither_ends_it_nor_takes_another(
    lab: Any, redis_server: RedisServer, way: str, status: int
) -> None:
    forks = kiqdoctor.job(name="Forks", retry=0)(lambda way: None)
    after = kiqdoctor.job(name="After")(lambda who: None)
    with Worker.start(APP.replace("{url}", redis_server.url), redis_server.url, "-c", "1") as worker:
        forks.perform_async(way)
        after.perform_bulk([["parent"]] * 20)
        eventually(lambda: lab.redis.llen("after") == 21, worker.log())
        assert worker.stop() == 0
        assert ("in the child" in worker.log()) == (way == "raises")

    check_after_fork(lab, f"{way} {status}")


@pytest.mark.parametrize(("way", "status"), [("returns", 0), ("ends", 4)])
def test_nor_does_one_that_a_coroutine_forked(lab: Any, redis_server: RedisServer, way: str, status: int) -> None:
    forks = kiqdoctor.job(name="AsyncForks", retry=0)(lambda way: None)
    after = kiqdoctor.job(name="AsyncAfter")(lambda who: None)
    with Worker.start(APP.replace("{url}", redis_server.url), redis_server.url, "-c", "2") as worker:
        forks.perform_async(way)
        after.perform_bulk([["parent"]] * 20)
        eventually(lambda: lab.redis.llen("after") == 21, worker.log())
        assert worker.stop() == 0

    check_after_fork(lab, f"{way} {status}")


def check_after_fork(lab: Any, forked: str) -> None:
    assert lab.redis.lrange("forked", 0, -1) == [forked.encode()]
    assert sorted(lab.redis.lrange("after", 0, -1)) == [b"child"] + [b"parent"] * 20
    assert lab.redis.get("stat:failed") in {None, b"0"}
    assert not lab.redis.exists("retry", "dead", "queue:default")
    assert not list(lab.redis.scan_iter("kiq:*"))


def test_forked_error_is_a_runtime_error() -> None:
    assert issubclass(ForkedError, RuntimeError)
    assert "".join(traceback.format_exception_only(ForkedError("x"))).endswith("ForkedError: x\n")
