"""The doctor: checks judge facts that probes read. A check file imports its words from here, its facts by subject."""

from typing import TYPE_CHECKING

from kiqdoctor.doctor.check import Check, check
from kiqdoctor.doctor.series import Earlier, Moment, Series, Twice
from kiqdoctor.doctor.snapshot import Absent, Missing, Refused
from kiqdoctor.doctor.verdict import (
    Evidence,
    Finding,
    Location,
    NotApplicable,
    Severity,
    Unknown,
    Verdict,
)

if TYPE_CHECKING:
    from kiqdoctor.doctor.condition import ConditionError, covers, holds
    from kiqdoctor.doctor.witnesses import Seen, Witness

__all__ = [
    "Absent",
    "Check",
    "ConditionError",
    "Earlier",
    "Evidence",
    "Finding",
    "Location",
    "Missing",
    "Moment",
    "NotApplicable",
    "Refused",
    "Seen",
    "Series",
    "Severity",
    "Twice",
    "Unknown",
    "Verdict",
    "Witness",
    "check",
    "covers",
    "holds",
]

_HOMES = {"ConditionError": "condition", "covers": "condition", "holds": "condition", "Seen": "witnesses",
          "Witness": "witnesses"}  # fmt: skip


def __getattr__(name: str) -> object:
    """What takes the facts of the source, which are many records: looked up at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
