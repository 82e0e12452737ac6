"""PRO007: who beats late, who is merely far away, and when everybody does."""

from dataclasses import replace

import pytest
from healthy import HEALTHY
from healthy.fleet import WORKER
from healthy.host import LOCAL
from healthy.moment import NOW

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Snapshot

NOWHERE = LocalProcesses("web-9", ())


def fleet(*ages: float, version: str = "7.3.9") -> Fleet:
    return Fleet(tuple(_one(number, age, version) for number, age in enumerate(ages)), len(ages))


def _one(number: int, age: float, version: str) -> Process:
    identity = WORKER.identity if not number else f"h{number}:1:aa"
    host = WORKER.hostname if not number else f"h{number}"
    return replace(WORKER, identity=identity, hostname=host, beat_age_s=age, beat=NOW - age, version=version)


def seen(*ages: float, version: str = "7.3.9") -> Snapshot:
    return HEALTHY.with_(fleet(*ages, version=version), LocalProcesses("web-1", (replace(LOCAL, version=version),)))


@pytest.mark.parametrize(
    ("age", "version", "severity"),
    [(12.0, "7.3.9", ""), (25.0, "7.3.9", "medium"), (50.0, "8.1.7", "high"), (12.0, "6.4.1", "medium"), (9.0, "", "")],
)
def test_its_own_interval_is_what_counts(age: float, version: str, severity: str) -> None:
    found = diagnose("PRO007", seen(age, version=version)).findings

    assert [str(one.severity) for one in found] == ([severity] if severity else [])


def test_the_others_tell_whether_it_is_late() -> None:
    assert diagnose("PRO007", seen(30.0, 2.0, 3.0, 8.0)).outcome is Outcome.FAIL
    paused = diagnose("PRO007", seen(30.0, 32.0, 29.0))
    assert paused.outcome is Outcome.UNKNOWN
    assert "Redis may have paused" in (paused.reason or "")


def test_late_on_another_host_may_be_dead() -> None:
    found = diagnose("PRO007", HEALTHY.with_(fleet(30.0), NOWHERE))

    assert found.outcome is Outcome.UNKNOWN
    assert "--for 30" in (found.reason or "")


def test_one_that_beats_again_was_late() -> None:
    late, again = fleet(30.0, 3.0), Fleet((replace(WORKER, beat_age_s=1.0, beat=NOW + 9),), 1)

    assert diagnose("PRO007", HEALTHY.with_(NOWHERE).over(10, late, again)).outcome is Outcome.FAIL


def test_a_beat_that_is_not_told_is_unknown() -> None:
    assert diagnose("PRO007", HEALTHY.with_(Fleet((replace(WORKER, beat_age_s=None),), 1))).outcome is Outcome.UNKNOWN


def test_what_the_host_tells_stands_beside_it() -> None:
    worker = replace(LOCAL, waited_s=40.0, throttled=(90, 100))
    [finding] = diagnose("PRO007", seen(25.0).with_(LocalProcesses("web-1", (worker,)))).findings

    assert {"in 90 of 100 periods", "40.0 s in all"} <= {one.value for one in finding.finding.evidence}


def test_one_that_is_stopped_is_told_how_it_goes_on() -> None:
    def remedy(state: str) -> str:
        worker = replace(LOCAL, version="7.3.9", state=state)
        [found] = diagnose("PRO007", HEALTHY.with_(fleet(30.0), LocalProcesses("web-1", (worker,)))).findings
        return found.finding.remedy

    assert remedy("T").startswith(f"kill -CONT {LOCAL.pid} ")
    assert remedy("S").startswith("Lower its concurrency")
