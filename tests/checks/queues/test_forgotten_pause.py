"""QUE003: somebody paused it and went home."""

from dataclasses import replace

import pytest
import redis as redis_py
from doctoring import check
from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.moment import NOW
from jobs import queues
from servers import RedisServer
from states import beat, payload

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.queues import Queue
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot


def waiting(age: float | None, **fields: object) -> Queue:
    queue = Queue("mail", 7, oldest_at=None if age is None else NOW - age)
    return replace(queue, **fields)  # type: ignore[arg-type]


def paused(age: float | None) -> Snapshot:
    return HEALTHY.with_(queues(waiting(age, paused=True), pausing=True))


def fleet(*processes: Process) -> Fleet:
    return Fleet(processes, len(processes))


QUIET = replace(WORKER, quiet=True, queues=("default", "mail"))
OTHER = replace(WORKER, identity="web-2:1:0123456789ab", queues=("default", "mail"))


@pytest.mark.parametrize(("age", "severity"), [(601, "medium"), (3601, "high")])
def test_a_paused_queue_holds_jobs(age: float, severity: str) -> None:
    [found] = diagnose("QUE003", paused(age)).findings

    assert found.severity == severity
    assert found.fingerprint == "QUE003:queue:mail:paused"


def test_its_twins_are_young_or_not_paused() -> None:
    assert diagnose("QUE003", paused(599)).outcome is Outcome.PASS
    assert diagnose("QUE003", HEALTHY.with_(queues(waiting(9999), pausing=True))).outcome is Outcome.PASS


def test_a_paused_queue_whose_age_nobody_knows() -> None:
    assert diagnose("QUE003", paused(None)).outcome is Outcome.UNKNOWN
    refused = HEALTHY.with_(queues(pauses_unread="NOPERM"))
    assert diagnose("QUE003", refused).outcome is Outcome.UNKNOWN


def test_all_are_quiet() -> None:
    [found] = diagnose("QUE003", HEALTHY.with_(queues(waiting(61)), fleet(QUIET))).findings

    assert found.severity == "high"
    young = diagnose("QUE003", HEALTHY.with_(queues(waiting(5)), fleet(QUIET)))
    assert young.outcome is Outcome.UNKNOWN


def test_nobody_says_how_long_the_jobs_of_a_quiet_process_wait() -> None:
    ageless = queues(waiting(None))
    beside = replace(WORKER, identity="web:2:bb", queues=("default",), started_at=NOW - 9_000)

    assert diagnose("QUE003", HEALTHY.with_(ageless, Fleet((QUIET, beside), 2))).outcome is Outcome.UNKNOWN


def test_one_is_quiet_and_nobody_followed_it() -> None:
    older = replace(OTHER, started_at=NOW - 7200)
    [found] = diagnose("QUE003", HEALTHY.with_(queues(waiting(601)), fleet(QUIET, older))).findings

    assert (found.severity, found.finding.subject) == ("medium", QUIET.subject)


def test_a_deploy_is_under_way() -> None:
    newer = replace(OTHER, started_at=NOW - 60)

    assert diagnose("QUE003", HEALTHY.with_(queues(waiting(601)), fleet(QUIET, newer))).outcome is Outcome.PASS


def test_nothing_that_could_be_paused() -> None:
    assert diagnose("QUE003", HEALTHY.with_(Fleet())).outcome is Outcome.NOT_APPLICABLE


def test_on_a_real_redis(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    beat(redis, queues=("default", "mail"))
    redis.sadd("queues", "mail")
    redis.lpush("queue:mail", payload(queue="mail", enqueued_at=int((NOW - 9999) * 1000)))
    assert check(redis_server.url, "--select", "QUE003").outcome("QUE003") == "pass"

    redis.sadd("paused", "mail")

    assert check(redis_server.url, "--select", "QUE003").severities("QUE003") == ["high"]
