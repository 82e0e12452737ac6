"""What people decided not to hear of for a while: each decision with reason, owner and end, laid over results."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.engine import Fate, Suppressed, Suppressions
from kiqdoctor.doctor.report import Outcome, Reported, Result
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.doctor.verdict import Location

if TYPE_CHECKING:
    from kiqdoctor.doctor.while_clause import WhileClause

DAY: Final = 86_400.0  # seconds


@dataclass(frozen=True, slots=True)
class Suppression:
    """One decision. ``check`` is an id; ``until`` is its end in epoch seconds, ``expires`` the same as written.

    ``subject`` is a glob, ``fingerprint`` exact; "" leaves that open.
    """

    check: str
    reason: str
    owner: str
    expires: str
    until: float
    subject: str = ""
    fingerprint: str = ""
    while_: "WhileClause | None" = None
    source: str = ""
    location: Location | None = None

    @property
    def names(self) -> str:
        """What it is about, as it is told."""
        return self.fingerprint or (f"{self.check}:{self.subject}" if self.subject else self.check)

    def holds(self, snapshot: Snapshot) -> tuple[bool | None, str]:
        """Whether its while clause does on these facts, and what shows it; without a clause it does."""
        if self.while_ is None:
            return True, ""
        told = self.while_.told(snapshot)
        return told.truth, told.line

    def fits(self, result: Result, one: Reported) -> bool:
        """Whether it is about this finding."""
        return (
            result.check.id == self.check
            and self.fingerprint in {"", one.fingerprint}
            and (not self.subject or fnmatchcase(one.finding.subject, self.subject))
        )

    @property
    def justification(self) -> str:
        """Why a finding is silent, as reports tell it."""
        return f"{self.reason} ({self.owner}, until {self.expires})"


def apply(
    decided: Sequence[Suppression], results: Sequence[Result], snapshot: Snapshot, now: float
) -> tuple[tuple[Result, ...], Suppressions]:
    """The results with silenced findings, and what became of each decision at ``now`` (epoch seconds)."""
    told = [one.holds(snapshot) for one in decided]
    holding = [one for one, (truth, _) in zip(decided, told, strict=True) if now < one.until and truth]
    silenced = tuple(
        replace(result, findings=tuple(_silenced(result, one, holding) for one in result.findings))
        for result in results
    )
    fates = tuple(_fate(one, *what, results, now) for one, what in zip(decided, told, strict=True))
    return silenced, Suppressions(fates)


def _silenced(result: Result, one: Reported, holding: Sequence[Suppression]) -> Reported:
    by = next((some for some in holding if some.fits(result, one)), None)
    return one if by is None else replace(one, suppressed=True, justification=by.justification)


def _fate(one: Suppression, truth: bool | None, told: str, results: Sequence[Result], now: float) -> Suppressed:
    mine = [result for result in results if result.check.id == one.check]
    matched = sum(one.fits(result, reported) for result in mine for reported in result.findings)
    judged = any(result.outcome in {Outcome.PASS, Outcome.FAIL} for result in mine)
    if now >= one.until:
        fate = Fate.EXPIRED
    elif truth is not True:
        fate = Fate.UNTOLD if truth is None else Fate.REFUTED
    elif matched:
        fate = Fate.HOLDS
    else:
        fate = Fate.UNUSED if judged else Fate.UNJUDGED
    return Suppressed(
        check=one.check,
        names=one.names,
        reason=one.reason,
        owner=one.owner,
        expires=one.expires,
        days_left=(one.until - now) / DAY,
        fate=fate,
        matched=matched,
        condition=one.while_.text if one.while_ else "",
        told=told,
        source=one.source,
        location=one.location,
    )
