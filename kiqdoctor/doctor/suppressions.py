"""What people decided not to hear of for a while: each decision with reason, owner and end, laid over results."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from fnmatch import fnmatchcase
from math import inf
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.code import Ignores
from kiqdoctor.doctor.facts.engine import Fate, Suppressed, Suppressions
from kiqdoctor.doctor.report import Outcome, Reported, Result
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.doctor.verdict import Location
from kiqdoctor.records import dataclass

if TYPE_CHECKING:
    from kiqdoctor.doctor.while_clause import WhileClause

DAY: Final = 86_400.0  # seconds


@dataclass(frozen=True, slots=True)
class Suppression:
    """One decision. ``check`` is an id; ``until`` is its end in epoch seconds, ``expires`` the same as written.

    ``subject`` is a glob, ``fingerprint`` exact; "" leaves that open. ``lines``: a comment in that file speaks only of
    findings that stand there, and has neither owner nor end. ``void``: why it does not apply at all.
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
    lines: tuple[int, ...] = ()
    void: Fate | None = None

    @property
    def names(self) -> str:
        """What it is about, as it is told."""
        if self.lines and self.location:
            return f"{self.check or 'nothing'} in {self.location.path}"
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
            and (not self.lines or self._beside(one.finding.location))
        )

    def _beside(self, place: Location | None) -> bool:
        here = self.location
        return place is not None and here is not None and place.path == here.path and place.line in self.lines

    @property
    def justification(self) -> str:
        """Why a finding is silent, as reports tell it."""
        return (
            f"{self.reason} ({self.owner}, until {self.expires})" if self.expires else f"{self.reason} ({self.source})"
        )


def in_place(found: Ignores, checks: Mapping[str, str]) -> Iterator[Suppression]:
    """What comments ask for, one decision for each check that they name; ``checks``: ids by id and by name."""
    for one in found.all:
        for name in one.checks or ("",):
            check = checks.get(name.upper()) or checks.get(name, "")
            void = Fate.NAMELESS if not check else None if one.reason else Fate.UNREASONED
            where = f"{one.path}:{one.line}"
            place = Location(one.path, one.line, one.column)
            yield Suppression(
                check or name, one.reason, "", "", inf, source=where, location=place, lines=one.lines, void=void
            )


def apply(
    decided: Sequence[Suppression], results: Sequence[Result], snapshot: Snapshot, now: float
) -> tuple[tuple[Result, ...], Suppressions]:
    """The results with silenced findings, and what became of each decision at ``now`` (epoch seconds)."""
    told = [one.holds(snapshot) for one in decided]
    holding = [one for one, (truth, _) in zip(decided, told, strict=True) if now < one.until and truth and not one.void]
    silenced = tuple(
        replace(result, findings=tuple(_silenced(result, one, holding) for one in result.findings))
        for result in results
    )
    fates = tuple(_fate(one, *what, results, now) for one, what in zip(decided, told, strict=True))
    return silenced, Suppressions(fates)


def _silenced(result: Result, one: Reported, holding: Sequence[Suppression]) -> Reported:
    by = next((some for some in holding if some.fits(result, one)), None)
    if by is None:
        return one
    return replace(one, suppressed=True, justification=by.justification, in_source=bool(by.lines))


def _fate(one: Suppression, truth: bool | None, told: str, results: Sequence[Result], now: float) -> Suppressed:
    mine = [result for result in results if result.check.id == one.check]
    matched = sum(one.fits(result, reported) for result in mine for reported in result.findings)
    judged = any(result.outcome in {Outcome.PASS, Outcome.FAIL} for result in mine)
    if one.void is not None:
        fate = one.void
    elif now >= one.until:
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
