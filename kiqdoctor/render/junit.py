"""The report as JUnit XML: a suite a category, a case a check. Unknown and not-applicable are skipped, with reasons."""

from itertools import groupby
from xml.sax.saxutils import escape, quoteattr

from kiqdoctor.doctor.report import Outcome, Report, Result
from kiqdoctor.render.json import stamp
from kiqdoctor.render.words import message, place
from kiqdoctor.text import LONG, clean


def render(report: Report) -> str:
    """One XML document."""
    by_category = sorted(report.results, key=lambda result: (result.check.category, result.check.id))
    suites = "".join(
        _suite(report, category, list(results))
        for category, results in groupby(by_category, key=lambda result: result.check.category)
    )
    counts = _counts(report.results)
    head = f'<testsuites name="kiqdoctor" {counts} time="{report.duration_s:.3f}">'
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head}\n{suites}</testsuites>\n'


def _counts(results: tuple[Result, ...] | list[Result]) -> str:
    failed = sum(_fails(result) for result in results)
    skipped = sum(result.outcome in {Outcome.UNKNOWN, Outcome.NOT_APPLICABLE} for result in results)
    return f'tests="{len(results)}" failures="{failed}" errors="0" skipped="{skipped}"'


def _fails(result: Result) -> bool:
    return any(not one.suppressed for one in result.findings)


def _suite(report: Report, category: str, results: list[Result]) -> str:
    seconds = sum(result.duration_ms for result in results) / 1000
    head = (
        f'  <testsuite name={_attribute(category)} {_counts(results)} time="{seconds:.6f}"'
        f' timestamp="{stamp(report.started_at)[:19]}">'
    )
    return f"{head}\n{''.join(map(_case, results))}  </testsuite>\n"


def _case(result: Result) -> str:
    name = _attribute(f"{result.check.id} {result.check.name}")
    category, seconds = _attribute(result.check.category), result.duration_ms / 1000
    head = f'    <testcase classname={category} name={name} time="{seconds:.6f}"'
    body = _body(result)
    return f"{head}>\n{body}    </testcase>\n" if body else f"{head}/>\n"


def _body(result: Result) -> str:
    if _fails(result):
        found = [one for one in result.findings if not one.suppressed]
        text = "\n".join(f"{one.severity.value}: {place(one)}: {message(one)}" for one in found)
        kind = _attribute(found[0].severity.value)
        return f"      <failure message={_attribute(found[0].finding.title)} type={kind}>{_text(text)}</failure>\n"
    if result.outcome is Outcome.FAIL:
        return "      <system-out>every finding is suppressed</system-out>\n"
    if result.outcome is Outcome.PASS:
        return ""
    return f"      <skipped message={_attribute(f'{result.outcome.value}: {result.reason or chr(63)}')}/>\n"


def _attribute(text: str) -> str:
    return quoteattr(clean(text, LONG))


def _text(text: str) -> str:
    return escape(clean(text, LONG * 10, lines=True))
