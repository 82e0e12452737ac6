"""Results -> exit status: a pure table, the same for every format."""

from collections.abc import Sequence
from enum import IntEnum

from kiqdoctor.doctor.facts.engine import Coverage
from kiqdoctor.doctor.plan import DECIDED, matches
from kiqdoctor.doctor.report import Outcome, Result
from kiqdoctor.doctor.verdict import Severity


class Status(IntEnum):
    """CONTRACT.md's exit statuses."""

    OK = 0
    FINDINGS = 1
    USAGE = 2
    INCOMPLETE = 3
    INTERRUPTED = 130


def exit_status(
    results: Sequence[Result],
    *,
    fail_on: Severity | None,
    required: Sequence[str] = (),
    unreachable: bool = False,
) -> Status:
    """``unreachable``: a target that somebody named could not be reached or read. ``fail_on`` None: never fail."""
    counted = [result for result in results if not result.check.preview]
    judged = any(result.outcome in {Outcome.PASS, Outcome.FAIL} and not _of_itself(result) for result in results)
    failing = fail_on is not None and any(
        not one.suppressed and one.severity.rank <= fail_on.rank for result in counted for one in result.findings
    )
    lacking = any(
        result.outcome is Outcome.UNKNOWN and any(matches(result.check, selector) for selector in required)
        for result in counted
    )
    if unreachable:
        return Status.INCOMPLETE
    if failing:
        return Status.FINDINGS
    return Status.INCOMPLETE if lacking or not judged else Status.OK


def _of_itself(result: Result) -> bool:
    """Whether it tells of the examination only: what it missed, what people decided. That judges nothing."""
    kinds = {need.kind for need in result.check.needs}
    return bool(kinds) and kinds <= {Coverage, *DECIDED}
