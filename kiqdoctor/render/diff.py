"""The difference of two reports, for people and as JSON of schema ``kiqdoctor.diff/1``."""

import json
from collections.abc import Iterator, Sequence
from typing import Any, Final

from kiqdoctor.doctor.difference import Change, Compared, Difference, Side
from kiqdoctor.doctor.verdict import Severity
from kiqdoctor.text import LONG, clean

SCHEMA: Final = "kiqdoctor.diff/1"
VALUE: Final = 400  # characters of a value


def text(difference: Difference, names: tuple[str, str], exit_status: int) -> str:
    """For people: what is new first, the counts last."""
    return "\n".join(_lines(difference, names, exit_status)) + "\n"


def _lines(difference: Difference, names: tuple[str, str], exit_status: int) -> Iterator[str]:
    yield f"old  {_side(names[0], difference.old)}"
    yield f"new  {_side(names[1], difference.new)}"
    if difference.old.target != difference.new.target:
        yield "The two examined different targets: what differs may differ for that reason."
    for title, found in _groups(difference):
        if found:
            yield ""
            yield title
            for one in found:
                yield from _entry(one)
    yield ""
    counts = ", ".join(f"{len(found)} {title.lower()}" for title, found in _groups(difference))
    yield f"{counts}{_severities(difference.appeared)}; exit status {exit_status}"


def _groups(difference: Difference) -> tuple[tuple[str, tuple[Compared, ...]], ...]:
    return (
        ("NEW", difference.appeared),
        ("HEALED", difference.healed),
        ("PERSISTING", difference.persisting),
        ("NO LONGER JUDGED", difference.unseen),
    )


def _side(name: str, one: Side) -> str:
    places = (one.target.redis, one.target.namespace, one.target.path)
    return " · ".join(clean(part) for part in (name, one.started_at, *places) if part)


def _severities(new: Sequence[Compared]) -> str:
    counts = {severity: sum(one.finding.severity is severity for one in new) for severity in Severity}
    said = ", ".join(f"{count} {severity.value}" for severity, count in counts.items() if count)
    return f" (new: {said})" if said else ""


def _entry(one: Compared) -> Iterator[str]:
    finding = one.finding
    suppressed = "  (suppressed)" if finding.suppressed else ""
    yield f"  {finding.severity.value.upper():<8}  {clean(finding.title, LONG)}{suppressed}"
    yield f"            {clean(one.check)} {clean(one.name)} · {clean(finding.subject)}"
    if one.because:
        yield f"            {clean(one.because, LONG)}"
    if one.was is not None and one.was is not finding.severity:
        yield f"            severity: {one.was.value} -> {finding.severity.value}"
    for change in one.changed:
        yield f"            {_changed(change)}"


def _changed(change: Change) -> str:
    old, new = (clean(value, VALUE) if value is not None else "(not seen)" for value in (change.old, change.new))
    source = f"  ({clean(change.source)})" if change.source else ""
    return f"{clean(change.label)}: {old} -> {new}{source}"


def document(difference: Difference, names: tuple[str, str], exit_status: int) -> str:
    """One JSON document, ASCII only, with a line feed at its end."""
    whole = {
        "schema": SCHEMA,
        "old": _described(names[0], difference.old),
        "new": _described(names[1], difference.new),
        "summary": {
            "new": len(difference.appeared),
            "healed": len(difference.healed),
            "persisting": len(difference.persisting),
            "unseen": len(difference.unseen),
            "exit_status": exit_status,
        },
        "findings": {
            "new": [_finding(one) for one in difference.appeared],
            "healed": [_finding(one) for one in difference.healed],
            "persisting": [_finding(one) for one in difference.persisting],
            "unseen": [_finding(one) for one in difference.unseen],
        },
    }
    return json.dumps(whole, ensure_ascii=True, indent=2) + "\n"


def _described(name: str, one: Side) -> dict[str, Any]:
    target = {"redis": one.target.redis, "namespace": one.target.namespace, "path": one.target.path}
    shown = {key: clean(value, LONG) if value is not None else None for key, value in target.items()}
    return {"file": clean(name, LONG), "started_at": clean(one.started_at), "target": shown}


def _finding(one: Compared) -> dict[str, Any]:
    return {
        "check": clean(one.check),
        "name": clean(one.name),
        "fingerprint": clean(one.finding.fingerprint, LONG),
        "severity": one.finding.severity.value,
        "severity_before": one.was.value if one.was else None,
        "title": clean(one.finding.title, LONG),
        "subject": clean(one.finding.subject, LONG),
        "suppressed": one.finding.suppressed,
        "because": clean(one.because, LONG) or None,
        "changed": [
            {
                "label": clean(change.label, LONG),
                "old": None if change.old is None else clean(change.old, LONG),
                "new": None if change.new is None else clean(change.new, LONG),
                "source": clean(change.source, LONG),
            }
            for change in one.changed
        ],
    }
