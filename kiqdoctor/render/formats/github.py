"""The report as GitHub workflow commands: an annotation a finding, causes first, then the summary line.

GitHub shows the first ten of each kind beside the change and all of them in the log.
"""

from typing import Final

from kiqdoctor.doctor.report import Location, Report, Reported, Result, Severity
from kiqdoctor.render.ground import Ground
from kiqdoctor.render.view import PLAIN, View
from kiqdoctor.render.words import causes_first, failing, full, summary, unknowns
from kiqdoctor.text import SHORT, clean, disarmed

COMMANDS: Final = {
    Severity.CRITICAL: "error",
    Severity.HIGH: "error",
    Severity.MEDIUM: "warning",
    Severity.LOW: "notice",
    Severity.INFO: "notice",
}
PIECE: Final = 1000  # characters of a title, an evidence or a remedy: GitHub cuts an annotation at 64 KiB
NAMED: Final = 20  # checks by name in one notice


def render(report: Report, view: View = PLAIN) -> str:
    """One line each; what cannot be told apart from a command by its first characters is escaped."""
    fails = failing(report)
    lines = [_annotation(result, one, fails, view.ground) for result, one in causes_first(report)]
    lines += [_unknown(reason, results) for reason, results in unknowns(report).items()]
    return "\n".join([*lines, f"kiqdoctor: {summary(report)}", ""])


def _annotation(result: Result, one: Reported, fails: int, ground: Ground) -> str:
    properties = {"title": f"{result.check.id} {one.severity.value}: {clean(one.finding.subject)}"}
    if one.finding.location is not None:
        properties = {**_where(ground.seen(one.finding.location)), **properties}
    command = "error" if one.severity.rank <= fails and not result.check.preview else COMMANDS[one.severity]
    return _command(command, properties, full(one, PIECE))


def _where(location: Location) -> dict[str, str]:
    return {"file": clean(location.path, PIECE), "line": str(location.line), "col": str(location.column)}


def _unknown(reason: str, results: list[Result]) -> str:
    names = [result.check.id for result in results]
    more = f" and {len(names) - NAMED} more" if len(names) > NAMED else ""
    title = f"could not be judged: {', '.join(names[:NAMED])}{more}"
    return _command("notice", {"title": clean(title, SHORT * 2)}, clean(reason, PIECE) or "no reason was given")


def _command(name: str, properties: dict[str, str], text: str) -> str:
    spelt = ",".join(f"{key}={_property(value)}" for key, value in properties.items())
    return f"::{name} {spelt}::{_data(text)}"


def _data(text: str) -> str:
    """No command to another system is left in it, whoever reads the log next."""
    apart = "\n".join(disarmed(line) for line in text.split("\n"))
    return apart.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
