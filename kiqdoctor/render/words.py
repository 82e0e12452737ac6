"""What every format says in the same words: a finding's message, the summary line, what counts."""

from kiqdoctor.doctor.report import Outcome, Report, Reported, Severity
from kiqdoctor.text import LONG, clean


def counted(report: Report) -> tuple[Reported, ...]:
    """Findings that are not suppressed."""
    return tuple(one for one in report.reported if not one.suppressed)


def message(one: Reported) -> str:
    """Title and remedy in one line."""
    title, remedy = clean(one.finding.title, LONG), clean(one.finding.remedy, LONG)
    return f"{title}. {remedy}" if remedy else title


def place(one: Reported) -> str:
    """``file:line`` where there is one, else the subject."""
    location = one.finding.location
    return clean(f"{location.path}:{location.line}" if location else one.finding.subject, LONG)


def coverage(report: Report) -> tuple[int, int]:
    """Checks that were judged, and checks that apply."""
    judged = report.count(Outcome.PASS) + report.count(Outcome.FAIL)
    return judged, len(report.results) - report.count(Outcome.NOT_APPLICABLE)


def summary(report: Report) -> str:
    """One line: how many findings of which severity, the coverage, the exit status."""
    counts = [f"{report.findings(severity)} {severity.value}" for severity in Severity if report.findings(severity)]
    judged, applicable = coverage(report)
    findings = f"{len(counted(report))} findings" + (f" ({', '.join(counts)})" if counts else "")
    suppressed = f", {report.suppressed} suppressed" if report.suppressed else ""
    return (
        f"{findings}{suppressed}; {judged} of {applicable} applicable checks judged; exit status {report.exit_status}"
    )
