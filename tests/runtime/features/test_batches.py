import threading
import time
from typing import Any

import pytest
from servers import RedisServer, eventually
from workers import Worker

import kiqdoctor
from kiqdoctor.runtime.batches import progress
from kiqdoctor.runtime.job import Job
from kiqdoctor.testing import inline
from kiqdoctor.wire.codec import ArgumentError


@pytest.fixture
def step(lab: Any) -> Job[..., None]:
    @kiqdoctor.job(name="Step", retry=1)
    def step(what: Any) -> None:
        lab.note(what)
        if what == "fail" or (what == "once" and lab.seen.count("once") == 1):
            raise ValueError(what)

    return step


@pytest.fixture
def told(lab: Any) -> Job[..., None]:
    @kiqdoctor.job(name="Told", queue="after")
    def told(batch: str, event: str) -> None: ...

    return told


def events(lab: Any) -> list[Any]:
    return [job["args"][1] for job in lab.jobs("queue:after")][::-1]


def batch_of(told: Job[..., None]) -> kiqdoctor.Batch:
    return kiqdoctor.Batch(on_success=(told, "success"), on_complete=(told, "complete"))


def test_a_set_of_queues_of_another_type_keeps_no_callback_from_being_told_once(
    lab: Any, step: Job[..., None], told: Job[..., None]
) -> None:
    lab.redis.set("queues", "no set")

    with batch_of(told):
        step.perform_async(1)
    lab.work()

    assert events(lab) == ["complete", "success"]


def test_all_that_succeed(lab: Any, step: Job[..., None], told: Job[..., None]) -> None:
    with batch_of(told) as batch:
        for n in range(3):
            step.perform_async(n)
        assert not lab.redis.exists("queue:default")
    before = progress(batch.id)
    assert before is not None
    assert (before.total, before.open, before.pending, before.failures) == (3, 3, 3, 0)
    started = time.time()
    with kiqdoctor.embed(concurrency=2):
        lab.waits("queue:after", 2)

    jobs = lab.jobs("queue:after")
    assert sorted(job["args"] for job in jobs) == [[batch.id, "complete"], [batch.id, "success"]]
    after = progress(batch.id)
    assert after is not None
    assert after.complete
    assert after.succeeded
    assert all(started <= job["enqueued_at"] <= time.time() for job in jobs)


def test_complete_comes_before_the_retry_and_success_after_it(
    lab: Any, step: Job[..., None], told: Job[..., None]
) -> None:
    with batch_of(told) as batch:
        step.perform_async(1)
        step.perform_async("once")
    lab.work()
    assert events(lab) == ["complete"]
    between = progress(batch.id)
    assert between is not None
    assert (between.open, between.pending, between.failures) == (0, 1, 1)

    lab.poll(ahead=100)
    lab.work()
    assert events(lab) == ["complete", "success"]


def test_a_dead_job_is_in_the_way_of_success_until_it_is_revived(
    lab: Any, step: Job[..., None], told: Job[..., None]
) -> None:
    with batch_of(told):
        step.perform_async("fail")
    for _ in range(2):
        lab.work()
        lab.poll(ahead=1000)
    assert events(lab) == ["complete"]
    [raw] = lab.redis.zrange("dead", 0, -1)

    lab.redis.delete("dead")
    lab.redis.lpush("queue:default", raw.replace(b'"fail"', b'"fine"'))
    lab.work()
    assert events(lab) == ["complete", "success"]


@pytest.mark.parametrize("options", [{"retry": False}, {"retry_in": lambda count, error: "discard"}])
def test_a_discarded_job_is_complete_and_no_success(lab: Any, told: Job[..., None], options: dict[str, Any]) -> None:
    @kiqdoctor.job(name="Discarded", **options)
    def discarded() -> None:
        raise ValueError

    with batch_of(told) as batch:
        discarded.perform_async()
    lab.work()

    assert events(lab) == ["complete"]
    found = progress(batch.id)
    assert found is not None
    assert (found.pending, found.failures) == (1, 1)


def test_an_expired_job_is_in_nobody_s_way(lab: Any, told: Job[..., None]) -> None:
    @kiqdoctor.job(name="Late", expires_in=0.001)
    def late() -> None: ...

    with batch_of(told):
        late.perform_async()
    time.sleep(0.01)
    lab.work()

    assert events(lab) == ["complete", "success"]


def test_an_empty_batch_calls_back_at_once(lab: Any, told: Job[..., None]) -> None:
    with batch_of(told) as batch:
        pass

    assert events(lab) == ["complete", "success"]
    found = progress(batch.id)
    assert found is not None
    assert (found.total, found.complete, found.succeeded) == (0, True, True)


def test_more_jobs_than_one_round_trip_has(lab: Any, told: Job[..., None]) -> None:
    @kiqdoctor.job(name="Small")
    def small(n: int) -> None: ...

    with batch_of(told) as batch:
        small.perform_bulk([[n] for n in range(2500)])
    found = progress(batch.id)
    assert found is not None
    assert found.total == found.open == 2500
    with kiqdoctor.embed(concurrency=4):
        lab.waits("queue:after", 2)

    assert sorted(events(lab)) == ["complete", "success"]


def test_a_block_that_raises_sends_nothing(lab: Any, step: Job[..., None], told: Job[..., None]) -> None:
    with pytest.raises(ZeroDivisionError), batch_of(told):
        step.perform_async(1 // (0 * len(step.perform_async(1))))

    assert not lab.redis.keys("*")
    step.perform_async("after")
    assert lab.redis.llen("queue:default") == 1


def test_pushes_that_were_dropped_as_not_unique_are_not_waited_for(lab: Any, told: Job[..., None]) -> None:
    @kiqdoctor.job(name="Once", unique_for=60)
    def once(n: int) -> None: ...

    once.perform_async(1)
    with batch_of(told) as batch:
        once.perform_async(1)
        once.perform_async(2)
        once.perform_async(2)
    found = progress(batch.id)
    assert found is not None
    assert (found.total, found.open) == (3, 1)
    lab.work()

    assert events(lab) == ["complete", "success"]


def test_a_batch_of_nothing_but_dropped_pushes_calls_back_at_once(lab: Any, told: Job[..., None]) -> None:
    @kiqdoctor.job(name="Once", unique_for=60)
    def once() -> None: ...

    once.perform_async()
    with batch_of(told):
        once.perform_async()

    assert events(lab) == ["complete", "success"]


def test_callbacks_run_once_however_many_end_at_once(lab: Any, told: Job[..., None]) -> None:
    gate = threading.Barrier(8)

    @kiqdoctor.job(name="Together")
    def together(n: int) -> None:
        gate.wait(60)

    for _ in range(5):
        with batch_of(told):
            together.perform_bulk([[n] for n in range(8)])
    with kiqdoctor.embed(concurrency=8):
        lab.waits("queue:after", 10)

    assert sorted(events(lab)) == ["complete"] * 5 + ["success"] * 5


def test_a_job_that_runs_twice_calls_back_once(lab: Any, step: Job[..., None], told: Job[..., None]) -> None:
    with batch_of(told):
        step.perform_async(1)
    [raw] = lab.redis.lrange("queue:default", 0, -1)
    lab.redis.lpush("queue:default", raw)
    lab.work()

    assert lab.seen == [1, 1]
    assert sorted(events(lab)) == ["complete", "success"]


def test_scheduled_jobs_belong_too(lab: Any, step: Job[..., None], told: Job[..., None]) -> None:
    with batch_of(told):
        step.perform_in(60, 1)
        step.perform_async(2)
    lab.work()
    assert events(lab) == []
    lab.poll(ahead=100)
    lab.work()

    assert events(lab) == ["complete", "success"]


def test_batches_within_batches_are_their_own(lab: Any, step: Job[..., None], told: Job[..., None]) -> None:
    with batch_of(told) as outer:
        step.perform_async("outer")
        with batch_of(told) as inner:
            step.perform_async("inner")
        assert [job["args"] for job in lab.jobs("queue:default")] == [["inner"]]
    owners = {job["args"][0]: job["kiq_batch"] for job in lab.jobs("queue:default")}
    assert owners == {"outer": outer.id, "inner": inner.id}
    lab.work()

    assert sorted(events(lab)) == ["complete", "complete", "success", "success"]


def test_a_batch_within_a_pipeline_is_sent_at_its_own_end(lab: Any, step: Job[..., None], told: Job[..., None]) -> None:
    with kiqdoctor.pipelined():
        with batch_of(told):
            step.perform_async(1)
        assert lab.redis.llen("queue:default") == 1
    lab.work()

    assert events(lab) == ["complete", "success"]


def test_pushes_of_other_threads_are_not_in_it(lab: Any, step: Job[..., None]) -> None:
    with kiqdoctor.Batch() as batch:
        thread = threading.Thread(target=step.perform_async, args=["elsewhere"])
        thread.start()
        thread.join()
        step.perform_async("here")
    members = {job["args"][0]: job.get("kiq_batch") for job in lab.jobs("queue:default")}

    assert members == {"elsewhere": None, "here": batch.id}


def test_inside_a_job_its_batch_is_known(lab: Any) -> None:
    @kiqdoctor.job(name="Asks")
    def asks() -> None:
        lab.note(kiqdoctor.current().batch)

    with kiqdoctor.Batch() as batch:
        asks.perform_async()
    lab.work()

    assert lab.seen == [batch.id]


def test_one_block_each(step: Job[..., None]) -> None:
    batch = kiqdoctor.Batch()
    with batch:
        pass
    with pytest.raises(RuntimeError, match="one block"), batch:
        step.perform_async(1)


def test_a_callback_that_cannot_be_one_is_told_at_once(told: Job[..., None]) -> None:
    with pytest.raises(ValueError, match="calls back a job"):
        kiqdoctor.Batch(on_success=print)
    with pytest.raises(ArgumentError, match=r"args\[0\]"):
        kiqdoctor.Batch(on_success=(told, {1}))


def test_a_callback_that_a_middleware_drops_is_left_out(lab: Any, step: Job[..., None], told: Job[..., None]) -> None:
    lab.configure(client_middleware=[lambda fields, proceed: None if fields["class"] == "Told" else proceed()])
    with batch_of(told):
        step.perform_async(1)
    lab.work()

    assert lab.seen == [1]
    assert events(lab) == []


def test_progress_of_what_nobody_knows_is_none() -> None:
    assert progress("nobody") is None


def test_a_lost_reply_to_its_account_costs_nothing(
    lab: Any, step: Job[..., None], told: Job[..., None], proxy: Any
) -> None:
    lab.configure(redis=proxy.url)
    step.perform_async("warm")
    with batch_of(told):
        step.perform_async(1)
        kiqdoctor.runtime.config.client().ping()
        proxy.swallow = 1
    lab.configure()
    lab.work()

    assert events(lab) == ["complete", "success"]


def test_inline_runs_the_jobs_and_then_the_callbacks(lab: Any, step: Job[..., None]) -> None:
    @kiqdoctor.job(name="After")
    def after(batch: str, event: str) -> None:
        lab.note((batch, event))

    with inline(), kiqdoctor.Batch(on_success=(after, "success"), on_complete=(after, "complete")) as batch:
        step.perform_async(1)

    assert lab.seen == [1, (batch.id, "complete"), (batch.id, "success")]


APP = """
from kiqdoctor import job
@job(name="Step")
def step(n):
    pass
"""


@pytest.mark.parametrize("fetch", ["reliable", "basic"])
def test_a_worker_of_either_fetch_closes_it(
    lab: Any, redis_server: RedisServer, step: Job[..., None], told: Job[..., None], fetch: str
) -> None:
    with Worker.start(APP, redis_server.url, "--fetch", fetch) as worker:
        with batch_of(told):
            step.perform_async(1)
        eventually(lambda: len(events(lab)) == 2, worker.log())
