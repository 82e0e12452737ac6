"""Ages where Redis' clock is wrong: by the hosts' clock, else unknown; a right one changes nothing."""

from dataclasses import replace

import pytest
from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.moment import NOW
from jobs import queues

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet, InFlight
from kiqdoctor.doctor.facts.queues import Queue
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot
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
