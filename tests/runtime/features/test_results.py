"""``result_ttl``: what a job returned is kept for those who asked."""

import math
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

import kiqdoctor
from kiqdoctor.testing import fake, inline
from kiqdoctor.wire.status import JobState


def status(jid: str) -> JobState:
    found = kiqdoctor.Status(jid).read()
    assert found is not None
    return found


@pytest.mark.parametrize("value", [None, 0, "ü", [1, {"a": None}], {"total": 2.5}, 2**63])
def test_it_is_read_as_it_was_returned(lab: Any, value: Any) -> None:
    job = kiqdoctor.job(name="Answers", result_ttl=60)(lambda: value)
    jid = job.perform_async()
    assert (status(jid).state, status(jid).result) == ("queued", None)
    lab.work()

    assert (status(jid).state, status(jid).result) == ("done", value)


@pytest.mark.parametrize(("ttl", "seconds"), [(60, 60), (0.5, 1), (timedelta(days=3), 3 * 24 * 3600)])
def test_it_is_kept_for_so_long(lab: Any, ttl: Any, seconds: int) -> None:
    jid = kiqdoctor.job(name="Answers", result_ttl=ttl)(lambda: 1).perform_async()
    lab.work()

    left = lab.redis.pttl(f"kiq:status:{jid}")
    assert left == -2 or seconds - 20 < math.ceil(left / 1000) <= seconds


def test_a_coroutine_s_is_kept_and_an_iterable_one_has_none(lab: Any) -> None:
    @kiqdoctor.job(name="Coroutine", result_ttl=60)
    async def coroutine(word: str) -> str:
        return word

    @kiqdoctor.job(name="Steps", result_ttl=60)
    def steps(*, cursor: Any = None) -> Iterator[int]:
        yield 1

    first, second = coroutine.perform_async("said"), steps.perform_async()
    lab.work()

    assert (status(first).result, status(second).result) == ("said", None)


def test_nothing_is_kept_for_those_who_did_not_ask(lab: Any) -> None:
    jid = kiqdoctor.job(name="Answers", status=True)(lambda: "secret").perform_async()
    lab.work()

    assert status(jid).result is None
    assert b"secret" not in b"".join(lab.redis.hgetall(f"kiq:status:{jid}").values())


@pytest.mark.parametrize("value", [(1, 2), {1: 2}, float("nan"), datetime(2026, 1, 1, tzinfo=UTC), 2**70])
def test_what_has_no_json_form_is_a_failure_that_says_so(lab: Any, value: Any) -> None:
    jid = kiqdoctor.job(name="Answers", result_ttl=60)(lambda: value).perform_async()
    lab.work()

    assert (status(jid).state, status(jid).result) == ("retry", None)
    [failed] = lab.jobs("retry")
    assert failed["error_message"].startswith("the result")


def test_the_last_run_s_counts(lab: Any) -> None:
    @kiqdoctor.job(name="Answers", result_ttl=60)
    def answers() -> int:
        lab.note("ran")
        if len(lab.seen) == 1:
            raise ValueError
        return len(lab.seen)

    jid = answers.perform_async()
    lab.work()
    assert status(jid).result is None
    lab.poll(ahead=1000)
    lab.work()

    assert (status(jid).state, status(jid).result) == ("done", 2)


def test_in_the_testing_modes() -> None:
    job = kiqdoctor.job(name="Answers", result_ttl=60)(lambda word: [word])
    with inline():
        assert status(job.perform_async("now")).result == ["now"]
    with fake() as pushed:
        jid = job.perform_async("later")
        pushed.drain()
        assert status(jid).result == ["later"]


@pytest.mark.parametrize("ttl", [0, -1, True, "60", math.inf])
def test_what_cannot_be_is_told_at_once(ttl: Any) -> None:
    with pytest.raises(ValueError, match="result_ttl"):
        kiqdoctor.job(result_ttl=ttl)
