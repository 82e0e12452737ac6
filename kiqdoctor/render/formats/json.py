"""The report as JSON, schema ``kiqdoctor.report/1`` of CONTRACT.md."""

import json
from importlib.resources import files
from typing import Any, Final

from kiqdoctor.doctor.report import Evidence, Location, Outcome, Report, Reported, Result, Severity
from kiqdoctor.render.view import PLAIN, View
from kiqdoctor.render.words import stamp
from kiqdoctor.text import LONG, clean

SCHEMA: Final = "kiqdoctor.report/1"


def render(report: Report, _view: View = PLAIN) -> str:
    """One JSON document, ASCII only, with a line feed at its end."""
    return json.dumps(document(report), ensure_ascii=True, indent=2) + "\n"


def document(report: Report) -> dict[str, Any]:
    """The same as plain values."""
    target = report.target
    return {
        "schema": SCHEMA,
        "tool": {"name": "kiqdoctor", "version": report.version},
        "started_at": stamp(report.started_at),
        "duration_s": round(report.duration_s, 3),
        "target": {
            "redis": _text(target.redis),
            "namespace": _text(target.namespace),
            "path": _text(target.path),
            "replayed_from": _text(target.replayed_from),
        },
        "summary": {
            "checks": len(report.results),
            "pass": report.count(Outcome.PASS),
            "fail": report.count(Outcome.FAIL),
            "unknown": report.count(Outcome.UNKNOWN),
            "not_applicable": report.count(Outcome.NOT_APPLICABLE),
            "findings": {severity.value: report.findings(severity) for severity in Severity},
            "suppressed": report.suppressed,
            "exit_status": report.exit_status,
        },
        "results": [_result(result) for result in report.results],
    }


def schema() -> dict[str, Any]:
    """The published JSON Schema (draft 2020-12) of what ``render`` returns; it lies in the package as a file."""
    file = files("kiqdoctor.render") / "schema" / "report-1.schema.json"
    found: dict[str, Any] = json.loads(file.read_text("utf-8"))
    return found


def _result(result: Result) -> dict[str, Any]:
    return {
        "check": result.check.id,
        "name": result.check.name,
        "category": result.check.category,
        "outcome": result.outcome.value,
        "reason": _text(_reason(result)),
        "duration_ms": round(result.duration_ms, 3),
        "evidence": [_evidence(one) for one in result.evidence],
        "findings": [_finding(one) for one in result.findings],
    }


def _finding(one: Reported) -> dict[str, Any]:
    finding = one.finding
    return {
        "severity": one.severity.value,
        "title": _text(finding.title),
        "subject": _text(finding.subject),
        "evidence": [_evidence(evidence) for evidence in finding.evidence],
        "remedy": _text(finding.remedy),
        "location": _location(finding.location),
        "related": list(one.related),
        "fingerprint": _text(one.fingerprint),
        "suppressed": one.suppressed,
    }


def _evidence(evidence: Evidence) -> dict[str, Any]:
    return {"label": _text(evidence.label), "value": _text(evidence.value), "source": _text(evidence.source)}


def _location(location: Location | None) -> dict[str, Any] | None:
    if location is None or not location.path:
        return None
    return {"path": _text(location.path), "line": max(1, location.line), "column": max(1, location.column)}


def _reason(result: Result) -> str | None:
    """Never nothing where the outcome needs a reason: a pack's check may have forgotten its own."""
    needed = result.outcome in {Outcome.UNKNOWN, Outcome.NOT_APPLICABLE}
    return result.reason or ("no reason was given" if needed else None)


def _text(text: str | None) -> str | None:
    return None if text is None else clean(text, LONG)
