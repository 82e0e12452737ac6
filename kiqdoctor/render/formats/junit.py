"""The report as JUnit XML: a suite a category, a case a check; red exactly where the exit status is not 0.

A case fails by a finding that the gate counts, is skipped where the check could not be judged, does not apply or has
only suppressed findings, and keeps milder findings as its output. An examination that is not complete is an error in a
suite of its own.
"""

from collections.abc import Iterator, Sequence
from itertools import groupby
from typing import Final, Literal
from xml.sax.saxutils import escape, quoteattr

from kiqdoctor.doctor.report import Outcome, Report, Reported, Result
from kiqdoctor.records import dataclass
from kiqdoctor.render.view import PLAIN, View
from kiqdoctor.render.words import failing, full, place, stamp, summary, unknowns
from kiqdoctor.text import LONG, clean

INCOMPLETE: Final = 3
PIECE: Final = 1000  # characters of one attribute

Kind = Literal["failure", "error", "skipped", "system-out"]


@dataclass(frozen=True, slots=True)
class _Case:
    """One test case; at most one child, as every reader expects."""

    classname: str
    name: str
    seconds: float
    kind: Kind | None = None
    said: str = ""
    type: str = ""
    text: str = ""


def render(report: Report, _view: View = PLAIN) -> str:
    """One XML document."""
    limit = failing(report)
    ordered = sorted(report.results, key=lambda result: (result.check.category, result.check.id))
    suites = [
        (category, [_case(result, limit) for result in results])
        for category, results in groupby(ordered, key=lambda result: result.check.category)
    ]
    if report.exit_status == INCOMPLETE:
        suites.append(("examination", [_incomplete(report)]))
    every = [case for _, cases in suites for case in cases]
    counts = f'tests="{len(every)}" failures="{_count(every, "failure")}" errors="{_count(every, "error")}"'
    head = f'<testsuites name="kiqdoctor" {counts} time="{report.duration_s:.3f}">'
    body = "".join(_suite(report, name, cases) for name, cases in suites)
    return f'<?xml version="1.0" encoding="UTF-8"?>\n{head}\n{body}</testsuites>\n'


def _suite(report: Report, name: str, cases: Sequence[_Case]) -> str:
    kinds: tuple[Kind, ...] = ("failure", "error", "skipped")
    failures, errors, skipped = (_count(cases, kind) for kind in kinds)
    seconds = sum(case.seconds for case in cases)
    head = (
        f'  <testsuite name={_attribute(name)} tests="{len(cases)}" failures="{failures}" errors="{errors}"'
        f' skipped="{skipped}" time="{seconds:.3f}" timestamp="{stamp(report.started_at)[:19]}">'
    )
    about = {"summary": summary(report), "redis": report.target.redis, "path": report.target.path}
    properties = "".join(
        f"      <property name={_attribute(key)} value={_attribute(value)}/>\n" for key, value in about.items() if value
    )
    body = "".join(map(_spelt, cases))
    return f"{head}\n    <properties>\n{properties}    </properties>\n{body}  </testsuite>\n"


def _count(cases: Sequence[_Case], kind: Kind) -> int:
    return sum(case.kind == kind for case in cases)


def _spelt(case: _Case) -> str:
    names = f"classname={_attribute(case.classname)} name={_attribute(case.name)}"
    head = f'    <testcase {names} time="{case.seconds:.3f}"'
    if case.kind is None:
        return f"{head}/>\n"
    about = "" if case.kind == "system-out" else f" message={_attribute(case.said)}"
    about += f" type={_attribute(case.type)}" if case.type else ""
    return f"{head}>\n      <{case.kind}{about}>{_text(case.text)}</{case.kind}>\n    </testcase>\n"


def _case(result: Result, limit: int) -> _Case:
    kind, said, of, text = _judged(result, limit)
    name = f"{result.check.id} {result.check.name}"
    return _Case(f"kiqdoctor.{result.check.category}", name, result.duration_ms / 1000, kind, said, of, text)


def _judged(result: Result, limit: int) -> tuple[Kind | None, str, str, str]:
    """The child element's kind, message, type and text."""
    if result.outcome is Outcome.PASS:
        return None, "", "", ""
    if result.outcome is not Outcome.FAIL:
        return "skipped", f"{result.outcome.value}: {result.reason or 'no reason was given'}", result.outcome.value, ""
    counted = sorted((one for one in result.findings if not one.suppressed), key=lambda one: one.severity.rank)
    text = "\n\n".join(_lines(counted))
    if not counted:
        return "skipped", _suppressed(result.findings[0]), "suppressed", ""
    if counted[0].severity.rank <= limit and not result.check.preview:
        return "failure", counted[0].finding.title, counted[0].severity.value, text
    return "system-out", "", "", text


def _suppressed(one: Reported) -> str:
    why = f" ({one.justification})" if one.justification else ""
    return f"suppressed{why}: {one.finding.title}"


def _lines(findings: Sequence[Reported]) -> Iterator[str]:
    for one in findings:
        yield f"{one.severity.value}: {place(one)}: {full(one)}"


def _incomplete(report: Report) -> _Case:
    blind = [
        f"{', '.join(result.check.id for result in results)}: {clean(reason, LONG)}"
        for reason, results in unknowns(report).items()
    ]
    said = "the examination is not complete: exit status 3"
    return _Case("kiqdoctor", "examination", 0.0, "error", said, "incomplete", "\n".join([summary(report), *blind]))


def _attribute(text: str) -> str:
    return quoteattr(clean(text, PIECE))


def _text(text: str) -> str:
    return escape(clean(text, LONG * 10, lines=True))
