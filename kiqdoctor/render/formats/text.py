"""The report for people: root causes first, what follows folded under them; then what was not seen."""

from dataclasses import field
from itertools import groupby
from operator import itemgetter
from unicodedata import east_asian_width

from kiqdoctor.doctor.folding import Knot, folded
from kiqdoctor.doctor.report import Evidence, Location, Outcome, Report, Reported
from kiqdoctor.records import dataclass
from kiqdoctor.render.view import PLAIN, View
from kiqdoctor.render.words import SHOWN_EVIDENCE, inapplicable, names, summary, unknowns, verdict
from kiqdoctor.text import LONG, clean, disarmed

Line = list[tuple[str, str]]
"""Pieces of one line: style name and text. Styles: severities, "good", "dim", "strong", ""."""

STYLES = {
    "critical": "\x1b[1;97;41m",
    "high": "\x1b[1;31m",
    "medium": "\x1b[33m",
    "low": "\x1b[36m",
    "info": "\x1b[34m",
    "good": "\x1b[32m",
    "dim": "\x1b[2m",
    "strong": "\x1b[1m",
}
RESET = "\x1b[0m"
KIBI = 1024
SHOWN_SYMPTOMS = 20  # under one root cause; the rest with --verbose, and in --format json
LABEL = 8  # columns of "CRITICAL"
INDENT = 10  # where a finding's text begins
QUOTED = 160  # characters of a line of source
NARROWEST = 20  # columns of text; on a narrower screen the terminal wraps
VERDICT_STYLES = {0: "good", 1: "high"}


@dataclass
class _Page:
    lines: list[Line] = field(default_factory=list)

    def add(self, *pieces: tuple[str, str]) -> None:
        self.lines.append([(style, disarmed(text)) for style, text in pieces])


def render(report: Report, view: View = PLAIN) -> str:
    """The whole report as text, ANSI styled if colour is wanted."""
    whole = lines(report, verbose=view.verbose)
    fitting = (part for line in whole for part in hung(line, view.width))
    return "".join(_painted(line, colour=view.colour) + "\n" for line in fitting)


def hung(line: Line, width: int) -> list[Line]:
    """A line as lines of at most so many columns; the further ones hang under its text. 0 leaves it as it is."""
    text = "".join(piece for _, piece in line)
    hang = min(_hang(line, text), max(width - NARROWEST, INDENT))  # a text of blanks looks like a deeper indent
    room = width - hang
    if not width or room < NARROWEST or columns(text) <= width:
        return [line]
    styled = [(style, char) for style, piece in line for char in piece]
    found: list[Line] = []
    while styled:
        end = _end(styled, room if found else width, 0 if found else hang)
        found.append([("", " " * hang), *styled[:end]] if found else styled[:end])
        styled = styled[end:]
        while styled and styled[0][1] == " ":
            styled.pop(0)
    return [_joined(one) for one in found]


def _hang(line: Line, text: str) -> int:
    """Where a line's own text begins: behind its indent and arrow, or behind the word in the first column."""
    indent = len(text) - len(text.lstrip(" →"))
    return indent or (INDENT if line and len(line[0][1]) == LABEL else 2)


def _end(styled: Line, room: int, least: int) -> int:
    """How many characters fit: to the last space, if there is one."""
    used, space = 0, 0
    for number, (_, char) in enumerate(styled):
        used += columns(char)
        if used > room:
            return space or max(number, 1)
        if char == " " and number >= least:
            space = number
    return len(styled)


def columns(text: str) -> int:
    """Columns of a terminal that it fills: two for each wide character."""
    return sum(2 if east_asian_width(char) in {"W", "F"} else 1 for char in text)


def _joined(chars: Line) -> Line:
    return [(style, "".join(char for _, char in group)) for style, group in groupby(chars, key=itemgetter(0))]


def _painted(line: Line, *, colour: bool) -> str:
    return "".join(f"{STYLES[style]}{text}{RESET}" if colour and style else text for style, text in line).rstrip()


def lines(report: Report, *, verbose: bool = False) -> list[Line]:
    """The report as styled lines, for any screen."""
    page = _Page()
    _head(page, report)
    for knot in folded(report.results):
        _finding(page, knot, report)
        _symptoms(page, knot, whole=verbose)
    _unknown(page, report)
    if verbose:
        _passed(page, report)
    _foot(page, report)
    return page.lines


def _head(page: _Page, report: Report) -> None:
    target = report.target
    parts = [clean(part) for part in (target.redis, target.path) if part]
    if target.namespace:
        parts.append(f"namespace {clean(target.namespace)}")
    if target.replayed_from:
        parts.append(f"replayed from {clean(target.replayed_from)}")
    page.add(("strong", f"kiqdoctor {report.version}"), ("dim", "  " + " · ".join(parts)))
    for one in report.seen:
        page.add(("dim", f"  {clean(one, LONG)}"))
    page.add()


def _finding(page: _Page, knot: Knot, report: Report) -> None:
    result, one = knot.result, knot.reported
    finding, shown = one.finding, _ids(knot)
    known = f": {clean(one.justification, LONG)}" if one.justification else ""
    suppressed = f"  (suppressed{known})" if one.suppressed else ""
    page.add(
        (one.severity.value, f"{one.severity.value.upper():<8}"),
        ("strong", f"  {clean(finding.title, LONG)}"),
        ("dim", suppressed),
    )
    where = f"  {clean(finding.location.path)}:{finding.location.line}" if finding.location else ""
    page.add(("dim", f"          {result.check.id} {result.check.name} · {clean(finding.subject)}{where}"))
    for line in _span(finding.location, report):
        page.add(*line)
    for evidence in finding.evidence[:SHOWN_EVIDENCE]:
        page.add(*_evidence(evidence))
    if len(finding.evidence) > SHOWN_EVIDENCE:
        page.add(("dim", f"          … and {len(finding.evidence) - SHOWN_EVIDENCE} more in --format json"))
    if finding.remedy:
        page.add(("good", "          → "), ("", clean(finding.remedy, LONG)))
    _others(page, INDENT, one, shown)
    page.add()


def _span(location: Location | None, report: Report) -> list[Line]:
    """The line of source that a finding is about, and a caret under the place."""
    source = report.quoted.get((location.path, location.line), "") if location is not None else ""
    if location is None or not source.strip():
        return []
    before = source.encode()[: max(0, location.column - 1)].decode("utf-8", "ignore")
    indent = len(source) - len(source.lstrip())
    shown = clean(source[indent:].replace("\t", " "), QUOTED)
    at = columns(clean(before[indent:].replace("\t", " "), QUOTED))
    gutter = " " * (INDENT + len(str(location.line)))
    lines: list[Line] = [[("dim", f"{' ' * INDENT}{location.line} | "), ("", shown)]]
    return [*lines, [("dim", f"{gutter} | "), ("good", " " * at + "^")]] if at < columns(shown) else lines


def _symptoms(page: _Page, knot: Knot, *, whole: bool) -> None:
    """What follows from a finding: a line each and where it is, or with all of its evidence."""
    below = list(knot.walked)[1:]
    shown = _ids(knot)
    if below:
        page.lines.pop()
        page.add(("dim", f"          {'this follows' if len(below) == 1 else f'these {len(below)} follow'} from it:"))
    for each, depth in below[: None if whole else SHOWN_SYMPTOMS]:
        _symptom(page, each, INDENT + 2 * depth, shown, whole=whole)
    if len(below) > SHOWN_SYMPTOMS and not whole:
        page.add(("dim", f"            … and {len(below) - SHOWN_SYMPTOMS} more with --verbose"))
    if below:
        page.add()


def _ids(knot: Knot) -> frozenset[str]:
    """The checks that speak in a group."""
    return frozenset(each.result.check.id for each, _ in knot.walked)


def _symptom(page: _Page, knot: Knot, indent: int, shown: frozenset[str], *, whole: bool) -> None:
    one, room = knot.reported, " " * indent
    suppressed = "  (suppressed)" if one.suppressed else ""
    title = ("strong", f"  {clean(one.finding.title, LONG)}")
    page.add(("", room), (one.severity.value, one.severity.value.upper()), title, ("dim", suppressed))
    where = f"{clean(one.finding.location.path)}:{one.finding.location.line}" if one.finding.location else ""
    named = f"{knot.result.check.id} {knot.result.check.name} · {clean(one.finding.subject)}  {where}"
    page.add(("dim", f"{room}  {named.rstrip()}"))
    if whole:
        for evidence in one.finding.evidence:
            page.add(*_evidence(evidence, indent + 2))
        if one.finding.remedy:
            page.add(("good", f"{room}  → "), ("", clean(one.finding.remedy, LONG)))
    _others(page, indent + 2, one, shown)


def _others(page: _Page, indent: int, one: Reported, shown: frozenset[str]) -> None:
    """Checks to look at beside it, without those that stand around it."""
    others = [check for check in one.related if check not in shown]
    if others:
        page.add(("dim", f"{' ' * indent}see also {', '.join(others)}"))


def _evidence(evidence: Evidence, indent: int = INDENT) -> Line:
    source = f"  ({clean(evidence.source)})" if evidence.source else ""
    return [("", f"{' ' * indent}{clean(evidence.label)}: {clean(evidence.value, 400)}"), ("dim", source)]


def _unknown(page: _Page, report: Report) -> None:
    for reason, results in unknowns(report).items():
        page.add(("medium", "UNKNOWN "), ("strong", f"  {names(results)}"))
        page.add(("", f"          because {clean(reason, LONG)}"))
        page.add()
    if why := inapplicable(report):
        page.add(("medium", "N/A     "), ("", f"  nothing could be judged: {clean(why, LONG)}"))
        page.add()


def _passed(page: _Page, report: Report) -> None:
    for result in report.results:
        if result.outcome is Outcome.PASS:
            page.add(("good", "PASS    "), ("", f"  {result.check.id} {result.check.name}"))
            for evidence in result.evidence:
                page.add(*_evidence(evidence))
        if result.outcome is Outcome.NOT_APPLICABLE:
            page.add(("dim", f"N/A       {result.check.id} {result.check.name}: {clean(result.reason or '', LONG)}"))
    page.add()


def _foot(page: _Page, report: Report) -> None:
    outcomes = ", ".join(f"{report.count(one)} {one.value}" for one in Outcome)
    page.add((VERDICT_STYLES.get(report.exit_status, "medium"), verdict(report)), ("strong", f"  {summary(report)}"))
    page.add(("dim", f"{_counted(len(report.results), 'check')}: {outcomes}"))
    for note in report.notes:
        page.add(("dim", clean(note, LONG)))
    cost = report.cost
    if cost.total:
        size = _size(cost.bytes_sent + cost.bytes_received)
        slowest = f"slowest round trip {cost.slowest} {cost.slowest_ms:.1f} ms"
        whole = f"{report.duration_s:.2f} s in all. Nothing was written."
        page.add(("dim", f"Cost: {_counted(cost.total, 'Redis command')}, {size}, {slowest}; {whole}"))


def _counted(number: int, one: str) -> str:
    return f"{number} {one}{'' if number == 1 else 's'}"


def _size(count: int) -> str:
    size, unit = float(count), "B"
    for larger in ("KiB", "MiB"):
        if size >= KIBI:
            size, unit = size / KIBI, larger
    return f"{size:.0f} B" if unit == "B" else f"{size:.1f} {unit}"
