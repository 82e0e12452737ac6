"""Finds check files: ours, installed packs', those of ``--checks DIR``; all read by location, none imported."""

import importlib.util
import sys
from collections.abc import Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path

from kiqdoctor.doctor.check import Check

PACKAGE = Path(__file__).parents[1]


class PackError(Exception):
    """A check file cannot be read, or two checks share an id; one line."""


def home() -> Path:
    """Where our own checks lie: inside the package in a wheel, beside it in a checkout."""
    installed = PACKAGE / "checks"
    return installed if installed.is_dir() else PACKAGE.parent / "checks"


def load(extra: Sequence[Path] = ()) -> tuple[Check, ...]:
    """Every check, ordered by id."""
    found: dict[str, Check] = {}
    for name, root in _packs(extra):
        for check in _read(name, root):
            if check.id in found and found[check.id] is not check:
                raise PackError(f"{root}: the id {check.id} is taken by {found[check.id].name}")
            found[check.id] = check
    return tuple(found[key] for key in sorted(found))


def _packs(extra: Sequence[Path]) -> Iterator[tuple[str, Path]]:
    yield "kiqdoctor.checks", home()
    for entry in entry_points(group="kiqdoctor.checks"):
        spec = importlib.util.find_spec(entry.value)
        for location in (spec.submodule_search_locations if spec is not None else None) or ():
            yield entry.value, Path(location)
    for number, root in enumerate(extra):
        yield f"kiqdoctor.extra{number}", root


def _read(name: str, root: Path) -> Iterator[Check]:
    for file in sorted(root.rglob("[!_]*.py")):
        dotted = ".".join((name, *file.relative_to(root).with_suffix("").parts))
        module = sys.modules.get(dotted)
        if module is None or getattr(module, "__file__", None) != str(file):
            spec = importlib.util.spec_from_file_location(dotted, file)
            if spec is None or spec.loader is None:
                raise PackError(f"{file} cannot be read as Python")
            module = sys.modules[dotted] = importlib.util.module_from_spec(spec)
            try:
                spec.loader.exec_module(module)
            except Exception as error:
                del sys.modules[dotted]
                raise PackError(f"{file} cannot be loaded: {type(error).__name__}: {error}") from error
        yield from (value for value in vars(module).values() if isinstance(value, Check))
