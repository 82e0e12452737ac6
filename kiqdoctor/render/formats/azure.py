"""The report as logging commands of Azure Pipelines: an issue a finding, causes first, then the summary line."""

from typing import Final

from kiqdoctor.doctor.report import Report, Reported, Result, Severity
from kiqdoctor.render.ground import Ground
from kiqdoctor.render.view import PLAIN, View
from kiqdoctor.render.words import causes_first, failing, full, summary, unknowns
from kiqdoctor.text import LONG, clean, disarmed

PIECE: Final = 1000  # characters of a title, an evidence or a remedy
ERRORS: Final = frozenset({Severity.CRITICAL, Severity.HIGH})
NAMED: Final = 20  # checks by name in one line


def render(report: Report, view: View = PLAIN) -> str:
    """One line each. Azure knows errors and warnings only: what could not be judged is told without a command."""
    fails = failing(report)
    lines = [_issue(result, one, fails, view.ground) for result, one in causes_first(report)]
    lines += [_unknown(reason, results) for reason, results in unknowns(report).items()]
    return "\n".join([*lines, f"kiqdoctor: {summary(report)}", ""])


def _issue(result: Result, one: Reported, fails: int, ground: Ground) -> str:
    counts = one.severity.rank <= fails and not result.check.preview
    properties = {"type": "error" if counts or one.severity in ERRORS else "warning", "code": result.check.id}
    if one.finding.location is not None:
        place = ground.seen(one.finding.location)
        properties["sourcepath"] = clean(place.path, PIECE)
        properties |= {"linenumber": str(place.line), "columnnumber": str(place.column)}
    spelt = "".join(f"{key}={_property(value)};" for key, value in properties.items())
    said = f"{result.check.id} {one.severity.value}: {clean(one.finding.subject)}\n{full(one, PIECE)}"
    return f"##vso[task.logissue {spelt}]{_data(said)}"


def _unknown(reason: str, results: list[Result]) -> str:
    names = [result.check.id for result in results]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    why = clean(reason, LONG) or "no reason was given"
    return disarmed(f"could not be judged: {', '.join(names[:NAMED])}{more}: {why}")


def _data(text: str) -> str:
    """Percent signs first, which the others are spelt with. No command is left in it for whoever reads the log next."""
    apart = "\n".join(disarmed(line) for line in text.split("\n"))
    return apart.replace("%", "%AZP25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace("]", "%5D").replace(";", "%3B")
