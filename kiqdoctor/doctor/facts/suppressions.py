"""What became of each suppression in this examination: the engine's own fact, never refused."""

from dataclasses import dataclass
from enum import StrEnum

from kiqdoctor.doctor.verdict import Location


class Fate(StrEnum):
    """Why a suppression applies, or does not."""

    HOLDS = "holds"  # it silences a finding
    UNUSED = "unused"  # its check was judged, and found nothing that it names
    UNJUDGED = "unjudged"  # its check was not selected, does not apply or ended unknown: nothing can be said
    EXPIRED = "expired"
    REFUTED = "refuted"  # its condition does not hold
    UNTOLD = "untold"  # the facts do not tell whether its condition holds


@dataclass(frozen=True, slots=True)
class Suppressed:
    """One suppression: what it names, who wants it until when, and its fate."""

    check: str
    names: str  # the check and what else narrows it, as findings' subjects spell it
    reason: str
    owner: str
    expires: str
    days_left: float
    fate: Fate
    matched: int = 0  # findings that it names, silenced or not
    condition: str = ""
    told: str = ""  # what the facts say about the condition
    source: str = ""
    location: Location | None = None


@dataclass(frozen=True, slots=True)
class Suppressions:
    """Every suppression that was configured."""

    all: tuple[Suppressed, ...] = ()
