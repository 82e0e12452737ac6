"""Azure's logging commands, read back as its agent reads them."""

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace

import pytest
from formats import Told, counts

from kiqdoctor.doctor.report import Report, Severity
from kiqdoctor.render.formats import azure
from kiqdoctor.render.ground import Ground
from kiqdoctor.render.view import View

Build = Callable[..., Report]
PREFIX = "##vso["
OURS = {"type", "code", "sourcepath", "linenumber", "columnnumber"}


@dataclass(frozen=True)
class Command:
    name: str
    properties: dict[str, str]
    data: str


def command(line: str) -> Command | None:
    """As the agent: the first prefix anywhere, up to the first bracket; pairs apart at semicolons, then at ``=``."""
    start = line.find(PREFIX)
    end = line.find("]", start)
    if start < 0 or end < 0:
        return None
    name, _, spelt = line[start + len(PREFIX) : end].partition(" ")
    pairs = [pair.partition("=") for pair in spelt.split(";") if "=" in pair]
    return Command(name, {key.lower(): undone(value) for key, _, value in pairs}, undone(line[end + 1 :]))


def undone(text: str) -> str:
    for code, char in (("%3B", ";"), ("%0D", "\r"), ("%0A", "\n"), ("%5D", "]"), ("%AZP25", "%")):
        text = text.replace(code, char)
    return text


def commands(report: Report, ground: Ground | None = None) -> list[Command]:
    lines = azure.render(report, View(ground=ground or Ground())).split("\n")
    return [found for line in lines if (found := command(line))]


def valid(text: str) -> None:
    *lines, summary, end = text.split("\n")
    for line in lines:
        if found := command(line):
            assert line.startswith(PREFIX)
            assert found.name == "task.logissue"
            assert set(found.properties) <= OURS
            assert found.properties["type"] in {"error", "warning"}
            assert not re.search(r"##\w*\[", found.data)
        else:
            assert line.startswith("could not be judged: ")
            assert "##" not in re.findall(r"##\w*\[", line)
    assert summary.startswith("kiqdoctor: ")
    assert end == ""


def told(text: str) -> Iterator[Told]:
    *lines, last = text.splitlines()
    issues = [found for line in lines if (found := command(line))]
    yield "summary", last.removeprefix("kiqdoctor: ")
    yield "counts", counts(one.data.split(":")[0].split(" ")[1] for one in issues)
    if any(one.properties["type"] == "error" for one in issues):
        yield "worst", True


def test_hostile_text_forms_no_other_command_and_adds_no_property(hostile: Report) -> None:
    text = azure.render(hostile)

    valid(text)
    assert text.count(PREFIX) == len(commands(hostile)) == 2
    assert [set(one.properties) - OURS for one in commands(hostile)] == [set(), set()]


def test_what_is_escaped_comes_back_as_it_was(report: Build) -> None:
    text = "a%0Ab;type=warning;]c%AZP25%3B %5D"

    located, bare = commands(report(text))

    assert located.properties["sourcepath"] == text
    assert (located.properties["linenumber"], located.properties["columnnumber"]) == ("3", "4")
    assert located.properties["type"] == "error"
    assert located.data.startswith(f"TST001 high: {text}\n{text}.\n")
    assert set(bare.properties) == {"type", "code"}


@pytest.mark.parametrize("text", ["##vso[task.setvariable variable=a]b", "##[group]x", "a ##vso[task.complete]"])
def test_what_is_told_without_a_command_is_none(report: Build, text: str) -> None:
    blind = azure.render(report(text)).split("\n")[-3]

    assert blind.startswith("could not be judged: TST002: ")
    assert "##" not in blind


def test_the_worst_come_first_and_what_fails_the_job_is_an_error(report: Build) -> None:
    whole = report("x", severity=Severity.LOW, status=0)
    first = whole.results[0]
    critical = replace(first.findings[0], severity=Severity.CRITICAL)
    mixed = replace(whole, results=(replace(first, findings=(*first.findings, critical)),))

    assert [one.properties["type"] for one in commands(mixed)] == ["error", "warning", "warning"]
    assert commands(report("x", severity=Severity.MEDIUM, status=1))[0].properties["type"] == "error"


def test_suppressed_findings_are_not_issues(report: Build) -> None:
    assert commands(report("x", suppressed=True)) == []


def test_files_are_those_of_the_repository(report: Build) -> None:
    found = commands(report("jobs.py"), Ground("services/mail"))[0]

    assert found.properties["sourcepath"] == "services/mail/jobs.py"
