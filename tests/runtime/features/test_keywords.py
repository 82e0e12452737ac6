"""Arguments by name: pushed, run, tried again, kept apart by unique locks; a wrong call is told at the call."""

import json
from typing import Any

import pytest

import kiqdoctor
from kiqdoctor.testing import fake, inline


@pytest.fixture
def send(lab: Any) -> Any:
    def send(address: str, subject: str = "Hi", *, loud: bool = False) -> None:
        lab.note([address, subject, loud])

    return kiqdoctor.job(name="SendMail", queue="default")(send)


def test_what_has_a_place_is_there_for_ruby_too(lab: Any, send: Any) -> None:
    send.perform_async(subject="Ho", address="a@example.org")

    [job] = lab.jobs("queue:default")
    assert job["args"] == ["a@example.org", "Ho"]
    assert set(job) == {"retry", "queue", "class", "args", "jid", "created_at", "enqueued_at"}


def test_what_has_none_travels_by_name(lab: Any, send: Any) -> None:
    send.perform_async("a", loud=True)
    send.perform_in(0, "b", subject="s", loud=True)
    send.perform_at(0, address="c")
    assert lab.jobs("queue:default")[-1]["kiq_keywords"] == {"loud": True}
    lab.work()

    lab.sees(["a", "Hi", True], ["b", "s", True], ["c", "Hi", False])


def test_they_survive_a_failure(lab: Any) -> None:
    @kiqdoctor.job(name="Fails", retry_in=lambda *_: 0)
    def fails(*, text: str) -> None:
        lab.note(text)
        if len(lab.seen) == 1:
            raise ValueError(text)

    fails.perform_async(text="again")
    with kiqdoctor.embed(concurrency=1):
        lab.waits("retry")
        lab.poll(60)
        lab.sees("again", "again")


@pytest.mark.parametrize("wrong", [lambda job: job.perform_async(), lambda job: job.perform_async(1, 2, 3),
                                   lambda job: job.perform_in(5, adress="a"),
                                   lambda job: job.perform_at(5, 1, address="a"),
                                   lambda job: job.perform_bulk([["a"], []]),
                                   lambda job: kiqdoctor.enqueue_on_commit(job, adress="a"),
                                   lambda job: kiqdoctor.Batch(on_success=(job, 1, 2, 3)),
                                   kiqdoctor.periodic("* * * * *")])  # fmt: skip
def test_a_call_that_does_not_fit_is_told_at_the_call(lab: Any, send: Any, wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"^SendMail.*it takes \(address: str, subject: str = 'Hi', \*, loud"):
        wrong(send)
    assert not lab.redis.keys("*")


def test_a_value_without_json_form_is_named(lab: Any, send: Any) -> None:
    with pytest.raises(TypeError, match=r"^SendMail: keywords\['loud'\]: set has no JSON form"):
        send.perform_async("a", loud={1})
    assert not lab.redis.keys("*")


def test_unique_jobs_differ_by_them_and_not_by_how_they_are_written(lab: Any) -> None:
    @kiqdoctor.job(name="Once", unique_for=60)
    def once(a: int, *, b: int = 0) -> None: ...

    first = once.perform_async(1, b=2)

    assert once.perform_async(a=1, b=2) == first
    assert once.perform_async(1, b=3) != first
    assert lab.redis.llen("queue:default") == 2


def test_an_iterable_and_an_async_job_take_them(lab: Any) -> None:
    @kiqdoctor.job(name="Steps")
    def steps(table: str, *, by: int, cursor: int | None = None) -> Any:
        lab.note([table, by])
        yield by

    @kiqdoctor.job(name="Coroutine")
    async def coroutine(*, word: str) -> None:
        lab.note(word)

    steps.perform_async("t", by=3)
    coroutine.perform_async(word="said")
    lab.work()

    lab.sees(["t", 3], "said")


def test_a_middleware_sees_them(lab: Any, send: Any) -> None:
    lab.configure(middleware=[lambda job, proceed: (lab.note([job.args, job.keywords]), proceed())])
    send.perform_async("a", loud=True)
    lab.work()

    lab.sees([["a"], {"loud": True}], ["a", "Hi", True])


def test_testing_modes_pass_them(lab: Any, send: Any) -> None:
    with fake() as pushed:
        send.perform_async("a", loud=True)
        kiqdoctor.enqueue_on_commit(send, "b", loud=True)
        assert pushed.drain() == 2
    with inline():
        send.perform_async("c", loud=True)

    lab.sees(["a", "Hi", True], ["b", "Hi", True], ["c", "Hi", True])


def test_a_ruby_payload_without_them_runs(lab: Any, send: Any) -> None:
    lab.redis.lpush("queue:default", json.dumps({"class": "SendMail", "args": ["r"], "jid": "r", "kiq_keywords": None}))
    lab.work()

    lab.sees(["r", "Hi", False])
