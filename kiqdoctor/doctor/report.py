"""The examination's outcome, frozen: all that renderers, gate and the live view read."""

from collections.abc import Mapping
from dataclasses import field
from enum import StrEnum

from kiqdoctor.doctor.check import Check
from kiqdoctor.doctor.verdict import Evidence, Finding, Location, Severity
from kiqdoctor.records import dataclass

__all__ = [
    "Cost",
    "Evidence",
    "Finding",
    "Location",
    "Outcome",
    "Report",
    "Reported",
    "Result",
    "Severity",
    "Target",
]


class Outcome(StrEnum):
    """What became of one check."""

    PASS = "pass"  # noqa: S105 - an outcome, not a password
    FAIL = "fail"
    UNKNOWN = "unknown"
    NOT_APPLICABLE = "not-applicable"


@dataclass(frozen=True, slots=True)
class Reported:
    """A finding with its severity settled and its stable fingerprint."""

    finding: Finding
    severity: Severity
    fingerprint: str
    suppressed: bool = False
    related: tuple[str, ...] = ()
    justification: str = ""  # who suppressed it, why and until when; or that a baseline knows it
    in_source: bool = False  # a comment beside it suppressed it
    hidden: bool = False  # known, and only what is new was asked for: people are not shown it
    causes: tuple[str, ...] = ()  # fingerprints of the findings that explain it
    redis: str = ""  # of which it is, where several were examined

    @property
    def because(self) -> tuple[str, ...]:
        """The checks whose findings explain it."""
        return tuple(dict.fromkeys(cause.partition(":")[0] for cause in self.causes))


@dataclass(frozen=True, slots=True)
class Result:
    """One check's outcome. ``reason`` speaks for unknown and not-applicable."""

    check: Check
    outcome: Outcome
    reason: str | None
    duration_ms: float
    evidence: tuple[Evidence, ...] = ()
    findings: tuple[Reported, ...] = ()

    @property
    def visible(self) -> tuple[Reported, ...]:
        """The findings that people are shown."""
        return tuple(one for one in self.findings if not one.hidden)


@dataclass(frozen=True, slots=True)
class Target:
    """What was examined; None where there was none of it. Of several Redis ``redis`` names each, with commas."""

    redis: str | None
    namespace: str | None
    path: str | None
    replayed_from: str | None = None


@dataclass(frozen=True, slots=True)
class Cost:
    """The bill: what the examination asked of Redis."""

    commands: dict[str, int] = field(default_factory=dict)
    bytes_sent: int = 0
    bytes_received: int = 0
    slowest: str = ""
    slowest_ms: float = 0.0

    @property
    def total(self) -> int:
        """Commands sent."""
        return sum(self.commands.values())


@dataclass(frozen=True, slots=True)
class Report:
    """The whole, as of ``started_at`` (epoch seconds)."""

    version: str
    started_at: float
    duration_s: float
    target: Target
    results: tuple[Result, ...]
    exit_status: int = 0
    cost: Cost = field(default_factory=Cost)
    notes: tuple[str, ...] = ()
    seen: tuple[str, ...] = ()  # what was looked at, where that is much: the source, how its jobs run
    fail_on: Severity | None = Severity.HIGH  # from which severity on findings make the status 1; None: never
    shards: tuple[str, ...] = ()  # each Redis' address, where several were examined
    quoted: Mapping[tuple[str, int], str] = field(default_factory=dict)  # lines of source by path and number

    def count(self, outcome: Outcome) -> int:
        """Checks with this outcome."""
        return sum(result.outcome is outcome for result in self.results)

    @property
    def reported(self) -> tuple[Reported, ...]:
        """Every finding."""
        return tuple(one for result in self.results for one in result.findings)

    def findings(self, severity: Severity) -> int:
        """Unsuppressed findings of one severity."""
        return sum(one.severity is severity and not one.suppressed for one in self.reported)

    @property
    def suppressed(self) -> int:
        """Findings that do not count."""
        return sum(one.suppressed for one in self.reported)
