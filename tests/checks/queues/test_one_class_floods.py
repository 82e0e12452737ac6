"""QUE019: the mail waits behind thumbnails."""

import pytest
from healthy import HEALTHY
from healthy.moment import NOW
from jobs import job, queues, sampled

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.queues import JobCounts, Place, Queue, Sample
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot


def flood(share: float = 0.9, waits: float = 61.0, *sizes: int) -> Snapshot:
    """A hundred a second arrive; ``waits``: how long the others have."""

    def one(number: int, age: float) -> Sample:
        mine = number % 100 < share * 100
        at = NOW - (age if mine else waits)
        return job(number, job_class="Thumbnail" if mine else "Mail", enqueued_at=at)

    newest = tuple(one(number, number / 100) for number in range(200))
    oldest = tuple(one(number, 50.0) for number in range(200))
    place = Place("queue:media", 50_000, oldest, newest)
    readings = [queues(Queue("media", size)) for size in sizes]
    return sampled(place).over(10.0, *readings) if readings else sampled(place)


def test_others_wait_behind_it() -> None:
    [found] = diagnose("QUE019", flood(0.9, 61, 50_000, 50_800)).findings

    assert (found.severity, found.finding.subject) == ("high", "queue:media")
    assert found.finding.title == "Thumbnail floods media: Mail waits behind it for 61 s"


@pytest.mark.parametrize(
    "twin",
    [
        flood(0.79, 61, 50_000, 50_800),
        flood(0.9, 59, 50_000, 50_800),
        flood(1.0, 61, 50_000, 50_800),
        flood(0.9, 61, 50_000, 50_500),
        flood(0.9, 61, 50_000, 49_000),
    ],
)
def test_its_twins(twin: Snapshot) -> None:
    assert diagnose("QUE019", twin).outcome is Outcome.PASS


@pytest.mark.parametrize(("done", "outcome"), [(0, Outcome.FAIL), (39, Outcome.FAIL), (41, Outcome.UNKNOWN)])
def test_stamps_that_tell_no_rate(done: int, outcome: Outcome) -> None:
    """All came at once, long ago by their stamps; it grows by eight a second."""
    same = tuple(job(number, job_class="Thumbnail", enqueued_at=NOW - 90) for number in range(200))
    mail = job(1, job_class="Mail", enqueued_at=NOW - 100)
    place = Place("queue:media", 50_000, same, same, (mail,))
    grows = sampled(place).over(10.0, queues(Queue("media", 50_000)), queues(Queue("media", 50_080)))

    assert diagnose("QUE019", grows.over(10.0, JobCounts(100), JobCounts(100 + done))).outcome is outcome


def test_one_reading_tells_no_flood() -> None:
    found = diagnose("QUE019", flood(0.9, 61))

    assert found.outcome is Outcome.UNKNOWN
    assert "--for 1" in (found.reason or "")


def test_a_few_jobs_are_no_flood() -> None:
    assert diagnose("QUE019", HEALTHY).outcome is Outcome.PASS
