"""Whether what a check yielded is a verdict: a plug-in's mistake must not become a pass, or spoil a report later."""

from typing import Any, Final

from kiqdoctor.doctor.verdict import Evidence, Finding, Location, NotApplicable, Severity, Unknown

_FIELDS: Final[dict[type, dict[str, tuple[type, ...]]]] = {
    Evidence: {"label": (str,), "value": (str,), "source": (str,)},
    Unknown: {"reason": (str,), "unlock": (str,)},
    NotApplicable: {"reason": (str,)},
    Location: {"path": (str,), "line": (int,), "column": (int,)},
    Finding: {
        "subject": (str,),
        "title": (str,),
        "remedy": (str,),
        "evidence": (tuple,),
        "severity": (Severity, type(None)),
        "location": (Location, type(None)),
        "related": (tuple,),
        "key": (str,),
        "lasting": (str,),
    },
}
_VERDICTS: Final = (Evidence, Finding, NotApplicable, Unknown)


def flaw(verdict: Any) -> str:
    """What is wrong with it; "" where it is a verdict."""
    if not isinstance(verdict, _VERDICTS):
        return f"it yielded a {type(verdict).__name__}, which is no verdict"
    return _wrong(verdict) or (_wrong_inside(verdict) if isinstance(verdict, Finding) else "")


def _wrong(record: Any) -> str:
    for name, kinds in _FIELDS[type(record)].items():
        value = getattr(record, name)
        if not isinstance(value, kinds):
            wanted = " or ".join(kind.__name__ for kind in kinds)
            return f"{type(record).__name__}.{name} is a {type(value).__name__}, not a {wanted}"
    return ""


def _wrong_inside(finding: Any) -> str:
    if not all(isinstance(one, str) for one in finding.related):
        return "Finding.related holds something else than ids"
    for one in finding.evidence:
        if not isinstance(one, Evidence):
            return f"Finding.evidence holds a {type(one).__name__}, which is no Evidence"
        if wrong := _wrong(one):
            return wrong
    return _wrong(finding.location) if finding.location is not None else ""
