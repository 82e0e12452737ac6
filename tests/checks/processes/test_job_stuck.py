"""PRO006: how long is long for a class, and what moves."""

from dataclasses import replace
from math import inf

import pytest
from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.moment import NOW

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet, InFlight, LongJob, LongJobs
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Refused, Snapshot

JID = "a" * 24


def running(seconds: float | None, known: LongJob | None = None) -> Snapshot:
    run_at = None if seconds is None else NOW - seconds
    job = InFlight("t1", "default", JID, "Report", run_at)
    fleet = Fleet((replace(WORKER, busy=1, in_flight=(job,), in_flight_key="work"),), 1)
    return HEALTHY.with_(fleet, LongJobs((known,) if known else ()))


@pytest.mark.parametrize(
    ("seconds", "usual_s", "severity"),
    [
        (1700, None, ""), (1900, None, "medium"), (22_000, None, "high"), (1900, 1.0, "medium"),
        (1900, 225.0, ""), (2300, 225.0, "medium"), (20_000, inf, ""), (22_000, inf, "high"),
    ],
)  # fmt: skip
def test_the_limit_follows_the_class(seconds: float, usual_s: float | None, severity: str) -> None:
    known = LongJob(JID, usual_s, 50) if usual_s else None

    assert [str(one.severity) for one in diagnose("PRO006", running(seconds, known)).findings] == (
        [severity] if severity else []
    )


def test_it_tells_job_thread_and_process() -> None:
    [finding] = diagnose("PRO006", running(7300)).findings

    assert finding.finding.title == "Report has been running for 2.0 h on web-1:4711:aabbccddeeff"
    assert finding.fingerprint == "PRO006:job:Report:web-1"


def test_an_iterable_job_that_moves_works() -> None:
    at = [LongJobs((LongJob(JID, cursor=cursor),)) for cursor in ("x", "y")]

    assert diagnose("PRO006", running(7300, LongJob(JID, cursor="x"))).outcome is Outcome.UNKNOWN
    assert diagnose("PRO006", running(7300).over(20, *at)).outcome is Outcome.PASS
    assert diagnose("PRO006", running(7300).over(20, at[0], at[0])).outcome is Outcome.FAIL


def test_what_does_not_say_since_when_is_unknown() -> None:
    assert diagnose("PRO006", running(None)).outcome is Outcome.UNKNOWN
    assert diagnose("PRO006", HEALTHY.without(ServerTime, Refused("NOPERM", "+time"))).outcome is Outcome.UNKNOWN
    assert diagnose("PRO006", HEALTHY.with_(Fleet((WORKER,), 9, "1 of 9 read"))).outcome is Outcome.UNKNOWN
