"""The version of Ruby or Python is too old for the queue library, or gets no security fixes any more.

## Why it hurts
Below what the library needs it does not install, or fails at a line that the old version cannot read. Past its end
of life nobody mends what is found in the interpreter itself, and libraries drop it one after the other.

In the log: `sidekiq requires ruby version >= 3.2`, or nothing.

## How it is found
Formula: fails if a pinned Ruby < what the locked Sidekiq needs (5: 2.2.2, 6: 2.5, 7: 2.7, 8: 3.2); low if the pinned
version's end of life < today, for Ruby 2.3.0, whose collector crashes, and where another file pins a Ruby that will do

Pins are .ruby-version, .python-version, runtime.txt, .tool-versions, mise.toml, Gemfile and its lock, the newest
Python that requires-python leaves where it says one, and the image that a Dockerfile's last stage is built on.

## When it is wrong
A distribution that supports the version longer than its makers do.

## Confirm by hand
`ruby -v`, `python -V` on the workers' host.

## How to fix
Pin the next version that is supported.

Risk: code and native packages have to run on it.

Undo: the old pin.

## Unknown when
No file pins a version; the table is older than AGES days.

## Source
ruby-lang.org/en/downloads/branches, devguide.python.org/versions, both as of TABLE; Sidekiq's gem specifications and
its issue 2749.

- TABLE: when the dates were looked up.
- AGES: days that such a table is worth; releases come once a year.
"""

from collections.abc import Iterator
from datetime import UTC, date, datetime

from packaging.version import Version

from kiqdoctor.doctor import Evidence, Finding, Location, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.packages import Packages, Pin, Runtimes
from kiqdoctor.doctor.versions import version_of

TABLE = date(2026, 11, 1)
AGES = 400
ENDS = {
    "ruby": {
        "2.2": date(2018, 3, 31), "2.3": date(2019, 3, 31), "2.4": date(2020, 3, 31), "2.5": date(2021, 3, 31),
        "2.6": date(2022, 4, 12), "2.7": date(2023, 3, 31), "3.0": date(2024, 4, 23), "3.1": date(2025, 3, 26),
        "3.2": date(2026, 3, 31), "3.3": date(2027, 3, 31), "3.4": date(2028, 3, 31), "4.0": date(2029, 3, 31),
    },
    "python": {
        "2.7": date(2020, 1, 1), "3.5": date(2020, 9, 30), "3.6": date(2021, 12, 23), "3.7": date(2023, 6, 27),
        "3.8": date(2024, 10, 7), "3.9": date(2025, 10, 31), "3.10": date(2026, 10, 31), "3.11": date(2027, 10, 31),
        "3.12": date(2028, 10, 31), "3.13": date(2029, 10, 31), "3.14": date(2030, 10, 31),
    },
}  # fmt: skip
NEEDS = (("8", "3.2"), ("7", "2.7"), ("6", "2.5"), ("5", "2.2.2"))
CRASHES = "2.3.0"
SHOWN = 40


@check("PKG003", severity=Severity.MEDIUM)
def runtime_eol(runtimes: Runtimes, packages: Packages | Missing) -> Iterator[Verdict]:
    today = datetime.fromtimestamp(runtimes.at, UTC).date()
    sidekiq = packages.version_of("ruby", "sidekiq") if isinstance(packages, Packages) else ""
    locked = packages.find("ruby", "ruby") if isinstance(packages, Packages) else ()
    pins = [*runtimes.all, *(Pin("ruby", one.version, one.source, one.line) for one in locked)]
    for pin in _once(pins):
        if version_of(pin.version) is None:
            yield Unknown(f"{pin.path}:{pin.line} pins {pin.language} {pin.version[:SHOWN]}, which is no version")
            continue
        yield from _judged(pin, sidekiq, today, [one for one in pins if one.language == pin.language])
        yield Evidence(pin.language, pin.version, f"{pin.path}:{pin.line}")
    if not pins:
        yield Unknown("no file pins a version of Ruby or Python", "a .ruby-version or .python-version")
    if (today - TABLE).days > AGES:
        yield Unknown(f"the table of ends of life is of {TABLE}", "a newer kiqdoctor")


def _once(pins: list[Pin]) -> list[Pin]:
    """One for each language and minor version: the file that says it first."""
    first: dict[tuple[str, str], Pin] = {}
    for pin in pins:
        first.setdefault((pin.language, _minor(pin.version)), pin)
    return list(first.values())


def _minor(version: str) -> str:
    return ".".join(version.split(".")[:2])


def _judged(pin: Pin, sidekiq: str, today: date, pins: list[Pin]) -> Iterator[Verdict]:
    need = _need(sidekiq) if pin.language == "ruby" else ""
    if need and "." in pin.version and _below(pin.version, need):
        other = next((one for one in pins if "." in one.version and not _below(one.version, need)), None)
        title = f"Ruby {pin.version} is too old for Sidekiq {sidekiq}, which needs {need}"
        if other is not None:  # whichever runs in production
            title += f"; {other.path} has {other.version}"
        severity = Severity.MEDIUM if other is None else Severity.LOW
        yield _finding(pin, title, f"Pin Ruby {need} or later.", "need", severity)
        return
    end = ENDS[pin.language].get(_minor(pin.version))
    name = pin.language.capitalize()
    if end is None and _older(pin):
        end = min(ENDS[pin.language].values())
    if end is not None and end < today:
        title = f"{name} {pin.version} gets no security fixes any more, since {end}"
        yield _finding(
            pin, title, f"Pin a version of {name} that is supported: {_supported(pin, today)}.", "eol", Severity.LOW
        )
    elif pin.language == "ruby" and pin.version == CRASHES:
        yield _finding(pin, "Ruby 2.3.0's collector crashes", "Pin a later version.", "crash", Severity.LOW)


def _need(sidekiq: str) -> str:
    version = version_of(sidekiq)
    return next((need for major, need in NEEDS if version is not None and version >= Version(major)), "")


def _below(version: str, need: str) -> bool:
    """Below it, whatever the part is that the pin leaves open."""
    pinned, parts = version_of(version), version.count(".") + 1
    return pinned is not None and pinned < Version(".".join(need.split(".")[:parts]))


def _older(pin: Pin) -> bool:
    """Older than the first version that the table knows."""
    pinned = version_of(pin.version)
    return "." in pin.version and pinned is not None and pinned < min(map(Version, ENDS[pin.language]))


def _supported(pin: Pin, today: date) -> str:
    return ", ".join(version for version, end in ENDS[pin.language].items() if end >= today)


def _finding(pin: Pin, title: str, fix: str, key: str, severity: Severity) -> Finding:
    evidence = (Evidence("pinned", f"{pin.language} {pin.version}", f"{pin.path}:{pin.line}"),)
    return Finding(
        f"file:{pin.path}",
        title,
        fix,
        evidence,
        severity,
        location=Location(pin.path, pin.line),
        key=f"{pin.language}:{key}",
    )
