"""Links results to what explains them: a check names its causes, and where one failed too the finding says so."""

from collections.abc import Sequence
from dataclasses import replace

from kiqdoctor.doctor.report import Outcome, Reported, Result


def link(results: Sequence[Result]) -> tuple[Result, ...]:
    """The same results, each finding related to the failed checks that explain it."""
    failed = {result.check.id for result in results if result.outcome is Outcome.FAIL}
    return tuple(_linked(result, failed) for result in results)


def _linked(result: Result, failed: set[str]) -> Result:
    causes = tuple(cause for cause in result.check.caused_by if cause in failed)
    return replace(result, findings=tuple(_related(one, causes) for one in result.findings))


def _related(one: Reported, causes: tuple[str, ...]) -> Reported:
    return replace(one, related=tuple(dict.fromkeys((*causes, *one.finding.related))))
