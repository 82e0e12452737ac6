"""What may be done about a finding by machine: from its facts, and the bytes that lie in Redis, to exact steps."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from kiqdoctor.actions.exact import Step
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.examining.remedies.beside import batches, locks
from kiqdoctor.examining.remedies.herds import herd
from kiqdoctor.examining.remedies.leftovers import leftovers
from kiqdoctor.examining.remedies.poison import poison
from kiqdoctor.examining.remedies.processes import ghosts, in_flight, pauses, private
from kiqdoctor.examining.remedies.strangers import strangers

if TYPE_CHECKING:
    from kiqdoctor.doctor.report import Finding
    from kiqdoctor.doctor.tools import Redis

_BUILDERS: Final = {
    "NSP004": strangers,
    "PRO002": ghosts,
    "PRO003": leftovers,
    "PRO008": in_flight,
    "PRO014": private,
    "QUE003": pauses,
    "QUE013": poison,
    "QUE014": locks,
    "QUE015": batches,
    "QUE017": herd,
}
CHECKS: Final = tuple(_BUILDERS)
BY_NAME: Final = frozenset({"NSP004", "PRO003"})
"""What deletes others' data or ends a process: carried out only where it is named."""


def steps(check: str, findings: Sequence["Finding"], seen: Snapshot, redis: "Redis") -> Iterator[Step]:
    """The remedies for these findings of this check, none where there is none that is safe."""
    if findings:
        yield from _BUILDERS[check](findings, seen, redis)


__all__ = ["BY_NAME", "CHECKS", "steps"]
