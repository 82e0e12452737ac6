"""Finds check files: ours, installed packs', those of ``--checks DIR``; all read by location, none imported.

What is broken of another's pack stops nothing: a check that is ``unknown (crashed)`` stands in for it.
"""

import importlib.util
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path
from types import ModuleType
from typing import Any, Final

from kiqdoctor.doctor import plugins
from kiqdoctor.doctor.check import Check
from kiqdoctor.doctor.contain import CrashError, contained, said
from kiqdoctor.doctor.plugins import Broken
from kiqdoctor.doctor.verdict import Severity, Unknown, Verdict
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex

PACKAGE = Path(__file__).parents[1]
OURS: Final = "kiqdoctor.checks"
LOADING: Final = 10.0  # seconds that reading one file of another's pack may take

_ID: Final = regex(r"[A-Z]{3}[0-9]{3}")
_NAME: Final = regex(r"[a-z0-9]+(?:[-_][a-z0-9]+)*")
_DECLARED: Final = regex(r"""@check\(\s*["']([A-Z]{3}[0-9]{3})["']""")


class PackError(Exception):
    """One of our own check files cannot be read, or two of them share an id; one line."""


@dataclass(frozen=True, slots=True)
class _Pack:
    """A folder of check files: the name that its modules get, and who brought it ("" = we)."""

    name: str
    root: Path
    origin: str = ""


def home() -> Path:
    """Where our own checks lie: inside the package in a wheel, beside it in a checkout."""
    installed = PACKAGE / "checks"
    return installed if installed.is_dir() else PACKAGE.parent / "checks"


def load(extra: Sequence[Path] = (), lost: Iterable[Broken] = ()) -> tuple[Check, ...]:
    """Every check, ordered by id; what is broken of others (``lost``: more of it) is there as a check that cannot be
    judged.
    """
    found: dict[str, Check] = {}
    broken = list(lost)
    folders: set[Path] = set()
    for pack in _packs(extra, broken):
        if pack.root.resolve() in folders:
            continue  # installed, and named by --checks too
        folders.add(pack.root.resolve())
        for check in _checks(pack, broken):
            other = found.setdefault(check.id, check)
            if other.judge is check.judge:
                continue
            if not pack.origin:
                raise PackError(f"{pack.root}: the id {check.id} is taken by {other.name}")
            broken.append(Broken(pack.origin, f"the id {check.id} of {check.name} is taken by {other.name}"))
    for one in broken:
        for check in _stand_ins(one, found):
            found[check.id] = check
    return tuple(found[key] for key in sorted(found))


def _packs(extra: Sequence[Path], broken: list[Broken]) -> Iterator[_Pack]:
    yield _Pack(OURS, home())
    for entry in plugins.entries(plugins.CHECKS):
        try:
            spec = contained(partial(importlib.util.find_spec, entry.value), LOADING)
        except CrashError as error:
            broken.append(Broken(plugins.called(entry), str(error)))
            continue
        locations = (spec.submodule_search_locations if spec is not None else None) or ()
        if not locations:
            broken.append(Broken(plugins.called(entry), f"there is no package {entry.value}, whose folder is the pack"))
        for location in locations:
            yield _Pack(entry.value, Path(location), plugins.called(entry))
    for number, root in enumerate(extra):
        yield _Pack(f"kiqdoctor.extra{number}", root, str(root))


def _checks(pack: _Pack, broken: list[Broken]) -> Iterator[Check]:
    """The sound checks of a pack."""
    for file in sorted(pack.root.rglob("[!_]*.py")):
        if not pack.origin:
            yield from _held(_ours(file, _dotted(pack, file)))
            continue
        try:
            checks = _held(contained(partial(_module, file, _dotted(pack, file)), LOADING))
        except CrashError as error:
            broken.append(_lost(pack, file, str(error)))
            continue
        if not checks:
            reason = "it holds no check, a function under @check(...); a helper's name begins with _"
            broken.append(_lost(pack, file, reason))
        for check in checks:
            if flaw := _flaw(check):
                broken.append(_lost(pack, file, flaw))
            else:
                yield replace(check, origin=pack.origin)


def _held(module: ModuleType) -> list[Check]:
    return [value for value in vars(module).values() if isinstance(value, Check)]


def _ours(file: Path, dotted: str) -> ModuleType:
    try:
        return _module(file, dotted)
    except Exception as error:
        raise PackError(f"{file} cannot be loaded: {said(error)}") from error


def _dotted(pack: _Pack, file: Path) -> str:
    return ".".join((pack.name, *file.relative_to(pack.root).with_suffix("").parts))


def _module(file: Path, dotted: str) -> ModuleType:
    module = sys.modules.get(dotted)
    if module is not None and getattr(module, "__file__", None) == str(file):
        return module
    spec = importlib.util.spec_from_file_location(dotted, file)
    if spec is None or spec.loader is None:
        raise ImportError(f"{file} cannot be read as Python")
    module = sys.modules[dotted] = importlib.util.module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except BaseException:
        del sys.modules[dotted]
        raise
    return module


def _flaw(check: Any) -> str:
    """Why another's check cannot be taken among ours; "" where it can."""
    if not isinstance(check.id, str) or not _ID.fullmatch(check.id):
        return f"its id must be three capitals and three digits, not {check.id!r}"
    if not isinstance(check.severity, Severity):
        return f"the severity of {check.id} must be one of Severity, not {check.severity!r}"
    if not _NAME.fullmatch(check.name) or not _NAME.fullmatch(check.category):
        return f"the file and folder of {check.id} need names of small letters, digits and _"
    return ""


def _lost(pack: _Pack, file: Path, why: str) -> Broken:
    """A file that brought nothing, with the ids that its text declares."""
    try:
        text = file.read_text("utf-8", "replace")
    except OSError:
        text = ""
    where = file.relative_to(pack.root).as_posix()
    folder = file.parent.name if _NAME.fullmatch(file.parent.name) else ""
    return Broken(pack.origin, f"{where}: {why}", tuple(_DECLARED.findall(text)), folder)


PAGE: Final = """A plug-in cannot be used.

## Why it hurts
What it would have examined was not examined: nothing that it would find is in this report.

In the log: nothing.

## How it is found
Formula: unknown, always

It was imported as its entry point says, or read from the folder that was named, and that failed as the reason says.

## When it is wrong
Never: nothing was judged.

## Confirm by hand
`python -c 'import PACKAGE'` with the Python that runs the doctor.

## How to fix
Mend or upgrade the package, or uninstall it. `--require plug-ins` makes the exit status 3 while one is broken.

Risk: none.

Undo: install it again.

## Unknown when
Always.

## Source
The doctor's own loader.
"""


def _stand_ins(broken: Broken, taken: dict[str, Check]) -> Iterator[Check]:
    """What stands in the report where the plug-in's checks would: under their ids if those are known and free."""
    ids = [one for one in dict.fromkeys(broken.names) if one not in taken]
    free = (f"PLG{number:03}" for number in range(1, 1000))
    for one in ids or [next(one for one in free if one not in taken)]:

        def judge(why: str = f"crashed: the plug-in {broken.plugin}: {broken.why}") -> Iterator[Verdict]:
            yield Unknown(why, "mend it, or uninstall it")

        name = f"plug-in-{one.lower()}"
        category = broken.category if ids and broken.category else "plug-ins"
        yield Check(one, name, category, Severity.INFO, judge, (), PAGE, origin=broken.plugin)
