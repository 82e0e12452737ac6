"""The configuration: where it is found, what wins over it, and what is said of a wrong one."""

import os
from pathlib import Path

import click
import pytest
from examining import Doctor, recorded
from healthy import HEALTHY
from healthy.moment import NOW

from kiqdoctor import probes
from kiqdoctor.cli.words import configured
from kiqdoctor.cli.words.file import load
from kiqdoctor.examining.configuration import NO_CONFIGURATION
from kiqdoctor.examining.decisions import decided
from kiqdoctor.examining.examination import resolved
from kiqdoctor.examining.parts import every_check

CROWDED = "RED002"  # high; so `fail-on = "critical"` makes the difference


def test_each_source_wins_over_the_next(doctor: Doctor) -> None:
    assert doctor.replay().status == 1
    doctor.write('fail-on = "critical"')
    assert doctor.replay().status == 0
    assert doctor.replay(KIQDOCTOR_FAIL_ON="high").status == 1
    assert doctor.replay("--fail-on", "never", KIQDOCTOR_FAIL_ON="high").status == 0


def test_the_project_file_counts_where_there_is_no_file_of_our_own(doctor: Doctor) -> None:
    doctor.write('[project]\nname = "shop"\n\n[tool.kiqdoctor]\nfail-on = "never"\n', "pyproject.toml")
    assert doctor.replay().status == 0
    doctor.write('fail-on = "high"')
    assert doctor.replay().status == 1


def test_a_named_file_goes_before_those_that_are_found(doctor: Doctor) -> None:
    doctor.write('fail-on = "never"')
    other = doctor.write('fail-on = "high"', "elsewhere/ci.toml")

    assert doctor.replay("--config", str(other)).status == 1
    assert doctor.replay(KIQDOCTOR_CONFIG=str(other)).status == 1
    assert doctor.replay("--isolated").status == 1


def test_the_application_s_file_goes_before_the_one_here(doctor: Doctor) -> None:
    doctor.write('fail-on = "high"')
    doctor.write('fail-on = "never"', "app/kiqdoctor.toml")
    (doctor.folder / "bare").mkdir()

    assert doctor.replay("app").status == 0
    assert doctor.replay("bare").status == 1


def test_paths_are_relative_to_the_file(doctor: Doctor) -> None:
    doctor.write('{"schema": "kiqdoctor.baseline/1", "fingerprints": ["RED002:redis:near"]}', "app/known.json")
    doctor.write('path = "."\nbaseline = "known.json"\noutput = "out.json"', "app/kiqdoctor.toml")

    ran = doctor.replay("--config", "app/kiqdoctor.toml")

    assert (ran.status, ran.out) == (0, "")
    assert '"suppressed": 1' in (doctor.folder / "app" / "out.json").read_text()


def test_every_option_may_stand_in_the_file(doctor: Doctor) -> None:
    values = {
        "path": '"."', "redis": '"redis://somewhere/1"', "namespace": '"shop"', "redis-limit": "10",
            "db-limit": "90",
        "python": '"."', "checks": '["pack"]', "embedded": "false", "select": '["RED", "OBS"]', "ignore": '"RED003"',
        "static": "false", "live": "true", "for": "0.5", "timeout": "30",
        "baseline-run": '"before.json"', "show-args": "true", "deep": "true",
        "web": '"http://127.0.0.1:1/sidekiq"', "web-user": '"ops:pw"', "web-post": "true",
        "fail-on": '"low"', "require": '["RED001"]', "baseline": '"known.json"', "write-baseline": '"next.json"',
        "allow-grow": "true", "new-only": "true", "record": '"again.json"', "replay": '"facts.json"',
        "format": '"json"', "output": '"out.json"', "report": '["markdown=out.md"]', "verbose": "true",
        "plan": "false", "wait": "0", "nagios": "false",
    }  # fmt: skip
    doctor.write('{"schema": "kiqdoctor.baseline/1", "fingerprints": []}', "known.json")
    recorded(HEALTHY, doctor.folder / "before.json", NOW - 60)
    (doctor.folder / "pack").mkdir()
    doctor.write("\n".join(f"{key} = {value}" for key, value in values.items()))

    ran = doctor.replay(KIQDOCTOR_CONFIG="kiqdoctor.toml")

    assert set(configured.settings()) <= {*values}, "a new option: give it a value here"
    assert (ran.status, ran.err) == (1, "")
    assert (doctor.folder / "out.json").exists()
    assert (doctor.folder / "out.md").exists()
    assert (doctor.folder / "next.json").exists()


def test_the_gate_reads_its_own_options_too(doctor: Doctor) -> None:
    doctor.replay()  # leaves the facts behind
    doctor.write('nagios = true\nreplay = "facts.json"')

    ran = doctor("gate", "--config", "kiqdoctor.toml")

    assert ran.out.startswith("KIQDOCTOR WARNING")


def test_the_environment_s_redis_goes_before_the_file_s() -> None:
    environ = {"REDIS_URL": "redis://from-environment/0"}

    assert resolved(None, environ, "redis://from-file/0").url == "redis://from-environment/0"
    assert resolved("redis://from-option/0", environ, "redis://from-file/0").url == "redis://from-option/0"
    assert resolved(None, {}, "redis://from-file/0").url == "redis://from-file/0"
    assert resolved(None, {}, "redis://from-file/0").named


def test_the_command_line_sends_away_what_it_excludes(doctor: Doctor) -> None:
    doctor.write("static = true")

    assert doctor("check", "--live", "--plan").out.splitlines()[-1] == "Nothing was read."
    assert "RED001" in doctor("check", "--live", "--plan").out
    assert doctor("check", "--live", "--static").status == 2


def test_variables_are_typed_as_the_file_is(doctor: Doctor) -> None:
    ran = doctor.replay(KIQDOCTOR_SELECT="RED001, OBS003", KIQDOCTOR_NEW_ONLY="no", KIQDOCTOR_FOR="0")

    assert [one["check"] for one in ran.report["results"]] == ["OBS003", "RED001"]


def test_a_wrong_variable_is_named(doctor: Doctor) -> None:
    ran = doctor.replay(KIQDOCTOR_FAIL_ON="hihg")

    assert ran.status == 2
    assert "KIQDOCTOR_FAIL_ON: 'hihg' is none of critical, high," in ran.err
    assert "did you mean high?" in ran.err


SUPPRESSION = '[[suppress]]\ncheck = "RED002"\nreason = "r"\nowner = "o"\nexpires = "2030-01-01"\n'


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("\nfail_on = 'high'", "kiqdoctor.toml:2: fail_on: no such key; did you mean fail-on?"),
        ("zzz = 1", "kiqdoctor.toml:1: zzz: no such key; valid are allow-grow, baseline,"),
        ("fail-on = 'hihg'", "kiqdoctor.toml:1: fail-on: 'hihg' is none of critical, high, medium, low, info, never;"),
        ("fail-on = 3", "kiqdoctor.toml:1: fail-on: must be one of critical, high, medium, low, info, never, not 3"),
        ("static = 1", "kiqdoctor.toml:1: static: must be true or false, not 1"),
        ("redis-limit = true", "kiqdoctor.toml:1: redis-limit: must be a whole number, not true"),
        ("redis-limit = 0", "kiqdoctor.toml:1: redis-limit: 0 is not in the range x>=1"),
        ("redis = 'http://x'", "kiqdoctor.toml:1: redis: not a Redis URL"),
        ("for = inf", "kiqdoctor.toml:1: for: inf is not a finite number"),
        ('"" = 1', "kiqdoctor.toml:1: (empty): no such key"),
        ("select = [1]", "kiqdoctor.toml:1: select: must be a text, not 1"),
        ("report = 'json'", "kiqdoctor.toml:1: report: must be FORMAT=FILE, not 'json'"),
        ("select = ['NOPE']", "kiqdoctor.toml:1: select: no check has the id, prefix, name or category 'NOPE'"),
        ("path = 'nowhere'", "kiqdoctor.toml:1: path: Directory 'nowhere' does not exist"),
        ("baseline = ''", "kiqdoctor.toml:1: baseline: must not be empty"),
        ("a = = 1", "kiqdoctor.toml:1:5: Invalid value"),
        ("a = 1\na = 2", "kiqdoctor.toml:2: Cannot overwrite a value"),
        ("\n[checks.RED02]\nnear = 1", "kiqdoctor.toml:2: checks.RED02: no check is called 'RED02'; did you mean RED"),
        ("[checks.RED002]\n\nneer = 1", "kiqdoctor.toml:3: checks.RED002.neer: RED002 has no such number; did you me"),
        ("[checks.RED002]\nnear = 'x'", "kiqdoctor.toml:2: checks.RED002.near: must be a number (of the limit), not"),
        ("[checks.RED002]\nnear = nan", "kiqdoctor.toml:2: checks.RED002.near: must be a number (of the limit), not"),
        ("[checks.RED002]\nnear = 7", "kiqdoctor.toml:2: checks.RED002.near: must be at least 0.1 and at most 1 (of"),
        ("[checks.OBS002]\nnear = 1", "kiqdoctor.toml:2: checks.OBS002.near: OBS002 has no numbers to turn; those th"),
        ("[queues.mail.RED002]\nnear = 1", "kiqdoctor.toml:2: queues.mail.RED002.near: RED002 has no numbers to turn"),
        ("[tags.shop.PRO003]\nwindow = 1", "kiqdoctor.toml:2: tags.shop.PRO003.window: PRO003 has no such number per"),
        ("checks = 3", "kiqdoctor.toml:1: checks: must be a table, not 3"),
        ("suppress = 3", "kiqdoctor.toml:1: suppress: must be a list of tables"),
        ("suppress = [3]", "kiqdoctor.toml:1: suppress[0]: must be a table, not 3"),
        (SUPPRESSION + "becuase = 'x'", "kiqdoctor.toml:6: suppress[0].becuase: no such key; "),
        (SUPPRESSION.replace("2030-01-01", "soon"), "kiqdoctor.toml:5: suppress[0].expires: must be an ISO date in U"),
        (SUPPRESSION.replace('"r"', '" "'), "kiqdoctor.toml:3: suppress[0].reason: must be a text that says somethin"),
        (SUPPRESSION.replace('owner = "o"\n', ""), "kiqdoctor.toml:1: suppress[0]: lacks owner: each suppression say"),
        (SUPPRESSION.replace("RED002", "OBS003"), "suppress[0].check: OBS003 watches the suppressions themselves"),
        (SUPPRESSION + "fingerprint = 'RED003:redis'", "kiqdoctor.toml:6: suppress[0].fingerprint: is no fingerprint"),
        (SUPPRESSION + "while = 'flet.members < 3'", "kiqdoctor.toml:6: suppress[0].while: no fact is called 'flet';"),
        ("'\\u001b[2J' = 1", "kiqdoctor.toml:1: \\u001b[2J: no such key"),
        ('"\\u001b[2J" = 1', "kiqdoctor.toml:1: ␛[2J: no such key"),
    ],
)  # fmt: skip
def test_a_wrong_file_is_one_line_with_key_place_and_alternatives(doctor: Doctor, text: str, said: str) -> None:
    doctor.write(text)

    ran = doctor.replay(KIQDOCTOR_CONFIG="kiqdoctor.toml")

    assert ran.status == 2
    assert ran.err.startswith("kiqdoctor: ")
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1
    assert "\x1b" not in ran.err


@pytest.mark.parametrize(
    ("content", "said"),
    [(b"\xff\xfe", "it is not UTF-8"), (b"a = " + b"[" * 100_000, "nested too deeply"), (b"[tool]\n", "")],
)
def test_a_file_that_is_none(doctor: Doctor, content: bytes, said: str) -> None:
    (doctor.folder / "pyproject.toml").write_bytes(content)

    ran = doctor.replay("--config", "pyproject.toml")

    assert ran.status == 2
    assert said in ran.err
    assert len(ran.err.splitlines()) == 1


def test_a_broken_project_file_that_does_not_speak_of_us_is_none_of_our_business(doctor: Doctor) -> None:
    doctor.write("[project\n", "pyproject.toml")
    assert doctor.replay().status == 1
    doctor.write("[tool.kiqdoctor\n", "pyproject.toml")
    assert doctor.replay().status == 2


def test_an_unreadable_file_is_said(doctor: Doctor) -> None:
    assert "cannot read nowhere.toml: No such file" in doctor.replay(KIQDOCTOR_CONFIG="nowhere.toml").err


def test_help_does_not_need_a_sound_file(doctor: Doctor) -> None:
    doctor.write("a = = 1")

    assert doctor("check", "--help").status == 0


def test_a_number_is_turned_and_the_evidence_says_so(doctor: Doctor) -> None:
    doctor.write("[checks.RED002]\nnear = 0.99\n\n[checks.connection-budget-exceeded]\nsafe = 0.2")

    ran = doctor.replay()

    said = {"label": "threshold near", "value": "0.99 of the limit (default 0.9)", "source": "kiqdoctor.toml:2"}
    assert ran.result("RED002")["outcome"] == "pass"
    assert said in ran.result("RED002")["evidence"]
    [finding] = ran.findings("RED003")
    assert finding["evidence"][-1]["value"] == "0.2 of the limit (default 0.9)"


def test_a_number_may_differ_by_tag(doctor: Doctor) -> None:
    doctor.write(
        '[checks.PRO003]\nwindow-s = 60\n\n[tags."sh*".PRO003]\nwindow-s = 30\n\n[tags.shop.PRO003]\nwindow-s = 90'
    )
    configuration = load(doctor.folder / "kiqdoctor.toml", None)
    checks = every_check()

    thresholds, _ = decided(configuration, checks, probes.every(), None)

    [window] = next(check.thresholds for check in checks if check.id == "PRO003")
    mine = thresholds.of_check("PRO003")
    assert [mine.of(window, tag=tag) for tag in ("shop", "shoe", "mall", "")] == [90, 30, 60, 60]


PACK = '''"""Queues are long."""

from collections.abc import Iterator

from kiqdoctor.doctor import Finding, Severity, Verdict, check
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.queues import Queues

MOST = Threshold("most", 0, "jobs", "A queue with more waits.", "none", per=("queue",))


@check("TST100", severity=Severity.HIGH, thresholds=(MOST,))
def long_queue(queues: Queues, thresholds: Thresholds) -> Iterator[Verdict]:
    for queue in queues.all:
        if queue.size > thresholds.of(MOST, queue=queue.name):
            yield Finding(queue.subject, f"{queue.size} jobs wait", "")
'''


def test_a_number_may_differ_by_queue_for_the_checks_of_a_pack_too(doctor: Doctor) -> None:
    named = ("--config", "kiqdoctor.toml")
    doctor.write(PACK, "pack/test/long_queue.py")
    doctor.write('checks = "pack"\nselect = "TST100"')
    assert [one["subject"] for one in doctor.replay(*named).findings("TST100")] == ["queue:default"]
    doctor.write('select = "TST100"\n[checks]\nfolders = ["pack"]\n[queues.default.TST100]\nmost = 1')
    assert doctor.replay(*named).result("TST100")["outcome"] == "pass"
    doctor.write('checks = "pack"\nselect = "TST100"\n[queues."other*".TST100]\nmost = 1')
    assert doctor.replay(*named).result("TST100")["outcome"] == "fail"


def test_each_key_has_one_name_and_no_two_share_a_variable() -> None:
    variables = [key.upper().replace("-", "_") for key in configured.settings()]

    assert len(set(variables)) == len(variables)
    assert {"config", "isolated", "help"}.isdisjoint(configured.settings())


def test_no_file_decides_nothing() -> None:
    thresholds, suppressions = decided(NO_CONFIGURATION, every_check(), probes.every(), Path(os.curdir))

    assert (thresholds.turned, suppressions) == ((), ())


def test_a_value_that_does_not_fit_is_a_value_error() -> None:
    option = configured.settings()["fail-on"]

    with pytest.raises(ValueError, match="none of critical"):
        configured.fitting(option, "x", Path())
    assert isinstance(option, click.Option)
