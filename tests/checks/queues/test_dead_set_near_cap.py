"""QUE007: the dead push out the dead."""

import pytest
from healthy import HEALTHY
from healthy.moment import NOW
from jobs import queues

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.config import Setting, WorkerFile, WorkerSettings
from kiqdoctor.doctor.facts.engine import Thresholds, Turned
from kiqdoctor.doctor.facts.queues import JobSet
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot

DAY = 86_400.0


def dead(size: int, days: float = 1.0, unread: str = "") -> Snapshot:
    one = JobSet("dead", size, lowest_score=NOW - days * DAY, unread=unread)
    return HEALTHY.with_(queues(sets={"dead": one}))


@pytest.mark.parametrize(
    ("snapshot", "severities"),
    [(dead(8000), ["low"]), (dead(7999), []), (dead(9), []), (dead(9, 150), ["low"]), (dead(9, 149), [])],
)
def test_by_size_and_age(snapshot: Snapshot, severities: list[str]) -> None:
    assert [one.severity for one in diagnose("QUE007", snapshot).findings] == severities


def test_the_applications_own_cap() -> None:
    file = WorkerFile("config/sidekiq.yml", (Setting("production.dead_max_jobs", 4, "number", "50000"),))

    assert diagnose("QUE007", dead(8000).with_(WorkerSettings((file,)))).outcome is Outcome.PASS
    [found] = diagnose("QUE007", dead(40_000).with_(WorkerSettings((file,)))).findings
    assert found.finding.evidence[0].source == "ZCARD dead; the cap is dead_max_jobs of config/sidekiq.yml:4"


def test_another_cap() -> None:
    wide = dead(8000).with_(Thresholds((Turned("QUE007", "cap", 100_000.0),)))

    assert diagnose("QUE007", wide).outcome is Outcome.PASS
    assert "default" in diagnose("QUE007", dead(9)).evidence[0].source


def test_a_set_that_was_not_read() -> None:
    assert diagnose("QUE007", dead(9, unread="NOPERM")).outcome is Outcome.UNKNOWN
