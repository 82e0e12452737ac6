"""Snapshot + checks + what people decided -> results. A crash in a check is an unknown; the others go on."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any, Final

from kiqdoctor.clock import Clock
from kiqdoctor.doctor.check import Check, Need, Span
from kiqdoctor.doctor.facts.engine import Coverage, Gap, Suppressions, Thresholds, Turned
from kiqdoctor.doctor.judging import called
from kiqdoctor.doctor.report import Outcome, Reported, Result
from kiqdoctor.doctor.series import Series
from kiqdoctor.doctor.snapshot import Absent, Missing, Reading, Refused, Snapshot
from kiqdoctor.doctor.suppressions import Suppression, apply
from kiqdoctor.doctor.verdict import Evidence, Finding, NotApplicable, Unknown, Verdict
from kiqdoctor.text import redact
from kiqdoctor.wire.heartbeat import split_identity

NOTHING_TURNED = Thresholds()
PROCESS: Final = "process:"
REASONS: Final = 8  # that one result tells in full: ten thousand queues have ten thousand


def examine(
    checks: Sequence[Check],
    snapshot: Snapshot,
    clock: Clock,
    thresholds: Thresholds = NOTHING_TURNED,
    suppressions: Sequence[Suppression] = (),
) -> tuple[Result, ...]:
    """Judge every check, in the order of their ids; those that judge the suppressions themselves come last.

    A fact of the engine's own that the snapshot already holds is taken as it is.
    """
    whole = completed(checks, snapshot, thresholds)
    first, last = watching(checks)
    results, fates = apply(suppressions, [judge(check, whole, clock) for check in first], whole, clock.now())
    return tuple(sorted((*results, *watched(last, whole, fates, clock)), key=lambda result: result.check.id))


def completed(checks: Sequence[Check], snapshot: Snapshot, thresholds: Thresholds) -> Snapshot:
    """The same with what the engine itself knows."""
    coverage = Reading(covered(checks, snapshot), "coverage")
    return replace(snapshot, readings={Thresholds: Reading(thresholds), **snapshot.readings, Coverage: coverage})


def watching(checks: Sequence[Check]) -> tuple[list[Check], list[Check]]:
    """The checks, and apart those that judge what became of the suppressions."""
    last = [check for check in checks if any(need.kind is Suppressions for need in check.needs)]
    return [check for check in checks if check not in last], last


def watched(last: Sequence[Check], whole: Snapshot, fates: Suppressions, clock: Clock) -> tuple[Result, ...]:
    """What they make of the decisions' fates."""
    known = replace(whole, readings={Suppressions: Reading(fates), **whole.readings})
    return tuple(judge(check, known, clock) for check in last)


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
    parts = [text for value in snapshot.values if isinstance(text := getattr(value, "partial", ""), str) and text]
    parts += [missed.reason for kind in snapshot.later for missed in snapshot.failed(kind)]
    read = sum(not isinstance(reading.value, Refused | Absent) for reading in snapshot.readings.values())
    return Coverage(tuple(sorted(gaps, key=lambda gap: gap.fact)), read, tuple(dict.fromkeys(parts)))


def judge(check: Check, snapshot: Snapshot, clock: Clock) -> Result:
    """One check's result."""
    began = clock.monotonic()
    verdicts = _verdicts(check, snapshot)
    took_ms = (clock.monotonic() - began) * 1000
    turned = _turned(check, snapshot)
    findings = tuple(_reported(check, one, turned) for one in verdicts if isinstance(one, Finding))
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
    reasons = dict.fromkeys([_reason(one) for one in unknown] or [one.reason for one in not_applicable])
    more = [f"and {len(reasons) - REASONS} more"] if len(reasons) > REASONS else []
    reason = "; ".join([*islice(reasons, REASONS), *more]) or None
    if outcome is Outcome.PASS:
        evidence += tuple(_shown(check, one) for one in turned.turned)
    return Result(check, outcome, reason if outcome is not Outcome.PASS else None, took_ms, evidence, findings)


def _turned(check: Check, snapshot: Snapshot) -> Thresholds:
    """What somebody turned for this check."""
    found = snapshot.get(Thresholds)
    return found.of_check(check.id) if isinstance(found, Thresholds) else NOTHING_TURNED


def _shown(check: Check, turned: Turned) -> Evidence:
    """A number that is not the check's own belongs to what led to the verdict."""
    threshold = next((one for one in check.thresholds if one.name == turned.name), None)
    only = (
        f" for {'queue' if turned.queue else 'tag'} {turned.queue or turned.tag}" if turned.queue or turned.tag else ""
    )
    usual = f" {threshold.unit} (default {threshold.default:g})" if threshold else ""
    return Evidence(f"threshold {turned.name}{only}", f"{turned.value:g}{usual}", turned.source)


def _reason(unknown: Unknown | Refused) -> str:
    return f"{unknown.reason} (to settle it: {unknown.unlock})" if unknown.unlock else unknown.reason


def _verdicts(check: Check, snapshot: Snapshot) -> list[Verdict]:
    arguments: dict[str, Any] = {}
    missing: list[Missing] = []
    for need in check.needs:
        value = _fact(check, need, snapshot)
        if isinstance(value, Refused | Absent) and not need.optional:
            missing.append(value)
        arguments[need.name] = value
    if absent := [one.reason for one in missing if isinstance(one, Absent)]:
        return [NotApplicable(reason) for reason in dict.fromkeys(absent)]
    if missing:
        return [Unknown(one.reason, one.unlock) for one in missing if isinstance(one, Refused)]
    return [*called(check, arguments), *_open(arguments), *_read(arguments)]


def _open(arguments: Mapping[str, Any]) -> Iterator[Unknown]:
    """A series with a reading missing may hold a fault that was seen; that there is none it cannot prove.

    Nor can a fact that says itself that it is blind: source in which no job was recognised.
    """
    for value in arguments.values():
        blind = getattr(value, "blind", "")
        if isinstance(blind, str) and blind:
            yield Unknown(blind, "the folder that holds the jobs as PATH")
        if isinstance(value, Series) and value.missed:
            yield Unknown(value.missed[0].reason, value.missed[0].unlock)


def _read(arguments: Mapping[str, Any]) -> Iterator[Evidence]:
    """What was looked at belongs to what proves a pass: facts that are made of much say it (``seen``)."""
    for value in arguments.values():
        seen = getattr(value, "seen", "")
        if isinstance(seen, str) and seen:
            yield Evidence("looked at", seen)


def _fact(check: Check, need: Need, snapshot: Snapshot) -> Any:
    if need.kind is Thresholds:
        return _turned(check, snapshot)
    asked = {
        Span.ONCE: snapshot.lately if check.lasts else snapshot.get,
        Span.TWICE: snapshot.twice,
        Span.SERIES: snapshot.series,
        Span.EARLIER: snapshot.recalled,
    }
    return asked[need.span](need.kind)


def _lasting(finding: Finding) -> str:
    """The subject as it will be called tomorrow: a process without its pid and nonce."""
    if finding.lasting or not finding.subject.startswith(PROCESS):
        return finding.lasting or finding.subject
    host, pid = split_identity(finding.subject.removeprefix(PROCESS))
    return f"{PROCESS}{host}" if pid is not None else finding.subject


def _reported(check: Check, finding: Finding, turned: Thresholds) -> Reported:
    parts = (check.id, _lasting(finding), finding.key)
    numbers = tuple(_shown(check, one) for one in turned.about(finding.subject))
    return Reported(
        finding=replace(finding, evidence=(*finding.evidence, *numbers)) if numbers else finding,
        severity=finding.severity or check.severity,
        fingerprint=redact(":".join(part for part in parts if part)),  # it goes into baselines as it is
    )
