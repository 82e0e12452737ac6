"""JUnit XML: Jenkins' own schema, true counts, and red exactly where the gate is."""

from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from formats import Told
from lxml import etree

from kiqdoctor.doctor.report import Report, Severity
from kiqdoctor.render.formats import junit

Build = Callable[..., Report]
XSD = etree.XMLSchema(etree.parse(Path(__file__).parent / "schemas" / "junit-10.xsd"))


def parsed(report: Report) -> etree._Element:
    root = etree.fromstring(junit.render(report).encode())
    XSD.assertValid(root)
    return root


def red(report: Report) -> int:
    return len(parsed(report).findall(".//failure")) + len(parsed(report).findall(".//error"))


def valid(text: str) -> None:
    XSD.assertValid(etree.fromstring(text.encode()))


def told(text: str) -> Iterator[Told]:
    root = etree.fromstring(text.encode())
    yield "red", bool(root.findall(".//failure") or root.findall(".//error"))
    yield "complete", not root.findall(".//error")
    for said in root.findall(".//property[@name='summary']"):
        yield "summary", said.get("value")


def test_a_hostile_report_is_valid(hostile: Report) -> None:
    root = parsed(hostile)

    assert "]]>&\"'<b onload=x>" in (root.findall(".//failure")[0].text or "")


def test_counts_are_those_of_the_elements(report: Build) -> None:
    root = parsed(report("x", status=3))

    assert int(root.get("tests", "")) == len(root.findall(".//testcase")) == 5
    assert int(root.get("failures", "")) == len(root.findall(".//failure")) == 1
    assert int(root.get("errors", "")) == len(root.findall(".//error")) == 1
    for suite in root.findall("testsuite"):
        for kind, child in (("failures", "failure"), ("errors", "error"), ("skipped", "skipped")):
            assert int(suite.get(kind, "")) == len(suite.findall(f".//{child}"))
        assert int(suite.get("tests", "")) == len(suite.findall("testcase"))


def test_a_case_is_a_check_and_has_one_child_at_most(report: Build) -> None:
    cases = parsed(report("x")).findall(".//testcase")

    assert sorted(case.get("name") or "" for case in cases) == [f"TST00{number} some-check" for number in (1, 2, 3, 4)]
    assert {case.get("classname") for case in cases} == {"kiqdoctor.test", "kiqdoctor.other"}
    assert all(len(case) <= 1 for case in cases)


@pytest.mark.parametrize("status", [0, 1, 3])
def test_it_is_red_exactly_where_the_exit_status_is_not_0(report: Build, status: int) -> None:
    assert bool(red(report("x", status=status))) == bool(status)


def test_a_finding_below_the_threshold_is_said_and_fails_nothing(report: Build) -> None:
    root = parsed(report("quiet words", severity=Severity.LOW, status=0))

    assert root.findall(".//failure") == []
    assert "quiet words" in (root.findall(".//system-out")[0].text or "")


def test_a_preview_check_never_fails(report: Build) -> None:
    whole = report("x")
    first = replace(whole.results[0], check=replace(whole.results[0].check, preview=True))

    assert red(replace(whole, results=(first, *whole.results[1:]), exit_status=0)) == 0


def test_what_is_suppressed_is_skipped_with_its_reason(report: Build) -> None:
    skipped = parsed(report("known since May", suppressed=True, status=0)).findall(".//skipped")

    assert any((one.get("message") or "").startswith("suppressed (known since May)") for one in skipped)


def test_an_examination_of_nothing_is_no_empty_success(report: Build) -> None:
    root = parsed(replace(report("x"), results=(), exit_status=3))

    assert [one.get("type") for one in root.findall(".//error")] == ["incomplete"]
