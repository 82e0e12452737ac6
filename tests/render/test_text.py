"""Text and JSON show the same report; hostile text stays text in both."""

import json
import re
from collections.abc import Iterator
from dataclasses import replace

import pytest
from formats import Told, in_prose
from hypothesis import example, given
from hypothesis import strategies as st

from kiqdoctor.doctor.check import check
from kiqdoctor.doctor.report import Cost, Outcome, Report, Reported, Result, Target
from kiqdoctor.doctor.verdict import Evidence, Finding, Location, Severity, Verdict
from kiqdoctor.render.formats import json as as_json
from kiqdoctor.render.formats import markdown as as_markdown
from kiqdoctor.render.formats import text as as_text
from kiqdoctor.render.view import View
from kiqdoctor.render.words import verdict

HOSTILE = "Mail\x1b]52;c;aGk=\x07\u202e[/foo]::error::\n]]>"


@check("TST001", severity=Severity.HIGH)
def queue_odd(*_: object) -> Iterator[Verdict]:
    yield from ()


def report(*results: Result, status: int = 1) -> Report:
    target = Target("redis://localhost:6379/0", None, "/srv/app")
    return Report("0.1.0", 1767323045.678, 0.2134, target, results, status, Cost({"INFO": 1}, 10, 4000, "INFO", 0.7))


FINDING = Finding(
    subject="queue:mail",
    title=f"{HOSTILE} waits",
    remedy="Add it.",
    evidence=(Evidence("size", "50", "LLEN"),),
    location=Location("app/jobs.py", 12, 5),
)
FAILED = Result(queue_odd, Outcome.FAIL, None, 0.44, (), (Reported(FINDING, Severity.HIGH, "TST001:queue:mail"),))
UNKNOWN = Result(queue_odd, Outcome.UNKNOWN, "NOPERM info", 0.1)
PASSED = Result(queue_odd, Outcome.PASS, None, 0.1, (Evidence("maxclients", "10000", "INFO"),))


def valid(text: str) -> None:
    assert "##vso[" not in text
    assert not re.search(r"^\s*::", text, re.MULTILINE)


def told(text: str) -> Iterator[Told]:
    return in_prose(text)


def test_json_is_the_contract() -> None:
    document = json.loads(as_json.render(report(FAILED, UNKNOWN, PASSED)))

    assert document["schema"] == "kiqdoctor.report/1"
    assert document["started_at"] == "2026-01-02T03:04:05.678Z"
    assert document["target"] == {
        "redis": "redis://localhost:6379/0",
        "namespace": None,
        "path": "/srv/app",
        "replayed_from": None,
    }
    assert document["summary"] == {
        "checks": 3,
        "pass": 1,
        "fail": 1,
        "unknown": 1,
        "not_applicable": 0,
        "findings": {"critical": 0, "high": 1, "medium": 0, "low": 0, "info": 0},
        "suppressed": 0,
        "exit_status": 1,
    }
    [finding] = document["results"][0]["findings"]
    assert finding["location"] == {"path": "app/jobs.py", "line": 12, "column": 5}
    assert finding["evidence"] == [{"label": "size", "value": "50", "source": "LLEN"}]
    assert finding["suppressed"] is False
    assert document["results"][2]["evidence"][0]["value"] == "10000"


def test_hostile_text_is_neutralised_in_every_format() -> None:
    for shown in (as_json.render(report(FAILED)), as_text.render(report(FAILED))):
        assert "\x1b" not in shown
        assert "\u202e" not in shown
        assert "\x07" not in shown
    assert as_json.render(report(FAILED)).isascii()


def test_text_names_finding_evidence_remedy_unknown_and_cost() -> None:
    shown = as_text.render(report(FAILED, UNKNOWN))

    for words in ("HIGH", "TST001 queue-odd", "queue:mail", "app/jobs.py:12", "size: 50  (LLEN)", "→ Add it."):
        assert words in shown
    assert "because NOPERM info" in shown
    assert "\n2 checks: 0 pass, 1 fail, 1 unknown, 0 not-applicable\n" in shown
    assert "\n1 check: " in as_text.render(report(PASSED))
    assert "FAILED  1 of 2 applicable checks judged, not TST001; 1 finding (1 high); exit status 1\n" in shown
    assert "Cost: 1 Redis command, 3.9 KiB, slowest round trip INFO 0.7 ms" in shown


def test_colour_changes_nothing_but_colour() -> None:
    import re

    plain = as_text.render(report(FAILED, UNKNOWN))
    coloured = as_text.render(report(FAILED, UNKNOWN), View(colour=True))

    assert re.sub(r"\x1b\[[0-9;]*m", "", coloured).replace(" \n", "\n") == plain.replace(" \n", "\n")
    assert coloured != plain


def test_a_pass_shows_its_proof_when_asked() -> None:
    assert "maxclients: 10000  (INFO)" in as_text.render(report(PASSED), View(verbose=True))
    assert "maxclients" not in as_text.render(report(PASSED))


@pytest.mark.parametrize(
    ("results", "status", "word"),
    [
        ((PASSED,), 0, "healthy"),
        ((PASSED, UNKNOWN), 0, "passed"),
        ((FAILED,), 0, "passed"),
        ((FAILED,), 1, "FAILED"),
        ((PASSED,), 3, "INCOMPLETE"),
    ],
)
def test_healthy_is_said_only_of_what_was_judged_as_a_whole(
    results: tuple[Result, ...], status: int, word: str
) -> None:
    assert verdict(report(*results, status=status)) == word


@given(st.text(st.sampled_from("ab c漢→ \u0301"), min_size=1, max_size=400), st.integers(40, 130))
@example(" " * 11, 40)
def test_long_lines_hang_under_their_text(title: str, width: int) -> None:
    finding = replace(FINDING, title=f"t {title}", remedy=title, evidence=(Evidence(title, title, title),))
    failed = replace(FAILED, findings=(Reported(finding, Severity.HIGH, "TST001:queue:mail"),))
    whole = as_text.render(report(failed))
    shown = as_text.render(report(failed), View(width=width))

    assert "".join(shown.split()) == "".join(whole.split())
    assert all(as_text.columns(line) <= width for line in shown.splitlines())
    block = shown[shown.index("HIGH") : shown.index("FAILED")].splitlines()
    assert all(line.startswith(" " * 10) for line in block[1:] if line)


def test_where_nobody_looks_no_line_is_cut() -> None:
    long = replace(FAILED, findings=(Reported(replace(FINDING, title="t " * 300), Severity.HIGH, "TST001:queue:mail"),))

    assert max(map(len, as_text.render(report(long)).splitlines())) > 600


def test_very_many_checks_without_an_answer_are_told_by_their_ids() -> None:
    few, many = report(*[UNKNOWN] * 3), report(*[UNKNOWN] * 30)

    for form in (as_text, as_markdown):
        assert "TST001 queue-odd, TST001 queue-odd" in plain(form.render(few))
        assert "30 checks: TST001, TST001" in plain(form.render(many))


def test_where_nothing_applies_the_reason_is_told() -> None:
    aside = Result(queue_odd, Outcome.NOT_APPLICABLE, "no application was given", 0.1)

    for form in (as_text, as_markdown):
        shown = plain(form.render(report(aside, aside, status=3)))
        assert "othing could be judged: no application was given (2 of 2 checks)" in shown
        assert "othing could be judged" not in form.render(report(aside, PASSED))


def plain(shown: str) -> str:
    """Without what Markdown makes literal."""
    return shown.replace("\\", "").replace("&#45;", "-")
