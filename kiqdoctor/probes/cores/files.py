"""Which of the files that a core names are here as they were then."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final, NamedTuple

from kiqdoctor.probes.cores.owners import beneath
from kiqdoctor.probes.native.core_file import Core, Mapped
from kiqdoctor.probes.native.elf import ElfError, read
from kiqdoctor.probes.tree.disk import beginning

PAGE: Final = (
    4_096  # bytes: its headers, its sections' places, mostly its build's id; the kernel puts it into every core
)
ELF: Final = b"\x7fELF"


class Files(NamedTuple):
    """Paths as the process saw them: ``same`` as then, ``other`` builds by now; the rest is not here, or not known."""

    same: frozenset[str]
    other: frozenset[str]


def files(core: Core, written_at: float, root: Path) -> Files:
    """Programs and libraries only."""
    same: set[str] = set()
    other: set[str] = set()
    seen: set[str] = set()
    for one in core.notes.mapped:
        if one.path in seen or one.offset or not _plain(one.path):
            continue
        seen.add(one.path)
        found = _same(core, one, written_at, beneath(one.path, root))
        if found is not None:
            (same if found else other).add(one.path)
    return Files(frozenset(same), frozenset(other))


def linked(found: Files, root: Path, folder: Path) -> None:
    """Links to what is as it was: under ``root`` of the folder at the same places, under ``names`` by what the loader
    called a library (its SONAME), where that is one alone.
    """
    called: dict[str, set[Path]] = {}
    for path in found.same:
        file = beneath(path, root).absolute()
        _link(beneath(path, folder / "root"), file)
        for name in (file.name, _soname(file)):
            called.setdefault(name, set()).add(file)
    for name, every in called.items():
        if len(every) == 1 and name and "/" not in name:
            _link(folder / "names" / name, *every)


def _link(place: Path, file: Path) -> None:
    with suppress(OSError, ValueError):  # one name is a folder of another, or no name: no file system has it
        place.parent.mkdir(parents=True, exist_ok=True)
        place.symlink_to(file)


def _soname(file: Path) -> str:
    try:
        return read(file).soname
    except (ElfError, OSError, ValueError):
        return ""


def _plain(path: str) -> bool:
    """A path that is what it says."""
    return path.startswith("/") and path == os.path.normpath(path) and path.isprintable()


def _same(core: Core, one: Mapped, written_at: float, file: Path) -> bool | None:
    try:
        here = beginning(file, PAGE)
        changed_at = file.stat().st_mtime
    except (OSError, ValueError):
        return None
    if not here.startswith(ELF):
        return None
    there = core.memory(one.start, PAGE)
    return here.startswith(there) if len(there) >= min(len(here), 64) else (changed_at <= written_at) or None
