"""Every format that shows text says what a finding follows from, its cause before it; ``--why`` walks the chain."""

import re
from dataclasses import replace

import pytest

from kiqdoctor.doctor.causes import link
from kiqdoctor.doctor.check import Check
from kiqdoctor.doctor.report import Evidence, Finding, Outcome, Report, Reported, Result, Severity, Target
from kiqdoctor.render import chain
from kiqdoctor.render.formats import azure, github, gitlab, html, json, junit, markdown, sarif, text
from kiqdoctor.render.view import View


def result(identity: str, subject: str, severity: Severity, *caused_by: str) -> Result:
    check = Check(identity, f"name-{identity.lower()}", "test", severity, lambda: (), (), "", caused_by=caused_by)
    evidence = (Evidence("seen", f"evidence of {identity}", "INFO"),)
    finding = Finding(subject, f"title of {identity}", f"remedy of {identity}.", evidence)
    return Result(check, Outcome.FAIL, None, 0.0, (), (Reported(finding, severity, f"{identity}:{subject}"),))


ROOT = result("TST003", "process:a:1:b", Severity.MEDIUM)
MIDDLE = result("TST002", "redis", Severity.HIGH, "TST003", "TST009")
LAST = result("TST001", "set:schedule", Severity.CRITICAL, "TST002")
APART = result("TST004", "web", Severity.HIGH)


def report(*results: Result) -> Report:
    return Report(
        "0.1.0", 0.0, 0.0, Target("redis://h", None, None), link(sorted(results, key=lambda o: o.check.id)), 1
    )


WHOLE = report(ROOT, MIDDLE, LAST, APART)
TWIN = report(ROOT, replace(MIDDLE, outcome=Outcome.PASS, findings=()), LAST, APART)
"""One fact apart: what stood between root and symptom passed."""


def at(shown: str, *words: str) -> list[int]:
    plain = shown.replace("\\", "")
    return [plain.index(word) for word in words]


@pytest.mark.parametrize("form", [text, markdown, html, github, azure])
def test_a_cause_stands_before_what_follows_and_the_worst_group_first(form: object) -> None:
    titles = [f"title of TST00{number}" for number in (3, 2, 1, 4)]
    places = at(form.render(WHOLE), *titles)  # type: ignore[attr-defined]

    assert places == sorted(places)
    [root, last] = at(form.render(TWIN), "title of TST003", "title of TST001")  # type: ignore[attr-defined]
    assert last < root


@pytest.mark.parametrize("form", [github, azure, junit, sarif, gitlab])
def test_who_reads_one_finding_alone_is_told_what_it_follows_from(form: object) -> None:
    shown = form.render(WHOLE)  # type: ignore[attr-defined]

    assert shown.count("Follows from TST003: look there first.") == 1
    assert shown.count("Follows from TST002: look there first.") == 1
    assert "Follows from" not in form.render(report(ROOT, APART))  # type: ignore[attr-defined]


def test_text_folds_what_follows_and_verbose_unfolds_it() -> None:
    shown, whole = text.render(WHOLE), text.render(WHOLE, View(verbose=True))

    assert "these 2 follow from it:" in shown
    assert re.search(r"^ {12}HIGH  title of TST002\n.*\n {14}CRITICAL  title of TST001$", shown, re.MULTILINE)
    assert "remedy of TST003" in shown
    assert "evidence of TST001" not in shown
    assert "evidence of TST001" in whole
    assert "remedy of TST001" in whole


def test_html_and_markdown_keep_all_of_it() -> None:
    page = html.render(WHOLE)

    assert "2 findings that follow from it" in page
    assert all(f"evidence of TST00{number}" in page for number in (1, 2, 3, 4))
    assert "- HIGH: title of TST002" in markdown.render(WHOLE)
    assert "  - CRITICAL: title of TST001" in markdown.render(WHOLE)


def test_json_keeps_the_order_of_ids_and_tells_both_directions() -> None:
    import json as standard

    found = standard.loads(json.render(WHOLE))["results"]

    assert [one["check"] for one in found] == ["TST001", "TST002", "TST003", "TST004"]
    assert [one["findings"][0]["related"] for one in found] == [["TST002"], ["TST003", "TST001"], ["TST002"], []]


def test_why_walks_from_the_root_to_what_follows_and_leaves_out_the_rest() -> None:
    shown = chain.render(WHOLE, "name-tst002")

    assert shown.startswith("TST002 name-tst002: fail\n")
    assert at(shown, "MEDIUM TST003", "do first: remedy of TST003", "HIGH TST002", "<- asked for", "CRITICAL TST001")
    assert at(shown, "TST003:", "TST002:", "TST001:") == sorted(at(shown, "TST003:", "TST002:", "TST001:"))
    assert "may follow from TST009: not selected" in shown
    assert "TST004" not in shown


def test_why_says_of_a_root_that_it_is_one_and_of_a_passed_check_that_it_passed() -> None:
    assert "it is a root cause" in chain.render(TWIN, "TST001")
    assert "may follow from TST002 name-tst002, which is pass" in chain.render(TWIN, "TST001")
    assert chain.render(TWIN, "TST002").startswith("TST002 name-tst002: pass\n")
    assert "may follow from TST003 name-tst003, which is fail" in chain.render(TWIN, "TST002")
    assert "not among the checks that were selected" in chain.render(TWIN, "TST009")
