"""The report as GitLab Code Quality: one array, an entry a finding and one for each check that could not be judged."""

import json
from typing import Any, Final

from kiqdoctor.doctor.report import Location, Outcome, Report, Reported, Result, Severity
from kiqdoctor.render.ground import Ground
from kiqdoctor.render.identity import hashed, identified
from kiqdoctor.render.view import PLAIN, View
from kiqdoctor.render.words import message
from kiqdoctor.text import LONG, clean

SEVERITIES: Final = {
    Severity.CRITICAL: "blocker",
    Severity.HIGH: "critical",
    Severity.MEDIUM: "major",
    Severity.LOW: "minor",
    Severity.INFO: "info",
}


def render(report: Report, view: View = PLAIN) -> str:
    """A JSON array, ASCII only, empty where everything was judged and nothing counts."""
    entries = [
        _found(result, one, digest if number == 1 else hashed(f"{digest}:{number}"), view.ground)
        for result, one, digest, number in identified(report)
        if not one.suppressed
    ]
    entries += [_unknown(result, view.ground) for result in report.results if result.outcome is Outcome.UNKNOWN]
    return json.dumps(entries, indent=2) + "\n"


def _found(result: Result, one: Reported, fingerprint: str, ground: Ground) -> dict[str, Any]:
    return _entry(result, message(one), SEVERITIES[one.severity], fingerprint, ground.place(one))


def _unknown(result: Result, ground: Ground) -> dict[str, Any]:
    """The widget compares two branches: a check that went blind is news there too."""
    said = f"could not be judged: {clean(result.reason or 'no reason was given', LONG)}"
    place = ground.seen(Location(ground.anchor))
    return _entry(result, said, "info", hashed(f"{result.check.id}:unknown"), place)


def _entry(result: Result, said: str, severity: str, fingerprint: str, place: Location) -> dict[str, Any]:
    return {
        "description": f"{result.check.id}: {said}",
        "check_name": f"{result.check.id} {result.check.name}",
        "fingerprint": fingerprint,
        "severity": severity,
        "location": {"path": clean(place.path, LONG), "lines": {"begin": place.line}},
    }
