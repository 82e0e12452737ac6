"""conda's environment.yml and conda-lock.yml: what its channels give, and what pip installs beside."""

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kiqdoctor.doctor.facts.packages import Package
from kiqdoctor.probes.packages.groups import of_file
from kiqdoctor.probes.packages.python import asked_for, package
from kiqdoctor.probes.tree.documents import Table
from kiqdoctor.regex import regex

if TYPE_CHECKING:
    from kiqdoctor.probes.tree.file import File

NAMES: Final = ("environment.yml", "environment.yaml", "conda.yml", "conda.yaml")
LOCKS: Final = ("conda-lock.yml",)
CALLED: Final = {
    "redis-py": "redis", "pytorch": "torch", "opencv": "opencv-python", "py-opencv": "opencv-python",
    "matplotlib-base": "matplotlib", "pytables": "tables",
}  # fmt: skip
"""Distributions that conda calls otherwise."""
_SPEC: Final = regex(r"(?:[^\s:]{1,100}::)?(?P<name>[\w.-]{1,100})\s{0,9}(?P<said>.{0,200})")
_EXACT: Final = regex(r"(?:==?\s{0,9})?(\d[\w.!+]{0,60})(?:=[\w.*]{1,60})?")
_PART: Final = 2  # `numpy=1.26` leaves the last number open, as `numpy==1.26.*`


def environment_yml(file: "File") -> list[Package]:
    """What an environment is asked to hold."""
    found: list[Package] = []
    for document in file.yaml():
        for at, spec in enumerate(document.items_of("dependencies") if isinstance(document, Table) else ()):
            assert isinstance(document, Table)  # noqa: S101 - else it has no items
            line = document.line_of("dependencies", at)
            if isinstance(spec, str) and (one := _asked(spec, file.path, line)):
                found.append(one)
            elif isinstance(spec, Table):
                pip = [str(text) for text in spec.items_of("pip")]
                found += [one for text in pip if (one := asked_for(text, file.path, line))]
    return [replace(one, groups=(of_file(file.path),)) for one in found]


def _asked(spec: str, source: str, line: int) -> Package | None:
    read = _SPEC.fullmatch(spec.strip())
    if read is None:
        return None
    exact = _EXACT.fullmatch(read["said"])
    fuzzy = exact is not None and not read["said"].startswith("==") and exact[1].count(".") < _PART
    return _named(read["name"], exact[1] if exact and not fuzzy and "*" not in exact[1] else "", source, line)


def _named(spelt: str, version: str, source: str, line: int) -> Package | None:
    name = CALLED.get(spelt.lower(), spelt)
    return None if name in {"python", "pip"} or name.startswith("_") else package(name, version, source, line)


def conda_lock(file: "File") -> list[Package]:
    """What conda-lock resolved, each once whatever platforms there are."""
    found: dict[tuple[str, str], Package] = {}
    for document in file.yaml():
        for one in document.tables("package") if isinstance(document, Table) else ():
            locked = _named(one.text("name"), one.text("version"), file.path, one.line)
            if locked is not None:
                group = one.text("category") or "default"
                group = "default" if group == "main" else group
                found.setdefault((locked.name, locked.version), replace(locked, groups=(group,)))
    return list(found.values())
