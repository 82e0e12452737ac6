"""Two reports -> what is new, healed, persisting or out of sight, and which facts changed."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field
from typing import Any, Final, Literal

import msgspec

from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.verdict import Evidence, Severity
from kiqdoctor.records import dataclass
from kiqdoctor.wire import codec

SHOWN: Final = 5  # values of a fact that has many
JUDGED: Final = frozenset({Outcome.PASS, Outcome.FAIL})


class ReportError(Exception):
    """The document is no report that this version reads; one line."""


@dataclass(frozen=True, slots=True)
class JsonFinding:
    """A finding of a report, as its JSON has it."""

    severity: Severity
    title: str
    subject: str
    fingerprint: str
    suppressed: bool = False
    evidence: tuple[Evidence, ...] = ()


@dataclass(frozen=True, slots=True)
class JsonResult:
    """A check's result in a report."""

    check: str
    name: str
    outcome: Outcome
    reason: str | None = None
    evidence: tuple[Evidence, ...] = ()
    findings: tuple[JsonFinding, ...] = ()


@dataclass(frozen=True, slots=True)
class Place:
    """What a report examined."""

    redis: str | None = None
    namespace: str | None = None
    path: str | None = None


@dataclass(frozen=True, slots=True)
class Side:
    """One of the two reports."""

    schema: Literal["kiqdoctor.report/1"]
    started_at: str
    results: tuple[JsonResult, ...]
    target: Place = field(default_factory=Place)

    def result(self, check: str) -> JsonResult | None:
        """The result of a check, if it was selected."""
        return next((one for one in self.results if one.check == check), None)


@dataclass(frozen=True, slots=True)
class Change:
    """A fact that one of the two saw otherwise; None: it did not see it."""

    label: str
    old: str | None
    new: str | None
    source: str = ""


@dataclass(frozen=True, slots=True)
class Compared:
    """A finding, and what changed around it. ``was``: its severity before; ``because``: why the other is silent."""

    check: str
    name: str
    finding: JsonFinding
    was: Severity | None = None
    changed: tuple[Change, ...] = ()
    because: str = ""


@dataclass(frozen=True, slots=True)
class Difference:
    """The whole. ``unseen``: found before, and its check was not judged now, which heals nothing."""

    old: Side
    new: Side
    appeared: tuple[Compared, ...] = ()
    healed: tuple[Compared, ...] = ()
    persisting: tuple[Compared, ...] = ()
    unseen: tuple[Compared, ...] = ()

    def failing(self, fail_on: Severity | None) -> bool:
        """Whether something new counts at this severity."""
        return fail_on is not None and any(
            one.finding.severity.rank <= fail_on.rank and not one.finding.suppressed for one in self.appeared
        )


def side(document: Any) -> Side:
    """One report from its JSON.

    Raises:
        ReportError: another schema, or a shape that it does not describe.
    """
    try:
        return codec.typed(document, Side)
    except msgspec.ValidationError as error:
        raise ReportError(f"it is no report of schema kiqdoctor.report/1: {' '.join(str(error).split())}") from None


def compare(old: Side, new: Side) -> Difference:
    """By fingerprint; worst first."""
    before, after = _by_fingerprint(old), _by_fingerprint(new)
    gone = [(result, one) for key, (result, one) in before.items() if key not in after]
    return Difference(
        old,
        new,
        _sorted(_appeared(result, one, old) for key, (result, one) in after.items() if key not in before),
        _sorted(_healed(result, one, new) for result, one in gone if _judged(new.result(result.check))),
        _sorted(_persisting(*before[key], one) for key, (_, one) in after.items() if key in before),
        _sorted(_unseen(result, one, new) for result, one in gone if not _judged(new.result(result.check))),
    )


def _by_fingerprint(report: Side) -> dict[str, tuple[JsonResult, JsonFinding]]:
    return {one.fingerprint: (result, one) for result in report.results for one in result.findings}


def _sorted(found: Iterable[Compared]) -> tuple[Compared, ...]:
    return tuple(sorted(found, key=lambda one: (one.finding.severity.rank, one.check, one.finding.fingerprint)))


def _judged(result: JsonResult | None) -> bool:
    return result is not None and result.outcome in JUDGED


def _appeared(result: JsonResult, one: JsonFinding, old: Side) -> Compared:
    before = old.result(result.check)
    changed = _shared(_evidence(before, one.subject), one.evidence)
    because = "" if _judged(before) else f"not judged before: {_silence(before)}"
    return Compared(result.check, result.name, one, None, changed, because)


def _healed(result: JsonResult, one: JsonFinding, new: Side) -> Compared:
    changed = _shared(one.evidence, _evidence(new.result(result.check), one.subject))
    return Compared(result.check, result.name, one, one.severity, changed)


def _persisting(result: JsonResult, before: JsonFinding, after: JsonFinding) -> Compared:
    changed = tuple(_changes(before.evidence, after.evidence))
    return Compared(result.check, result.name, after, before.severity, changed)


def _unseen(result: JsonResult, one: JsonFinding, new: Side) -> Compared:
    return Compared(result.check, result.name, one, one.severity, (), _silence(new.result(result.check)))


def _silence(result: JsonResult | None) -> str:
    if result is None:
        return "the check was not selected"
    return f"{result.outcome.value}: {result.reason or 'no reason given'}"


def _evidence(result: JsonResult | None, subject: str) -> tuple[Evidence, ...]:
    """What a result saw of a subject: its findings about that, and what proves a pass."""
    if result is None:
        return ()
    about = [evidence for one in result.findings if one.subject == subject for evidence in one.evidence]
    return (*about, *result.evidence)


def _shared(old: Sequence[Evidence], new: Sequence[Evidence]) -> tuple[Change, ...]:
    """Changes of what both sides saw."""
    return tuple(one for one in _changes(old, new) if one.old is not None and one.new is not None)


def _changes(old: Sequence[Evidence], new: Sequence[Evidence]) -> Iterator[Change]:
    before, after = _values(old), _values(new)
    for label in dict.fromkeys((*before, *after)):
        first, last = before.get(label, {}), after.get(label, {})
        if first.keys() == last.keys():
            continue
        source = next(iter((last or first).values()))
        yield Change(label, _listed(first, last), _listed(last, first), source)


def _values(evidence: Sequence[Evidence]) -> dict[str, dict[str, str]]:
    """Label -> value -> source."""
    found: dict[str, dict[str, str]] = {}
    for one in evidence:
        found.setdefault(one.label, {}).setdefault(one.value, one.source)
    return found


def _listed(these: dict[str, str], others: dict[str, str]) -> str | None:
    """What only this side saw, or how much where it is much; None: it saw nothing of the kind."""
    if not these:
        return None
    mine = [value for value in these if value not in others] or list(these)
    rest = f" and {len(mine) - SHOWN} more" if len(mine) > SHOWN else ""
    return ", ".join(mine[:SHOWN]) + rest
