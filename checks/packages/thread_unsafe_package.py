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

Rows about threads ask how the jobs run that lead to the site: under prefork, a fork for each job, or an event loop no
other job runs in the process meanwhile, and they do not apply; where it cannot be told they are info.

## When it is wrong
Packages that only tests use are told as info. A lock that the index does not recognise may protect what is shared.
Confidence `l` is never more than info. No advisory is not a proof of safety. How jobs run is read from commands,
settings and each library's default; a worker that somebody starts otherwise by hand is not seen.

## Confirm by hand
Follow the chain that the evidence shows, from the job to the line.

## How to fix
What the row says; or run these jobs in a single-threaded capsule or a process of its own.

Risk: an upgrade may change more than the fault; a capsule of one thread makes its queue slower.

Undo: the old lock file; the old capsule.

## Unknown when
A lock file cannot be parsed, or source files cannot be parsed and nothing else decides.
There are jobs, and no file names a package.

## Source
The projects' own documentation and issue trackers, named by each row.
"""

from collections.abc import Iterator
from dataclasses import dataclass, replace

from kiqdoctor.doctor import (
    Absent,
    Evidence,
    Finding,
    Location,
    Missing,
    NotApplicable,
    Refused,
    Seen,
    Severity,
    Unknown,
    Verdict,
    Witness,
    check,
    covers,
    holds,
)
from kiqdoctor.doctor.facts.code import AtBoot, BuiltAtLoad, Calls, Code, Execution, Forks, Imports, SharedUses, Writes
from kiqdoctor.doctor.facts.deployment import Starts
from kiqdoctor.doctor.facts.packages import Advisories, Advisory, Package, Packages
from kiqdoctor.doctor.facts.settings import RedisSettings

SHOWN = 5
SURE = {"h": "high", "m": "medium", "l": "low"}


@dataclass(frozen=True, slots=True)
class Match:
    """A package that a row speaks of; ``certain`` False: its version is not known."""

    package: Package
    certain: bool


@check("PKG001", severity=Severity.CRITICAL)
def thread_unsafe_package(
    packages: Packages | Missing,
    advisories: Advisories,
    code: Code | Missing,
    imports: Imports | Missing,
    calls: Calls | Missing,
    shared: SharedUses | Missing,
    writes: Writes | Missing,
    built: BuiltAtLoad | Missing,
    forks: Forks | Missing,
    starts: Starts | Missing,
    redis: RedisSettings | Missing,
    execution: Execution | Missing,
    boot: AtBoot | Missing,
) -> Iterator[Verdict]:
    if isinstance(packages, Absent) and not (isinstance(code, Code) and code.jobs):
        yield NotApplicable(packages.reason)
        return
    if isinstance(packages, Refused):
        yield Unknown(packages.reason, packages.unlock)
        return
    seen = Seen(
        packages if isinstance(packages, Packages) else Packages(),
        code if isinstance(code, Code) else None,
        imports if isinstance(imports, Imports) else None,
        calls if isinstance(calls, Calls) else None,
        shared if isinstance(shared, SharedUses) else None,
        writes if isinstance(writes, Writes) else None,
        built if isinstance(built, BuiltAtLoad) else None,
        forks if isinstance(forks, Forks) else None,
        starts if isinstance(starts, Starts) else None,
        RedisSettings() if isinstance(redis, Absent) else redis if isinstance(redis, RedisSettings) else None,
        execution if isinstance(execution, Execution) else None,
        boot if isinstance(boot, AtBoot) else None,
    )
    spoken = {language: seen.speaking(language) for language in ("python", "ruby")}
    for advisory in advisories.all:
        match = _match(advisory, seen)
        if match is not None and not match.package.production:
            groups = ", ".join(match.package.groups)
            yield Evidence(
                f"advisory {advisory.id}", f"{match.package.name} is for {groups} alone", match.package.source
            )
        elif match is not None:
            yield from _judged(advisory, match, spoken[advisory.ecosystem])
    for path, reason in seen.packages.unreadable:
        yield Unknown(f"{path} could not be read: {reason}", "a lock file that can be parsed")
    if not seen.packages.all and seen.code is not None and seen.code.jobs:
        yield Unknown(
            "no file names the packages that the jobs stand on", "a lock file, requirements, or --python PATH"
        )
    refused = [one for one in (code, imports, calls, shared, writes, built, forks, starts, redis, execution, boot)
               if isinstance(one, Refused)]  # fmt: skip
    for one in dict.fromkeys(refused):
        yield Unknown(one.reason, one.unlock)
    yield Evidence("packages", str(len(seen.packages.all)), ", ".join(seen.packages.sources))
    yield Evidence("advisories", str(len(advisories.all)), "reviewed " + max(one.reviewed_on for one in advisories.all)
                   if advisories.all else "none")  # fmt: skip


def _match(advisory: Advisory, seen: Seen) -> Match | None:
    """The copy of a package that the row speaks of; an installed one speaks before a lock file."""
    if advisory.packages == ("stdlib",):
        return Match(Package(advisory.ecosystem, "stdlib", "", ""), True) if seen.code else None
    copies = [one for name in advisory.packages for one in seen.packages.find(advisory.ecosystem, name)]
    copies.sort(key=lambda one: (not one.installed, not one.production, not one.version))
    if copies and copies[0].installed:
        copies = [one for one in copies if one.installed]
    matches = [(one, covers(advisory.range, one.version)) for one in copies]
    sure = next((one for one, inside in matches if inside), None)
    maybe = next((one for one, inside in matches if inside is None), None)
    if sure is not None:
        return Match(sure, True)
    return Match(maybe, False) if maybe is not None and not any(inside is False for _, inside in matches) else None


def _judged(advisory: Advisory, match: Match, seen: Seen) -> Iterator[Verdict]:
    holding = holds(advisory.condition, seen)
    if holding.truth is False and advisory.could:
        could = holds(advisory.could, seen)
        holding = could if could.truth is False else replace(could, truth=None)
    if holding.truth is False or (not match.package.source and not holding.witnesses):
        return
    if holding.truth is None and _only_a_crash_would_tell(advisory, seen):
        text = f"{match.package.name} {match.package.version}: look here first if a worker crashes"
        yield Evidence(f"advisory {advisory.id}", text, "; ".join(advisory.evidence))
        return
    decided = holding.truth is True and match.certain
    yield _finding(advisory, match, holding.witnesses, decided=decided)


def _only_a_crash_would_tell(advisory: Advisory, seen: Seen) -> bool:
    """The source was read, and would settle the condition if it were known whether a native crash was seen."""
    if seen.code is None or not seen.code.files or "crashed" not in advisory.condition:
        return False
    return holds(advisory.condition.replace("crashed", "any"), seen).truth is not None


def _finding(advisory: Advisory, match: Match, witnesses: list[Witness], *, decided: bool) -> Finding:
    package = match.package
    severity = Severity(advisory.severity)
    if not decided or advisory.confidence == "l":
        severity = Severity.INFO
    reached = sorted(witnesses, key=lambda one: (not one.chain, one.place.path, one.place.line))
    name = package.shown if package.source else reached[0].name.partition(".")[0]
    named = f"{name} {package.version}".strip()
    tail = "" if decided else _undecided(reached, certain=match.certain)
    evidence = [Evidence("package", named, f"{package.source}:{package.line}" if package.source else "")]
    evidence += [_shown(one) for one in reached[:SHOWN]]
    evidence += [Evidence("runs in", one.proof, one.source) for one in reached[:1] if one.proof]
    evidence.append(
        Evidence(
            "advisory",
            f"{advisory.id}, {SURE.get(advisory.confidence, 'unknown')} confidence",
            "; ".join(advisory.evidence),
        )
    )
    where = reached[0].place if reached else None
    return Finding(
        f"package:{name}",
        f"{named} {advisory.what}{tail}",
        advisory.remedy,
        tuple(evidence),
        severity,
        location=Location(where.path, where.line, where.column) if where else _declared(package),
        key=advisory.id,
    )


def _undecided(witnesses: list[Witness], *, certain: bool) -> str:
    if not certain:
        return "; its version is not known"
    unknown = any(one.chain and one.shares is None for one in witnesses)
    return "; how these jobs run is not known" if unknown else "; only the version is known"


def _declared(package: Package) -> Location | None:
    return Location(package.source, package.line) if package.source and not package.installed else None


def _shown(witness: Witness) -> Evidence:
    chain = " -> ".join((*witness.chain, witness.name))
    return Evidence(witness.word.replace("_", " "), chain, f"{witness.place.path}:{witness.place.line}")
