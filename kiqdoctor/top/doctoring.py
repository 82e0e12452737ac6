"""One examination after another: what is new, what healed, and since when. Pure."""

from dataclasses import dataclass, field
from typing import Final

from kiqdoctor.doctor.report import Outcome, Report, Reported, Result, causes_first

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
class Diagnosis:
    """The last report, with each finding's first sighting (epoch seconds; 0: it was there when we came)."""

    report: Report
    at: float
    since: dict[str, float] = field(default_factory=dict)
    gone: tuple[Gone, ...] = ()

    def mark(self, reported: Reported) -> str:
        """``new``, or nothing."""
        return "new" if self.at - self.since.get(reported.fingerprint, 0.0) < TOLD else ""

    @property
    def findings(self) -> list[tuple[Result, Reported]]:
        """Those that count, a cause before what it explains, else worst first."""
        return [
            (result, one)
            for result in causes_first(self.report.results)
            for one in sorted(result.findings, key=lambda one: one.severity.rank)
            if not one.suppressed
        ]

    @property
    def unknown(self) -> list[Result]:
        """What could not be judged."""
        return [result for result in self.report.results if result.outcome is Outcome.UNKNOWN]


def follow(before: Diagnosis | None, report: Report, at: float) -> Diagnosis:
    """The next diagnosis. A check that could not be judged heals nothing."""
    now = {one.fingerprint for one in report.reported if not one.suppressed}
    if before is None:
        return Diagnosis(report, at, dict.fromkeys(now, 0.0))
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
    return Diagnosis(report, at, since, (*fresh, *still, *old))


def _gone(result: Result, one: Reported, now: Result | None, at: float, since: float | None = None) -> Gone:
    """Healed ``at``, or unseen, ``since`` when that is known."""
    if now is not None and now.outcome in JUDGED:
        return Gone(result, one, at)
    unseen = (now.reason if now is not None else None) or "the check was not judged"
    return Gone(result, one, at if since is None else since, unseen)
