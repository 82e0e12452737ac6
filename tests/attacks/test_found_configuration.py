"""A configuration that was found in the audited tree names no code, no Redis and no place to write; a named one may."""

from pathlib import Path
from typing import Any

import click
import pytest
from examining import Doctor

from kiqdoctor.cli import check, gate
from kiqdoctor.cli.words import configured
from kiqdoctor.cli.words.flags import Setting

HOSTILE = {
    "path": '"/"', "redis": '"redis://10.0.0.1:6379"', "python": '"evil"', "checks": '["evil"]', "embedded": "true",
    "baseline-run": '"/dev/zero"', "show-args": "true", "write-baseline": '"evil/b.json"', "record": '"evil/r.json"',
    "replay": '"/dev/zero"', "output": '"evil/o.txt"', "report": '["html=evil/r.html"]', "plan": "true",
    "nagios": "true", "deep": "true", "web": '"http://10.0.0.1/sidekiq"', "web-user": '"a:b"', "web-post": "true",
}  # fmt: skip
BY_HAND = sorted(key for key, one in configured.settings().items() if configured.by_hand(one))
EVIL = "from pathlib import Path\nPath(__file__).with_name('ran').touch()\n"


@pytest.fixture
def doctor(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> Doctor:
    made = Doctor(tmp_path, capfd)
    made.write(EVIL, "evil/evil/evil.py")
    return made


@pytest.mark.parametrize("command", [check.command, gate.command], ids=lambda one: str(one.name))
def test_each_option_says_which_it_is(command: click.Command) -> None:
    silent = [one.name for one in command.params if configured.key_of(one) in configured.settings()
              and not (isinstance(one, click.Argument) or (isinstance(one, Setting) and one.by_hand in {True, False}))
              ]  # fmt: skip

    assert silent == [], "a new option: say by_hand=True or False beside it"


def test_each_that_is_by_hand_is_tried_here() -> None:
    assert sorted(HOSTILE) == BY_HAND


def judged(report: dict[str, Any]) -> object:
    return [(one["check"], one["outcome"]) for one in report["results"]], report["target"]["redis"]


@pytest.mark.parametrize("key", BY_HAND)
@pytest.mark.parametrize("name", ["kiqdoctor.toml", "pyproject.toml"])
def test_one_line_of_warning_and_it_is_as_if_it_were_not_there(doctor: Doctor, key: str, name: str) -> None:
    before = doctor.replay("--isolated")
    head = "" if name == "kiqdoctor.toml" else "[tool.kiqdoctor]\n"
    doctor.write(f"{head}{key} = {HOSTILE[key]}\n", name)
    files = sorted(doctor.folder.rglob("*"))

    ran = doctor.replay()

    [line] = ran.err.splitlines()
    line_number = 1 + head.count("\n")
    assert line.startswith(f"kiqdoctor: {name}:{line_number}: {key}: ignored, for this file was found, not named; ")
    assert ran.status == before.status
    assert judged(ran.report) == judged(before.report)
    assert sorted(doctor.folder.rglob("*")) == files


def test_folders_beside_the_tables_of_checks_are_such_a_key_too(doctor: Doctor) -> None:
    doctor.write('[checks]\nfolders = "evil"\n[checks.RED002]\nnear = 0.99')

    ran = doctor.replay()

    assert len(ran.err.splitlines()) == 1
    assert "checks.folders: ignored" in ran.err
    assert ran.result("RED002")["outcome"] == "pass"  # the number counts
    assert not list(doctor.folder.rglob("ran"))


def test_named_by_hand_they_count(doctor: Doctor) -> None:
    doctor.write('output = "out.json"\nchecks = "evil"')

    assert doctor.replay("--config", "kiqdoctor.toml").err == ""
    assert list(doctor.folder.rglob("ran"))
    doctor.write('output = "out.json"')
    assert doctor.replay(KIQDOCTOR_CONFIG="kiqdoctor.toml").err == ""
    assert (doctor.folder / "out.json").exists()


def test_what_it_may_set_counts_without_a_word_of_warning(doctor: Doctor) -> None:
    doctor.write('{"schema": "kiqdoctor.baseline/1", "fingerprints": []}', "known.json")
    doctor.write('fail-on = "never"\nselect = "RED"\nbaseline = "known.json"\nnamespace = "shop"\nverbose = true')

    ran = doctor.replay()

    assert (ran.status, ran.err) == (0, "")
    assert {one["category"] for one in ran.report["results"]} == {"redis"}


def test_the_report_names_the_file(doctor: Doctor) -> None:
    doctor.write('fail-on = "never"')

    assert "configured by kiqdoctor.toml, which was found there" in doctor.replay("--format", "text").out
    assert "which was found there" in doctor.replay("--format", "markdown").out
    assert "which was found there" in doctor.replay("--format", "html").out
    named = doctor.replay("--format", "text", "--config", "kiqdoctor.toml").out
    assert "configured by kiqdoctor.toml" in named
    assert "found there" not in named
    assert "configured by" not in doctor.replay("--format", "text", "--isolated").out
