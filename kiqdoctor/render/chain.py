"""Why a check fails, as text: its findings' causes from the root down, what follows from it, what else would do it."""

from collections.abc import Iterator

from kiqdoctor.doctor.folding import Knot, folded
from kiqdoctor.doctor.report import Outcome, Report, Result
from kiqdoctor.render.words import evidence
from kiqdoctor.text import LONG, clean

HERE = " <- asked for"


def render(report: Report, name: str) -> str:
    """The chains in which the check of this id or name stands, and how each of its possible causes was judged."""
    by_id = {result.check.id: result for result in report.results}
    asked = next((one for one in report.results if name in {one.check.id, one.check.name}), None)
    if asked is None:
        return f"{clean(name)} is not among the checks that were selected.\n"
    chains = [line for knot in folded(report.results) if _holds(knot, asked) for line in _chain(knot, asked, 0)]
    return "\n".join([_said(asked), *chains, *_other(asked, by_id), ""])


def _said(result: Result) -> str:
    head = f"{result.check.id} {result.check.name}: {result.outcome.value}"
    because = f", because {clean(result.reason, LONG)}" if result.reason else ""
    alone = not any(one.causes for one in result.findings)
    root = "; nothing that was found explains it: it is a root cause" if result.findings and alone else ""
    return f"{head}{because}{root}"


def _holds(knot: Knot, asked: Result) -> bool:
    return any(each.result is asked for each, _ in knot.walked)


def _chain(knot: Knot, asked: Result, depth: int, *, below: bool = False) -> Iterator[str]:
    """The way down to what was asked for, with evidence, and all that follows from that."""
    here = knot.result is asked
    if not (below or _holds(knot, asked)):
        return
    one, room = knot.reported, "  " * (depth + 1)
    lead = "-> " if depth else ""
    suppressed = " (suppressed)" if one.suppressed else ""
    title = f"{knot.result.check.id}: {clean(one.finding.title, LONG)}"
    yield f"{room}{lead}{one.severity.value.upper()} {title}{suppressed}{HERE if here else ''}"
    yield from (f"{room}     {evidence(seen)}" for seen in one.finding.evidence[:4])
    if not depth and one.finding.remedy:
        yield f"{room}     do first: {clean(one.finding.remedy, LONG)}"
    also = [cause for cause in one.because[1:] if here]
    if also:
        yield f"{room}     also explained by {', '.join(also)}"
    for each in knot.symptoms:
        yield from _chain(each, asked, depth + 1, below=below or here)


def _other(asked: Result, by_id: dict[str, Result]) -> Iterator[str]:
    """What may cause it, and is not found: judged well, or not judged, which is another thing."""
    for cause in asked.check.caused_by:
        result = by_id.get(cause)
        if result is None:
            yield f"  may follow from {cause}: not selected"
        elif result.outcome is not Outcome.FAIL or not asked.findings:
            because = f": {clean(result.reason, LONG)}" if result.reason else ""
            yield f"  may follow from {cause} {result.check.name}, which is {result.outcome.value}{because}"
