"""Results -> exit status: a pure table, the same for every format."""

from collections.abc import Sequence
from enum import IntEnum

from kiqdoctor.doctor.facts.engine import Coverage
from kiqdoctor.doctor.facts.redis import Connection
from kiqdoctor.doctor.plan import DECIDED, matches
from kiqdoctor.doctor.report import Outcome, Result
from kiqdoctor.doctor.snapshot import Refused, Snapshot
from kiqdoctor.doctor.verdict import Severity


class ExitStatus(IntEnum):
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
    broken: bool = False,
) -> ExitStatus:
    """``fail_on`` None: never fail.

    ``unreachable``: a target that somebody named was never reached. ``broken``: it was, and went away while it was
    read, or a probe crashed on it: what was found counts all the same.
    """
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
        return ExitStatus.INCOMPLETE
    if failing:
        return ExitStatus.FINDINGS
    return ExitStatus.INCOMPLETE if broken or lacking or not judged else ExitStatus.OK


def broke_off(snapshot: Snapshot) -> bool:
    """Whether the reading of a target that somebody named broke off, or a probe crashed."""
    connection = snapshot.get(Connection)
    lost = isinstance(connection, Connection) and connection.named and bool(connection.broken)
    return lost or any(isinstance(value, Refused) and value.crashed for value in snapshot.values)


def _of_itself(result: Result) -> bool:
    """Whether it tells of the examination only: what it missed, what people decided. That judges nothing."""
    kinds = {need.kind for need in result.check.needs}
    return bool(kinds) and kinds <= {Coverage, *DECIDED}
