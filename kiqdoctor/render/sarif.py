"""The report as SARIF 2.1.0, for code scanning. What could not be judged is a notification, never a silence."""

import json
from typing import Any, Final
from urllib.parse import quote

from kiqdoctor.doctor.report import Location, Outcome, Report, Reported, Result, Severity
from kiqdoctor.render.json import stamp
from kiqdoctor.render.words import message
from kiqdoctor.text import LONG, clean

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS: Final = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.INFO: "note",
}
SECURITY: Final = {
    Severity.CRITICAL: "9.5",
    Severity.HIGH: "8.0",
    Severity.MEDIUM: "5.5",
    Severity.LOW: "3.0",
    Severity.INFO: "0.5",
}


def render(report: Report) -> str:
    """One SARIF log with one run."""
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(report)]}, indent=2) + "\n"


def _run(report: Report) -> dict[str, Any]:
    index = {result.check.id: number for number, result in enumerate(report.results)}
    return {
        "tool": {
            "driver": {
                "name": "kiqdoctor",
                "semanticVersion": report.version,
                "rules": [_rule(result) for result in report.results],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(report, index)],
        "results": [
            _result(result, one, index[result.check.id]) for result in report.results for one in result.findings
        ],
    }


def _rule(result: Result) -> dict[str, Any]:
    check = result.check
    return {
        "id": check.id,
        "name": check.name,
        "shortDescription": {"text": check.title or check.name},
        "help": {"text": check.page or check.name, "markdown": check.page or check.name},
        "defaultConfiguration": {"level": LEVELS[check.severity]},
        "properties": {"tags": [check.category], "security-severity": SECURITY[check.severity]},
    }


def _invocation(report: Report, index: dict[str, int]) -> dict[str, Any]:
    return {
        "executionSuccessful": report.exit_status in {0, 1},
        "exitCode": report.exit_status,
        "startTimeUtc": stamp(report.started_at),
        "toolExecutionNotifications": [
            {
                "level": "warning",
                "message": {"text": f"{result.check.id} could not be judged: {clean(result.reason or '', LONG)}"},
                "associatedRule": {"id": result.check.id, "index": index[result.check.id]},
            }
            for result in report.results
            if result.outcome is Outcome.UNKNOWN
        ],
    }


def _result(result: Result, one: Reported, index: int) -> dict[str, Any]:
    subject = clean(one.finding.subject, LONG)
    location: dict[str, Any] = {"logicalLocations": [{"name": subject, "fullyQualifiedName": subject}]}
    if one.finding.location is not None:
        location["physicalLocation"] = _physical(one.finding.location)
    found: dict[str, Any] = {
        "ruleId": result.check.id,
        "ruleIndex": index,
        "kind": "fail",
        "level": LEVELS[one.severity],
        "message": {"text": message(one)},
        "locations": [location],
        "partialFingerprints": {"kiqdoctor/v1": clean(one.fingerprint, LONG)},
        "properties": {"severity": one.severity.value},
    }
    if one.suppressed:
        found["suppressions"] = [{"kind": "external"}]
    return found


def _physical(location: Location) -> dict[str, Any]:
    path = quote(location.path.encode("utf-8", "backslashreplace"))
    region = {"startLine": max(1, location.line), "startColumn": max(1, location.column)}
    return {"artifactLocation": {"uri": path, "uriBaseId": "%SRCROOT%"}, "region": region}
