"""QUE016: ticks that nobody pushed, on plain facts, and as each scheduler writes them."""

import json
import time
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
import redis as redis_py
from doctoring import check, kiqdoctor
from healthy import HEALTHY
from healthy.beside import HOURLY
from healthy.fleet import WORKER
from servers import RedisServer
from states import beat

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.beside import PeriodicJob, PeriodicJobs
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.report import Outcome, Result
from kiqdoctor.probes.beside.periodic import moment, split


def at(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()


NOON = at("2026-11-20T12:10:00+00:00")
DAILY = PeriodicJob("report", "sidekiq-cron", "0 12 * * *", "UTC", last=at("2026-11-19T12:00:20+00:00"))


def judged(job: PeriodicJob, now: float = NOON, started_at: float = NOON - 1e6) -> Result:
    fleet = Fleet((replace(WORKER, started_at=started_at),), 1)
    return diagnose("QUE016", HEALTHY.with_(PeriodicJobs((job,)), ServerTime(now, now), fleet))


def with_(job: PeriodicJob, **changes: Any) -> PeriodicJob:
    return msgspec.structs.replace(job, **changes)


def test_a_tick_was_missed() -> None:
    [found] = judged(DAILY).findings

    assert found.severity == "high"
    assert found.fingerprint == "QUE016:periodic:report"
    assert found.finding.title == "report was due at 2026-11-20T12:00:00Z and was not pushed"


@pytest.mark.parametrize("twin", [
    {"last": at("2026-11-20T12:00:20+00:00")},
    {"enabled": False},
    {"last": None, "registered": at("2026-11-20T12:05:00+00:00")},
    {"registered": at("2026-11-20T12:00:00+00:00")},
    {"zone": "America/New_York", "last": at("2026-11-19T12:00:20-05:00")},
    {"kind": "kiqdoctor", "wanted": False},
])  # fmt: skip
def test_its_twin_missed_none(twin: dict[str, Any]) -> None:
    assert judged(with_(DAILY, **twin)).outcome is Outcome.PASS


def test_a_young_tick_may_still_be_pushed() -> None:
    assert judged(DAILY, now=NOON - 600 + 119).outcome is Outcome.PASS
    assert judged(DAILY, now=NOON - 600 + 121).outcome is Outcome.FAIL


def test_its_line_may_be_newer_than_the_tick() -> None:
    assert judged(DAILY, started_at=NOON - 60).findings[0].severity == "medium"
    long_ago = with_(DAILY, last=at("2026-11-17T12:00:20+00:00"))
    assert judged(long_ago, started_at=NOON - 60).findings[0].severity == "high"


def test_a_change_of_the_zone_s_time_is_medium() -> None:
    berlin = with_(DAILY, cron="30 3 * * *", zone="Europe/Berlin", last=at("2026-10-24T03:30:10+02:00"))

    assert judged(berlin, now=at("2026-10-25T04:00:00+01:00")).findings[0].severity == "medium"


@pytest.mark.parametrize(("job", "outcome"), [
    ({"zone": "", "last_offset_s": 3600, "last": at("2026-11-17T12:00:20+01:00")}, Outcome.FAIL),
    ({"zone": ""}, Outcome.FAIL),
    ({"zone": "", "last": NOON - 43200}, Outcome.UNKNOWN),
    ({"zone": "", "last_offset_s": -18000, "last": at("2026-11-19T12:00:20-05:00")}, Outcome.PASS),
    ({"zone": "", "cron": "*/15 * * * *"}, Outcome.FAIL),
    ({"zone": "Mars/Olympus"}, Outcome.UNKNOWN),
    ({"last": None}, Outcome.UNKNOWN),
    ({"cron": "", "odd": "its line is no cron line that we read: every hour"}, Outcome.UNKNOWN),
    ({"cron": "61 * * * *"}, Outcome.UNKNOWN),
    ({"next": NOON - 600, "cron": "", "last": NOON - 4200}, Outcome.FAIL),
    ({"next": NOON + 600, "cron": "", "last": NOON - 4200}, Outcome.PASS),
    ({"kind": "kiqdoctor", "wanted": True}, Outcome.FAIL),
])  # fmt: skip
def test_what_can_be_told(job: dict[str, Any], outcome: Outcome) -> None:
    assert judged(with_(DAILY, **job)).outcome is outcome


def test_summer_time_may_have_gone_since_its_last_time() -> None:
    job = with_(DAILY, zone="", last_offset_s=3600, last=at("2026-11-19T12:00:20+01:00"))

    assert judged(job, now=at("2026-11-20T11:30:00+00:00")).findings[0].severity == "medium"
    assert judged(job, now=at("2026-11-20T12:30:00+00:00")).findings[0].severity == "high"


def test_a_live_process_of_ours_that_does_not_say_what_it_pushes() -> None:
    ours = Fleet((replace(WORKER, runtime="kiqdoctor"),), 1)
    job = PeriodicJobs((with_(DAILY, kind="kiqdoctor", wanted=None),))

    found = diagnose("QUE016", HEALTHY.with_(job, ServerTime(NOON, NOON), ours))
    assert found.outcome is Outcome.UNKNOWN


def test_schedules_that_were_not_read_may_have_missed_some() -> None:
    short = PeriodicJobs((HOURLY,), "schedules is too large to be read")

    assert diagnose("QUE016", HEALTHY.with_(short)).outcome is Outcome.UNKNOWN


@pytest.mark.parametrize(("line", "cron", "zone"), [
    ("*/5 * * * *", "*/5 * * * *", ""),
    ("0 3 * * * Europe/Berlin", "0 3 * * *", "Europe/Berlin"),
    ("0 0 3 * * MON", "0 0 3 * * MON", ""),
    ("0 3 * * MON-FRI +02:00", "0 3 * * MON-FRI", "+02:00"),
    ("@daily", "0 0 * * *", ""),
    ("@hourly UTC", "0 * * * *", "UTC"),
    ("every 5 minutes", "", ""),
    ("", "", ""),
])  # fmt: skip
def test_cron_lines_with_and_without_a_zone(line: str, cron: str, zone: str) -> None:
    assert split(line) == (cron, zone)


@pytest.mark.parametrize(("text", "found"), [
    ("2026-11-20 12:10:00 UTC", (NOON, 0)),
    ("2026-11-20 13:10:00 +0100", (NOON, 3600)),
    ("2026-11-20T12:10:00Z", (NOON, 0)),
    ("2026-11-20 07:10:00.500 -0500", (NOON + 0.5, -18000)),
    ("2026-11-20 12:10:00", (None, None)),
    ("yesterday", (None, None)),
])  # fmt: skip
def test_times_as_ruby_writes_them(text: str, found: tuple[float | None, int | None]) -> None:
    assert moment(text) == found


def ruby_time(seconds_ago: float) -> str:
    return datetime.fromtimestamp(time.time() - seconds_ago, UTC).strftime("%Y-%m-%d %H:%M:%S +0000")


def written(client: "redis_py.Redis", scheduler: str, seconds_ago: float) -> None:
    then = time.time() - seconds_ago
    if scheduler == "sidekiq-cron":
        job: dict[Any, Any] = {"name": "report", "cron": "* * * * *", "status": "enabled", "klass": "Report"}
        client.sadd("cron_jobs:default", "cron_job:default:report")
        client.hset("cron_job:default:report", mapping={**job, "last_enqueue_time": ruby_time(seconds_ago)})
        client.zadd("cron_job:default:report:enqueued", {"x": then})
    elif scheduler == "sidekiq-scheduler":
        client.hset("schedules", "report", json.dumps({"cron": "* * * * *", "class": "Report"}))
        client.hset("sidekiq-scheduler:last_times", "report", ruby_time(seconds_ago))
        client.hset("sidekiq-scheduler:next_times", "report", ruby_time(seconds_ago - 60))
    else:
        client.hset("kiq:periodic", "shop.report * * * * * UTC 0a1b2c3d", repr(then))


@pytest.mark.parametrize("scheduler", ["sidekiq-cron", "sidekiq-scheduler", "kiqdoctor"])
def test_every_scheduler_on_a_real_redis(scheduler: str, redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    beat(redis)
    written(redis, scheduler, 0)
    assert check(redis_server.url, "--select", "QUE016").outcome("QUE016") == "pass"

    written(redis, scheduler, 900)
    redis.delete("cron_job:default:report:enqueued")
    assert check(redis_server.url, "--select", "QUE016").severities("QUE016") == ["high"]


def test_a_schedule_file_of_which_nothing_is_registered(
    tmp_path: Path, redis: "redis_py.Redis", redis_server: RedisServer
) -> None:
    (tmp_path / "config").mkdir()
    (tmp_path / "config" / "schedule.yml").write_text("report:\n  cron: '0 3 * * *'\n  class: Report\n")
    beat(redis)
    words = ("check", str(tmp_path), "--redis", redis_server.url, "--format", "json", "--select", "QUE016")
    found = kiqdoctor(*words)
    assert found.severities("QUE016") == ["medium"]

    written(redis, "sidekiq-cron", 0)
    assert kiqdoctor(*words).outcome("QUE016") == "pass"
