"""One examination after another: what is new, what healed, and since when; who is proven dead. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from kiqdoctor.doctor.death import proofs_of_death
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.folding import walked
from kiqdoctor.doctor.report import Outcome, Report, Reported, Result
from kiqdoctor.doctor.snapshot import Snapshot

TOLD: Final = 600.0  # seconds that new and healed are marked
JUDGED: Final = frozenset({Outcome.PASS, Outcome.FAIL, Outcome.NOT_APPLICABLE})


@dataclass(frozen=True, slots=True)
class Gone:
    """A finding that is no longer there: healed, or ``unseen`` because its check could not be judged."""

    result: Result
    reported: Reported
    at: float
    unseen: str = ""


@dataclass(frozen=True, slots=True)
class Death:
    """A process that is dead, by ``proof``; ``beat`` was its last, and another one would disprove it."""

    proof: str
    beat: float | None


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The last report, with each finding's first sighting (epoch seconds; 0: it was there when we came)."""

    report: Report
    at: float
    since: dict[str, float] = field(default_factory=dict)
    gone: tuple[Gone, ...] = ()
    deaths: Mapping[str, Death] = field(default_factory=dict)  # by identity

    def mark(self, reported: Reported) -> str:
        """``new``, or nothing."""
        return "new" if self.at - self.since.get(reported.fingerprint, 0.0) < TOLD else ""

    @property
    def findings(self) -> list[tuple[Result, Reported]]:
        """Those that count: the worst group first, in it a cause before what follows from it."""
        whole = ((knot.result, knot.reported) for knot, _ in walked(self.report.results))
        return [(result, one) for result, one in whole if not one.suppressed]

    @property
    def unknown(self) -> list[Result]:
        """What could not be judged."""
        return [result for result in self.report.results if result.outcome is Outcome.UNKNOWN]


def deaths(snapshot: Snapshot) -> dict[str, Death]:
    """Whom the facts prove dead. Who has beaten since they were read may have started since, and is not."""
    fleet, local = snapshot.get(Fleet), snapshot.get(LocalProcesses)
    if not isinstance(fleet, Fleet):
        return {}
    looked_at = min(snapshot.readings[kind].at for kind in (Fleet, LocalProcesses) if kind in snapshot.readings)
    still = [one for one in fleet.processes if one.exists and one.beat is not None and one.beat < looked_at]
    proofs = proofs_of_death(still, fleet, local)
    return {one.identity: Death(proofs[one.identity], one.beat) for one in still if one.identity in proofs}


def follow(before: Diagnosis | None, report: Report, at: float, dead: Mapping[str, Death] | None = None) -> Diagnosis:
    """The next diagnosis. A check that could not be judged heals nothing."""
    dead = dead or {}
    now = {one.fingerprint for one in report.reported if not one.suppressed}
    if before is None:
        return Diagnosis(report, at, dict.fromkeys(now, 0.0), deaths=dead)
    since = {fingerprint: before.since.get(fingerprint, at) for fingerprint in now}
    results = {result.check.id: result for result in report.results}
    fresh = [
        _gone(result, one, results.get(result.check.id), at)
        for result, one in before.findings
        if one.fingerprint not in now
    ]
    doubtful = [one for one in before.gone if one.unseen and one.reported.fingerprint not in now]
    still = [_gone(one.result, one.reported, results.get(one.result.check.id), at, one.at) for one in doubtful]
    old = [one for one in before.gone if not one.unseen and one.reported.fingerprint not in now and at - one.at < TOLD]
    return Diagnosis(report, at, since, (*fresh, *still, *old), dead)


def _gone(result: Result, one: Reported, now: Result | None, at: float, since: float | None = None) -> Gone:
    """Healed ``at``, or unseen, ``since`` when that is known."""
    if now is not None and now.outcome in JUDGED:
        return Gone(result, one, at)
    unseen = (now.reason if now is not None else None) or "the check was not judged"
    return Gone(result, one, at if since is None else since, unseen)
