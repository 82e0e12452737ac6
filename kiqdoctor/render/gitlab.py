"""The report as GitLab Code Quality: one array; a finding without a file is placed at its subject's name."""

import hashlib
import json
from typing import Any, Final

from kiqdoctor.doctor.report import Report, Reported, Result, Severity
from kiqdoctor.render.words import message
from kiqdoctor.text import LONG, clean

SEVERITIES: Final = {
    Severity.CRITICAL: "blocker",
    Severity.HIGH: "critical",
    Severity.MEDIUM: "major",
    Severity.LOW: "minor",
    Severity.INFO: "info",
}


def render(report: Report) -> str:
    """A JSON array, empty where nothing counts."""
    found = [_entry(result, one) for result in report.results for one in result.findings if not one.suppressed]
    return json.dumps(found, indent=2) + "\n"


def _entry(result: Result, one: Reported) -> dict[str, Any]:
    location = one.finding.location
    return {
        "description": message(one),
        "check_name": f"{result.check.id} {result.check.name}",
        "fingerprint": hashlib.sha256(one.fingerprint.encode("utf-8", "backslashreplace")).hexdigest(),
        "severity": SEVERITIES[one.severity],
        "location": {
            "path": clean(location.path if location else one.finding.subject, LONG),
            "lines": {"begin": location.line if location else 1},
        },
    }
