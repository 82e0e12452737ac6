"""Every format takes a hostile report, and parsers that we did not write accept what it prints."""

import json
import re
import xml.etree.ElementTree as ET
from html.parser import HTMLParser

import pytest

from kiqdoctor.cli.options import FORMATS
from kiqdoctor.cli.output import rendered
from kiqdoctor.doctor.check import Check
from kiqdoctor.doctor.report import (
    Cost,
    Evidence,
    Finding,
    Location,
    Outcome,
    Report,
    Reported,
    Result,
    Severity,
    Target,
)

EVIL = (
    "]]>&\"'<b>|`*[x](y) ::error::owned %0A::set-output\n::stop-commands::\r"
    "\x1b]52;c;ZXZpbA==\x07\u202e\ud800\x00" + "A" * 5000
)


def report(text: str = EVIL, *, suppressed: bool = False, severity: Severity = Severity.HIGH) -> Report:
    """One of everything."""
    check = Check("TST001", "some-check", "test", severity, lambda: (), (), "Title.\n\n## Source\nnone")
    finding = Finding(text, text, text, (Evidence(text, text, text),), location=Location(text, 3, 4))
    bare = Finding(f"queue:{text}", text, "")
    both = tuple(Reported(one, severity, f"TST001:{one.subject}", suppressed) for one in (finding, bare))
    results = (
        Result(check, Outcome.FAIL, None, 1.0, (), both),
        Result(check, Outcome.UNKNOWN, text, 1.0),
        Result(check, Outcome.NOT_APPLICABLE, text, 1.0),
        Result(check, Outcome.PASS, None, 1.0, (Evidence(text, text),)),
    )
    return Report("0.1.0", 1_795_500_000.0, 0.2, Target(text, text, text), results, 1, Cost())


@pytest.mark.parametrize("form", FORMATS)
def test_nothing_from_outside_moves_a_cursor_or_breaks_an_encoder(form: str) -> None:
    text = rendered(report(), form)

    assert not {"\x1b", "\x07", "\x00", "\r", "\u202e"} & set(text)
    text.encode("utf-8")


@pytest.mark.parametrize("form", ["json", "sarif", "gitlab"])
def test_json_formats_are_json(form: str) -> None:
    assert json.loads(rendered(report(), form))


def test_junit_is_xml_whose_counts_are_right() -> None:
    root = ET.fromstring(rendered(report(), "junit"))

    assert (root.get("tests"), root.get("failures"), root.get("skipped")) == ("4", "1", "2")
    assert len(root.findall(".//failure")) == 1
    assert len(root.findall(".//skipped")) == 2
    assert "]]>" in (root.findall(".//failure")[0].text or "")


def test_sarif_places_what_has_a_place_and_names_the_rest() -> None:
    [run] = json.loads(rendered(report("jobs/a b.py"), "sarif"))["runs"]
    located, bare = run["results"]

    assert located["locations"][0]["physicalLocation"]["artifactLocation"]["uri"] == "jobs/a%20b.py"
    assert located["locations"][0]["physicalLocation"]["region"] == {"startLine": 3, "startColumn": 4}
    assert "physicalLocation" not in bare["locations"][0]
    assert run["tool"]["driver"]["rules"][located["ruleIndex"]]["id"] == located["ruleId"]
    assert run["invocations"][0]["toolExecutionNotifications"]


def test_github_s_commands_hold_one_finding_a_line() -> None:
    lines = rendered(report(), "github").splitlines()

    assert [line.split(" ")[0] for line in lines[:3]] == ["::error", "::error", "::notice"]
    assert lines[3].startswith("kiqdoctor: 2 findings")
    assert len(lines) == 4
    for line in lines[:2]:
        assert "%3A" in line.split("::")[1]


def test_gitlab_s_fingerprints_are_unique() -> None:
    entries = json.loads(rendered(report(), "gitlab"))

    assert len({entry["fingerprint"] for entry in entries}) == 2
    assert entries[0]["location"]["lines"]["begin"] == 3


def test_prometheus_has_explicit_zeros_and_ends() -> None:
    text = rendered(report("x"), "prometheus")

    assert text.endswith("# EOF\n")
    assert 'kiqdoctor_findings{severity="critical"} 0' in text
    assert 'kiqdoctor_findings{severity="high"} 2' in text
    for line in text.splitlines():
        assert re.fullmatch(r"# (TYPE|HELP) .+|# EOF|[a-z_]+(\{[^{}]*\})? -?[0-9.]+", line)


class _Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.open: list[str] = []
        self.seen: set[str] = set()

    def handle_starttag(self, tag: str, attrs: object) -> None:
        self.seen.add(tag)
        if tag not in {"meta", "br"}:
            self.open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_html_is_balanced_and_loads_nothing() -> None:
    text = rendered(report(), "html")
    tags = _Tags()
    tags.feed(text)

    assert tags.open == []
    assert not tags.seen & {"script", "link", "img", "iframe", "b\x00"}
    assert "http" not in text


@pytest.mark.parametrize("form", ["junit", "github", "gitlab", "prometheus"])
def test_what_is_suppressed_does_not_count(form: str) -> None:
    text = rendered(report("x", suppressed=True), form)

    assert "::error" not in text
    assert "<failure" not in text
    assert form != "gitlab" or json.loads(text) == []
