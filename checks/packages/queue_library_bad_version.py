"""A queue library is locked at a version with a known fault.

## Why it hurts
Each of these faults has bitten others: jobs that ran twice or stayed behind, connections that nobody gave back, web
pages through which a stranger could act or stop the process.

In the log: nothing that names the version.

## How it is found
Formula: fails if the locked version lies in a range of the table below and, where the fault needs company, the other
gem or setting is there too

Sidekiq: CVE-2022-23837 (below 5.2.10, and 6.0 to 6.3), CVE-2023-26141 (below 6.5.10, 7.0 to 7.1.2), CVE-2023-1892
(7.0.4 to 7.0.7), CVE-2024-32887 (7.2.0 to 7.2.3), stuck connections (7.0.0 to 7.0.6), a job that runs twice where two
capsules take one queue (8.0 to 8.1.2), threads that stay in memory (8.0 to 8.1.5), entries that stay in the list of
running jobs (4.0 to 4.1.2), 6.5 beside scout_apm below 5.2. redis 3.3.0 leaks connections.

## When it is wrong
A distribution that ported the fix back under the old number: suppress it with that reason.

## Confirm by hand
`bundle list | grep sidekiq`, and the library's list of changes.

## How to fix
Upgrade, one major version at a time, to the version that the finding names.

Risk: a major version changes more; its upgrade notes say what.

Undo: the old line of the lock file.

## Unknown when
It is locked to a commit of a repository: what that holds, no version says.

## Source
Sidekiq's changes and its issues 5823, 6379, 7006; the advisories named; redis-rb's changes at 3.3.1.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Location, Missing, Severity, Unknown, Verdict, check, covers
from kiqdoctor.doctor.facts.config import WorkerSettings
from kiqdoctor.doctor.facts.packages import Package, Packages

WEB = "anyone who reaches the web UI"
MANY_DAYS = f"CVE-2022-23837: {WEB} can stop the process by asking for many days"
INTERVAL = f"CVE-2023-26141: {WEB} can stop its page by a polling interval"
ROWS: tuple[tuple[str, str, str, str, Severity], ...] = (
    ("sidekiq", "<5.2.10", "5.2.10", MANY_DAYS, Severity.HIGH),
    ("sidekiq", ">=6.0.dev0,<6.4", "6.4.0", MANY_DAYS, Severity.HIGH),
    ("sidekiq", "<6.5.10", "6.5.10", INTERVAL, Severity.HIGH),
    ("sidekiq", ">=7.0.dev0,<7.1.3", "7.1.3", INTERVAL, Severity.HIGH),
    ("sidekiq", ">=7.0.4,<7.0.8", "7.0.8", "CVE-2023-1892: a link makes a script run in the web UI", Severity.HIGH),
    ("sidekiq", ">=7.2.dev0,<7.2.4", "7.2.4", "CVE-2024-32887: a link makes a script run in the web UI", Severity.HIGH),
    ("sidekiq", ">=7.0.dev0,<7.0.7", "7.0.7", "connections to Redis get stuck (#5823)", Severity.HIGH),
    ("sidekiq", ">=8.0.dev0,<8.1.6", "8.1.6", "threads of failed jobs stay in memory (#7006)", Severity.HIGH),
    ("sidekiq", ">=4.0.dev0,<4.1.3", "4.1.3", "ended jobs stay in the list of running ones", Severity.HIGH),
    ("redis", "==3.3.0", "3.3.1", "it leaks connections", Severity.HIGH),
)  # fmt: skip
TWICE = (">=8.0.dev0,<8.1.3", "8.1.3", "a job can run twice where two capsules take one queue (#6379)")
SCOUT = (">=6.5,<7", "<5.2", "scout_apm 5.2", "scout_apm below 5.2 breaks Sidekiq 6.5's middleware")
DEFAULT = "default"  # what the default capsule takes where nobody says it
LIBRARIES = ("sidekiq", "redis")


@check("PKG002", severity=Severity.HIGH)
def queue_library_bad_version(packages: Packages, workers: WorkerSettings | Missing) -> Iterator[Verdict]:
    for name in LIBRARIES:
        for package in packages.find("ruby", name)[:1]:
            if _is_commit(package):
                yield Unknown(f"{name} is locked to a commit: what it holds, no version says", "a released version")
                continue
            yield from _judged(package, packages, workers)
            yield Evidence(f"{name} {package.version}", "locked", f"{package.source}:{package.line}")
    for path, reason in packages.unreadable:
        yield Unknown(f"{path}: {reason}")
    yield Evidence("packages", str(len(packages.all)), ", ".join(packages.sources))


def _is_commit(package: Package) -> bool:
    return not package.version or package.origin == "git"


def _judged(package: Package, packages: Packages, workers: WorkerSettings | Missing) -> Iterator[Verdict]:
    for name, spec, fixed, what, severity in ROWS:
        if name == package.name and covers(spec, package.version):
            yield _finding(package, fixed, what, severity)
    if package.name != "sidekiq":
        return
    spec, fixed, what = TWICE
    if covers(spec, package.version) and isinstance(workers, WorkerSettings) and (queue := _shared(workers)):
        yield _finding(package, fixed, f"{what}, as {queue} is", Severity.HIGH)
    spec, other, fixed, what = SCOUT
    scout = packages.version_of("ruby", "scout_apm")
    if scout and covers(spec, package.version) and covers(other, scout):
        yield _finding(package, fixed, what, Severity.HIGH)


def _shared(workers: WorkerSettings) -> str:
    """A queue that the default capsule and another, or two others, take."""
    for queues in [file.queues for file in workers.files] or [()]:
        places: dict[str, set[str]] = {}
        for one in (*queues, *workers.capsules):
            if not one.within or one.within.startswith("capsules."):
                places.setdefault(one.name, set()).add(one.within)
        asked = any(name == "queue" for command in workers.commands for name, _ in command.options)
        if not asked and not any("" in within for within in places.values()):
            places.setdefault(DEFAULT, set()).add("")
        shared = next((name for name, where in places.items() if len(where) > 1), "")
        if shared:
            return shared
    return ""


def _finding(package: Package, fixed: str, what: str, severity: Severity) -> Finding:
    fix = fixed if " " in fixed else f"{package.name} {fixed}"
    return Finding(
        f"package:{package.name}",
        f"{package.name} {package.version}: {what}",
        f"Upgrade to {fix} or later.",
        (Evidence("locked", f"{package.name} {package.version}", f"{package.source}:{package.line}"),),
        severity,
        location=Location(package.source, package.line),
        key=what.partition(":")[0].partition(" (")[0][:40],
    )
