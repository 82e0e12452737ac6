"""A package is used in a way that threads, or a fork, break.

## Why it hurts
Workers run many jobs at once in one process: a library that keeps state for the whole process mixes one job's data
into another's, corrupts a connection that two threads share, or crashes the process with every job in it.

In the log: errors that no single job explains and that one thread never shows: another user's data, `dictionary changed
size during iteration`, `Packets out of order`, a segmentation fault.

## How it is found
Formula: fails if version in row.range and row.condition holds in the source; version alone, condition not known: info

Each package's resolved version is compared with a dated table of advisories; a row's condition is then judged from
the application's source: what jobs import, call, share between threads, change, or open before a fork. Version and
condition together are a finding of the row's severity. Where the condition cannot be told, because no source was
read, it is info.

## When it is wrong
Packages that only tests use are told as info. A lock that the index does not recognise may protect what is shared.
Confidence `l` is never more than info. No advisory is not a proof of safety.

## Confirm by hand
Follow the chain that the evidence shows, from the job to the line.

## How to fix
What the row says; or run these jobs in a single-threaded capsule or a process of its own.

Risk: an upgrade may change more than the fault; a capsule of one thread makes its queue slower.

Undo: the old lock file; the old capsule.

## Unknown when
A lock file cannot be parsed, or source files cannot be parsed and nothing else decides.

## Source
The projects' own documentation and issue trackers, named by each row.
"""

from collections.abc import Iterator
from dataclasses import dataclass

from kiqdoctor.doctor import (
    Absent,
    Evidence,
    Finding,
    Location,
    Missing,
    NotApplicable,
    Refused,
    Severity,
    Unknown,
    Verdict,
    check,
    covers,
    judge,
)
from kiqdoctor.doctor.facts.code import Source, Use
from kiqdoctor.doctor.facts.packages import Advisories, Advisory, Package, Packages

NOT_RUN = {"dev", "development", "test", "tests", "lint", "docs"}
SHOWN = 5


@dataclass(frozen=True, slots=True)
class Match:
    """A package that a row speaks of; ``certain`` False: its version is not known."""

    package: Package
    certain: bool


@check("PKG001", severity=Severity.CRITICAL)
def thread_unsafe_package(
    packages: Packages | Missing, advisories: Advisories, source: Source | Missing
) -> Iterator[Verdict]:
    if isinstance(packages, Absent) and not (isinstance(source, Source) and source.jobs):
        yield NotApplicable(packages.reason)
        return
    if isinstance(packages, Refused):
        yield Unknown(packages.reason, packages.unlock)
        return
    known = packages if isinstance(packages, Packages) else Packages()
    code = source if isinstance(source, Source) else None
    for advisory in advisories.all:
        match = _match(advisory, known, code)
        if match is not None:
            yield from _judged(advisory, match, known, code)
    for path, reason in known.unreadable:
        yield Unknown(f"{path} could not be read: {reason}", "a lock file that can be parsed")
    if isinstance(source, Refused):
        yield Unknown(source.reason, source.unlock)
    yield Evidence("packages", str(len(known.all)), ", ".join(known.sources))
    yield Evidence("advisories", str(len(advisories.all)), "reviewed " + max(one.reviewed_on for one in advisories.all)
                   if advisories.all else "none")  # fmt: skip


def _match(advisory: Advisory, packages: Packages, code: Source | None) -> Match | None:
    """The copy of a package that the row speaks of; an installed one speaks before a lock file."""
    if advisory.packages == ("stdlib",):
        return Match(Package(advisory.ecosystem, "stdlib", "", ""), True) if code else None
    copies = [one for name in advisory.packages for one in packages.find(advisory.ecosystem, name)]
    copies.sort(key=lambda one: (not one.installed, not one.version))
    if copies and copies[0].installed:
        copies = [one for one in copies if one.installed]
    matches = [(one, covers(advisory.range, one.version)) for one in copies]
    sure = next((one for one, inside in matches if inside), None)
    maybe = next((one for one, inside in matches if inside is None), None)
    if sure is not None:
        return Match(sure, True)
    return Match(maybe, False) if maybe is not None and not any(inside is False for _, inside in matches) else None


def _judged(advisory: Advisory, match: Match, packages: Packages, code: Source | None) -> Iterator[Verdict]:
    judgement = judge(advisory.condition, packages, code)
    if judgement.truth is False or (not match.package.source and not judgement.witnesses):
        return
    if judgement.truth is None and _only_a_crash_would_tell(advisory, packages, code):
        text = f"{match.package.name} {match.package.version}: look here first if a worker crashes"
        yield Evidence(f"advisory {advisory.id}", text, "; ".join(advisory.evidence))
        return
    decided = judgement.truth is True and match.certain
    yield _finding(advisory, match, judgement.witnesses, decided=decided)


def _only_a_crash_would_tell(advisory: Advisory, packages: Packages, code: Source | None) -> bool:
    """The source was read, and would settle the condition if it were known whether a native crash was seen."""
    if code is None or not code.files or "crashed" not in advisory.condition:
        return False
    return judge(advisory.condition.replace("crashed", "any"), packages, code).truth is not None


def _finding(advisory: Advisory, match: Match, witnesses: list[Use], *, decided: bool) -> Finding:
    package = match.package
    severity = Severity(advisory.severity)
    unused = bool(package.groups) and set(package.groups) <= NOT_RUN
    if not decided or unused or advisory.confidence == "l":
        severity = Severity.INFO
    reached = sorted(witnesses, key=lambda use: (not use.chain, use.path, use.line))
    name = package.name if package.source else reached[0].subject.partition(".")[0]
    named = f"{name} {package.version}".strip()
    tail = "" if decided else "; only the version is known" if match.certain else "; its version is not known"
    evidence = [Evidence("package", named, f"{package.source}:{package.line}" if package.source else "")]
    evidence += [_use(use) for use in reached[:SHOWN]]
    evidence.append(
        Evidence("advisory", f"{advisory.id}, confidence {advisory.confidence}", "; ".join(advisory.evidence))
    )
    where = reached[0] if reached else None
    return Finding(
        f"package:{name}",
        f"{named} {advisory.what}{tail}",
        advisory.remedy,
        tuple(evidence),
        severity,
        location=Location(where.path, where.line, where.column) if where else _declared(package),
        key=advisory.id,
    )


def _declared(package: Package) -> Location | None:
    return Location(package.source, package.line) if package.source and not package.installed else None


def _use(use: Use) -> Evidence:
    chain = " -> ".join((*use.chain, use.subject)) if use.chain else use.subject
    return Evidence(use.pattern.replace("_", " "), chain, f"{use.path}:{use.line}")
