"""A suppression has ended, will soon, or silences nothing.

## Why it hurts
A suppression outlives its reason: the fault is mended and the next one of its kind stays silent, or the day comes and a
pipeline turns red in the hands of somebody who has never heard of it.

In the log: nothing. A silenced finding is in the reports, as suppressed, and counts nowhere.

## How it is found
Formula: now >= expires is medium; `while` refuted is medium; `while` that cannot be told is low; judged and nothing
matched is low; a comment without a reason or a check is low; expires - now <= soon-days is info

Each `[[suppress]]` of the configuration is compared with this examination. It ends with its day, in UTC. It silences
something only while its `while` is true; where the facts do not tell, the finding counts and this check says so. It is
unused where its check was judged and found nothing that it names; a check that was not selected, does not apply or
ended unknown says nothing about it.

A comment `# kiqdoctor: ignore[COD002] reason` silences the findings of that check at its own statement, or where it
stands alone at the next one. One without a reason, or that names no check that there is, silences nothing.

## When it is wrong
A finding that comes and goes makes its suppression look unused in between.

## Confirm by hand
The file and line that the evidence names; `kiqdoctor check --isolated` shows what would be found without any.

## How to fix
Mend the fault, or decide again: a new day with a new reason. Delete what silences nothing.

Risk: a suppression that is deleted lets its finding count, and the gate may turn red; that is what it is for.

Undo: put the lines back.

## Unknown when
The comments of the application could not be read.

## Source
The configuration, the comments of the application, and what the engine saw of each of its suppressions.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, NotApplicable, Refused, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.code import Ignores
from kiqdoctor.doctor.facts.engine import Fate, Suppressed, Suppressions, Threshold, Thresholds

SOON = Threshold(
    name="soon-days",
    default=14,
    unit="days",
    meaning="A suppression that ends within this time is told beforehand.",
    source="ours: one round of a two weeks' sprint to mend the fault",
)


@check("OBS003", severity=Severity.MEDIUM, thresholds=(SOON,))
def stale_suppression(
    suppressions: Suppressions, thresholds: Thresholds, comments: Ignores | Missing
) -> Iterator[Verdict]:
    if isinstance(comments, Refused):
        yield Unknown(f"comments that suppress were not read: {comments.reason}", comments.unlock)
    elif isinstance(comments, Ignores) and comments.partial:
        yield Unknown(comments.partial)
    if not suppressions.all:
        yield NotApplicable("nothing is suppressed, by configuration or by a comment")
    for one in suppressions.all:
        if said := _said(one, thresholds[SOON]):
            yield _finding(one, *said)
        else:
            until = f" until {one.expires}: {one.reason} ({one.owner})" if one.expires else f": {one.reason}"
            yield Evidence(one.names, f"{one.fate.value}{until}", one.source)


def _void(one: Suppressed) -> tuple[str, str]:
    """Why one silences nothing, and what to write."""
    if one.fate is Fate.UNUSED:
        return "silences nothing: its check was judged and found nothing that it names", "Delete it."
    if one.fate is Fate.UNREASONED:
        return "says no reason, and so silences nothing", f"Write one: # kiqdoctor: ignore[{one.check}] reason."
    named = f": {one.check}" if one.check else ""
    what = f"names no check that there is{named}, and so silences nothing"
    return what, "Write the check's id: # kiqdoctor: ignore[COD002] reason."


def _said(one: Suppressed, soon: float) -> tuple[Severity, str, str] | None:
    """How bad, what is wrong, what to do; None where all is well."""
    match one.fate:
        case Fate.EXPIRED:
            again = {0: "it would silence nothing now", 1: "its finding counts again"}
            counts = again.get(one.matched, f"{counted(one.matched, 'finding counts', 'findings count')} again")
            return Severity.MEDIUM, f"expired on {one.expires}; {counts}", _ended(one)
        case Fate.REFUTED:
            return Severity.MEDIUM, f"rests on `{one.condition}`, which no longer holds: {one.told}", _ended(one)
        case Fate.UNTOLD:
            what = f"rests on `{one.condition}`, which cannot be told and so does not apply: {one.told}"
            return Severity.LOW, what, "Let the examination read that fact, or word the condition by another."
        case Fate.UNUSED | Fate.UNREASONED | Fate.NAMELESS:
            return Severity.LOW, *_void(one)
        case Fate.HOLDS | Fate.UNJUDGED if one.days_left <= soon:
            what = f"ends in {one.days_left:.0f} days, on {one.expires}"
            return Severity.INFO, what, f"Mend what it silences until then, or have {one.owner} decide again."
    return None


def _ended(one: Suppressed) -> str:
    return f"Mend what it silenced, or have {one.owner} decide again; delete it where it has done its work."


def _finding(one: Suppressed, severity: Severity, what: str, remedy: str) -> Finding:
    evidence = [
        Evidence("reason", one.reason or "none", one.source),
        Evidence("findings that it names", str(one.matched)),
    ]
    if not one.in_place:
        evidence += [Evidence("owner", one.owner, one.source), Evidence("expires", one.expires, one.source)]
    if one.condition:
        evidence.append(Evidence("while", f"{one.condition}: {one.told}", one.source))
    return Finding(
        f"suppression:{one.names}",
        f"The suppression of {one.names} {what}",
        remedy,
        tuple(evidence),
        severity,
        one.location,
        related=() if one.fate is Fate.NAMELESS else (one.check,),
        key="soon" if severity is Severity.INFO else one.fate.value,
    )
