from typing import Any

import pytest

import kiqdoctor
from kiqdoctor.runtime.job import Job
from kiqdoctor.wire import codec


@pytest.fixture
def fresh(lab: Any) -> Job[..., None]:
    @kiqdoctor.job(name="Fresh", expires_in=600)
    def fresh(what: str) -> None:
        lab.note(what)

    return fresh


def aged(lab: Any, key: str, seconds: float) -> None:
    """Everything that is queued has waited for so long."""
    for raw in lab.redis.lrange(key, 0, -1):
        fields = codec.decode(raw)
        fields["expiry"] -= seconds
        lab.redis.lrem(key, 1, raw)
        lab.redis.lpush(key, codec.encode_payload(fields))


def test_it_runs_within_its_time(lab: Any, fresh: Job[..., None]) -> None:
    fresh.perform_async("in time")
    aged(lab, "queue:default", 300)
    lab.work()

    assert lab.seen == ["in time"]


def test_it_is_dropped_after_its_time_and_counts_as_nothing(
    lab: Any, fresh: Job[..., None], capsys: pytest.CaptureFixture[str]
) -> None:
    fresh.perform_async("late")
    aged(lab, "queue:default", 601)
    lab.work()

    assert lab.seen == []
    assert not lab.redis.exists("retry", "dead")
    assert lab.redis.get("stat:processed") in {None, b"0"}
    assert "expired" in capsys.readouterr().err


def test_a_scheduled_one_counts_from_when_it_is_due(lab: Any, fresh: Job[..., None]) -> None:
    fresh.perform_in(3600, "later")

    [(raw, due)] = lab.redis.zrange("schedule", 0, -1, withscores=True)
    assert codec.decode(raw)["expiry"] == pytest.approx(due + 600, abs=0.001)
    lab.poll(ahead=4000)
    lab.work()
    assert lab.seen == ["later"]


@pytest.mark.parametrize("expiry", [True, "soon", None, []])
def test_an_expiry_that_is_no_time_is_none(lab: Any, fresh: Job[..., None], expiry: Any) -> None:
    job = {"class": "Fresh", "args": ["odd"], "jid": "a", "queue": "default", "expiry": expiry}
    lab.redis.lpush("queue:default", codec.encode(job))
    lab.work()

    assert lab.seen == ["odd"]
