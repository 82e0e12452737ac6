"""requirements files, locks of uv, Poetry, PDM and Pipenv, pylock.toml, pyproject.toml, and installed environments."""

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

INCLUDES = frozenset({"-r", "--requirement"})
CONSTRAINS = frozenset({"-c", "--constraint"})
DEPTH = 5  # requirements files that include others


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
        elif not line.startswith("-") and (package := _requirement(line, file.path, number)):
            found.append(replace(package, groups=(of_file(file.path),)))
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


def _requirement(text: str, source: str, line: int) -> Package | None:
    try:
        wanted = Requirement(text)
    except InvalidRequirement:
        return None
    if wanted.marker is not None and not _applies(wanted):
        return None
    return _package(wanted.name, _pinned(wanted), source, line)


def _package(spelt: str, version: str, source: str, line: int = 1) -> Package:
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
        if not _is_root(one) and (known := _package(one.text("name"), one.text("version"), file.path)).name
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
        replace(_package(name, locked.table(name).text("version").lstrip("="), file.path), groups=(group,))
        for group in groups
        if group != "_meta"
        for locked in [groups.table(group)]
        for name in locked
    ]


def pylock(file: File) -> list[Package]:
    """pylock.toml of PEP 751."""
    packages = file.toml().tables("packages")
    return [_package(one.text("name"), one.text("version"), file.path) for one in packages]


def pyproject(file: File) -> list[Package]:
    """What the project asks for, by groups."""
    document = file.toml()
    project = document.table("project")
    wanted = [("default", text) for text in project.items_of("dependencies")]
    for groups in (project.table("optional-dependencies"), document.table("dependency-groups")):
        wanted += [(group, text) for group in groups for text in groups.items_of(group)]
    asked = [(group, _requirement(text, file.path, 1)) for group, text in wanted if isinstance(text, str)]
    return [replace(package, groups=(group,)) for group, package in asked if package is not None]


def installed(site: Path, source: str) -> list[Package]:
    """Distributions by their metadata folders; nothing of the environment is run."""
    found = []
    for folder in sorted(site.iterdir()):
        if folder.name.endswith(".dist-info"):
            name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
            direct = (folder / "REQUESTED").exists()
            found.append(replace(_package(name, version, source), installed=True, direct=direct))
    return found
