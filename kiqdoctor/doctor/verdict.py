"""What a check may say."""

from enum import StrEnum

from kiqdoctor.records import dataclass


class Severity(StrEnum):
    """How much it hurts, worst first."""

    CRITICAL = "critical"
    HIGH = "high"
    MEDIUM = "medium"
    LOW = "low"
    INFO = "info"

    @property
    def rank(self) -> int:
        """0 for critical, 4 for info."""
        return list(Severity).index(self)

    @property
    def milder(self) -> "Severity":
        """One step down: the catalogue's *warn*."""
        return list(Severity)[min(self.rank + 1, 4)]


@dataclass(frozen=True, slots=True)
class Evidence:
    """One thing that was seen: its label, its value as text, where it was read."""

    label: str
    value: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Location:
    """A place in a file; the path is relative to the application's root, line and column count from 1."""

    path: str
    line: int = 1
    column: int = 1


@dataclass(frozen=True, slots=True)
class Finding:
    """Something is ill. ``severity`` None means the check's own; ``key`` tells findings of one subject apart.

    ``lasting`` names the subject in the fingerprint, where the subject itself holds what the next start changes.
    """

    subject: str
    title: str
    remedy: str
    evidence: tuple[Evidence, ...] = ()
    severity: Severity | None = None
    location: Location | None = None
    related: tuple[str, ...] = ()
    key: str = ""
    lasting: str = ""


@dataclass(frozen=True, slots=True)
class Unknown:
    """The facts were read and do not settle the question; ``unlock`` names the permission or flag that would."""

    reason: str
    unlock: str = ""


@dataclass(frozen=True, slots=True)
class NotApplicable:
    """The question does not arise, and ``reason`` is the proof."""

    reason: str


Verdict = Finding | Unknown | NotApplicable | Evidence
"""A check yields these. Evidence alone is what proves a pass; nothing at all is a pass too."""
