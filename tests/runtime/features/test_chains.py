"""Chains: each link follows the success of the one before it."""

from typing import Any

import pytest

import kiqdoctor
from kiqdoctor.testing import fake


@pytest.fixture
def note(lab: Any) -> Any:
    return kiqdoctor.job(name="Note")(lab.note)


def test_each_follows_the_one_before(lab: Any, note: Any) -> None:
    jids = kiqdoctor.chain((note, "a"), (note, "b"), (note, "c"))
    assert lab.redis.llen("queue:default") == 1
    lab.work()

    assert lab.seen == ["a", "b", "c"]
    assert len(set(jids)) == 3


def test_none_follows_a_failure_until_it_has_succeeded(lab: Any, note: Any) -> None:
    @kiqdoctor.job(name="Once", retry_in=lambda *_: 0)
    def fails_once() -> None:
        lab.note("try")
        if len(lab.seen) == 1:
            raise ValueError

    _, jid = kiqdoctor.chain(fails_once, (note, "after"))
    with kiqdoctor.embed(concurrency=1):
        [waiting] = lab.waits("retry")
        assert waiting["kiq_next"][0]["jid"] == jid
        lab.poll(60)
        lab.sees("try", "try", "after")


def test_a_batch_waits_for_all_links(lab: Any, note: Any) -> None:
    with kiqdoctor.Batch(on_success=kiqdoctor.job(name="End")(lambda _: lab.note("end"))):
        kiqdoctor.chain((note, "a"), (note, "b"))
    lab.work()

    assert lab.seen == ["a", "b", "end"]


def test_it_is_so_in_tests_too(lab: Any, note: Any) -> None:
    with fake() as pushed:
        with kiqdoctor.Batch(on_success=kiqdoctor.job(name="End")(lambda _: lab.note("end"))):
            kiqdoctor.chain((note, "a"), (note, "b"))
        pushed.drain()

    assert lab.seen == ["a", "b", "end"]


def test_what_cannot_be_a_link_is_told_at_once(lab: Any, note: Any) -> None:
    unique = kiqdoctor.job(name="Unique", unique_for=60)(lab.note)
    for links, error in (((), ValueError), ((5,), ValueError), (((note, 1), (unique, 2)), ValueError),
                         (((note, 1), note), TypeError), (((note, {1}),), TypeError)):  # fmt: skip
        with pytest.raises(error):
            kiqdoctor.chain(*links)
    assert not lab.redis.keys("*")
