"""The report as one self-contained page: readable without a script, on a phone, in light and dark."""

from collections.abc import Iterable, Iterator
from html import escape
from typing import Final

from kiqdoctor.doctor.folding import Knot, folded
from kiqdoctor.doctor.report import Evidence, Outcome, Report, Reported, Result, Severity
from kiqdoctor.render.charts import Bar, Part, bars, ring
from kiqdoctor.render.view import PLAIN, View
from kiqdoctor.render.words import coverage, place, stamp, summary, unknowns, verdict
from kiqdoctor.text import LONG, clean

STYLE: Final = """
:root { color-scheme: light dark; --ink: #1c1e21; --soft: #565d68; --line: #d5d9e0; --card: #fff; --page: #f4f5f7;
  --critical: #a3123a; --high: #c2410c; --medium: #8a5a00; --low: #0b6477; --info: #2f5fb3;
  --good: #1f7a3d; --unknown: #6d4fb0; --absent: #9aa2ae; }
@media (prefers-color-scheme: dark) { :root { --ink: #e7e9ec; --soft: #a6adb8; --line: #383e47; --card: #1d2126;
  --page: #131619; --critical: #ff7b9c; --high: #ff9a6b; --medium: #f0bd5b; --low: #6fd0e2; --info: #8db4ff;
  --good: #74d195; --unknown: #bda6f5; --absent: #5f6773; } }
* { box-sizing: border-box; }
body { margin: 0; background: var(--page); color: var(--ink); font: 16px/1.5 system-ui, sans-serif; }
main { max-width: 64rem; margin: 0 auto; padding: 1rem; }
h1 { font-size: 1.5rem; line-height: 1.25; margin: .25rem 0; }
h2 { font-size: 1.15rem; margin: 2rem 0 .5rem; }
h3 { font-size: 1.05rem; line-height: 1.35; margin: .1rem 0 .2rem; } details h3 { margin-top: .8rem; }
p { margin: .4rem 0; } main, table, summary { overflow-wrap: anywhere; }
.soft { color: var(--soft); font-size: .9rem; }
.charts { display: grid; grid-template-columns: repeat(auto-fit, minmax(17rem, 1fr)); gap: .8rem; margin: 1rem 0; }
figure, article, details { background: var(--card); border: 1px solid var(--line); border-radius: .5rem; }
figure { margin: 0; padding: .7rem .9rem; } figcaption { font-weight: 600; margin-bottom: .4rem; }
svg { display: block; width: 100%; max-width: 22rem; height: auto; font: 13px system-ui, sans-serif; }
svg text { fill: var(--ink); } svg .of { fill: var(--soft); } svg .track { fill: var(--line); opacity: .5; }
article { border-left: .4rem solid; padding: .7rem 1rem; margin: .8rem 0; }
.tag { font-weight: 700; font-size: .85rem; letter-spacing: .02em; }
table { border-collapse: collapse; table-layout: fixed; width: 100%; margin: .6rem 0; font-size: .92rem; }
td, th { text-align: left; padding: .3rem .7rem .3rem 0; border-top: 1px solid var(--line); vertical-align: top; }
th { font-weight: 600; width: 28%; } td.soft { width: 26%; } td:last-child { padding-right: 0; }
.do { margin-top: .5rem; } .do b { color: var(--good); }
details { margin: .4rem 0; padding: .4rem .9rem; } summary { cursor: pointer; padding: .25rem 0; }
a { color: inherit; }
footer { margin: 2rem 0 1rem; border-top: 1px solid var(--line); padding-top: .6rem; }
@media (max-width: 34rem) { main { padding: .7rem; } h1 { font-size: 1.3rem; } article { padding: .6rem .7rem; }
  tr, td, td.soft, th { display: block; width: auto; } td, th { border-top: 0; padding: 0; }
  tr { border-top: 1px solid var(--line); padding: .35rem 0; } }
@media print { body { background: none; } article, figure { break-inside: avoid; } }
"""
POLICY: Final = "default-src 'none'; style-src 'unsafe-inline'"
"""Nothing loads and nothing runs, whatever a queue is called."""
GLYPHS: Final = {
    Severity.CRITICAL: "✖",
    Severity.HIGH: "▲",
    Severity.MEDIUM: "◆",
    Severity.LOW: "●",
    Severity.INFO: "○",
}
MARKS: Final = {0: ("✔", "good"), 1: ("✖", "high"), 3: ("?", "unknown")}
COLOURS: Final = {
    Outcome.PASS: "good",
    Outcome.FAIL: "high",
    Outcome.UNKNOWN: "unknown",
    Outcome.NOT_APPLICABLE: "absent",
}


def render(report: Report, _view: View = PLAIN) -> str:
    """One HTML document, with nothing to load from anywhere."""
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        f'<meta http-equiv="Content-Security-Policy" content="{POLICY}">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        '<meta name="color-scheme" content="light dark">\n'
        f"<title>kiqdoctor: {_text(verdict(report))}: {_text(summary(report))}</title>\n<style>{STYLE}</style>\n"
        f"</head>\n<body>\n<main>\n{''.join(_body(report))}</main>\n</body>\n</html>\n"
    )


def _body(report: Report) -> Iterator[str]:
    yield from _head(report)
    yield from _charts(report)
    yield "<h2>Findings</h2>\n"
    knots = folded(report.results)
    unnamed = {each.result.check.id for knot in knots for each, _ in knot.walked}
    here = frozenset(unnamed)
    yield "".join(_knot(knot, here, unnamed) for knot in knots) or "<p>None.</p>\n"
    yield from _blind(report)
    yield from _passed(report)
    yield from _absent(report)
    yield from _foot(report)


def _head(report: Report) -> Iterator[str]:
    target = report.target
    mark, colour = MARKS.get(report.exit_status, ("!", "high"))
    where = [target.redis, target.namespace and f"namespace {target.namespace}", target.path]
    where.append(target.replayed_from and f"replayed from {target.replayed_from}")
    yield "<header>\n"
    yield f'<h1>kiqdoctor <span style="color:var(--{colour})">{mark} {_text(verdict(report))}</span></h1>\n'
    yield f"<p><b>{_text(summary(report))}</b></p>\n"
    yield f'<p class="soft">{" · ".join(_text(part) for part in where if part) or "no target"}</p>\n'
    yield f'<p class="soft">{stamp(report.started_at)} · {report.duration_s:.2f} s</p>\n</header>\n'


def _charts(report: Report) -> Iterator[str]:
    judged, applicable = coverage(report)
    outcomes = [Part(COLOURS[one], one.value, report.count(one)) for one in Outcome]
    severities = [
        Bar(f"{GLYPHS[one]} {one.value}", (Part(one.value, one.value, report.findings(one)),)) for one in Severity
    ]
    yield '<div class="charts">\n'
    yield _figure("Checks by outcome", ring(outcomes, f"{judged}/{applicable}", "judged"))
    yield _figure("Findings by severity", bars(severities))
    yield _figure("Checks by category", bars(list(_categories(report.results))))
    yield "</div>\n"


def _categories(results: Iterable[Result]) -> Iterator[Bar]:
    every = list(results)
    for name in sorted({result.check.category for result in every}):
        inside = [result.outcome for result in every if result.check.category == name]
        parts = tuple(Part(COLOURS[one], one.value, inside.count(one)) for one in Outcome)
        yield Bar(clean(name, 40), parts)


def _figure(title: str, chart: str) -> str:
    return f"<figure><figcaption>{title}</figcaption>\n{chart}</figure>\n"


def _knot(knot: Knot, here: frozenset[str], unnamed: set[str]) -> str:
    """A finding, and folded under it what follows; others' "see also" leads to the first of a check."""
    check = knot.result.check.id
    named = f' id="{_text(check)}"' if check in unnamed else ""
    unnamed.discard(check)
    below = "".join(_knot(one, here, unnamed) for one in knot.symptoms)
    count = sum(1 for _ in knot.walked) - 1
    said = f"{count} finding{'' if count == 1 else 's'} that follow{'s' if count == 1 else ''} from it"
    symptoms = f"<details><summary>{said}</summary>\n{below}</details>\n" if below else ""
    return f"<div{named}>\n{_finding(knot.result, knot.reported, here)}{symptoms}</div>\n"


def _finding(result: Result, one: Reported, here: frozenset[str]) -> str:
    colour = f"var(--{one.severity.value})"
    known = f" · suppressed{': ' if one.justification else ''}{_text(one.justification)}" if one.suppressed else ""
    remedy = f'<p class="do"><b>Do:</b> {_text(one.finding.remedy)}</p>\n' if one.finding.remedy else ""
    related = ", ".join(_link(check) if check in here else _text(check) for check in one.related)
    also = f'<p class="soft">See also {related}</p>\n' if related else ""
    return (
        f'<article style="border-left-color:{colour}">\n'
        f'<div class="tag" style="color:{colour}">{GLYPHS[one.severity]} {one.severity.value.upper()}{known}</div>\n'
        f"<h3>{_text(one.finding.title)}</h3>\n"
        f'<p class="soft">{_name(result)} · {_text(place(one))}</p>\n'
        f"{_table(one.finding.evidence)}{remedy}{also}</article>\n"
    )


def _link(check: str) -> str:
    return f'<a href="#{_text(check)}">{_text(check)}</a>'


def _name(result: Result) -> str:
    return _text(f"{result.check.id} {result.check.name}")


def _table(evidence: Iterable[Evidence]) -> str:
    rows = "".join(
        f'<tr><th scope="row">{_text(one.label)}</th><td>{_text(one.value)}</td>'
        f'<td class="soft">{_text(one.source)}</td></tr>\n'
        for one in evidence
    )
    return f"<table>\n{rows}</table>\n" if rows else ""


def _blind(report: Report) -> Iterator[str]:
    """Open, since it must not be overlooked; checks with one reason together."""
    rows = [
        f'<tr><th scope="row">{", ".join(_name(result) for result in results)}</th><td>{_text(reason)}</td></tr>\n'
        for reason, results in unknowns(report).items()
    ]
    if rows:
        yield f"<h2>Could not be judged</h2>\n<table>\n{''.join(rows)}</table>\n"


def _passed(report: Report) -> Iterator[str]:
    passed = [result for result in report.results if result.outcome is Outcome.PASS]
    if passed:
        yield f"<h2>Passed: {len(passed)}</h2>\n<details><summary>What proves it</summary>\n"
        for result in passed:
            proof = _table(result.evidence) or '<p class="soft">Nothing was found.</p>\n'
            yield f"<h3>{_name(result)}</h3>\n{proof}"
        yield "</details>\n"


def _absent(report: Report) -> Iterator[str]:
    rows = [
        f'<tr><th scope="row">{_name(result)}</th><td>{_text(result.reason or "no reason was given")}</td></tr>\n'
        for result in report.results
        if result.outcome is Outcome.NOT_APPLICABLE
    ]
    if rows:
        yield f"<h2>Does not apply: {len(rows)}</h2>\n"
        yield f"<details><summary>Why</summary>\n<table>\n{''.join(rows)}</table>\n</details>\n"


def _foot(report: Report) -> Iterator[str]:
    yield '<footer class="soft">\n'
    yield from (f"<p>{_text(note)}</p>\n" for note in report.notes)
    if report.cost.total:
        size = report.cost.bytes_sent + report.cost.bytes_received
        slowest = f"slowest round trip {report.cost.slowest} {report.cost.slowest_ms:.1f} ms"
        yield f"<p>{_text(f'{report.cost.total} Redis commands, {size} bytes, {slowest}. Nothing was written.')}</p>\n"
    yield f"<p>kiqdoctor {_text(report.version)}</p>\n</footer>\n"


def _text(text: str) -> str:
    return escape(clean(text, LONG))
