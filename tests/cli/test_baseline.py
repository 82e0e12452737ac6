"""A baseline: known findings do not count, and the file only shrinks unless it is told to grow."""

import json
from pathlib import Path

import pytest
from examining import CROWDED, Doctor, recorded
from healthy import HEALTHY

from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.redis import Server
from kiqdoctor.doctor.snapshot import Refused

NEAR = "RED002:redis:near"
HAUNTED = CROWDED.with_(Fleet((), 5))  # and no worker lives


def fingerprints(doctor: Doctor, name: str = "known.json") -> list[str]:
    document = json.loads((doctor.folder / name).read_text())
    assert document.keys() == {"schema", "fingerprints"}
    return list(document["fingerprints"])


def known(doctor: Doctor, *prints: str) -> Path:
    return doctor.write(json.dumps({"schema": "kiqdoctor.baseline/1", "fingerprints": [*prints]}), "known.json")


def test_a_new_one_takes_everything_and_leaves_the_status_as_it_is(doctor: Doctor) -> None:
    assert doctor.replay("--write-baseline", "known.json").status == 1
    assert fingerprints(doctor) == [NEAR]
    assert doctor.replay("--baseline", "known.json").status == 0
    assert doctor.replay("--baseline", "known.json", facts=HAUNTED).status == 1


def test_an_existing_one_only_shrinks(doctor: Doctor) -> None:
    known(doctor, NEAR, "RED003:redis")

    doctor.replay("--write-baseline", "known.json", facts=HAUNTED)

    assert fingerprints(doctor) == [NEAR]


def test_it_grows_when_it_is_told_to(doctor: Doctor) -> None:
    known(doctor, NEAR)

    doctor.replay("--write-baseline", "known.json", "--allow-grow", facts=HAUNTED)

    assert {NEAR, "PRO001:redis"} <= {*fingerprints(doctor)}


def test_what_was_not_judged_has_not_healed(doctor: Doctor) -> None:
    known(doctor, NEAR, "PRO001:redis")

    doctor.replay("--write-baseline", "known.json", "--ignore", "RED002", facts=HEALTHY)
    assert fingerprints(doctor) == [NEAR]
    refused = HEALTHY.without(Server, Refused("NOPERM info", "+info"))
    doctor.replay("--write-baseline", "known.json", facts=refused)
    assert fingerprints(doctor) == [NEAR]
    doctor.replay("--write-baseline", "known.json", facts=HEALTHY)
    assert fingerprints(doctor) == []


def test_what_a_suppression_silences_is_not_known(doctor: Doctor) -> None:
    doctor.write('[[suppress]]\ncheck = "RED002"\nreason = "r"\nowner = "o"\nexpires = "2999-01-01"\n')

    doctor.replay("--write-baseline", "known.json")

    assert fingerprints(doctor) == []


def test_what_was_done_is_said(doctor: Doctor) -> None:
    known(doctor, NEAR, "RED003:redis")
    recorded(HAUNTED, doctor.folder / "haunted.json")

    said = doctor("check", "--replay", "haunted.json", "--write-baseline", "known.json").out

    assert "Baseline known.json: 1 known, 0 added, 1 healed and removed; " in said
    assert "new left out, --allow-grow adds them." in said


def test_healed_ones_are_told_where_nothing_is_written(doctor: Doctor) -> None:
    known(doctor, NEAR)
    recorded(HEALTHY, doctor.folder / "healthy.json")

    said = doctor("check", "--replay", "healthy.json", "--baseline", "known.json").out

    assert "1 of the baseline's findings healed; --write-baseline known.json removes them" in said


def test_new_only_shows_people_what_is_new_and_keeps_the_rest_in_the_report(doctor: Doctor) -> None:
    known(doctor, NEAR)
    recorded(HAUNTED, doctor.folder / "haunted.json")
    words = ("check", "--replay", "haunted.json", "--baseline", "known.json")

    assert "95 of 100 client slots" in doctor(*words).out
    new = doctor(*words, "--new-only")
    assert "95 of 100 client slots" not in new.out
    assert "No worker is alive" in new.out
    assert "1 suppressed" in new.out
    assert doctor(*words, "--new-only", "--format", "json").findings("RED002")[0]["suppressed"]
    assert new.status == doctor(*words).status == 1


def test_new_only_needs_to_know_what_is_old(doctor: Doctor) -> None:
    ran = doctor.replay("--new-only")

    assert (ran.status, ran.err) == (
        2,
        "kiqdoctor: --new-only needs --baseline FILE: what is new is what it does not name\n",
    )


@pytest.mark.parametrize("option", ["--baseline", "--write-baseline"])
@pytest.mark.parametrize(
    ("content", "said"),
    [
        ("", "it is not JSON"),
        ("[]", "it is no baseline; this version reads kiqdoctor.baseline/1"),
        ('{"schema": "kiqdoctor.baseline/0", "fingerprints": []}', "its schema is kiqdoctor.baseline/0; this version"),
        ('{"schema": "kiqdoctor.report/1"}', "it is no baseline but kiqdoctor.report/1"),
        ('{"schema": "kiqdoctor.baseline/1", "fingerprints": [1]}', "`fingerprints` must be a list of strings"),
        ('{"schema": "kiqdoctor.baseline/1"}', "`fingerprints` must be a list of strings"),
        ('{"schema": "\\u001b[2J"}', "it is no baseline; "),
        ("[" * 100_000, "it is not JSON"),
    ],
)
def test_a_wrong_or_old_file_is_one_line_and_is_left_alone(
    doctor: Doctor, option: str, content: str, said: str
) -> None:
    file = doctor.write(content, "known.json")

    ran = doctor.replay(option, "known.json")

    assert ran.status == 2
    assert f"kiqdoctor: known.json: {said}" in ran.err
    assert len(ran.err.splitlines()) == 1
    assert file.read_text() == content
    assert ran.out == ""


def test_a_place_that_cannot_be_written_is_one_line(doctor: Doctor) -> None:
    ran = doctor.replay("--write-baseline", "nowhere/known.json")

    assert ran.status == 2
    assert "cannot write nowhere/known.json: No such file or directory" in ran.err
