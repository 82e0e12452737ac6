"""The report as SARIF 2.1.0, for code scanning.

Every result stands in a file, since GitHub refuses a whole log for one result without; what could not be judged is a
notification, never a silence. Profiles: ``findings``, suppressed ones marked as such; ``github``, which leaves out
what GitHub would show as an alert all the same, and stays within its limits; ``complete``, with what passed, what does
not apply and what could not be judged as results too.
"""

import json
import re
from collections.abc import Iterator
from typing import Any, Final
from urllib.parse import quote

from kiqdoctor.doctor.report import Location, Outcome, Report, Reported, Result, Severity
from kiqdoctor.render.ground import Ground
from kiqdoctor.render.identity import hashed, identified
from kiqdoctor.render.view import PLAIN, Profile, View
from kiqdoctor.render.words import coverage, full, sentence, stamp, summary, unknowns
from kiqdoctor.text import LONG, clean

SCHEMA: Final = "https://json.schemastore.org/sarif-2.1.0.json"
LEVELS: Final = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "note",
    Severity.INFO: "note",
}
PROBLEMS: Final = {"error": "error", "warning": "warning", "note": "recommendation"}
SECURITY: Final = {
    Severity.CRITICAL: "9.5",
    Severity.HIGH: "8.0",
    Severity.MEDIUM: "5.5",
    Severity.LOW: "3.0",
    Severity.INFO: "0.5",
}
KINDS: Final = {Outcome.PASS: "pass", Outcome.UNKNOWN: "open", Outcome.NOT_APPLICABLE: "notApplicable"}
INCOMPLETE: Final = 3

GITHUB_RESULTS: Final = 5000  # of one run are kept
GITHUB_DESCRIPTION: Final = 1024  # characters
PIECE: Final = 1000  # characters of a title, an evidence or a remedy in a message


def render(report: Report, view: View = PLAIN) -> str:
    """One SARIF log with one run, ASCII only."""
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [_run(report, view)]}, indent=2) + "\n"


def _run(report: Report, view: View) -> dict[str, Any]:
    rules = list({result.check.id: result for result in report.results}.values())
    index = {result.check.id: number for number, result in enumerate(rules)}
    judged, applicable = coverage(report)
    return {
        "tool": {
            "driver": {
                "name": "kiqdoctor",
                "fullName": f"kiqdoctor {report.version}",
                "semanticVersion": report.version,
                "language": "en-US",
                "rules": [_rule(result) for result in rules],
            }
        },
        "columnKind": "unicodeCodePoints",
        "invocations": [_invocation(report, index)],
        "results": list(_results(report, index, view)),
        "properties": {"summary": summary(report), "checksJudged": judged, "checksThatApply": applicable},
    }


def _rule(result: Result) -> dict[str, Any]:
    check = result.check
    level = LEVELS[check.severity]
    page = clean(check.page, LONG * 10, lines=True) or check.name
    properties: dict[str, Any] = {"tags": [check.category], "precision": "high", "problem.severity": PROBLEMS[level]}
    if check.category == "security":
        properties["security-severity"] = SECURITY[check.severity]
    return {
        "id": check.id,
        "name": _pascal(check.name),
        "shortDescription": {"text": _sentence(check.title or check.name)},
        "fullDescription": {"text": _sentence(_why(check.page) or check.title or check.name)},
        "help": {"text": page, "markdown": page},
        "defaultConfiguration": {"level": level},
        "properties": properties,
    }


def _pascal(name: str) -> str:
    return "".join(part.capitalize() for part in re.split(r"\W+", name)) or "Check"


def _why(page: str) -> str:
    """What stands under "Why it hurts", in one line."""
    _, _, after = page.partition("\n## Why it hurts\n")
    return " ".join(after.split("\n## ")[0].split())


def _sentence(text: str) -> str:
    return sentence(clean(text, GITHUB_DESCRIPTION - 1))


def _invocation(report: Report, index: dict[str, int]) -> dict[str, Any]:
    return {
        "executionSuccessful": report.exit_status in {0, 1},
        "exitCode": report.exit_status,
        "exitCodeDescription": summary(report),
        "startTimeUtc": stamp(report.started_at),
        "endTimeUtc": stamp(report.started_at + report.duration_s),
        "toolExecutionNotifications": list(_notifications(report, index)),
    }


def _notifications(report: Report, index: dict[str, int]) -> Iterator[dict[str, Any]]:
    if report.exit_status == INCOMPLETE:
        said = f"The examination is not complete: {summary(report)}."
        yield {"level": "error", "message": {"text": said}}
    for reason, results in unknowns(report).items():
        for result in results:
            yield {
                "level": "warning",
                "message": {"text": _text(f"{result.check.id} could not be judged: {clean(reason, PIECE)}.")},
                "associatedRule": {"id": result.check.id, "index": index[result.check.id]},
            }


def _results(report: Report, index: dict[str, int], view: View) -> Iterator[dict[str, Any]]:
    found = identified(report)
    if view.profile is Profile.GITHUB:
        counted = [one for one in found if not one[1].suppressed]
        found = sorted(counted, key=lambda one: one[1].severity.rank)[:GITHUB_RESULTS]
    for result, one, digest, number in found:
        spelt = _found(result, one, index[result.check.id], view.ground.place(one))
        spelt["partialFingerprints"] = {"primaryLocationLineHash": f"{digest}:{number}", "kiqdoctor/v1": digest}
        if view.profile is not Profile.GITHUB:
            spelt["suppressions"] = [_suppression(one)] if one.suppressed else []
        yield spelt
    if view.profile is Profile.COMPLETE:
        for result in report.results:
            if result.outcome in KINDS:
                yield _other(result, index[result.check.id], view.ground)


def _found(result: Result, one: Reported, index: int, place: Location) -> dict[str, Any]:
    subject = clean(one.finding.subject)
    return {
        "ruleId": result.check.id,
        "ruleIndex": index,
        "kind": "fail",
        "level": LEVELS[one.severity],
        "message": {"text": _text(full(one, PIECE))},
        "locations": [{"physicalLocation": _physical(place), "logicalLocations": [_logical(subject)]}],
        "properties": {"severity": one.severity.value, "subject": subject, "related": list(one.related)},
    }


def _other(result: Result, index: int, ground: Ground) -> dict[str, Any]:
    """A result that is no finding: its kind says what it is, and so its level must be none."""
    said = result.reason or ("The check passed" if result.outcome is Outcome.PASS else "No reason was given")
    place = ground.seen(Location(ground.anchor))
    return {
        "ruleId": result.check.id,
        "ruleIndex": index,
        "kind": KINDS[result.outcome],
        "level": "none",
        "message": {"text": _text(_sentence(said))},
        "locations": [{"physicalLocation": _physical(place), "logicalLocations": [_logical(result.check.name)]}],
        "partialFingerprints": {"kiqdoctor/v1": hashed(f"{result.check.id}:{result.outcome.value}")},
        "suppressions": [],
    }


def _suppression(one: Reported) -> dict[str, Any]:
    said = clean(one.justification, PIECE) or "it is known"
    return {"kind": "inSource" if one.in_source else "external", "status": "accepted", "justification": said}


def _logical(name: str) -> dict[str, str]:
    return {"name": name, "fullyQualifiedName": name, "kind": "resource"}


def _physical(place: Location) -> dict[str, Any]:
    """The file as a relative reference, and a whole region: readers want all four numbers."""
    uri = quote(place.path.encode("utf-8", "backslashreplace"))
    region = {
        "startLine": place.line,
        "startColumn": place.column,
        "endLine": place.line,
        "endColumn": place.column + 1,
    }
    return {"artifactLocation": {"uri": uri, "uriBaseId": "%SRCROOT%"}, "region": region}


def _text(text: str) -> str:
    """Neither a link (``[text](target)``) nor a placeholder (``{0}``), which SARIF knows even in plain text."""
    return re.sub(r"\{(?=\d+\})", "{ ", text.replace("](", "] ("))
