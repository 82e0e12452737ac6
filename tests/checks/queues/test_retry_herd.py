"""QUE017: what failed together comes back together."""

import time
from dataclasses import replace

import pytest
import redis as redis_py
from doctoring import check
from healthy.fleet import WORKER
from jobs import failed, retrying
from servers import RedisServer
from states import beat, payload

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.queues import Durations
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Refused, Snapshot
from kiqdoctor.wire.keys import Keys


def herd(peak: int, mean_s: float | None = 1.0, same: float = 1.0) -> Snapshot:
    """``peak`` in the fullest minute; five threads are free."""
    jobs = [failed(number, error_class="Timeout" if number < same * 100 else str(number)) for number in range(100)]
    durations = Durations({} if mean_s is None else {"SendMail": mean_s}, {})
    return retrying(*jobs, size=9000, due=(5, peak, *(5,) * 8)).with_(durations)


def test_work_for_more_threads_than_are_free() -> None:
    [found] = diagnose("QUE017", herd(601)).findings

    assert (found.severity, found.fingerprint) == ("high", "QUE017:set:retry:SendMail")


@pytest.mark.parametrize("twin", [herd(600), herd(601, 0.9), herd(601, 1.0, 0.5), herd(49, 60.0)])
def test_its_twins(twin: Snapshot) -> None:
    assert diagnose("QUE017", twin).outcome is Outcome.PASS


def test_busy_threads_are_not_free() -> None:
    busy = herd(300).with_(Fleet((replace(WORKER, busy=4),), 1))

    assert diagnose("QUE017", busy).outcome is Outcome.FAIL


@pytest.mark.parametrize(
    "snapshot",
    [
        herd(601, None),
        herd(601).without(Durations, Refused("NOPERM", "+hlen")),
        herd(601).with_(Fleet()),
        herd(601).with_(Fleet((WORKER,), 9, "1 of 9 were read")),
    ],
)
def test_what_cannot_be_told(snapshot: Snapshot) -> None:
    assert diagnose("QUE017", snapshot).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize("form", [0, 1], ids=["as 7 counts", "as 8 counts"])
def test_on_a_real_redis(redis: "redis_py.Redis", redis_server: RedisServer, form: int) -> None:
    now = time.time()
    beat(redis)
    redis.hset(Keys().metrics(now)[form], mapping={"SendMail|p": 12, "SendMail|f": 2, "SendMail|ms": 20_000})
    entries = [payload(jid=f"{n:024x}", retry_count=1, error_class="Timeout") for n in range(400)]
    redis.zadd("retry", {entry: now + n * 1.5 for n, entry in enumerate(entries)})
    assert check(redis_server.url, "--select", "QUE017").outcome("QUE017") == "pass"

    redis.zadd("retry", dict.fromkeys(entries, now + 30))

    assert check(redis_server.url, "--select", "QUE017").severities("QUE017") == ["high"]
