"""Gemfile.lock, by its sections and indentation."""

from collections.abc import Iterator
from typing import Final

from kiqdoctor.doctor.facts.packages import Package

SPEC: Final = 4  # columns before a gem
NEED: Final = 6  # and before what it needs
SECTIONS: Final = {"GEM", "GIT", "PATH", "PLUGIN SOURCE"}
MARKERS: Final = ("<<<<<<<", "=======", ">>>>>>>")
PLATFORMS: Final = ("x86", "arm", "aarch64", "java", "jruby", "ruby", "universal", "mingw", "mswin", "darwin", "linux")


class LockError(Exception):
    """The file cannot be read as what it is; one line."""


def gemfile_lock(content: str, source: str) -> list[Package]:
    """Every gem with its version and platform; ``ruby`` itself where the file names it.

    Raises:
        LockError: merge conflicts, or no section of a lock file.
    """
    lines = content.splitlines()
    if any(line.startswith(MARKERS) for line in lines):
        raise LockError("it holds merge conflicts")
    if not any(line in {"GEM", "DEPENDENCIES"} for line in lines):
        raise LockError("it has no GEM section")
    direct = set(_direct(lines))
    found = [
        Package("ruby", name, version, source, number, platform=platform, direct=name in direct, origin=origin)
        for number, name, version, platform, origin in _specs(lines)
    ]
    return [*found, *_ruby(lines, source)]


def needs_of(content: str) -> dict[str, list[str]]:
    """What each gem of a lock file needs, by name."""
    found: dict[str, list[str]] = {}
    needs: list[str] = []
    for line in content.splitlines():
        indent = len(line) - len(line.lstrip(" "))
        name = line.strip().partition(" ")[0].rstrip("!")
        if indent == SPEC and " (" in line:
            needs = found.setdefault(name, [])
        elif indent == NEED and name:
            needs.append(name)
    return found


def _direct(lines: list[str]) -> Iterator[str]:
    section = ""
    for line in lines:
        if line and not line.startswith(" "):
            section = line.strip()
        elif section == "DEPENDENCIES" and line.strip():
            yield line.split()[0].rstrip("!")


def _specs(lines: list[str]) -> Iterator[tuple[int, str, str, str, str]]:
    section = ""
    for number, line in enumerate(lines, 1):
        if line and not line.startswith(" "):
            section = line.strip()
        indent = len(line) - len(line.lstrip(" "))
        if section in SECTIONS and indent == SPEC and " (" in line:
            name, _, rest = line.strip().partition(" (")
            version, platform = _platform(rest.rstrip(")"))
            yield number, name, version, platform, "git" if section == "GIT" else ""


def _platform(text: str) -> tuple[str, str]:
    version, _, platform = text.partition("-")
    return (version, platform) if platform.startswith(PLATFORMS) else (text, "")


def _ruby(lines: list[str], source: str) -> Iterator[Package]:
    for number, line in enumerate(lines, 1):
        if line.strip() == "RUBY VERSION" and number < len(lines):
            words = lines[number].split()
            if len(words) > 1 and words[0] == "ruby":
                yield Package("ruby", "ruby", words[1].partition("p")[0], source, number + 1)
