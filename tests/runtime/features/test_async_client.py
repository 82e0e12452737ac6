"""Pushing from an event loop: it goes on while Redis does not answer."""

import asyncio
import os
import time
from typing import Any

import pytest
from servers import RedisServer

import kiqdoctor
from kiqdoctor.testing import fake, inline


@pytest.fixture
def note(lab: Any) -> Any:
    return kiqdoctor.job(name="Note")(lab.note)


def test_each_way_pushes_what_its_twin_does(lab: Any, note: Any) -> None:
    async def push() -> list[str]:
        return [
            await note.aperform_async(1),
            await note.aperform_in(60, what=2),
            await note.aperform_at(time.time() + 60, 3),
            *await note.aperform_bulk([[4], [5]]),
        ]

    jids = asyncio.run(push())

    assert sorted(one["args"] for one in lab.jobs("schedule")) == [[2], [3]]
    assert {one["jid"] for key in ("queue:default", "schedule") for one in lab.jobs(key)} == set(jids)


def test_the_loop_goes_on_while_redis_does_not_answer(lab: Any, redis_server: RedisServer, note: Any) -> None:
    turns = 0

    async def turn() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def push() -> str:
        lab.redis.execute_command("CLIENT", "PAUSE", 60_000, "WRITE")
        turning = asyncio.create_task(turn())
        pushing = asyncio.create_task(note.aperform_async(1))
        while turns < 1000:  # noqa: ASYNC110 - with a blocked loop this would take as long as the pause
            await asyncio.sleep(0)
        assert not pushing.done()
        lab.redis.execute_command("CLIENT", "UNPAUSE")
        jid: str = await pushing
        turning.cancel()
        return jid

    assert asyncio.run(push()) == lab.jobs("queue:default")[0]["jid"]


def test_a_wrong_call_is_told_and_nothing_is_pushed(lab: Any, note: Any) -> None:
    async def push() -> None:
        with pytest.raises(TypeError, match=r"^Note: "):
            await note.aperform_async()
        with pytest.raises(TypeError, match="job 1 of 2"):
            await note.aperform_bulk([[1], [1, 2]])

    asyncio.run(push())
    assert not lab.redis.keys("*")


def test_it_is_encoded_at_the_call(lab: Any, note: Any) -> None:
    async def push() -> None:
        value = {"n": 1}
        pushing = asyncio.ensure_future(note.aperform_async(value))
        await asyncio.sleep(0)
        value["n"] = 2
        await pushing

    asyncio.run(push())
    assert lab.jobs("queue:default")[0]["args"] == [{"n": 1}]


def test_blocks_send_beside_the_loop(lab: Any, note: Any) -> None:
    async def push() -> None:
        async with kiqdoctor.pipelined():
            assert await note.aperform_async("piped")
            note.perform_async("piped, too")
            assert not lab.redis.exists("queue:default")
        async with kiqdoctor.Batch(on_success=note):
            await note.aperform_async("in a batch")

    asyncio.run(push())
    lab.work()
    assert [one for one in lab.seen if "a" in one or "piped" in one][:3] == ["piped", "piped, too", "in a batch"]
    assert len(lab.seen) == 4


def test_a_block_that_raises_sends_nothing(lab: Any, note: Any) -> None:
    async def push(block: Any) -> None:
        async with block:
            await note.aperform_async(1)
            raise KeyError

    for block in (kiqdoctor.pipelined(), kiqdoctor.Batch()):
        with pytest.raises(KeyError):
            asyncio.run(push(block))
    assert not lab.redis.keys("*")


def test_a_status_is_awaited(lab: Any) -> None:
    answers = kiqdoctor.job(name="Answers", result_ttl=60)(lambda: 42)

    async def ask() -> Any:
        status = kiqdoctor.Status(await answers.aperform_async())
        before = await status.aread()
        return before, await status.await_(timeout=60)

    with kiqdoctor.embed(concurrency=1):
        before, after = asyncio.run(ask())

    assert before is not None
    assert (after.state, after.result) == ("done", 42)


def test_testing_modes_run_in_the_loop_s_own_thread(lab: Any, note: Any) -> None:
    async def push() -> None:
        with fake() as pushed:
            await note.aperform_async(1)
            assert [one.args for one in pushed.jobs] == [[1]]
        with inline():
            await note.aperform_async(2)

    asyncio.run(push())
    lab.sees(2)


def test_a_forked_child_pushes_too(lab: Any, note: Any) -> None:
    asyncio.run(note.aperform_async("parent"))
    if (child := os.fork()) == 0:
        asyncio.run(note.aperform_async("child"))
        os._exit(0)
    assert os.waitpid(child, 0)[1] == 0

    assert {one["args"][0] for one in lab.jobs("queue:default")} == {"parent", "child"}
