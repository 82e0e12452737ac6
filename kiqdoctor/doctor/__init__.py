"""The doctor: checks judge facts that probes read. A check file imports its words from here, its facts by subject."""

from kiqdoctor.doctor.check import Check, check
from kiqdoctor.doctor.condition import ConditionError, covers, holds
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
