"""What the checks made of one Redis, or of several, and what that comes to."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from typing import Final

from kiqdoctor.doctor import baseline
from kiqdoctor.doctor.gate import ExitStatus, exit_status
from kiqdoctor.doctor.report import Outcome, Reported, Result, Severity
from kiqdoctor.records import dataclass

Results = tuple[Result, ...]

_WORST: Final = (Outcome.FAIL, Outcome.UNKNOWN, Outcome.PASS)


@dataclass(frozen=True, slots=True)
class Part:
    """The results of one Redis: its address, where several were examined, and whether it was reached and read."""

    results: Results
    address: str = ""
    unreachable: bool = False
    broken: bool = False


@dataclass(frozen=True, slots=True)
class Judgement:
    """One part for each Redis, of the same checks in the same order; ``common``: results that are of none of them."""

    parts: tuple[Part, ...]
    common: Results = ()

    @property
    def results(self) -> Results:
        """One of each check, ordered by id."""
        if len(self.parts) == 1:
            return self.parts[0].results
        merged = [_merged(each) for each in zip(*(one.results for one in self.parts), strict=True)]
        return tuple(sorted((*merged, *self.common), key=lambda result: result.check.id))

    @property
    def shards(self) -> tuple[str, ...]:
        """Each Redis' address, where several were examined."""
        return tuple(one.address for one in self.parts if one.address)

    def silenced(self, known: frozenset[str], *, new_only: bool) -> "Judgement":
        """The same, with the findings of a baseline suppressed."""
        parts = tuple(
            replace(one, results=baseline.suppress(one.results, known, new_only=new_only)) for one in self.parts
        )
        return Judgement(parts, baseline.suppress(self.common, known, new_only=new_only))

    def status(self, fail_on: Severity | None, required: Sequence[str]) -> ExitStatus:
        """The worst: findings of a Redis that was reached before one that was not, of which nothing was found."""
        parts = [one for one in self.parts if not one.unreachable] or list(self.parts)
        all_of_them = {
            exit_status(
                (*one.results, *self.common),
                fail_on=fail_on,
                required=required,
                unreachable=one.unreachable,
                broken=one.broken or len(parts) < len(self.parts),
            )
            for one in parts
        }
        return ExitStatus.FINDINGS if ExitStatus.FINDINGS in all_of_them else max(all_of_them)


def _merged(results: Sequence[Result]) -> Result:
    """One entry of a check: the worst outcome, each finding, and of each Redis what was not judged."""
    outcome = next((one for one in _WORST if any(each.outcome is one for each in results)), Outcome.NOT_APPLICABLE)
    telling = {outcome} if outcome is Outcome.NOT_APPLICABLE else {Outcome.FAIL, Outcome.UNKNOWN}
    reasons = [one.reason for one in results if one.reason and one.outcome in telling]
    return replace(
        results[0],
        outcome=outcome,
        reason="; ".join(reasons) or None,
        duration_ms=sum(one.duration_ms for one in results),
        evidence=tuple(evidence for one in results for evidence in one.evidence),
        findings=tuple(_once(results)),
    )


def _once(results: Sequence[Result]) -> Iterator[Reported]:
    """What is said of a file is said by each Redis, and told once."""
    seen: set[str] = set()
    for number, result in enumerate(results):
        yield from (one for one in result.findings if one.redis or not number or one.fingerprint not in seen)
        seen |= {one.fingerprint for one in result.findings}
