"""The report as GitHub workflow commands: an annotation a finding, then the summary line."""

from typing import Final

from kiqdoctor.doctor.report import Outcome, Report, Reported, Result, Severity
from kiqdoctor.render.words import message, summary
from kiqdoctor.text import LONG, clean

COMMANDS: Final = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "notice",
    Severity.INFO: "notice",
}


def render(report: Report) -> str:
    """One line each."""
    lines = [_annotation(result, one) for result in report.results for one in result.findings if not one.suppressed]
    lines += [_unknown(result) for result in report.results if result.outcome is Outcome.UNKNOWN]
    return "\n".join([*lines, f"kiqdoctor: {summary(report)}", ""])


def _annotation(result: Result, one: Reported) -> str:
    location = one.finding.location
    properties = {"title": f"{result.check.id} {one.severity.value}: {clean(one.finding.subject, LONG)}"}
    if location is not None:
        properties = {
            "file": clean(location.path, LONG),
            "line": str(location.line),
            "col": str(location.column),
            **properties,
        }
    spelt = ",".join(f"{name}={_property(value)}" for name, value in properties.items())
    return f"::{COMMANDS[one.severity]} {spelt}::{_data(message(one))}"


def _unknown(result: Result) -> str:
    title = _property(f"{result.check.id} unknown")
    return f"::notice title={title}::{_data(f'{result.check.name}: {clean(result.reason or str(), LONG)}')}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
