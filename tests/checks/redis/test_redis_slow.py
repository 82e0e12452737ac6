"""RED009: slow from here, for all processes, for one host; on plain facts and on a real Redis that is kept busy."""

import threading
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import redis as redis_py
from doctoring import check
from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.moment import NOW
from servers import RedisServer, eventually

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.redis import Pings, SlowCommand, SlowCommands
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Refused, Snapshot


def pinged(took_ms: float, own_ms: float = 0.1, count: int = 20) -> Snapshot:
    return HEALTHY.with_(Pings((took_ms,) * count, (own_ms,) * count))


def told(*rtts: tuple[str, int]) -> Snapshot:
    workers = [replace(WORKER, identity=f"{host}:{n}:a", hostname=host, rtt_us=us) for n, (host, us) in enumerate(rtts)]
    return HEALTHY.with_(Fleet(tuple(workers), len(workers)))


@pytest.mark.parametrize(("took", "severity"), [(51, "high"), (50, "medium"), (11, "medium")])
def test_pings_that_take_long(took: float, severity: str) -> None:
    [found] = diagnose("RED009", pinged(took + 0.1)).findings

    assert (found.severity, found.fingerprint) == (severity, "RED009:redis")
    assert diagnose("RED009", pinged(9)).outcome is Outcome.PASS


def test_one_long_ping_is_no_median() -> None:
    assert diagnose("RED009", HEALTHY.with_(Pings((0.2,) * 19 + (400.0,), (0.1,) * 20))).outcome is Outcome.PASS


def test_our_own_lag_is_not_redis() -> None:
    assert diagnose("RED009", pinged(14, own_ms=8)).outcome is Outcome.PASS
    assert diagnose("RED009", pinged(80, own_ms=60)).outcome is Outcome.UNKNOWN


def test_too_few_answers_are_no_pass() -> None:
    assert diagnose("RED009", pinged(0.2, count=4)).outcome is Outcome.UNKNOWN
    assert diagnose("RED009", HEALTHY.without(Pings, Refused("went away"))).outcome is Outcome.UNKNOWN


def test_all_processes_of_two_hosts_wait() -> None:
    assert diagnose("RED009", told(("a", 50_001), ("b", 90_000))).findings[0].severity == "high"
    assert diagnose("RED009", told(("a", 10_001), ("b", 90_000))).findings[0].severity == "medium"
    assert diagnose("RED009", told(("a", 900), ("b", 90_000))).outcome is Outcome.PASS


def test_the_only_host_may_be_slow_itself() -> None:
    found = diagnose("RED009", told(("a", 60_000), ("a", 90_000)))

    assert found.outcome is Outcome.UNKNOWN
    assert "the host may be slow" in (found.reason or "")


def test_who_was_slow_lately_is_named() -> None:
    calls = (
        SlowCommand("KEYS *", NOW - 9, 80_000, "10.0.0.7:99"),
        SlowCommand("KEYS *", NOW - 99, 70_000, "10.0.0.7:99"),
        SlowCommand("SMEMBERS old", NOW - 601, 900_000),
    )

    evidence = {one.label: one.value for one in diagnose("RED009", HEALTHY.with_(SlowCommands(calls))).evidence}

    assert evidence["KEYS *"] == "2 x, 150 ms in all, by 10.0.0.7:99"
    assert "SMEMBERS old" not in evidence


def test_a_real_redis_that_a_script_keeps_busy(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    assert check(redis_server.url, "--select", "RED009").outcome("RED009") in {"pass", "unknown"}
    done = threading.Event()

    def load() -> None:
        with redis_server.client() as client:
            while not done.is_set():
                with suppress(redis_py.ResponseError):
                    client.eval("local t = 0; for i = 1, 15000000 do t = t + i end; return t", 0)

    def told() -> dict[str, Any] | None:
        one = check(redis_server.url, "--select", "RED009").result("RED009")
        return one if one["findings"] or "held the doctor up" in (one.get("reason") or "") else None

    loads = [threading.Thread(target=load) for _ in range(2)]
    for one in loads:
        one.start()
    try:
        found = eventually(told)
    finally:
        done.set()
        for one in loads:
            one.join()

    if not found["findings"]:  # this machine is busy beside, and whose fault it is cannot be told
        assert found["outcome"] == "unknown"
        return
    [finding] = found["findings"]
    assert finding["severity"] in {"high", "medium"}
    assert any(one["label"].startswith("EVAL") and "local t" not in one["label"] for one in finding["evidence"])
