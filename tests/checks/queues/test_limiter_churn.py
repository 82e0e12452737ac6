"""QUE020: jobs go round at a limit."""

import redis as redis_py
from doctoring import check
from healthy import HEALTHY
from jobs import job, sampled
from servers import RedisServer
from states import payload

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.queues import JobCounts, Place, Samples
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot

JOBS = tuple(job(number) for number in range(10))


def turned(by: int, ended: int) -> Snapshot:
    """The queue, and the same after so many went from its front to its end."""
    first, last = (Samples((Place("queue:a", 10, jobs),)) for jobs in (JOBS, JOBS[by:] + JOBS[:by]))
    return HEALTHY.over(10.0, first, last).over(10.0, JobCounts(100), JobCounts(100 + ended))


def test_sent_back_by_its_own_count() -> None:
    [found] = diagnose("QUE020", sampled(Place("queue:a", 1, (job(1, overrated=10),)))).findings

    assert (found.severity, found.finding.subject) == ("medium", "job:SendMail")
    assert not diagnose("QUE020", sampled(Place("queue:a", 1, (job(1, overrated=9),)))).findings


def test_they_go_round_and_nothing_ends() -> None:
    assert diagnose("QUE020", turned(3, 0)).outcome is Outcome.FAIL


def test_its_twins() -> None:
    assert diagnose("QUE020", turned(3, 3)).outcome is Outcome.PASS
    assert diagnose("QUE020", turned(2, 0)).outcome is Outcome.PASS
    assert diagnose("QUE020", turned(0, 0)).outcome is Outcome.PASS


def test_one_reading_shows_no_turns() -> None:
    assert "--for 1" in (diagnose("QUE020", HEALTHY).reason or "")
    assert diagnose("QUE020", sampled()).outcome is Outcome.PASS


def test_a_long_queue_goes_round() -> None:
    ends = [tuple(job(number) for number in range(start, start + 5)) for start in (0, 50)]
    first, last = Place("queue:a", 900, ends[0], ends[1]), Place("queue:a", 900, ends[1], ends[0])
    gone = HEALTHY.over(10.0, Samples((first,)), Samples((last,))).over(10.0, JobCounts(1), JobCounts(1))

    assert diagnose("QUE020", gone).outcome is Outcome.FAIL


def test_on_a_real_redis(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    redis.sadd("queues", "default")
    redis.lpush("queue:default", payload(overrated=12))

    assert check(redis_server.url, "--select", "QUE020").severities("QUE020") == ["medium"]
