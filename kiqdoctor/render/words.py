"""What every format says in the same words: a finding's message, the summary line, what counts, what fails."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from kiqdoctor.doctor.folding import walked
from kiqdoctor.doctor.report import Evidence, Outcome, Report, Reported, Result, Severity
from kiqdoctor.text import LONG, clean

HEALTHY: Final = "healthy"
VERDICTS: Final = {0: "passed", 1: "FAILED", 3: "INCOMPLETE"}
SHOWN_UNKNOWN: Final = 8  # checks that were not judged, in one line
SHOWN_EVIDENCE: Final = 12  # rows a finding where a reader waits; the rest is in the JSON report


def counted(report: Report) -> tuple[Reported, ...]:
    """Findings that are not suppressed."""
    return tuple(one for one in report.reported if not one.suppressed)


def causes_first(report: Report) -> list[tuple[Result, Reported]]:
    """Unsuppressed findings with their results: the worst group first, in it a cause before what follows from it."""
    counting = (
        replace(one, findings=tuple(each for each in one.findings if not each.suppressed)) for one in report.results
    )
    return [(knot.result, knot.reported) for knot, _ in walked(counting)]


def failing(report: Report) -> int:
    """Findings of this rank or a worse one make the exit status 1; -1 where none does.

    Two formats draw consequences of their own (a red test, a red annotation): they must draw the gate's.
    """
    fail_on = report.fail_on
    if report.exit_status == 0 or fail_on is None:
        return -1
    counting = (result for result in report.results if not result.check.preview)
    ranks = [one.severity.rank for result in counting for one in result.findings if not one.suppressed]
    return max(fail_on.rank, min(ranks)) if report.exit_status == 1 and ranks else fail_on.rank


def unknowns(report: Report) -> dict[str, list[Result]]:
    """What could not be judged, by reason: one refused permission explains many checks."""
    by_reason: dict[str, list[Result]] = {}
    for result in report.results:
        if result.outcome is Outcome.UNKNOWN:
            by_reason.setdefault(result.reason or "", []).append(result)
    return by_reason


def names(results: Sequence[Result]) -> str:
    """Checks by id and name; of very many the ids alone, which are a page already."""
    if len(results) > SHOWN_UNKNOWN:
        return f"{len(results)} checks: {', '.join(result.check.id for result in results)}"
    return ", ".join(f"{result.check.id} {result.check.name}" for result in results)


def inapplicable(report: Report) -> str:
    """Why nothing at all could be judged: what most checks say; "" where something was, or could have been."""
    if any(result.outcome is not Outcome.NOT_APPLICABLE for result in report.results):
        return ""
    reasons = Counter(result.reason or "" for result in report.results).most_common(1)
    return next((f"{reason} ({count} of {len(report.results)} checks)" for reason, count in reasons if reason), "")


def message(one: Reported) -> str:
    """Title, remedy and what it follows from in one line."""
    title, remedy, after = clean(one.finding.title, LONG), clean(one.finding.remedy, LONG), follows(one)
    return " ".join((sentence(title) if remedy or after else title, *filter(None, (remedy, after))))


def follows(one: Reported) -> str:
    """What a finding follows from, where something that was found explains it."""
    return f"Follows from {clean(' and '.join(one.because))}: look there first." if one.causes else ""


def full(one: Reported, limit: int = LONG) -> str:
    """Title, evidence, remedy and what it follows from, a line each; every piece is cut to ``limit`` characters."""
    lines = [sentence(clean(one.finding.title, limit))]
    lines += [evidence(seen, limit) for seen in one.finding.evidence[:SHOWN_EVIDENCE]]
    if one.finding.remedy:
        lines.append(f"Do: {clean(one.finding.remedy, limit)}")
    lines += filter(None, [follows(one)])
    return "\n".join(lines)


def sentence(text: str) -> str:
    """The text with a full stop, if nothing ends it already."""
    return text if text.endswith((".", "…", "!", "?")) else f"{text}."


def evidence(seen: Evidence, limit: int = LONG) -> str:
    """``label: value (source)``."""
    source = f" ({clean(seen.source, limit)})" if seen.source else ""
    return f"{clean(seen.label, limit)}: {clean(seen.value, limit)}{source}"


def place(one: Reported) -> str:
    """``file:line`` where there is one, else the subject."""
    location = one.finding.location
    return clean(f"{location.path}:{location.line}" if location else one.finding.subject, LONG)


def coverage(report: Report) -> tuple[int, int]:
    """Checks that were judged, and checks that apply."""
    judged = report.count(Outcome.PASS) + report.count(Outcome.FAIL)
    return judged, len(report.results) - report.count(Outcome.NOT_APPLICABLE)


def verdict(report: Report) -> str:
    """The exit status as a word; healthy is only what was looked at as a whole, and has nothing to be said of."""
    judged, applicable = coverage(report)
    if report.exit_status == 0 and judged == applicable and not counted(report):
        return HEALTHY
    return VERDICTS.get(report.exit_status, "ERROR")


def summary(report: Report) -> str:
    """One line: what was not judged, if anything, comes first; findings by severity, the coverage, the exit status."""
    counts = [f"{report.findings(severity)} {severity.value}" for severity in Severity if report.findings(severity)]
    judged, applicable = coverage(report)
    number = len(counted(report))
    findings = f"{number} finding{'' if number == 1 else 's'}" + (f" ({', '.join(counts)})" if counts else "")
    suppressed = f", {report.suppressed} suppressed" if report.suppressed else ""
    extent = f"{judged} of {applicable} applicable checks judged"
    found = f"{findings}{suppressed}"
    told = (found, extent) if judged == applicable else (f"{extent}{_lacking(report)}", found)
    return f"{'; '.join(told)}; exit status {report.exit_status}"


def _lacking(report: Report) -> str:
    """The checks that were not judged; why is said where there is room."""
    ids = [result.check.id for result in report.results if result.outcome is Outcome.UNKNOWN]
    more = f" and {len(ids) - SHOWN_UNKNOWN} more" if len(ids) > SHOWN_UNKNOWN else ""
    return f", not {', '.join(ids[:SHOWN_UNKNOWN])}{more}" if ids else ""


def stamp(epoch_s: float) -> str:
    """Epoch seconds as ``2026-01-02T03:04:05.678Z``."""
    return datetime.fromtimestamp(epoch_s, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
