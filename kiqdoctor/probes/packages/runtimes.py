"""The versions of Ruby and Python that an application asks for, by every file that says one."""

import re
from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from kiqdoctor.clock import SYSTEM
from kiqdoctor.doctor.facts.packages import Pin, Runtimes
from kiqdoctor.doctor.probe import AbsenceError, Lane, Read, probe
from kiqdoctor.probes.tree.disk import UnreadableError
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.regex import regex

if TYPE_CHECKING:
    from kiqdoctor.probes.tree.file import File

FILES: Final = (
    *(".ruby-version", ".python-version", "runtime.txt", ".tool-versions", "Gemfile", "pyproject.toml", "setup.cfg"),
    *("mise.toml", ".mise.toml"),
)
_VERSION: Final = regex(r"(\d{1,2}(?:\.\d{1,3}){1,2})")
_LINE: Final = regex(r"(?P<language>ruby|python)?[-\s]*v?(?P<version>\d{1,2}(?:\.\d{1,3}){0,2})", re.IGNORECASE)
_IMAGE: Final = regex(r"(?:^|/)(ruby|python):v?(\d{1,2}(?:\.\d{1,3}){0,2})")
_GEMFILE: Final = regex(r"""^\s*+ruby\s*+(?:\(\s*+)?["'](?:~>|=)?\s*+(\d{1,2}\.\d{1,3}(?:\.\d{1,3})?)["']""")
_FLOOR: Final = regex(r">=?\s*(\d\.\d{1,2})")
_CEILING: Final = regex(r"(<=?)\s*(\d)\.(\d{1,2})")
_REQUIRES: Final = regex(r"(?:==|~=)\s*(\d\.\d{1,2})(?:\.\d{1,3}|\.\*)?")


@probe(
    Read(".ruby-version, .python-version, runtime.txt, .tool-versions, Gemfile, pyproject.toml", "", "small"),
    Read("Dockerfile", "", "up to 1 MB each"),
    lane=Lane.FILES,
)
def runtimes(tree: Tree) -> Runtimes:
    """Every pin."""
    from kiqdoctor.probes.deployment.dockerfile import NAMES
    from kiqdoctor.probes.deployment.paths import stage

    found: list[Pin] = []
    for file in (*tree.named(*FILES), *(one for one in tree.named(*NAMES) if stage(one.path))):
        try:
            found += _pins(file)
        except (UnreadableError, UnparsedError):
            continue
    floors = tuple(floor for file in tree.named("pyproject.toml", "setup.cfg") for floor in _floors(file))
    if not (found or floors or _written(tree) or any(map(_says_ruby, tree.named("Gemfile.lock", "gems.locked")))):
        raise AbsenceError("the application has no code in Ruby or Python")
    return Runtimes(tuple(found), SYSTEM.now(), floors)


def _written(tree: Tree) -> bool:
    return bool(tree.files(".py") or tree.files(".rb"))


def _says_ruby(lock: "File") -> bool:
    """Whether a lock names a Ruby, which is read with its gems."""
    try:
        return b"RUBY VERSION" in lock.content()
    except UnreadableError:
        return False


def _pins(file: "File") -> Iterator[Pin]:
    readers = {
        "Gemfile": _gemfile,
        "pyproject.toml": _required,
        "setup.cfg": _required,
        ".tool-versions": _tools,
        "runtime.txt": _tools,
        "mise.toml": _mise,
        ".mise.toml": _mise,
    }
    if file.name in {".ruby-version", ".python-version"}:
        yield from _plain(file, file.name.strip(".").partition("-")[0])
    elif file.name in readers:
        yield from readers[file.name](file)
    else:
        yield from _images(file)


def _plain(file: "File", language: str) -> Iterator[Pin]:
    for number, line in enumerate(file.text().splitlines(), 1):
        found = None if line.startswith("#") else _LINE.match(line.strip())
        if found is not None and (found["language"] or language).lower() == language:
            yield Pin(language, found["version"], file.path, number)


def _tools(file: "File") -> Iterator[Pin]:
    for number, line in enumerate(file.text().splitlines(), 1):
        found = _LINE.match(line.strip())
        if found is not None and found["language"]:
            yield Pin(found["language"].lower(), found["version"], file.path, number)


def _gemfile(file: "File") -> Iterator[Pin]:
    for number, line in enumerate(file.text().splitlines(), 1):
        if found := _GEMFILE.match(line):
            yield Pin("ruby", found[1], file.path, number)


def _mise(file: "File") -> Iterator[Pin]:
    for name, value in file.toml().table("tools").items():
        found = _LINE.fullmatch(str(value))
        if name in {"ruby", "python"} and found is not None:
            yield Pin(name, found["version"], file.path)


def _required(file: "File") -> Iterator[Pin]:
    """What requires-python leaves: one version, or of a range with an upper end the newest."""
    said = _said(file)
    if found := _REQUIRES.search(said):
        yield Pin("python", found[1], file.path)
    elif found := _CEILING.search(said):
        minor = int(found[3]) - (found[1] == "<")
        if minor >= 0 and not (found[1] == "<" and found[3] == "0"):
            yield Pin("python", f"{found[2]}.{minor}", file.path)


def _floors(file: "File") -> Iterator[Pin]:
    try:
        found = _FLOOR.search(_said(file))
    except (UnreadableError, UnparsedError):
        return
    if found is not None:
        yield Pin("python", found[1], file.path)


def _said(file: "File") -> str:
    """requires-python of a project, and what setup.cfg calls it."""
    if file.name == "setup.cfg":
        said = re.search(r"(?m)^python_requires\s*=\s*(.{1,80})$", file.text())
        return said[1] if said is not None else ""
    return file.toml().table("project").text("requires-python")


def _images(file: "File") -> Iterator[Pin]:
    """The image that the last stage is built on, through stages of the file and its ARG defaults."""
    arguments: dict[str, str] = {}
    stages: dict[str, Pin | None] = {}
    last: Pin | None = None
    for number, line in enumerate(file.text().splitlines(), 1):
        words = line.split()
        if len(words) > 1 and words[0].upper() == "ARG":
            name, separator, value = words[1].partition("=")
            arguments |= {name: value.strip("\"'")} if separator else {}
        elif len(words) > 1 and words[0].upper() == "FROM":
            image = next((word for word in words[1:] if not word.startswith("--")), "")
            spelt = _spelt(image, arguments)
            found = _IMAGE.search(spelt)
            last = Pin(found[1], found[2], file.path, number) if found else stages.get(image.lower())
            if len(words) > 3 and words[-2].upper() == "AS":  # noqa: PLR2004 - FROM image AS name
                stages[words[-1].lower()] = last
    if last is not None:
        yield last


def _spelt(image: str, arguments: dict[str, str]) -> str:
    """With the defaults of its arguments."""
    return re.sub(r"\$\{?(\w+)(?::-[^}]*)?\}?", lambda one: arguments.get(one[1], ""), image)
