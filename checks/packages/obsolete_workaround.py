"""A workaround is still there that its library no longer needs.

## Why it hurts
It costs little, and it hides what is true: whoever reads it believes in a danger that is gone, and it may stand in the
way of the next upgrade.

In the log: nothing.

## How it is found
Formula: info if kiqstand is locked and Mongoid >= 4, or test_after_commit and Rails >= 5, or `Aws.eager_autoload!` is
called and aws-sdk-core >= 3 or a gem of one service is locked, or `_strptime` is imported and Python >= 3.7 by every
pin or by requires-python, or a hook of a web server after its fork gives Sidekiq >= 2.9 its Redis anew

A package counts by its name and version in the files that production installs from; the framework's version beside it
says whether it is still needed.

## When it is wrong
A library that is tested on old versions too: suppress it there.

## Confirm by hand
Take it out, and run the tests.

## How to fix
Delete it.

Risk: none that is known.

Undo: the old line.

## Unknown when
The version that makes it obsolete is not known: then nothing is said.

## Source
The notes of kiqstand and test_after_commit; aws-sdk v3's upgrade notes; CPython issue 7980.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Location, Missing, Severity, Verdict, check, covers
from kiqdoctor.doctor.facts.code import Calls, Code, Imports
from kiqdoctor.doctor.facts.packages import Package, Packages, Runtimes
from kiqdoctor.doctor.facts.settings import RedisSettings

GEMS = (
    ("kiqstand", ("mongoid",), ">=4", "Mongoid closes its connections by itself from 4 on"),
    ("test_after_commit", ("activerecord", "rails"), ">=5", "Rails runs after_commit in transactional tests from 5 on"),
)
EAGER = ("AWS.eager_autoload!", "Aws.eager_autoload!")
OLD = frozenset({"aws-sdk-core", "aws-sdk-resources", "aws-sdk-v1", "aws-sdk-rails"})
"""Gems of aws-sdk that are there before version 3, too; from then on each service has one."""
HOOKS = frozenset({"after_fork", "on_worker_boot", "before_worker_boot"})


@check("PKG005", severity=Severity.LOW)
def obsolete_workaround(
    packages: Packages,
    runtimes: Runtimes | Missing,
    code: Code | Missing,
    calls: Calls | Missing,
    imports: Imports | Missing,
    settings: RedisSettings | Missing,
) -> Iterator[Verdict]:
    for name, others, spec, why in GEMS:
        for package in packages.find("ruby", name)[:1]:
            versions = [packages.version_of("ruby", other) for other in others]
            if any(covers(spec, version) for version in versions if version):
                yield _gem(package, why)
    if isinstance(code, Code) and isinstance(calls, Calls) and isinstance(settings, RedisSettings):
        yield from _after_fork(packages, code, calls, settings)
    if isinstance(code, Code) and isinstance(calls, Calls) and _loads_at_once(packages):
        for call in [one for one in calls.sites if one.name in EAGER][:1]:
            place = code.place(call)
            yield _line(place.path, place.line, call.name, "aws-sdk loads its services at once from 3 on")
    if isinstance(code, Code) and isinstance(imports, Imports) and _settled(runtimes):
        for one in [one for one in imports.sites if one.name == "_strptime" and one.statement][:1]:
            place = code.place(one)
            yield _line(place.path, place.line, "import _strptime", "Python loads it safely from 3.7 on")
    yield Evidence("packages", str(len(packages.all)), ", ".join(packages.sources))


def _loads_at_once(packages: Packages) -> bool:
    own = (one.name for one in packages.all if one.ecosystem == "ruby" and one.name.startswith("aws-sdk-"))
    return bool(covers(">=3", packages.version_of("ruby", "aws-sdk-core"))) or any(name not in OLD for name in own)


def _after_fork(packages: Packages, code: Code, calls: Calls, settings: RedisSettings) -> Iterator[Finding]:
    """A web server's hook that configures Sidekiq's client anew."""
    if not covers(">=2.9", packages.version_of("ruby", "sidekiq")):
        return
    hooks = [code.place(one) for one in calls.sites if one.name in HOOKS]
    for one in settings.all:
        hook = next((place for place in hooks if place.path == one.path and place.line <= one.line), None)
        if hook is not None and one.language == "ruby":
            yield _line(one.path, one.line, "Sidekiq's Redis after a fork", "Sidekiq connects after it from 2.9 on")
            return


def _settled(runtimes: Runtimes | Missing) -> bool:
    """Every Python that is pinned has the mend, or the oldest that is taken."""
    pins = [one for one in runtimes.all if one.language == "python"] if isinstance(runtimes, Runtimes) else []
    floors = runtimes.floors if isinstance(runtimes, Runtimes) else ()
    oldest = [*pins, *floors]
    return bool(oldest) and all(covers(">=3.7", one.version) for one in oldest)


def _gem(package: Package, why: str) -> Finding:
    return Finding(
        f"package:{package.name}",
        f"{package.name} is no longer needed: {why}",
        "Delete it.",
        (Evidence("locked", f"{package.name} {package.version}", f"{package.source}:{package.line}"),),
        Severity.INFO,
        location=Location(package.source, package.line),
    )


def _line(path: str, line: int, what: str, why: str) -> Finding:
    return Finding(
        f"file:{path}",
        f"{what} is no longer needed: {why}",
        "Delete it.",
        (Evidence("line", what, f"{path}:{line}"),),
        Severity.INFO,
        location=Location(path, line),
        key=what,
    )
