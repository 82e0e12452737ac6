"""The report as Markdown, for step summaries and issue trackers; nothing from outside becomes markup."""

import re

from kiqdoctor.doctor.report import Outcome, Report, Reported, Result, causes_first
from kiqdoctor.render.words import place, summary
from kiqdoctor.text import LONG, clean

_MARKUP = re.compile(r"([\\`*_{}\[\]<>()#+\-.!|~@&$:])")


def render(report: Report) -> str:
    """The whole report."""
    lines = [f"## kiqdoctor {report.version}", "", _literal(summary(report)), ""]
    for result in causes_first(report.results):
        for one in result.findings:
            lines += _finding(result, one)
    unknown = [result for result in report.results if result.outcome is Outcome.UNKNOWN]
    if unknown:
        lines += ["### Could not be judged", "", "| check | because |", "|---|---|"]
        lines += [f"| {result.check.id} {result.check.name} | {_literal(result.reason or '')} |" for result in unknown]
        lines.append("")
    return "\n".join(lines)


def _finding(result: Result, one: Reported) -> list[str]:
    suppressed = " (suppressed)" if one.suppressed else ""
    head = f"### {one.severity.value.upper()}{suppressed}: {_literal(one.finding.title)}"
    rows = [
        f"| {_literal(evidence.label)} | {_literal(evidence.value)} | {_literal(evidence.source)} |"
        for evidence in one.finding.evidence
    ]
    table = ["| evidence | value | source |", "|---|---|---|", *rows, ""] if rows else []
    remedy = [f"**Do:** {_literal(one.finding.remedy)}", ""] if one.finding.remedy else []
    return [head, "", f"{result.check.id} {result.check.name} · {_literal(place(one))}", "", *table, *remedy]


def _literal(text: str) -> str:
    return _MARKUP.sub(r"\\\1", clean(text, LONG))
