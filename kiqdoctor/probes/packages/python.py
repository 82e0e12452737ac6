"""requirements files, locks of uv, Poetry, PDM and Pipenv, pylock.toml, what projects ask for, what is installed."""

from collections.abc import Iterable, Iterator
from dataclasses import replace
from pathlib import Path
from posixpath import dirname, join

from packaging.markers import InvalidMarker, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from kiqdoctor.doctor.facts.packages import Package
from kiqdoctor.probes.packages.groups import DEFAULT, grouped, of_file
from kiqdoctor.probes.packages.ruby import LockError
from kiqdoctor.probes.tree.documents import Table
from kiqdoctor.probes.tree.file import File
from kiqdoctor.probes.tree.tree import Tree
from kiqdoctor.regex import regex

INCLUDES = frozenset({"-r", "--requirement"})
CONSTRAINS = frozenset({"-c", "--constraint"})
DEPTH = 5  # requirements files that include others
_EXACT = regex(r"(?:==?)?\s{0,9}(\d{1,9}(?:\.\d{1,9}){1,5}(?:[a-z]{1,4}\d{1,9})?)")


def requirements(file: File, tree: Tree, depth: int = 0) -> list[Package]:
    """Pinned and asked-for distributions, those of included files too; a constraint only pins them."""
    found: list[Package] = []
    pins: dict[str, str] = {}
    for number, line in _logical_lines(file.text()):
        option, _, value = line.partition(" ")
        if option in {*INCLUDES, *CONSTRAINS}:
            other = tree.file(join(dirname(file.path), value.strip()))
            further = requirements(other, tree, depth + 1) if depth < DEPTH and other is not None else []
            if option in INCLUDES:
                found += further
            else:
                pins |= {one.name: one.version for one in further}
        elif not line.startswith("-") and (one := asked_for(line, file.path, number)):
            found.append(replace(one, groups=(of_file(file.path),)))
    return [replace(one, version=one.version or pins.get(one.name, "")) for one in found]


def _logical_lines(text: str) -> Iterator[tuple[int, str]]:
    """Lines without comments and options, continued ones joined."""
    joined, first = "", 0
    for number, line in enumerate(text.splitlines(), 1):
        first = first if joined else number
        joined += line.removesuffix("\\")
        if line.endswith("\\"):
            continue
        plain = joined.strip() if joined.lstrip().startswith("-") else joined.split(" #")[0].split(" --")[0].strip()
        if plain and not plain.startswith("#"):
            yield first, plain
        joined = ""


def asked_for(text: str, source: str, line: int) -> Package | None:
    """What one requirement asks for; None where it is none, or none for Linux."""
    try:
        wanted = Requirement(text)
    except InvalidRequirement:
        return None
    if wanted.marker is not None and not _applies(wanted):
        return None
    return package(wanted.name, _pinned(wanted), source, line)


def package(spelt: str, version: str, source: str, line: int = 1) -> Package:
    """A distribution by its normalised name."""
    name = canonicalize_name(spelt)
    return Package("python", name, version, source, line, spelt=spelt if spelt != name else "")


def _applies(wanted: Requirement) -> bool:
    """Whether its marker can hold on Linux; what depends on an extra is asked for by somebody."""
    try:
        return wanted.marker is None or wanted.marker.evaluate({"extra": "", "sys_platform": "linux"})
    except (UndefinedEnvironmentName, InvalidMarker):
        return True


def _pinned(wanted: Requirement) -> str:
    pins = [one.version for one in wanted.specifier if one.operator in {"==", "==="} and "*" not in one.version]
    return pins[0] if len(pins) == 1 else ""


def lock(file: File) -> list[Package]:
    """uv.lock, poetry.lock and pdm.lock: one ``[[package]]`` each.

    Raises:
        LockError: it has no such table.
    """
    document = file.toml()
    if not isinstance(document.get("package"), list):
        raise LockError("it has no [[package]] tables")
    packages = document.tables("package")
    roots = {name for one in packages if _is_root(one) for name in _needs(one)}
    found = [
        replace(known, groups=_groups(one), direct=known.name in roots)
        for one in packages
        if not _is_root(one) and (known := package(one.text("name"), one.text("version"), file.path)).name
    ]
    needs: dict[str, list[str]] = {canonicalize_name(one.text("name")): _needs(one) for one in packages}
    return grouped(found, needs, _asked(packages)) if roots else found


def _asked(packages: Iterable[Table]) -> dict[str, list[str]]:
    """What uv's own packages ask for, by group; extras are groups too."""
    asked: dict[str, list[str]] = {}
    for one in packages:
        if _is_root(one):
            asked.setdefault(DEFAULT, []).extend(_needs(one))
            for field in ("dev-dependencies", "optional-dependencies"):
                groups = one.table(field)
                for group in groups:
                    asked.setdefault(group, []).extend(_named(groups, group))
    return asked


def _named(table: Table, key: str) -> list[str]:
    return [canonicalize_name(need.text("name")) for need in table.tables(key)]


def _is_root(one: Table) -> bool:
    return bool({"editable", "virtual"} & one.table("source").keys())


def _needs(one: Table) -> list[str]:
    return _named(one, "dependencies")


def _groups(one: Table) -> tuple[str, ...]:
    groups = one.items_of("groups") or [one.text("category") or "default"]
    return tuple("default" if group in {"main", "default"} else str(group) for group in groups)


def pipfile(file: File) -> list[Package]:
    """Pipfile.lock, which is JSON: a table for each group."""
    document = next(iter(file.yaml()), None)
    groups = document if isinstance(document, Table) else Table()
    return [
        replace(package(name, locked.table(name).text("version").lstrip("="), file.path), groups=(group,))
        for group in groups
        if group != "_meta"
        for locked in [groups.table(group)]
        for name in locked
    ]


def pylock(file: File) -> list[Package]:
    """pylock.toml of PEP 751."""
    packages = file.toml().tables("packages")
    return [package(one.text("name"), one.text("version"), file.path) for one in packages]


def pyproject(file: File) -> list[Package]:
    """What the project asks for, by groups; Poetry's own tables too."""
    document = file.toml()
    project, poetry = document.table("project"), document.table("tool", "poetry")
    wanted = [("default", text) for text in project.items_of("dependencies")]
    for groups in (project.table("optional-dependencies"), document.table("dependency-groups")):
        wanted += [(group, text) for group in groups for text in groups.items_of(group)]
    asked = [(group, asked_for(text, file.path, 1)) for group, text in wanted if isinstance(text, str)]
    found = [replace(one, groups=(group,)) for group, one in asked if one is not None]
    found += _by_name(poetry.table("dependencies"), "default", file.path)
    found += _by_name(poetry.table("dev-dependencies"), "dev", file.path)
    for group in poetry.table("group"):
        found += _by_name(poetry.table("group", group, "dependencies"), group, file.path)
    return found


def pipenv(file: File) -> list[Package]:
    """What Pipfile asks for, where nothing is locked."""
    document = file.toml()
    found = _by_name(document.table("packages"), "default", file.path)
    return found + _by_name(document.table("dev-packages"), "develop", file.path)


def _by_name(asked: Table, group: str, source: str) -> list[Package]:
    """Tables of names with what versions may be: text, or a table that has it below ``version``."""
    said = {name: asked.table(name).text("version") or asked.text(name) for name in asked if name != "python"}
    pins = {name: found[1] if (found := _EXACT.fullmatch(text)) else "" for name, text in said.items()}
    return [replace(package(name, pin, source), groups=(group,)) for name, pin in pins.items()]


def setup_cfg(file: File) -> list[Package]:
    """What setuptools' setup.cfg asks for, by extras.

    Raises:
        LockError: it is no file of its kind.
    """
    from configparser import Error, RawConfigParser

    reader = RawConfigParser(strict=False)
    try:
        reader.read_string(file.text())
    except Error as error:
        raise LockError("it is not INI") from error
    extras = dict(reader["options.extras_require"]) if reader.has_section("options.extras_require") else {}
    wanted = {"default": reader.get("options", "install_requires", fallback=""), **extras}
    asked = [(group, asked_for(line, file.path, 1)) for group, text in wanted.items() for line in text.splitlines()]
    return [replace(one, groups=(group,)) for group, one in asked if one is not None]


def installed(site: Path, source: str) -> list[Package]:
    """Distributions by their metadata folders; nothing of the environment is run."""
    found = []
    for folder in sorted(site.iterdir()):
        if folder.name.endswith(".dist-info"):
            name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
            direct = (folder / "REQUESTED").exists()
            found.append(replace(package(name, version, source), installed=True, direct=direct))
    return found
