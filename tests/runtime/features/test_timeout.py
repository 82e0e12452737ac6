from collections.abc import Iterator
from typing import Any

import pytest

import kiqdoctor
from kiqdoctor import DeadlineExceededError
from kiqdoctor.runtime.middleware import Running


def test_at_a_checkpoint_after_its_time_it_fails_and_is_tried_again(lab: Any) -> None:
    @kiqdoctor.job(name="Slow", timeout=0.05)
    def slow() -> None:
        kiqdoctor.current().checkpoint()
        while True:
            kiqdoctor.current().checkpoint()

    slow.perform_async()
    lab.work()

    [job] = lab.jobs("retry")
    assert job["error_class"] == "kiqdoctor.runtime.middleware.DeadlineExceededError"
    assert "Slow ran longer than its timeout" in job["error_message"]


def test_without_a_checkpoint_nothing_ends_it(lab: Any) -> None:
    @kiqdoctor.job(name="Deaf", timeout=0.000001)
    def deaf() -> None:
        lab.note("ran")

    deaf.perform_async()
    lab.work()

    assert lab.seen == ["ran"]
    assert not lab.redis.exists("retry")


def test_a_job_without_a_timeout_has_no_deadline(lab: Any) -> None:
    @kiqdoctor.job(name="Free")
    def free() -> None:
        kiqdoctor.current().checkpoint()
        lab.note(kiqdoctor.current().deadline)

    free.perform_async()
    lab.work()

    assert lab.seen == [None]


def test_an_iterable_keeps_its_place_at_its_deadline(lab: Any) -> None:
    @kiqdoctor.job(name="Steps", timeout=0.05)
    def steps(*, cursor: int | None = None) -> Iterator[int]:
        lab.note(cursor)
        yield 1
        if cursor is None:
            while True:
                kiqdoctor.current().checkpoint()

    steps.perform_async()
    lab.work()
    lab.poll(ahead=1000)
    lab.work()

    assert lab.seen == [None, 1]


def test_the_error_names_the_job() -> None:
    running = Running("Some", "a", "default", [], {}, 0.0, deadline=0.0)

    with pytest.raises(DeadlineExceededError, match="Some"):
        running.checkpoint()
