"""requirements files, uv.lock, poetry.lock, pyproject.toml, and what is installed in an environment."""

import tomllib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from packaging.markers import InvalidMarker, UndefinedEnvironmentName
from packaging.requirements import InvalidRequirement, Requirement
from packaging.utils import canonicalize_name

from kiqdoctor.doctor.facts.packages import Package
from kiqdoctor.probes.packages.ruby import LockError
from kiqdoctor.probes.tree.files import content

DEPTH = 5  # requirements files that include others


def requirements(path: Path, root: Path, depth: int = 0) -> list[Package]:
    """Pinned and asked-for distributions, those of included files too."""
    found: list[Package] = []
    for number, line in _logical_lines(content(path).decode("utf-8-sig", "replace")):
        option, _, value = line.partition(" ")
        if option in {"-r", "--requirement", "-c", "--constraint"}:
            other = (path.parent / value.strip()).resolve()
            if depth < DEPTH and other.is_relative_to(root.resolve()) and other.is_file():
                found += requirements(other, root, depth + 1)
        elif not line.startswith("-") and (package := _requirement(line, _name(path, root), number)):
            found.append(package)
    return found


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
    return Package("python", canonicalize_name(wanted.name), _pinned(wanted), source, line)


def _applies(wanted: Requirement) -> bool:
    """Whether its marker can hold on Linux; what depends on an extra is asked for by somebody."""
    try:
        return wanted.marker is None or wanted.marker.evaluate({"extra": "", "sys_platform": "linux"})
    except (UndefinedEnvironmentName, InvalidMarker):
        return True


def _pinned(wanted: Requirement) -> str:
    pins = [one.version for one in wanted.specifier if one.operator in {"==", "==="} and "*" not in one.version]
    return pins[0] if len(pins) == 1 else ""


def lock(path: Path, root: Path) -> list[Package]:
    """uv.lock, poetry.lock and pdm.lock: one ``[[package]]`` each.

    Raises:
        LockError: no TOML, or no such table.
    """
    document = _toml(path)
    packages = document.get("package")
    if not isinstance(packages, list):
        raise LockError("it has no [[package]] tables")
    roots = {name for one in packages if isinstance(one, dict) and _is_root(one) for name in _needs(one)}
    return [
        Package(
            "python", name, str(one.get("version") or ""), _name(path, root), groups=_groups(one), direct=name in roots
        )
        for one in packages
        if isinstance(one, dict) and not _is_root(one) and (name := canonicalize_name(str(one.get("name") or "")))
    ]


def _is_root(one: Mapping[str, Any]) -> bool:
    source = one.get("source")
    return isinstance(source, dict) and bool({"editable", "virtual"} & source.keys())


def _needs(one: Mapping[str, Any]) -> list[str]:
    return [canonicalize_name(str(need.get("name"))) for need in one.get("dependencies", ()) if isinstance(need, dict)]


def _groups(one: Mapping[str, Any]) -> tuple[str, ...]:
    groups = one.get("groups") or ([one["category"]] if isinstance(one.get("category"), str) else [])
    return tuple("default" if group in {"main", "default"} else str(group) for group in groups) or ("default",)


def pyproject(path: Path, root: Path) -> list[Package]:
    """What the project asks for, by groups."""
    document = _toml(path)
    project = document.get("project")
    project = project if isinstance(project, dict) else {}
    wanted = [("default", one) for one in project.get("dependencies") or ()]
    for tables in (project.get("optional-dependencies"), document.get("dependency-groups")):
        for group, lines in tables.items() if isinstance(tables, dict) else ():
            wanted += [(group, one) for one in lines if isinstance(one, str)]
    found = []
    for group, text in wanted:
        package = _requirement(str(text), _name(path, root), 1)
        if package is not None:
            found.append(Package("python", package.name, package.version, package.source, groups=(group,)))
    return found


def _toml(path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(content(path).decode("utf-8", "replace"))
    except (tomllib.TOMLDecodeError, RecursionError) as error:
        raise LockError(f"it is not TOML: {' '.join(str(error).split())}") from None


def installed(site: Path, source: str) -> list[Package]:
    """Distributions by their metadata folders; nothing of the environment is run."""
    found = []
    for folder in sorted(site.iterdir()):
        if folder.name.endswith(".dist-info"):
            name, _, version = folder.name.removesuffix(".dist-info").rpartition("-")
            direct = (folder / "REQUESTED").exists()
            found.append(Package("python", canonicalize_name(name), version, source, installed=True, direct=direct))
    return found


def _name(path: Path, root: Path) -> str:
    try:
        return str(path.relative_to(root))
    except ValueError:
        return path.name
