"""The doctor: checks judge facts that probes read. This is all that a check file imports."""

from kiqdoctor.doctor.check import Check, Twice, check
from kiqdoctor.doctor.condition import ConditionError, covers, judge
from kiqdoctor.doctor.facts.application import (
    Deployment,
    RedisSetting,
    RedisSettings,
    WebConfig,
    WorkerConfig,
)
from kiqdoctor.doctor.facts.coverage import Coverage, Gap
from kiqdoctor.doctor.facts.native import Extension, NativeCode, NativePackage
from kiqdoctor.doctor.facts.packages import Advisories, Advisory, Package, Packages
from kiqdoctor.doctor.facts.processes import (
    Fleet,
    InFlight,
    LocalProcess,
    LocalProcesses,
    Process,
    Recoveries,
    Recovery,
)
from kiqdoctor.doctor.facts.queues import (
    Databases,
    Foreign,
    Installation,
    JobSet,
    Keyspace,
    Queue,
    Queues,
    Sample,
)
from kiqdoctor.doctor.facts.redis import Client, ClientLimit, Clients, Connection, Server, ServerTime
from kiqdoctor.doctor.facts.source import Job, Source, Use
from kiqdoctor.doctor.facts.suppressions import Fate, Suppressed, Suppressions
from kiqdoctor.doctor.facts.thresholds import Threshold, Thresholds
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

__all__ = [
    "Absent",
    "Advisories",
    "Advisory",
    "Check",
    "Client",
    "ClientLimit",
    "Clients",
    "ConditionError",
    "Connection",
    "Coverage",
    "Databases",
    "Deployment",
    "Evidence",
    "Extension",
    "Fate",
    "Finding",
    "Fleet",
    "Foreign",
    "Gap",
    "InFlight",
    "Installation",
    "Job",
    "JobSet",
    "Keyspace",
    "LocalProcess",
    "LocalProcesses",
    "Location",
    "Missing",
    "NativeCode",
    "NativePackage",
    "NotApplicable",
    "Package",
    "Packages",
    "Process",
    "Queue",
    "Queues",
    "Recoveries",
    "Recovery",
    "RedisSetting",
    "RedisSettings",
    "Refused",
    "Sample",
    "Server",
    "ServerTime",
    "Severity",
    "Source",
    "Suppressed",
    "Suppressions",
    "Threshold",
    "Thresholds",
    "Twice",
    "Unknown",
    "Use",
    "Verdict",
    "WebConfig",
    "WorkerConfig",
    "check",
    "covers",
    "judge",
]
