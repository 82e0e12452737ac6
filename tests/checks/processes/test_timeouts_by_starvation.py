"""PRO018: time-outs in retry, with a calm Redis and without one."""

import pytest
from healthy import HEALTHY
from healthy.moment import NOW
from healthy.queues import SAMPLE
from healthy.redis import SERVER
from msgspec.structs import replace as changed

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.queues import Place, Samples
from kiqdoctor.doctor.facts.redis import Pings, Server, SlowCommand, SlowCommands
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Refused, Snapshot

FAILED = changed(SAMPLE, error_class="RedisClient::ReadTimeoutError", failed_at=NOW - 60)


def retrying(count: int, *, size: int = 0, **changes: object) -> Snapshot:
    jobs = tuple(changed(FAILED, jid=f"{n:024x}", **changes) for n in range(count))
    return HEALTHY.with_(Samples((Place("retry", size or count, others=jobs),)))


def test_redis_is_fast_and_jobs_time_out() -> None:
    [finding] = diagnose("PRO018", retrying(6)).findings

    assert finding.severity == "high"
    assert "6 jobs timed out on Redis or a pool within the hour" in finding.finding.title
    assert any("5 threads for jobs on" in one.value for one in finding.finding.evidence)


@pytest.mark.parametrize(
    "error",
    [
        "ConnectionPool::TimeoutError",
        "Redis::TimeoutError",
        "redis.exceptions.TimeoutError",
        "RedisClient::TimeoutError",
    ],
)
def test_names_of_time_outs(error: str) -> None:
    assert diagnose("PRO018", retrying(5, error_class=error)).outcome is Outcome.FAIL


def test_few_old_or_other_errors() -> None:
    assert diagnose("PRO018", retrying(4)).outcome is Outcome.PASS
    assert diagnose("PRO018", retrying(9, failed_at=NOW - 4000)).outcome is Outcome.PASS
    assert diagnose("PRO018", retrying(9, error_class="Net::ReadTimeout")).outcome is Outcome.PASS
    assert diagnose("PRO018", retrying(4, size=9000)).outcome is Outcome.UNKNOWN


def test_a_slow_redis_is_another_fault() -> None:
    slow_ping = retrying(6).with_(Pings((60.0,) * 20, (0.1,) * 20))
    slow_call = retrying(6).with_(SlowCommands((SlowCommand("KEYS", NOW - 100, 900_000),)))

    assert diagnose("PRO018", slow_ping).outcome is Outcome.PASS
    assert diagnose("PRO018", slow_call).outcome is Outcome.PASS


@pytest.mark.parametrize(("up", "outcome"), [(0, Outcome.PASS), (65, Outcome.PASS), (75, Outcome.FAIL)])
def test_a_redis_that_restarted_explains_what_failed_until_then(up: int, outcome: Outcome) -> None:
    young = Server({**SERVER.info, "uptime_in_seconds": str(up)})

    assert diagnose("PRO018", retrying(6).with_(young)).outcome is outcome


@pytest.mark.parametrize("kind", [Pings, SlowCommands])
def test_without_a_look_at_redis_it_is_unknown(kind: type) -> None:
    assert diagnose("PRO018", retrying(6).without(kind, Refused("NOPERM", "+x"))).outcome is Outcome.UNKNOWN
    assert diagnose("PRO018", HEALTHY.without(kind, Refused("NOPERM", "+x"))).outcome is Outcome.PASS
