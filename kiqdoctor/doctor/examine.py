"""Snapshot + checks -> results. A crash in a check is an unknown; the others go on."""

from collections.abc import Iterable, Sequence
from typing import Any

from kiqdoctor.clock import Clock
from kiqdoctor.doctor.check import Check, Need, Twice
from kiqdoctor.doctor.facts.coverage import Coverage, Gap
from kiqdoctor.doctor.report import Outcome, Reported, Result
from kiqdoctor.doctor.snapshot import Absent, Missing, Reading, Refused, Snapshot
from kiqdoctor.doctor.verdict import Evidence, Finding, NotApplicable, Unknown, Verdict


def examine(checks: Sequence[Check], snapshot: Snapshot, clock: Clock) -> tuple[Result, ...]:
    """Judge every check, in the order of their ids."""
    coverage = Reading(covered(checks, snapshot), "coverage")
    whole = Snapshot({**snapshot.readings, Coverage: coverage}, snapshot.later, snapshot.window_s)
    return tuple(judge(check, whole, clock) for check in sorted(checks, key=lambda check: check.id))


def covered(checks: Iterable[Check], snapshot: Snapshot) -> Coverage:
    """What was refused, and which checks wanted it."""
    wanted: dict[type, list[str]] = {}
    for check in checks:
        for need in check.needs:
            wanted.setdefault(need.kind, []).append(check.id)
    gaps = [
        Gap(kind.__name__, reading.value.reason, reading.value.unlock, tuple(sorted(set(wanted.get(kind, ())))))
        for kind, reading in snapshot.readings.items()
        if isinstance(reading.value, Refused)
    ]
    values = [reading.value for reading in snapshot.readings.values()]
    partial = tuple(text for value in values if isinstance(text := getattr(value, "partial", ""), str) and text)
    read = sum(not isinstance(value, Refused | Absent) for value in values)
    return Coverage(tuple(sorted(gaps, key=lambda gap: gap.fact)), read, partial)


def judge(check: Check, snapshot: Snapshot, clock: Clock) -> Result:
    """One check's result."""
    began = clock.monotonic()
    verdicts = _verdicts(check, snapshot)
    took_ms = (clock.monotonic() - began) * 1000
    findings = tuple(_reported(check, one) for one in verdicts if isinstance(one, Finding))
    evidence = tuple(one for one in verdicts if isinstance(one, Evidence))
    unknown = [one for one in verdicts if isinstance(one, Unknown)]
    not_applicable = [one for one in verdicts if isinstance(one, NotApplicable)]
    outcome = (
        Outcome.FAIL
        if findings
        else Outcome.UNKNOWN
        if unknown
        else Outcome.NOT_APPLICABLE
        if not_applicable
        else Outcome.PASS
    )
    reasons = [_reason(one) for one in unknown] or [one.reason for one in not_applicable]
    reason = "; ".join(dict.fromkeys(reasons)) or None
    return Result(check, outcome, reason if outcome is not Outcome.PASS else None, took_ms, evidence, findings)


def _reason(unknown: Unknown | Refused) -> str:
    return f"{unknown.reason} (to settle it: {unknown.unlock})" if unknown.unlock else unknown.reason


def _verdicts(check: Check, snapshot: Snapshot) -> list[Verdict]:
    arguments: dict[str, Any] = {}
    missing: list[Missing] = []
    for need in check.needs:
        value = _fact(need, snapshot)
        if isinstance(value, Refused | Absent) and not need.optional:
            missing.append(value)
        arguments[need.name] = value
    if absent := [one.reason for one in missing if isinstance(one, Absent)]:
        return [NotApplicable(reason) for reason in dict.fromkeys(absent)]
    if missing:
        return [Unknown(one.reason, one.unlock) for one in missing if isinstance(one, Refused)]
    try:
        return list(check.judge(**arguments))
    except Exception as error:  # noqa: BLE001 - the seam where a crash becomes an unknown
        return [Unknown(f"crashed: {type(error).__name__}: {error}", "report it as a fault of the check")]


def _fact(need: Need, snapshot: Snapshot) -> Any:
    first: Any = snapshot.get(need.kind)
    if not need.twice or isinstance(first, Refused | Absent):
        return first
    last: Any = snapshot.last(need.kind)
    return last if isinstance(last, Refused | Absent) else Twice(first, last, snapshot.window_s)


def _reported(check: Check, finding: Finding) -> Reported:
    parts = (check.id, finding.subject, finding.key)
    return Reported(
        finding=finding,
        severity=finding.severity or check.severity,
        fingerprint=":".join(part for part in parts if part),
    )
