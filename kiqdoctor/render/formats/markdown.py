"""The report as Markdown, for step summaries and issue trackers; nothing from outside becomes markup.

Mentions, issue references and emoji are made of the text that Markdown left, so escaping does not stop them: a cell
that holds one is a code span, and in a sentence its first character is followed by one without width.
"""

import re
from collections.abc import Iterator
from typing import Final

from kiqdoctor.doctor.folding import Knot, folded
from kiqdoctor.doctor.report import Outcome, Report, Reported, Result, Severity
from kiqdoctor.regex import regex
from kiqdoctor.render.view import PLAIN, View
from kiqdoctor.render.words import coverage, inapplicable, names, place, summary, unknowns, verdict
from kiqdoctor.text import LONG, clean

WHOLE: Final = 900_000  # bytes; a step summary above 1 MiB is refused whole
PIECE: Final = 1000  # characters of one cell or sentence
MARKS: Final = {0: "✅", 1: "❌", 3: "❓"}

_MARKUP: Final = regex(r"([\\`*_{}\[\]<>()#+\-.!|~@&$:=^'\"])")
_LINKING: Final = regex(
    r"@(?=\w)|#(?=\d)|\bGH(?=-\d)|:(?=[\w+-]+:)|\bwww(?=\.)|\bhttps?(?=:)|\bftp(?=:)", re.IGNORECASE
)
_WIDTHLESS: Final = "\u200b"


def render(report: Report, _view: View = PLAIN) -> str:
    """The whole report, or as many findings as a step summary takes, and how many were left out."""
    foot = "\n".join(_foot(report))
    head = "\n".join(_head(report))
    left = WHOLE - len((head + foot).encode())
    blocks = ["\n".join((*_finding(knot.result, knot.reported), *_symptoms(knot))) for knot in folded(report.results)]
    shown: list[str] = []
    for block in blocks:
        left -= len(block.encode()) + 1
        if left < 0:
            more = len(blocks) - len(shown)
            shown.append(f"**{more} more findings are in the other formats of this report.**\n")
            break
        shown.append(block)
    return "\n".join([head, *shown, foot]).rstrip("\n") + "\n"


def _head(report: Report) -> Iterator[str]:
    judged, applicable = coverage(report)
    yield f"## {MARKS.get(report.exit_status, '❗')} kiqdoctor: {verdict(report)}"
    yield ""
    yield f"{_literal(summary(report))}"
    yield ""
    yield f"| {' | '.join(severity.value for severity in Severity)} | suppressed | judged |"
    yield "|" + "---:|" * (len(Severity) + 2)
    counts = " | ".join(str(report.findings(severity)) for severity in Severity)
    yield f"| {counts} | {report.suppressed} | {judged} of {applicable} |"
    yield ""


def _finding(result: Result, one: Reported) -> Iterator[str]:
    suppressed = " (suppressed)" if one.suppressed else ""
    yield f"### {one.severity.value.upper()}{suppressed}: {_literal(one.finding.title)}"
    yield ""
    if one.justification:
        yield f"Suppressed: {_literal(one.justification)}"
        yield ""
    yield f"{_literal(f'{result.check.id} {result.check.name}')} · {_cell(place(one))}"
    yield ""
    if one.finding.evidence:
        yield "| evidence | value | source |"
        yield "|---|---|---|"
        for seen in one.finding.evidence:
            yield f"| {_cell(seen.label)} | {_cell(seen.value)} | {_cell(seen.source)} |"
        yield ""
    if one.finding.remedy:
        yield f"**Do:** {_literal(one.finding.remedy)}"
        yield ""


def _symptoms(knot: Knot) -> Iterator[str]:
    """What follows from it, as a list: each with its check, where it is, and what to do if it stays."""
    below = list(knot.walked)[1:]
    if below:
        yield "Follows from it:"
        yield ""
    for each, depth in below:
        one, check = each.reported, each.result.check
        suppressed = " (suppressed)" if one.suppressed else ""
        named = f"{_literal(f'{check.id} {check.name}')} · {_cell(place(one))}"
        said = f"{one.severity.value.upper()}{suppressed}: {_literal(one.finding.title)} ({named})"
        remedy = f" Do, if it stays: {_literal(one.finding.remedy)}" if one.finding.remedy else ""
        yield f"{'  ' * (depth - 1)}- {said}{remedy}"
    if below:
        yield ""


def _foot(report: Report) -> Iterator[str]:
    blind = unknowns(report)
    if blind:
        yield "### Could not be judged"
        yield ""
        yield "| checks | because |"
        yield "|---|---|"
        for reason, results in blind.items():
            yield f"| {_literal(names(results), LONG)} | {_literal(reason)} |"
        yield ""
    if why := inapplicable(report):
        yield f"Nothing could be judged: {_literal(why)}"
        yield ""
    for note in report.notes:
        yield _literal(note, LONG)
        yield ""
    counts = ", ".join(f"{report.count(one)} {one.value}" for one in Outcome)
    target = " · ".join(
        f"{part}" for part in (report.target.redis, report.target.namespace, report.target.path) if part
    )
    yield _literal(f"{counts} · kiqdoctor {report.version}" + (f" · {target}" if target else ""), LONG)


def _literal(text: str, limit: int = PIECE) -> str:
    """The text itself, whatever it looks like."""
    apart = _LINKING.sub(lambda found: found[0] + _WIDTHLESS, clean(text, limit).strip())
    return _MARKUP.sub(r"\\\1", apart).replace(_WIDTHLESS, "&#8203;")


def _cell(text: str) -> str:
    """What somebody may want to copy: no character of ours in it."""
    shown = clean(text, PIECE).strip()
    return _code(shown) if _LINKING.search(shown) and "|" not in shown else _literal(shown)


def _code(text: str) -> str:
    fence = "`" * (1 + max((len(run) for run in re.findall("`+", text)), default=0))
    room = " " if "`" in {text[0], text[-1]} else ""
    return f"{fence}{room}{text}{room}{fence}"
