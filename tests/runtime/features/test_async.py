import asyncio
import gc
import json
import threading
import weakref
from concurrent.futures import CancelledError
from contextlib import suppress
from contextvars import ContextVar, copy_context
from typing import Any

import pytest
from servers import RedisServer, eventually
from workers import Worker

import kiqdoctor
from kiqdoctor.clock import boottime
from kiqdoctor.runtime import loops, processor
from kiqdoctor.runtime.fetching import work
from kiqdoctor.runtime.fetching.basic import BasicFetch
from kiqdoctor.runtime.fetching.reliable import ReliableFetch


def test_they_run_at_once_on_one_loop(lab: Any) -> None:
    together = asyncio.Barrier(4)

    @kiqdoctor.job(name="Meet")
    async def meet(n: int) -> None:
        await asyncio.wait_for(together.wait(), 20)
        lab.note((n, id(asyncio.get_running_loop()), threading.current_thread().name))

    meet.perform_bulk([[n] for n in range(4)])
    lab.work(concurrency=4)

    assert sorted(n for n, *_ in lab.seen) == [0, 1, 2, 3]
    assert len({loop for _, loop, _ in lab.seen}) == 1
    assert {name for *_, name in lab.seen} == {"kiq.loop"}


def test_plain_ones_follow_each_other_on_the_loop_each_for_itself(lab: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    mood: ContextVar[str] = ContextVar("mood", default="none")
    turns: list[Any] = []
    take = loops.turn

    def counted(first: Any, following: Any) -> None:
        turns.append(first)
        take(first, following)

    monkeypatch.setattr(loops, "turn", counted)

    @kiqdoctor.job(name="Follows")
    async def follows(n: int) -> None:
        lab.note((n, kiqdoctor.current().args, mood.get(), asyncio.current_task()))
        mood.set("left behind")

    follows.perform_bulk([[n] for n in range(400)])
    lab.work()

    # What did not move for long went back, and came again after others.
    found = sorted((n, args, left) for n, args, left, _ in lab.seen)
    assert found == [(n, [n], "none") for n in range(400)]
    assert len({id(task) for *_, task in lab.seen}) == 400
    assert len(turns) < 400  # how many follow in one turn depends on the pace of the machine


def test_what_comes_between_them_ends_as_ever(lab: Any) -> None:
    @kiqdoctor.job(name="Odd")
    async def odd(n: int) -> None:
        await asyncio.sleep(0)
        lab.note(n)
        if n % 50 == 1:
            raise LookupError(str(n))

    @kiqdoctor.job(name="Even")
    def even(n: int) -> None:
        lab.note(n)

    with kiqdoctor.pipelined():
        for n in range(200):
            (odd if n % 2 else even).perform_async(n)
    lab.redis.lpush("queue:default", "no payload", json.dumps({"class": "Odd", "args": [], "jid": "short"}))
    lab.work()

    assert sorted(lab.seen) == list(range(200))
    failed = sorted((job["error_class"], job["args"]) for job in lab.jobs("retry"))
    assert failed == [*(("LookupError", [n]) for n in (1, 51, 101, 151)), ("TypeError", [])]
    assert lab.redis.zrange("dead", 0, -1) == [b"no payload"]


def test_an_exception_is_the_job_s_failure(lab: Any) -> None:
    @kiqdoctor.job(name="Fails", backtrace=True)
    async def fails() -> None:
        await asyncio.sleep(0)
        raise LookupError("inside")

    fails.perform_async()
    lab.work()

    [job] = lab.jobs("retry")
    assert (job["error_class"], job["error_message"]) == ("LookupError", "inside")


def test_what_holds_around_a_job_holds_in_its_coroutine_and_its_tasks(lab: Any) -> None:
    tenant: ContextVar[str] = ContextVar("tenant", default="none")
    kiqdoctor.propagate(tenant)

    @kiqdoctor.job(name="Asks", timeout=60)
    async def asks() -> None:
        async def deeper() -> tuple[str, str]:
            return kiqdoctor.current().jid, tenant.get()

        kiqdoctor.current().checkpoint()
        lab.note(await asyncio.create_task(deeper()))

    token = tenant.set("acme")
    jid = asks.perform_async()
    tenant.reset(token)
    lab.work()

    assert lab.seen == [(jid, "acme")]


@pytest.mark.parametrize("error", [asyncio.CancelledError, SystemExit, KeyboardInterrupt])
def test_what_would_end_a_loop_ends_one_job(lab: Any, error: type[BaseException]) -> None:
    @kiqdoctor.job(name="Ends")
    async def ends() -> None:
        await asyncio.sleep(0)
        raise error

    @kiqdoctor.job(name="After")
    async def after() -> None:
        await asyncio.sleep(0)
        lab.note("after")

    ends.perform_async()
    after.perform_async()
    lab.work()

    assert lab.seen == ["after"]
    assert [job["class"] for job in lab.jobs("retry")] == ["Ends"]


def test_a_job_that_others_wait_for_is_not_lost_when_one_ends_the_loop(lab: Any) -> None:
    waiting = threading.Event()

    @kiqdoctor.job(name="Waits")
    async def waits() -> None:
        waiting.set()
        await asyncio.sleep(0.05)
        lab.note("waited")

    @kiqdoctor.job(name="Ends", retry=False)
    async def ends() -> None:
        raise SystemExit

    waits.perform_async()
    with kiqdoctor.embed(concurrency=2):
        assert waiting.wait(60)
        ends.perform_async()
        lab.idle()

    assert lab.seen == ["waited"]


def test_one_that_cancels_itself_is_tried_again(lab: Any) -> None:
    @kiqdoctor.job(name="Cancels")
    async def cancels() -> None:
        task = asyncio.current_task()
        assert task is not None
        task.cancel()
        await asyncio.sleep(0)

    cancels.perform_async()
    lab.work()

    assert lab.jobs("retry")[0]["error_class"].endswith("CancelledError")


def test_after_a_stop_there_is_another_loop() -> None:
    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    first = loops.run(loop())
    loops.stop()
    second = loops.run(loop())
    loops.stop()

    assert first is not second
    eventually(lambda: first.is_closed() and second.is_closed())


APP = """
import asyncio, redis
from kiqdoctor import job
client = redis.Redis.from_url("{url}")

@job(name="Long")
async def long():
    try:
        client.rpush("began", 1)
        await asyncio.sleep(600)
    finally:
        client.rpush("tidied", 1)
"""


def test_at_the_deadline_they_are_given_back_and_may_tidy_up(lab: Any, redis: Any, redis_server: RedisServer) -> None:
    @kiqdoctor.job(name="Long")
    async def long() -> None: ...

    long.perform_bulk([[], []])
    with Worker.start(APP.replace("{url}", redis_server.url), redis_server.url, "-t", "0.1") as worker:
        eventually(lambda: redis.llen("began") == 2)
        assert worker.stop() == 0
        assert "Task was destroyed" not in worker.log()

    assert redis.llen("tidied") == 2
    assert redis.llen("queue:default") == 2
    assert not redis.exists("retry")


def _factories() -> list[Any]:
    """Of an application: one that puts a coroutine around each, as tracers do, and Python's own of 3.12."""

    def wraps(loop: asyncio.AbstractEventLoop, coroutine: Any, **words: Any) -> "asyncio.Task[Any]":
        async def around() -> Any:
            return await coroutine

        return asyncio.Task(around(), loop=loop, **words)

    eager = getattr(asyncio, "eager_task_factory", None)
    return [pytest.param(wraps, id="wraps"), *([pytest.param(eager, id="eager")] if eager is not None else [])]


@pytest.mark.parametrize("factory", _factories())
def test_a_task_factory_of_the_application_s_holds_up_no_job(lab: Any, factory: Any) -> None:
    @kiqdoctor.job(name="Sets")
    async def sets() -> None:
        asyncio.get_running_loop().set_task_factory(factory)

    @kiqdoctor.job(name="Small")
    async def small(n: int) -> None:
        lab.note(n)
        if n == 7:
            raise LookupError("seven")

    sets.perform_async()
    small.perform_bulk([[n] for n in range(3000)])
    lab.work()

    assert sorted(lab.seen) == list(range(3000))
    assert [job["args"] for job in lab.jobs("retry")] == [[7]]


def test_one_that_a_factory_s_coroutine_never_began_has_failed() -> None:
    async def around(_coroutine: Any) -> None:
        raise LookupError("before it began")

    def refuses(loop: asyncio.AbstractEventLoop, coroutine: Any, **words: Any) -> "asyncio.Task[Any]":
        coroutine.close()
        loop.set_task_factory(None)
        return asyncio.Task(around(coroutine), loop=loop, **words)

    async def sets() -> None:
        asyncio.get_running_loop().set_task_factory(refuses)

    async def nothing() -> None: ...

    rest = iter([sets, nothing])
    found: list[BaseException] = []

    def take() -> None:
        try:
            loops.turn(lambda: (next(rest)(), copy_context()), lambda: (next(rest)(), copy_context()))
        except LookupError as error:
            found.append(error)

    thread = threading.Thread(target=take, daemon=True)
    thread.start()
    thread.join(60)
    loops.stop()

    assert [str(error) for error in found] == ["before it began"]


def test_the_loop_is_the_application_s_as_its_policy_made_it(monkeypatch: pytest.MonkeyPatch) -> None:
    made = []
    new = asyncio.new_event_loop

    def configured() -> asyncio.AbstractEventLoop:
        loop = new()
        loop.set_debug(True)
        made.append(loop)
        return loop

    monkeypatch.setattr(asyncio, "new_event_loop", configured)

    async def loop() -> asyncio.AbstractEventLoop:
        return asyncio.get_running_loop()

    found = loops.run(loop())
    loops.stop()

    assert made == [found]


@pytest.mark.parametrize("cancelled", [False, True])
def test_what_a_failed_one_held_goes_with_it(*, cancelled: bool) -> None:
    held: list[Any] = []

    class Connection: ...

    async def fails() -> None:
        connection = Connection()
        held.append(weakref.ref(connection))
        task = asyncio.current_task()
        if cancelled and task is not None:
            task.cancel()
        await asyncio.sleep(0)
        raise LookupError

    gc.disable()
    try:
        with suppress(LookupError, CancelledError):
            loops.turn(lambda: (fails(), copy_context()), lambda: None)
        loops.run(asyncio.sleep(0))  # the step in which it ended is over
        assert held[0]() is None
    finally:
        gc.enable()
        loops.stop()


@pytest.mark.parametrize("fetch", ["reliable", "basic"])
def test_the_loop_waits_for_no_redis_to_tell_an_end(lab: Any, monkeypatch: pytest.MonkeyPatch, fetch: str) -> None:
    """Also where a clock that is looked at again has gone on, and with a fetch that tells each end at once."""
    told: set[str] = set()
    ahead = 0.0

    def clock() -> float:
        nonlocal ahead
        if threading.current_thread().name == "kiq.loop":
            ahead += work.SHORT * 0.7
        return boottime() + ahead

    def noted(send_on: Any) -> Any:
        def noting(self: Any, *words: Any) -> Any:
            told.add(threading.current_thread().name)
            return send_on(self, *words)

        return noting

    for kind in (ReliableFetch, BasicFetch):
        monkeypatch.setattr(kind, "send_on", noted(kind.send_on))
    monkeypatch.setattr(processor, "boottime", clock)

    @kiqdoctor.job(name="Once", unique_for=60)
    async def once(n: int) -> None:
        lab.note(n)

    once.perform_bulk([[n] for n in range(40)])
    lab.work(fetch=fetch)

    assert sorted(lab.seen) == list(range(40))
    assert "kiq.loop" not in told
    assert not lab.redis.keys("kiq:unique:*")
