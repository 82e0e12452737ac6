"""DBC004: more connections than one client needs, and whether they grow."""

from dataclasses import replace

import pytest
from healthy import HEALTHY
from healthy.host import LOCAL

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.code import Code
from kiqdoctor.doctor.facts.code.habits import MongoClients
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Absent, Refused


def held(count: int) -> LocalProcesses:
    sockets = (*LOCAL.sockets, *((f"10.0.0.1:{n}", "10.0.0.4:27017") for n in range(count)))
    return LocalProcesses("web-1", (replace(LOCAL, sockets=sockets),))


def test_more_than_one_client_needs() -> None:
    assert [str(one.severity) for one in diagnose("DBC004", HEALTHY.with_(held(30))).findings] == ["medium"]
    assert diagnose("DBC004", HEALTHY.with_(held(8))).outcome is Outcome.PASS


def test_growing_is_worse() -> None:
    [finding] = diagnose("DBC004", HEALTHY.over(10, held(20), held(30))).findings

    assert finding.severity == "high"
    assert "for 5 threads, 10 more than when it was first looked at" in finding.finding.title
    assert diagnose("DBC004", HEALTHY.over(10, held(3), held(7))).outcome is Outcome.PASS


def test_another_user_s_and_another_host_s_are_unknown() -> None:
    other = LocalProcesses("web-1", (replace(LOCAL, settings=None),))

    assert diagnose("DBC004", HEALTHY.with_(other)).outcome is Outcome.UNKNOWN
    elsewhere = HEALTHY.with_(LocalProcesses("web-9"))
    assert diagnose("DBC004", elsewhere.without(MongoClients, Refused("it took too long"))).outcome is Outcome.UNKNOWN


def test_a_source_that_was_read_as_a_whole_tells_for_workers_elsewhere() -> None:
    assert diagnose("DBC004", HEALTHY.with_(LocalProcesses("web-9"))).outcome is Outcome.PASS


@pytest.mark.parametrize(("kiqstand", "outcome"), [(False, Outcome.FAIL), (True, Outcome.NOT_APPLICABLE)])
def test_an_old_mongoid_is_told_by_a_lock_alone(kiqstand: bool, outcome: Outcome) -> None:
    locked = {"sidekiq": "2.17.8", "mongoid": "3.1.7"} | ({"kiqstand": "1.1.0"} if kiqstand else {})
    packages = Packages(tuple(Package("ruby", name, version, "Gemfile.lock") for name, version in locked.items()))
    only = HEALTHY.with_(packages)
    for fact in (Code, MongoClients, Fleet, LocalProcesses):
        only = only.without(fact, Absent("there is none"))

    assert diagnose("DBC004", only).outcome is outcome
