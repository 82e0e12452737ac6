"""QUE006: nobody knows the class."""

from dataclasses import replace

import pytest
from healthy import HEALTHY
from healthy.code import CODE
from jobs import failed, job, sampled

from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.code import Code
from kiqdoctor.doctor.facts.packages import Package, Packages
from kiqdoctor.doctor.facts.queues import Place
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.snapshot import Absent, Snapshot


def named(name: str) -> Snapshot:
    return sampled(Place("queue:default", 1, (job(1, job_class=name),)))


def blamed(name: str, error: str = "NameError") -> Snapshot:
    return sampled(Place("retry", 1, others=(failed(1, job_class=name, error_class=error, blames_class=True),)))


def test_no_source_has_it_and_the_worker_says_so() -> None:
    [found] = diagnose("QUE006", blamed("ChargeCard")).findings

    assert (found.severity, found.finding.subject) == ("high", "job:ChargeCard")


def test_only_the_source_lacks_it() -> None:
    assert [one.severity for one in diagnose("QUE006", named("ChargeCard")).findings] == ["medium"]


@pytest.mark.parametrize("name", ["SendMail", "Shop::SendMail", "Orders"])
def test_its_twin_is_there(name: str) -> None:
    assert diagnose("QUE006", named(name)).outcome is Outcome.PASS


@pytest.mark.parametrize("name", ["ActionMailer::MailDeliveryJob", "Turbo::Streams::BroadcastJob"])
def test_a_package_has_it(name: str) -> None:
    locked = Packages((Package("ruby", "actionmailer", "7.2.4", "G"), Package("ruby", "turbo-rails", "2.0.0", "G")))

    assert diagnose("QUE006", named(name).with_(locked)).outcome is Outcome.PASS
    assert diagnose("QUE006", named(name)).outcome is Outcome.UNKNOWN


def test_another_error_of_that_class_proves_nothing() -> None:
    assert [one.severity for one in diagnose("QUE006", blamed("ChargeCard", "RuntimeError")).findings] == ["medium"]


@pytest.mark.parametrize(
    ("snapshot", "said"),
    [
        (blamed("ChargeCard").without(Code, Absent("no application")), "workers said of ChargeCard"),
        (named("Billing::ChargeCard"), "may come from a package"),
        (named("billing.tasks.charge"), "no job of it is written in Python"),
        (named("ChargeCard").with_(replace(CODE, jobs=())), "no job was recognised"),
        (named("ChargeCard").with_(replace(CODE, unparsed=(("app/a.rb", "syntax"),))), "could not be parsed"),
    ],
)
def test_what_cannot_be_told(snapshot: Snapshot, said: str) -> None:
    found = diagnose("QUE006", snapshot)

    assert found.outcome is Outcome.UNKNOWN
    assert said in (found.reason or "")


def test_a_file_of_another_language_limits_nothing() -> None:
    broken = replace(CODE, unparsed=(("tools/a.py", "syntax"),))

    assert diagnose("QUE006", named("ChargeCard").with_(broken)).outcome is Outcome.FAIL
    assert diagnose("QUE006", HEALTHY.with_(broken)).outcome is Outcome.PASS
