import threading
from contextvars import ContextVar
from typing import Any

import pytest

import kiqdoctor
from kiqdoctor.wire import codec
from kiqdoctor.wire.codec import ArgumentError

request: ContextVar[Any] = ContextVar("request")


@pytest.fixture
def asks(lab: Any) -> Any:
    @kiqdoctor.job(name="Asks")
    def asks() -> None:
        lab.note(request.get("nothing"))

    return asks


def test_a_value_travels_from_the_push_to_the_run(lab: Any, asks: Any) -> None:
    kiqdoctor.propagate(request)
    token = request.set({"id": "r1", "tags": ["a"]})
    asks.perform_async()
    request.reset(token)
    asks.perform_async()
    assert [job.get("kiq_context") for job in lab.jobs("queue:default")] == [
        None,
        {"request": {"id": "r1", "tags": ["a"]}},
    ]
    lab.work()

    assert lab.seen == [{"id": "r1", "tags": ["a"]}, "nothing"]


def test_what_a_job_pushes_takes_it_along(lab: Any, asks: Any) -> None:
    kiqdoctor.propagate(request)

    @kiqdoctor.job(name="Parent")
    def parent() -> None:
        asks.perform_async()

    token = request.set("r2")
    parent.perform_in(60)
    request.reset(token)
    lab.poll(ahead=100)
    lab.work()

    assert lab.seen == ["r2"]


def test_a_retry_still_has_it(lab: Any) -> None:
    kiqdoctor.propagate(request)

    @kiqdoctor.job(name="Fails")
    def fails() -> None:
        lab.note(request.get("nothing"))
        raise ValueError

    token = request.set("r3")
    fails.perform_async()
    request.reset(token)
    lab.work()
    lab.poll(ahead=1000)
    lab.work()

    assert lab.seen == ["r3", "r3"]


def test_what_a_job_sets_is_not_there_for_the_next(lab: Any, asks: Any) -> None:
    @kiqdoctor.job(name="Sets")
    def sets() -> None:
        lab.note(threading.get_ident())
        request.set("left behind")

    sets.perform_async()
    asks.perform_async()
    lab.work()

    assert lab.seen[1] == "nothing"


def test_two_names_and_one_that_this_process_does_not_know(lab: Any, asks: Any) -> None:
    kiqdoctor.propagate(request, "rid")
    job = {"class": "Asks", "args": [], "jid": "a", "kiq_context": {"rid": 7, "stranger": 1}}
    lab.redis.lpush("queue:default", codec.encode(job))
    lab.redis.lpush("queue:default", codec.encode({**job, "kiq_context": "odd"}))
    lab.work()

    assert lab.seen == [7, "nothing"]


def test_a_value_without_a_json_form_pushes_nothing_and_is_named(lab: Any, asks: Any) -> None:
    kiqdoctor.propagate(request)
    token = request.set(object())
    with pytest.raises(ArgumentError, match="context request"):
        asks.perform_async()
    request.reset(token)

    assert not lab.redis.exists("queue:default")


def test_inside_a_job_it_is_known_which(lab: Any) -> None:
    @kiqdoctor.job(name="Knows", queue="low")
    def knows(n: int) -> None:
        running = kiqdoctor.current()
        lab.note((running.job_class, running.jid, running.queue, running.args, running.attempt))
        if running.attempt == 1:
            raise ValueError

    jid = knows.perform_async(5)
    lab.work("low")
    lab.poll(ahead=1000)
    lab.work("low")

    assert lab.seen == [("Knows", jid, "low", [5], 1), ("Knows", jid, "low", [5], 2)]


def test_outside_of_a_job_nothing_runs() -> None:
    with pytest.raises(LookupError, match="no job runs here"):
        kiqdoctor.current()
