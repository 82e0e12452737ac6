"""QUE018: one job, a thousand times."""

import redis as redis_py
from doctoring import check
from jobs import job, sampled
from servers import RedisServer
from states import payload

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.queues import Place
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot


def copies(count: int, of: int, size: int | None = None, digest: str = "same") -> Snapshot:
    jobs = tuple(job(number, digest=digest if number < count else str(number)) for number in range(of))
    return sampled(Place("queue:mail", of if size is None else size, jobs[: of // 2], jobs[of // 2 :]))


def test_a_fifth_of_it_is_one_job() -> None:
    [found] = diagnose("QUE018", copies(80, 400, 1_000_000)).findings

    assert (found.severity, found.finding.subject) == ("medium", "queue:mail")
    assert "About 200000 of 1000000 jobs" in found.finding.title


def test_its_twins() -> None:
    assert diagnose("QUE018", copies(79, 400, 1_000_000)).outcome is Outcome.PASS
    assert diagnose("QUE018", copies(400, 400, digest="")).outcome is Outcome.PASS
    assert diagnose("QUE018", copies(150, 199)).outcome is Outcome.PASS


def test_few_of_many_tell_nothing() -> None:
    assert diagnose("QUE018", copies(150, 199, 5000)).outcome is Outcome.UNKNOWN


def test_on_a_real_redis(redis: "redis_py.Redis", redis_server: RedisServer) -> None:
    """Of Active Job's wrapper the ids differ, and what it wraps is the same."""
    redis.sadd("queues", "default")

    def wrapped(number: int, user: int) -> str:
        inner = {"job_class": "MailJob", "job_id": str(number), "arguments": [user], "enqueued_at": str(number)}
        return payload("Sidekiq::ActiveJob::Wrapper", wrapped="MailJob", jid=f"{number:024x}", args=[inner])

    redis.lpush("queue:default", *[wrapped(number, number) for number in range(400)])
    assert check(redis_server.url, "--select", "QUE018").outcome("QUE018") == "pass"

    redis.lpush("queue:default", *[wrapped(number, 7) for number in range(1000, 1300)])
    found = check(redis_server.url, "--select", "QUE018")
    assert found.severities("QUE018") == ["medium"]
    assert "the same MailJob" in found.result("QUE018")["findings"][0]["title"]
