"""Ages where Redis' clock is wrong: by the hosts' clock, else unknown; a right one changes nothing."""

from dataclasses import replace

import pytest
from healthy import HEALTHY
from healthy.beside import BATCH
from healthy.fleet import WORKER
from healthy.moment import NOW
from jobs import job, queues, sampled
from msgspec.structs import replace as changed

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.beside import Batches
from kiqdoctor.doctor.facts.fleet import Fleet, InFlight
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.queues import Marks, Place, Queue
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Refused, Snapshot
from kiqdoctor.probes.fleet.fleet import by_right_clock

AHEAD = 600.0
WRONG = ServerTime(NOW + AHEAD, NOW)  # Redis' clock is ahead; hosts and the doctor agree
RUNNING = replace(
    WORKER, busy=5, in_flight=(InFlight("t", "default", "j1", "Slow", NOW - 60),), in_flight_key="work", reliable=False
)


def world(clock: ServerTime, *, age: float, by_ours: bool | None, queue: str = "mail") -> Snapshot:
    fleet = Fleet((replace(RUNNING, queues=("default",)),), 1, by_ours=by_ours)
    waiting = queues(Queue(queue, 3, oldest_at=NOW - age, paused=queue == "paused"))
    return HEALTHY.over(10.0, waiting, waiting).with_(clock, fleet)


@pytest.mark.parametrize(("check", "queue"), [("QUE001", "mail"), ("QUE002", "default"), ("QUE003", "paused")])
def test_a_queue_is_as_old_as_its_hosts_say(check: str, queue: str) -> None:
    def outcome(age: float, *, by_ours: bool | None) -> Outcome:
        return diagnose(check, world(WRONG, age=age, by_ours=by_ours, queue=queue)).outcome

    assert outcome(5000, by_ours=True) is Outcome.FAIL
    assert outcome(20, by_ours=True) is not Outcome.FAIL  # by Redis' clock it waits for 620 s
    assert outcome(5000, by_ours=None) is Outcome.UNKNOWN
    assert outcome(20, by_ours=False) is Outcome.FAIL  # here it is the doctor's own clock that is wrong


def test_a_job_runs_as_long_as_its_host_says() -> None:
    far = ServerTime(NOW + 40_000, NOW)

    assert diagnose("PRO006", world(far, age=1, by_ours=True)).outcome is Outcome.PASS
    assert diagnose("PRO006", world(far, age=1, by_ours=None)).outcome is Outcome.UNKNOWN
    assert diagnose("PRO006", world(far, age=1, by_ours=False)).outcome is Outcome.FAIL


def test_a_little_is_borne() -> None:
    near = ServerTime(NOW + 2, NOW)

    assert diagnose("QUE002", world(near, age=20, by_ours=None, queue="default")).outcome is Outcome.PASS


@pytest.mark.parametrize(("ahead", "beat_ago", "ttl", "by_ours"), [
    (600.0, 3.0, 57, True),
    (-600.0, 3.0, 57, True),
    (600.0, -597.0, 57, False),  # the host agrees with Redis: it is the doctor's clock that is wrong
    (600.0, 45.0, 15, True),
    (600.0, 4000.0, 57, None),  # beats that agree with neither
    (600.0, 3.0, None, True),
    (2.0, 3.0, 57, None),  # too little to ask
])  # fmt: skip
def test_beats_tell_whose_clock_they_go_by(
    ahead: float, beat_ago: float, ttl: int | None, by_ours: bool | None
) -> None:
    clock = ServerTime(NOW + ahead, NOW)
    read = replace(WORKER, beat=NOW - beat_ago, beat_age_s=ahead + beat_ago, ttl_s=ttl)

    [found], told = by_right_clock([read], clock)

    assert told is by_ours
    assert found.beat_age_s == (beat_ago if by_ours else ahead + beat_ago)


@pytest.mark.parametrize("redis_s", [AHEAD, -AHEAD])
def test_a_batch_is_as_old_as_whoever_made_it_says(redis_s: float) -> None:
    def outcome(age: float, *, by_ours: bool | None) -> Outcome:
        never_sealed = Batches((changed(BATCH, sealed=False, created_at=NOW - age),), 1)
        wrong = ServerTime(NOW + redis_s, NOW)
        return diagnose("QUE015", world(wrong, age=1, by_ours=by_ours).with_(never_sealed)).outcome

    assert outcome(700, by_ours=True) is Outcome.FAIL
    assert outcome(500, by_ours=True) is Outcome.PASS
    assert outcome(700, by_ours=None) is Outcome.UNKNOWN


def test_others_behind_a_flood_wait_as_long_as_their_hosts_say() -> None:
    def outcome(age: float, *, by_ours: bool | None) -> Outcome:
        flood = tuple(job(number, job_class="Thumbnail", enqueued_at=NOW - number / 100) for number in range(200))
        mail = job(1, job_class="Mail", enqueued_at=NOW - age)
        place = Place("queue:media", 50_000, flood, flood, (mail,))
        grows = sampled(place).over(10.0, queues(Queue("media", 50_000)), queues(Queue("media", 50_800)))
        return diagnose("QUE019", grows.with_(WRONG, Fleet((RUNNING,), 1, by_ours=by_ours))).outcome

    assert outcome(100, by_ours=True) is Outcome.FAIL
    assert outcome(20, by_ours=True) is Outcome.PASS
    assert outcome(100, by_ours=None) is Outcome.UNKNOWN


@pytest.mark.parametrize(("clock", "by_ours", "since_s", "expected"), [
    (ServerTime(NOW - 7200, NOW), True, 3000, Outcome.FAIL),  # by Redis' clock that deploy is still to come
    (ServerTime(NOW + 7200, NOW), True, 300, Outcome.PASS),
    (ServerTime(NOW + 7200, NOW), None, 3000, Outcome.UNKNOWN),
    (Refused("NOPERM TIME"), True, 3000, Outcome.UNKNOWN),
])  # fmt: skip
def test_how_long_ago_a_deploy_was_is_told_by_the_hosts(
    clock: ServerTime | Refused, by_ours: bool | None, since_s: float, expected: Outcome
) -> None:
    elsewhere = replace(WORKER, identity="h1:1:aa", hostname="h1", version="7.1.0", started_at=NOW - 9000)
    peers = [replace(elsewhere, identity=f"h{n}:1:aa", hostname=f"h{n}", version="7.2.0") for n in (2, 3)]
    young = replace(peers[0], identity="h4:1:aa", hostname="h4", started_at=NOW - since_s)
    fleet = Fleet((elsewhere, *peers, young), 4, by_ours=by_ours)
    seen = HEALTHY.with_(LocalProcesses("web-1", ()), fleet, Marks(((NOW - since_s, "v2"),)))
    seen = seen.without(ServerTime, clock) if isinstance(clock, Refused) else seen.with_(clock)

    assert diagnose("PRO003", seen).outcome is expected


def test_a_process_is_as_old_as_its_host_says() -> None:
    def outcome(age: float, *, by_ours: bool | None) -> Outcome:
        fleet = Fleet((replace(WORKER, started_at=NOW - age),), 1, by_ours=by_ours)
        return diagnose("PRO011", HEALTHY.over(10.0, fleet, fleet).with_(WRONG)).outcome

    assert outcome(3600, by_ours=True) is Outcome.PASS
    assert outcome(20, by_ours=True) is Outcome.UNKNOWN  # by Redis' clock it is older than those that crash
    assert outcome(3600, by_ours=None) is Outcome.UNKNOWN


def test_what_is_due_by_a_wrong_clock_proves_no_calm() -> None:
    def outcome(clock: ServerTime, *, by_ours: bool | None) -> Outcome:
        retry = Place("retry", 5, (job(1),), due=(0,) * 10)
        return diagnose("QUE017", sampled(retry).with_(clock, Fleet((WORKER,), 1, by_ours=by_ours))).outcome

    assert outcome(ServerTime(NOW, NOW), by_ours=None) is Outcome.PASS
    assert outcome(WRONG, by_ours=False) is Outcome.PASS
    assert outcome(WRONG, by_ours=True) is Outcome.UNKNOWN
