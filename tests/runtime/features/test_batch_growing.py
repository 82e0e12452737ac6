"""A job adds others to its own batch, which waits for them."""

from typing import Any

import pytest

import kiqdoctor
from kiqdoctor.runtime.batches import progress
from kiqdoctor.testing import fake


@pytest.fixture
def fan_out(lab: Any) -> Any:
    leaf = kiqdoctor.job(name="Leaf")(lambda number: lab.note(number))  # noqa: PLW0108 - its parameter is a number

    @kiqdoctor.job(name="FanOut")
    def fan_out(count: int) -> None:
        with kiqdoctor.Batch.current():
            for number in range(count):
                leaf.perform_async(number)

    return fan_out


@pytest.fixture
def report(lab: Any) -> Any:
    def report(batch: str) -> None:
        found = progress(batch)
        lab.note(["report", found and found.total])

    return kiqdoctor.job(name="Report")(report)


def test_it_succeeds_when_those_have(lab: Any, fan_out: Any, report: Any) -> None:
    with kiqdoctor.Batch(on_success=report):
        fan_out.perform_async(3)
    lab.work()

    lab.sees(0, 1, 2, ["report", 4])
    assert lab.seen[-1] == ["report", 4]


def test_it_is_so_in_tests_too(lab: Any, fan_out: Any, report: Any) -> None:
    with fake() as pushed:
        with kiqdoctor.Batch(on_success=report):
            fan_out.perform_async(2)
        pushed.drain()

    assert lab.seen == [0, 1, ["report", 3]]


def test_outside_of_a_batch_there_is_none(lab: Any, fan_out: Any) -> None:
    with pytest.raises(LookupError, match="no job runs here"):
        kiqdoctor.Batch.current()
    with fake() as pushed:
        fan_out.perform_async(1)
        with pytest.raises(LookupError, match="belongs to no batch"):
            pushed.drain()
