"""`kiqdoctor diff`: new, healed, persisting, no longer judged; which fact changed; and the exit status."""

import json
from pathlib import Path
from typing import Any

import pytest
from examining import CROWDED, Doctor, Ran, recorded
from healthy import HEALTHY

from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.redis import ClientLimit, Server
from kiqdoctor.doctor.snapshot import Refused, Snapshot


def report(doctor: Doctor, name: str, facts: Snapshot, *words: str) -> Path:
    return doctor.write(doctor.replay(*words, facts=facts).out, name)


@pytest.fixture
def pair(doctor: Doctor) -> Doctor:
    report(doctor, "healthy.json", HEALTHY)
    report(doctor, "crowded.json", CROWDED)
    return doctor


def as_json(ran: Ran) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(ran.out)
    assert found["schema"] == "kiqdoctor.diff/1"
    assert found["summary"]["exit_status"] == ran.status
    return found


def checks(found: dict[str, Any], group: str) -> list[str]:
    return [one["check"] for one in found["findings"][group]]


def test_something_new_fails_and_names_the_fact_that_changed(pair: Doctor) -> None:
    ran = pair("diff", "healthy.json", "crowded.json", "--format", "json")

    found = as_json(ran)
    assert ran.status == 1
    assert checks(found, "new") == ["RED002"]
    assert found["summary"]["healed"] == found["summary"]["persisting"] == 0
    changed = {"label": "connected_clients", "old": "9", "new": "95", "source": "INFO clients"}
    assert found["findings"]["new"][0]["changed"] == [changed]


def test_what_healed_does_not_fail(pair: Doctor) -> None:
    ran = pair("diff", "crowded.json", "healthy.json", "--format", "json")

    found = as_json(ran)
    assert ran.status == 0
    assert checks(found, "healed") == ["RED002"]
    assert found["findings"]["healed"][0]["changed"][0]["new"] == "9"


def test_what_persists_does_not_fail_and_tells_what_became_of_it(pair: Doctor) -> None:
    worse = CROWDED.with_(
        Server({"connected_clients": "99", "rejected_connections": "0"}), ClientLimit(110, "INFO clients")
    )
    report(pair, "worse.json", worse)

    found = as_json(pair("diff", "crowded.json", "worse.json", "--format", "json"))

    [one] = found["findings"]["persisting"]
    assert (one["check"], one["severity"], one["severity_before"]) == ("RED002", "high", "high")
    assert {change["label"]: (change["old"], change["new"]) for change in one["changed"]} == {
        "connected_clients": ("95", "99"),
        "limit": ("100", "110"),
    }


def test_what_was_not_looked_at_has_not_healed(pair: Doctor) -> None:
    report(pair, "blind.json", CROWDED.without(Server, Refused("NOPERM info", "+info")), "--ignore", "OBS002")
    report(pair, "narrow.json", CROWDED, "--ignore", "RED002")

    blind = as_json(pair("diff", "crowded.json", "blind.json", "--format", "json"))
    narrow = as_json(pair("diff", "crowded.json", "narrow.json", "--format", "json"))

    assert checks(blind, "healed") == []
    assert "NOPERM info" in blind["findings"]["unseen"][0]["because"]
    assert narrow["findings"]["unseen"][0]["because"] == "the check was not selected"


def test_what_was_not_judged_before_counts_as_new_and_says_so(pair: Doctor) -> None:
    report(pair, "narrow.json", HEALTHY, "--ignore", "RED002")

    ran = pair("diff", "narrow.json", "crowded.json", "--format", "json")

    assert ran.status == 1
    assert as_json(ran)["findings"]["new"][0]["because"] == "not judged before: the check was not selected"


@pytest.mark.parametrize(("fail_on", "status"), [("critical", 0), ("high", 1), ("info", 1), ("never", 0)])
def test_the_status_is_that_of_what_is_new(pair: Doctor, fail_on: str, status: int) -> None:
    assert pair("diff", "healthy.json", "crowded.json", "--fail-on", fail_on).status == status


def test_a_suppressed_finding_is_told_and_does_not_count(pair: Doctor) -> None:
    pair.write('[[suppress]]\ncheck = "RED002"\nreason = "r"\nowner = "o"\nexpires = "2999-01-01"\n')
    report(pair, "silenced.json", CROWDED)

    ran = pair("diff", "healthy.json", "silenced.json")

    assert ran.status == 0
    assert "(suppressed)" in ran.out


def test_recordings_are_judged_by_the_same_rules_now(doctor: Doctor) -> None:
    recorded(HEALTHY, doctor.folder / "old.json")
    recorded(CROWDED, doctor.folder / "new.json")
    report(doctor, "report.json", HEALTHY)

    assert checks(as_json(doctor("diff", "old.json", "new.json", "--format", "json")), "new") == ["RED002"]
    assert checks(as_json(doctor("diff", "report.json", "new.json", "--format", "json")), "new") == ["RED002"]
    doctor.write("[checks.RED002]\nnear = 0.99")
    assert doctor("diff", "old.json", "new.json").status == 0


def test_people_read_it_in_the_order_that_matters(pair: Doctor) -> None:
    report(pair, "dead.json", HEALTHY.with_(Fleet((), 5)))

    out = pair("diff", "dead.json", "crowded.json").out

    lines = [line.split("  ")[0] for line in out.splitlines()]
    assert lines.index("NEW") < lines.index("HEALED")
    assert "            connected_clients: 9 -> 95  (INFO clients)" in out.splitlines()
    assert out.splitlines()[-1].startswith("1 new, ")
    assert out.splitlines()[-1].endswith("exit status 1")


def test_equal_reports_differ_in_nothing(pair: Doctor) -> None:
    ran = pair("diff", "crowded.json", "crowded.json", "--format", "json")

    assert ran.status == 0
    assert as_json(ran)["findings"]["persisting"][0]["changed"] == []


@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "it is not JSON"),
        ("{}", "it is no report of schema kiqdoctor.report/1: Object missing required field `schema`"),
        ('{"schema": "kiqdoctor.report/2"}', "it is no report of schema kiqdoctor.report/1: Invalid enum value"),
        ('{"schema": "kiqdoctor.recording/1"}', "it is not a recording"),
        ('{"schema": "kiqdoctor.recording/1", "recorded_at": "x"}', "it is not a recording"),
        ('{"schema": "kiqdoctor.recording/3"}', "it is a kiqdoctor.recording/3; this version reads"),
        ("[" * 5000, "it is not JSON"),
    ],
)
def test_what_is_no_report_is_one_line(pair: Doctor, content: str, said: str) -> None:
    pair.write(content, "wrong.json")

    for words in (("wrong.json", "healthy.json"), ("healthy.json", "wrong.json")):
        ran = pair("diff", *words)
        assert (ran.status, ran.out) == (2, "")
        assert f"kiqdoctor: wrong.json: {said}" in ran.err
        assert len(ran.err.splitlines()) == 1


def test_hostile_text_of_a_stranger_s_report_moves_no_cursor(pair: Doctor) -> None:
    document = json.loads((pair.folder / "crowded.json").read_text())
    [one] = [one for one in document["results"] if one["findings"]]
    one["name"] = one["findings"][0]["title"] = one["findings"][0]["evidence"][0]["value"] = "a\x1b[2J\u202eb\nc"
    document["started_at"] = document["target"]["redis"] = "\x1b]52;c;x\x07"
    pair.write(json.dumps(document), "hostile.json")

    for form in ("text", "json"):
        out = pair("diff", "healthy.json", "hostile.json", "--format", form).out
        assert "\x1b" not in out
        assert "\u202e" not in out
        assert "\x07" not in out


def test_it_is_written_where_it_is_wanted(pair: Doctor) -> None:
    ran = pair("diff", "healthy.json", "crowded.json", "--format", "json", "--output", "diff.json")

    assert (ran.status, ran.out) == (1, "")
    assert json.loads((pair.folder / "diff.json").read_text())["summary"]["new"] == 1
