"""Periodic jobs, locks and batches, and deploys on the charts: what is told of each, and what is not read unasked."""

import json
import time
from typing import Any

import pytest
import redis as redis_py
from screens import NOW, Scripted, look, perform, screen, until
from servers import RedisServer
from states import beat
from textual.pilot import Pilot

from kiqdoctor.clock import SYSTEM
from kiqdoctor.connection import resolve_url
from kiqdoctor.doctor.facts.beside import Batch, Batches, Lock, Locks, PeriodicJob, PeriodicJobs, Sightings
from kiqdoctor.doctor.snapshot import Refused
from kiqdoctor.doctor.ticks import due
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.living import Live
from kiqdoctor.top.app import Top
from kiqdoctor.top.chart import MARK, chart
from kiqdoctor.top.panes.beside import Beside, Seen, rows
from kiqdoctor.top.panes.periodic import Periodic
from kiqdoctor.top.words import count

JID = "a" * 24
LOCK = Lock("uniquejobs:1:LOCKED", "sidekiq-unique-jobs", JID, "until_executed", NOW - 900)
GONE, HERE = Sightings(1, frozenset({JID}), looked_at=9), Sightings(1, looked_at=9)
SHORT = Sightings(1, frozenset({JID}), looked_at=9, partial="9 of 10 jobs were looked at")
DEAD = Sightings(1, only_dead=frozenset({JID}), looked_at=9)


def state(one: Lock | Batch, last: Sightings, before: Sightings | None = None) -> str:
    locks, batches = (Locks((one,)), Batches()) if isinstance(one, Lock) else (Locks(), Batches((one,), 1))
    [row] = rows(locks, batches, Seen(last, before), NOW)
    return row.state.partition(":")[0]


@pytest.mark.parametrize(
    ("last", "before", "said"),
    [
        (GONE, GONE, "orphaned"),
        (HERE, GONE, "its job is there"),
        (GONE, HERE, "unknown"),
        (GONE, None, "unknown"),
        (SHORT, GONE, "unknown"),
        (GONE, SHORT, "unknown"),
    ],
)
def test_a_lock_is_orphaned_when_its_job_was_nowhere_twice(
    last: Sightings, before: Sightings | None, said: str
) -> None:
    assert state(LOCK, last, before) == said


def test_a_lock_that_may_outlive_its_job_is_not_called_orphaned() -> None:
    assert state(Lock(LOCK.key, LOCK.kind, JID, "until_expired"), GONE, GONE) == "outlives its job"
    assert state(Lock(LOCK.key, LOCK.kind, JID, ttl_s=9), GONE, GONE) == "unknown"


def batch(age_s: float = 900.0, **changes: Any) -> Batch:
    told: dict[str, Any] = {"pending": 1, "waits_for": ("success",), "remaining": (JID,)} | changes
    return Batch("kiq:batch:1", "kiqdoctor", NOW - age_s, **told)


@pytest.mark.parametrize(
    ("one", "last", "before", "said"),
    [
        (batch(), HERE, HERE, "under way"),
        (batch(), DEAD, None, "stuck"),
        (batch(), GONE, GONE, "stuck"),
        (batch(), GONE, None, "unknown"),
        (batch(), SHORT, GONE, "unknown"),
        (batch(599.0), DEAD, DEAD, "under way"),
        (batch(pending=-1, remaining=()), HERE, None, "stuck"),
        (batch(sealed=False), HERE, None, "stuck"),
        (batch(pending=99_999, remaining=()), HERE, HERE, "unknown"),
        (batch(odd="it has no created_at"), HERE, None, "unknown"),
    ],
)
def test_a_batch_is_stuck_by_what_is_in_its_way(
    one: Batch, last: Sightings, before: Sightings | None, said: str
) -> None:
    assert state(one, last, before) == said


def test_when_a_job_is_due_next() -> None:
    hourly = PeriodicJob("a", "sidekiq-cron", "0 * * * *", "UTC")

    assert due(hourly, NOW) == NOW - NOW % 3600 + 3600
    assert due(PeriodicJob("a", "sidekiq-scheduler", next=NOW + 5), NOW) == NOW + 5
    assert due(PeriodicJob("a", "kiqdoctor", "0 * * * *", "+ab"), NOW) is None
    assert due(PeriodicJob("a", "sidekiq-scheduler", "0 * * * *"), NOW) is None


def test_deploys_stand_on_the_axis_at_their_time() -> None:
    def axis(*marks: float) -> str:
        return "".join(text for _, text in chart([], [1.0], 48, 5, span="5m", said=count, marks=marks)[-1])

    assert axis(0.5).index(MARK) == 8 + 20
    assert axis(0.0, 1.0).count(MARK) == 2
    assert axis(-0.1, 1.1) == axis()


@pytest.mark.parametrize("tab", [Periodic, Beside])
def test_why_it_cannot_be_shown_is_told(tab: Any) -> None:
    async def steps(pilot: Pilot[int], app: Top) -> None:
        await pilot.press(tab.key)
        assert "cannot be shown: Redis refuses SCAN; to settle it: ACL +scan" in screen(app)

    refused = Refused("Redis refuses SCAN", "ACL +scan")
    perform(steps, Scripted(look(PeriodicJobs=refused, Locks=refused)), size=(160, 40))


def test_on_a_real_redis_each_is_read_while_its_tab_is_shown_and_not_before(
    redis: "redis_py.Redis", redis_server: RedisServer
) -> None:
    beat(redis)
    now = time.time()
    redis.hset("cron_job:default:report", mapping={
        "name": "report", "cron": "* * * * *", "status": "enabled", "klass": "Report",
        "last_enqueue_time": time.strftime("%Y-%m-%d %H:%M:%S +0000", time.gmtime(now - 900)),
    })  # fmt: skip
    redis.hset("schedules", "sweep", json.dumps({"cron": "* * * * *", "class": "Sweep"}))
    redis.hset("kiq:periodic", "shop.tidy * * * * * UTC 0a1b2c3d", repr(now))
    redis.zadd("uniquejobs:digests", {"uniquejobs:1": now})
    redis.hset("uniquejobs:1:LOCKED", JID, now - 60)
    redis.hset(
        time.strftime("%Y%m%d-marks", time.gmtime(now)), time.strftime("%Y-%m-%dT%H:%M:00Z", time.gmtime(now)), "v2"
    )

    async def steps(pilot: Pilot[int], app: Top) -> None:
        await until(pilot, lambda: f"{MARK} deploys  v2 " in screen(app))
        assert not {PeriodicJobs, Locks, Batches, Sightings} & set(app.state.history.looks[-1].snapshot.readings)
        await pilot.press(Periodic.key)
        await until(pilot, lambda: "3 periodic jobs" in screen(app))
        assert "report" in screen(app)
        assert "Report" in screen(app)
        assert "Sweep" in screen(app)
        assert app.pane.id_here == "report"
        assert Locks not in app.state.history.looks[-1].snapshot.readings
        await pilot.press(Beside.key)
        await until(pilot, lambda: "1 lock, 0 orphaned" in screen(app))
        assert "unknown: its job was not found" in screen(app)

    source = Live(Asked(live=True, redis=redis_server.url, select=("RED",)), resolve_url(redis_server.url, {}))
    try:
        perform(steps, source, clock=SYSTEM, interval=0.2, size=(200, 40))
    finally:
        source.close()
