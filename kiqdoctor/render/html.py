"""The report as one self-contained page: readable without a script, on a phone, in light and dark."""

from html import escape
from typing import Final

from kiqdoctor.doctor.report import Evidence, Outcome, Report, Reported, Result, causes_first
from kiqdoctor.render.json import stamp
from kiqdoctor.render.words import place, summary
from kiqdoctor.text import LONG, clean

STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #5c6370; --line: #d8dce2; --card: #ffffff; --page: #f5f6f8;
  --critical: #a3123a; --high: #c4391d; --medium: #8a5a00; --low: #0b6477; --info: #2f5fb3; --good: #23703a; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7e9ec; --soft: #a2a9b4; --line: #363b43; --card: #1e2227;
  --page: #14171a; --critical: #ff7b9c; --high: #ff8f73; --medium: #f0bd5b; --low: #6fd0e2; --info: #8db4ff;
  --good: #7fd39a; } }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 60rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.4rem; margin: .5rem 0 0; } h2 { font-size: 1.1rem; margin: 2rem 0 .5rem; }
p.soft, .soft { color: var(--soft); } .bar { display: flex; height: 1.25rem; border-radius: .3rem; overflow: hidden; }
.bar span { min-width: 2px; } .legend { display: flex; flex-wrap: wrap; gap: .25rem 1rem; margin: .4rem 0 1rem; }
.legend i { display: inline-block; width: .8rem; height: .8rem; border-radius: .15rem; margin-right: .35rem; }
article { background: var(--card); border: 1px solid var(--line); border-left: .4rem solid; border-radius: .4rem;
  padding: .8rem 1rem; margin: .8rem 0; overflow-wrap: anywhere; }
article h3 { margin: 0; font-size: 1.05rem; } .tag { font-weight: 700; text-transform: uppercase; font-size: .8rem; }
table { border-collapse: collapse; width: 100%; margin: .6rem 0; font-size: .9rem; }
td, th { text-align: left; padding: .25rem .5rem .25rem 0; border-top: 1px solid var(--line); vertical-align: top; }
.do { margin: .4rem 0 0; } .do b { color: var(--good); }
"""
COLOURS: Final = {
    Outcome.PASS: "var(--good)",
    Outcome.FAIL: "var(--high)",
    Outcome.UNKNOWN: "var(--medium)",
    Outcome.NOT_APPLICABLE: "var(--line)",
}


def render(report: Report) -> str:
    """One HTML document, with nothing to load from anywhere."""
    failed = "".join(_finding(result, one) for result in causes_first(report.results) for one in result.findings)
    return (
        '<!doctype html>\n<html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1">'
        f"<title>kiqdoctor: {_text(summary(report))}</title><style>{STYLE}</style></head>\n<body><main>\n"
        f"{_head(report)}<h2>Findings</h2>\n{failed or '<p>None.</p>'}\n"
        f"{_listed(report, Outcome.UNKNOWN, 'Could not be judged', 'because')}"
        f"{_passed(report)}"
        f"{_listed(report, Outcome.NOT_APPLICABLE, 'Does not apply', 'because')}"
        "</main></body></html>\n"
    )


def _head(report: Report) -> str:
    target = report.target
    where = " · ".join(
        _text(part) for part in (target.redis, target.namespace, target.path, target.replayed_from) if part
    )
    return (
        f"<h1>kiqdoctor {_text(report.version)}</h1>\n<p class=soft>{where} · {stamp(report.started_at)} ·"
        f" {report.duration_s:.2f} s</p>\n<p><b>{_text(summary(report))}</b></p>\n{_bar(report)}"
    )


def _bar(report: Report) -> str:
    """Checks by outcome, as a bar with its legend."""
    counts = {outcome: report.count(outcome) for outcome in Outcome}
    pieces = "".join(
        f'<span style="flex:{count};background:{COLOURS[outcome]}"></span>'
        for outcome, count in counts.items()
        if count
    )
    legend = "".join(
        f'<span><i style="background:{COLOURS[outcome]}"></i>{count} {outcome.value}</span>'
        for outcome, count in counts.items()
    )
    label = ", ".join(f"{count} {outcome.value}" for outcome, count in counts.items())
    return f'<div class=bar role=img aria-label="Checks: {label}">{pieces}</div>\n<div class=legend>{legend}</div>\n'


def _finding(result: Result, one: Reported) -> str:
    colour = f"var(--{one.severity.value})"
    suppressed = " (suppressed)" if one.suppressed else ""
    remedy = f"<p class=do><b>Do:</b> {_text(one.finding.remedy)}</p>" if one.finding.remedy else ""
    related = f"<p class=soft>See also {_text(', '.join(one.related))}</p>" if one.related else ""
    return (
        f'<article style="border-left-color:{colour}"><span class=tag style="color:{colour}">'
        f"{one.severity.value}{suppressed}</span><h3>{_text(one.finding.title)}</h3>"
        f"<p class=soft>{result.check.id} {_text(result.check.name)} · {_text(place(one))}</p>"
        f"{_table(one.finding.evidence)}{remedy}{related}</article>\n"
    )


def _table(evidence: tuple[Evidence, ...]) -> str:
    rows = "".join(
        f"<tr><th>{_text(one.label)}</th><td>{_text(one.value)}</td><td class=soft>{_text(one.source)}</td></tr>"
        for one in evidence
    )
    return f"<table>{rows}</table>" if rows else ""


def _listed(report: Report, outcome: Outcome, title: str, word: str) -> str:
    rows = "".join(
        f"<tr><th>{result.check.id} {_text(result.check.name)}</th><td>{word} {_text(result.reason or '')}</td></tr>"
        for result in report.results
        if result.outcome is outcome
    )
    return f"<h2>{title}</h2>\n<table>{rows}</table>\n" if rows else ""


def _passed(report: Report) -> str:
    passed = [result for result in report.results if result.outcome is Outcome.PASS]
    blocks = "".join(
        f"<details><summary>{result.check.id} {_text(result.check.name)}</summary>{_table(result.evidence)}</details>"
        for result in passed
    )
    return f"<h2>Passed</h2>\n{blocks}\n" if blocks else ""


def _text(text: str) -> str:
    return escape(clean(text, LONG))
