"""OBS002: the doctor on itself."""

from healthy import HEALTHY

from kiqdoctor.clock import SYSTEM
from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.examine import examine
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.queues import Queues
from kiqdoctor.doctor.facts.redis import Server
from kiqdoctor.doctor.pack import load
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Refused


def test_everything_was_seen() -> None:
    assert diagnose("OBS002", HEALTHY).outcome is Outcome.PASS


def test_facts_that_were_refused_for_one_reason_are_one_line_and_the_title_stays_short() -> None:
    away, apart = (Refused(f"Redis is {word}", "a Redis that answers") for word in ("away", "slow"))
    snapshot = HEALTHY.without(Server, apart).without(Fleet, away).without(Queues, away)

    results = {one.check.id: one for one in examine(load(), snapshot, SYSTEM)}

    [finding] = results["OBS002"].findings
    labels = {one.label: one.value for one in finding.finding.evidence}
    assert set(labels) == {"2 facts", "Server"}
    assert labels["2 facts"].startswith("Redis is away: Fleet, Queues (")
    assert "QUE001" in labels["2 facts"]
    assert "3 facts could not be read; " in finding.finding.title
    assert len(finding.finding.title) < 160


def test_a_refusal_is_listed_with_its_key_and_the_checks_that_went_without() -> None:
    snapshot = HEALTHY.without(Server, Refused("Redis refuses INFO: NOPERM", "ACL SETUSER doctor +info"))

    results = {one.check.id: one for one in examine(load(), snapshot, SYSTEM)}

    [finding] = results["OBS002"].findings
    assert results["OBS002"].outcome is Outcome.FAIL
    assert finding.severity == "info"
    assert "RED002" in finding.finding.title
    assert "ACL SETUSER doctor +info" in finding.finding.remedy
