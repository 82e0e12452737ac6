"""GitHub workflow commands, read back as the runner reads them."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
from formats import Told, counts

from kiqdoctor.doctor.report import Report, Severity
from kiqdoctor.render.formats import github
from kiqdoctor.render.ground import Ground
from kiqdoctor.render.view import View

Build = Callable[..., Report]


@dataclass(frozen=True)
class Command:
    name: str
    properties: dict[str, str]
    data: str


def command(line: str) -> Command | None:
    """A line as the runner takes it: after blanks ``::name key=value,key=value::data``, then the escapes undone."""
    line = line.lstrip()
    end = line.find("::", 2)
    if not line.startswith("::") or end < 0:
        return None
    name, _, spelt = line[2:end].partition(" ")
    pairs = [pair.split("=", 1) for pair in spelt.split(",") if "=" in pair]
    return Command(name, {key: undone(value, "%3A:", "%2C,") for key, value in pairs}, undone(line[end + 2 :]))


def undone(text: str, *further: str) -> str:
    for code in ("%0D\r", "%0A\n", *further, "%25%"):
        text = text.replace(code[:3], code[3:])
    return text


def commands(report: Report, ground: Ground | None = None) -> list[Command]:
    lines = github.render(report, View(ground=ground or Ground())).split("\n")
    return [found for found in map(command, lines) if found]


def valid(text: str) -> None:
    *lines, summary, _ = text.split("\n")
    assert all(re.match(r"::(error|warning|notice) [^:]*::", line) for line in lines)
    assert summary.startswith("kiqdoctor: ")


def told(text: str) -> Iterator[Told]:
    *lines, last = text.splitlines()
    yield "summary", last.removeprefix("kiqdoctor: ")
    yield "counts", counts(found[1] for line in lines if (found := re.search(r"title=STA\d{3} (\w+)%3A", line)))
    if any(line.startswith("::error ") for line in lines):
        yield "worst", True


def test_a_hostile_report_is_one_command_a_finding_and_nothing_else(hostile: Report) -> None:
    text = github.render(hostile)
    *lines, summary, end = text.split("\n")

    assert [one.name for one in commands(hostile)] == ["error", "error", "notice"]
    assert all(command(line) for line in lines)
    assert summary.startswith("kiqdoctor: 2 of 3 applicable checks judged, not TST002; 2 findings (2 high)")
    assert end == ""
    assert not re.search(r"^\s*::(set-output|stop-commands|add-mask|set-env)", text, re.MULTILINE)


def test_what_is_escaped_comes_back_as_it_was(report: Build) -> None:
    located, bare, blind = commands(report("a%0Ab::c, d: e%2C"))

    assert located.properties["file"] == "a%0Ab::c, d: e%2C"
    assert (located.properties["line"], located.properties["col"]) == ("3", "4")
    assert located.properties["title"] == "TST001 high: a%0Ab::c, d: e%2C"
    assert located.data.startswith("a%0Ab::c, d: e%2C.\n")
    assert set(bare.properties) == {"title"}
    assert blind.properties["title"] == "could not be judged: TST002"


def test_the_worst_come_first_since_github_shows_ten(report: Build) -> None:
    whole = report("x", severity=Severity.LOW)
    first = whole.results[0]
    critical = replace(first.findings[0], severity=Severity.CRITICAL)
    mixed = replace(whole, results=(replace(first, findings=(*first.findings * 9, critical)),))

    assert commands(mixed)[0].name == "error"


def test_what_fails_the_job_is_an_error_whatever_its_severity(report: Build) -> None:
    assert commands(report("x", severity=Severity.MEDIUM, status=1))[0].name == "error"
    assert commands(report("x", severity=Severity.MEDIUM, status=0))[0].name == "warning"


def test_suppressed_findings_are_not_annotated(report: Build) -> None:
    assert [one.name for one in commands(report("x", suppressed=True))] == ["notice"]


def test_checks_that_are_blind_for_one_reason_share_a_notice(report: Build) -> None:
    whole = report("NOPERM")
    both = replace(whole, results=(whole.results[1],) * 30)

    [notice] = commands(both)

    assert notice.properties["title"].endswith("and 10 more")


@pytest.mark.parametrize("root", ["services/mail", "./services/mail/"])
def test_files_are_those_of_the_repository(report: Build, root: str) -> None:
    assert commands(report("jobs.py"), Ground(root))[0].properties["file"] == "services/mail/jobs.py"
