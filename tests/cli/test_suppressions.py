"""Suppressions on the command line: counted apart, told with their reason, and watched."""

from datetime import UTC, date, datetime, timedelta

import pytest
from examining import CROWDED, Doctor
from healthy import HEALTHY

from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.snapshot import Refused


def today() -> date:
    return datetime.now(UTC).date()


def entry(days: int = 60, condition: str = "", **words: str) -> str:
    words |= {"while": condition} if condition else {}
    told = {"check": "RED002", "reason": "the plan grows", "owner": "team-queues", **words}
    told["expires"] = (today() + timedelta(days=days)).isoformat()
    return "[[suppress]]\n" + "".join(f'{key} = "{value}"\n' for key, value in told.items())


def test_a_suppressed_finding_stays_in_the_report_and_does_not_count(doctor: Doctor) -> None:
    doctor.write(entry())

    ran = doctor.replay()

    assert ran.status == 0
    assert ran.result("RED002")["outcome"] == "fail"
    assert [one["suppressed"] for one in ran.findings("RED002")] == [True]
    assert ran.report["summary"]["suppressed"] == 1
    assert ran.result("OBS003")["outcome"] == "pass"


@pytest.mark.parametrize(
    ("text", "severity", "status"),
    [
        (entry(-1), "medium", 1),
        (entry(3), "info", 0),
        (entry(check="maxclients-exhausted", subject="queue:*"), "low", 1),
        (entry(check="RED003"), "low", 1),
        (entry(condition="fleet.members > 3"), "medium", 1),
        (entry(condition="server.info.nothing > 3"), "low", 1),
    ],
)
def test_what_has_ended_or_silences_nothing_is_a_finding_at_its_line(
    doctor: Doctor, text: str, severity: str, status: int
) -> None:
    doctor.write("# one line before it\n" + text)

    ran = doctor.replay(".")

    [finding] = ran.findings("OBS003")
    assert ran.status == status
    assert finding["severity"] == severity
    assert finding["location"] == {"path": "kiqdoctor.toml", "line": 2, "column": 1}


def test_it_holds_through_its_last_day(doctor: Doctor) -> None:
    def status() -> int:
        doctor.write(entry(0))
        return doctor.replay().status

    began, found = today(), status()
    assert (found if began == today() else status()) == 0  # a day that ended meanwhile was not its last


def test_a_condition_s_fact_is_read_even_where_no_check_wants_it(doctor: Doctor) -> None:
    doctor.write(entry(condition="packages.all > 0"))

    assert "packages" in doctor("check", ".", "--select", "RED002,OBS003", "--plan").out
    assert "packages" not in doctor("check", "--live", "--select", "RED002", "--isolated", "--plan").out


def test_a_refused_fact_lets_the_finding_count_and_says_so(doctor: Doctor) -> None:
    doctor.write(entry(condition="fleet.members < 3"))

    assert doctor.replay().status == 0
    ran = doctor.replay(facts=CROWDED.without(Fleet, Refused("NOPERM smembers", "+smembers")))

    assert ran.status == 1
    assert "fleet is not known: NOPERM smembers" in ran.findings("OBS003")[0]["title"]


def test_a_check_that_was_not_selected_says_nothing_about_its_suppression(doctor: Doctor) -> None:
    doctor.write(entry())

    assert doctor.replay("--ignore", "RED002").result("OBS003")["outcome"] == "pass"
    assert doctor.replay("--select", "OBS003").status == 3  # nothing was judged but ourselves


def test_people_are_told_why(doctor: Doctor) -> None:
    doctor.write(entry())
    doctor.replay()

    text = doctor("check", "--replay", "facts.json").out

    assert "the plan grows (team-queues, until " in text


def test_nothing_to_suppress_is_not_applicable(doctor: Doctor) -> None:
    assert doctor.replay(facts=HEALTHY).result("OBS003")["outcome"] == "not-applicable"
