"""What installed packages add by entry point: probes and renderers; whatever is wrong with one is a value too.

Groups: ``kiqdoctor.checks`` (a package whose folder is a pack, read by ``doctor.pack``), ``kiqdoctor.probes`` (a module
that holds probes, or one probe), ``kiqdoctor.renderers`` (a function from a report to text; its name is the format).
"""

import sys
from collections.abc import Callable, Collection, Iterator
from copy import deepcopy
from dataclasses import is_dataclass, replace
from functools import cache
from importlib.machinery import PathFinder
from inspect import isfunction
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any, Final

from kiqdoctor.doctor.contain import CrashError, contained
from kiqdoctor.doctor.plan import DECIDED, LIVE_GIVEN
from kiqdoctor.doctor.probe import Probe, Read
from kiqdoctor.doctor.report import Report
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

CHECKS: Final = "kiqdoctor.checks"
PROBES: Final = "kiqdoctor.probes"
RENDERERS: Final = "kiqdoctor.renderers"
LOADING: Final = 10.0  # seconds that importing one plug-in may take
RENDERING: Final = 60.0  # seconds
LONGEST: Final = 60.0  # seconds that a plug-in's probe may ask for

_ABOUT: Final = ("dist-info", "egg-info")  # how the folder ends that tells of an installed package
_GROUPS: Final = b"[kiqdoctor."
_FORMAT: Final = regex(r"[a-z][a-z0-9-]*")


@dataclass(frozen=True, slots=True)
class Broken:
    """A plug-in, or a file of one, that cannot be used. ``names``: ids of the checks that are lost with it, if told."""

    plugin: str
    why: str
    names: tuple[str, ...] = ()
    category: str = ""


def entries(group: str) -> "tuple[EntryPoint, ...]":
    """The group's entry points in a stable order; the same one of a package that is installed twice counts once."""
    if not _declared():
        return ()
    found: dict[EntryPoint, None] = dict.fromkeys(_installed().select(group=group))
    return tuple(sorted(found, key=lambda entry: (entry.name, entry.value)))


@cache
def _installed() -> Any:
    """All there are (their type has another name in each Python); every installed distribution is looked into once."""
    from importlib.metadata import entry_points

    return entry_points()


@cache
def _declared() -> bool:
    """Whether some package may declare a plug-in: without one, importing what reads entry points is 30 ms for nothing.

    What is not a plain folder, or found by a finder that is not Python's own, is left to that library.
    """
    finders = [one for one in sys.meta_path if hasattr(one, "find_distributions")]
    return finders != [PathFinder] or any(_declares(Path(folder)) for folder in dict.fromkeys(sys.path))


def _declares(folder: Path) -> bool:
    try:
        if not folder.is_dir():
            return folder.exists()
        about = [one for one in folder.iterdir() if one.name.lower().endswith(_ABOUT)]
    except OSError:
        return False
    return any(_GROUPS in _read(one / "entry_points.txt") for one in about)


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError:  # most packages have none
        return b""


def called(entry: "EntryPoint") -> str:
    """How a report names the plug-in: its distribution where that is known."""
    owner = entry.dist.name if entry.dist is not None else ""
    return f"{owner} ({entry.group} {entry.name})" if owner else f"{entry.group} {entry.name}"


@cache
def probes_beside(own: tuple[Probe, ...]) -> tuple[tuple[Probe, ...], tuple[Broken, ...]]:
    """Our own probes with every sound one of every plug-in, ordered by fact; and what is broken."""
    taken = {probe.fact.__name__ for probe in own} | {kind.__name__ for kind in LIVE_GIVEN | DECIDED}
    further, broken = _probes()
    flaws = [(probe, probe_flaw(probe, taken)) for probe in further]
    lost = tuple(Broken(probe.read.__module__, flaw) for probe, flaw in flaws if flaw)
    found = [*own, *(probe for probe, flaw in flaws if not flaw)]
    return tuple(sorted(found, key=lambda probe: (probe.fact.__name__, probe.name))), (*broken, *lost)


def _probes() -> tuple[tuple[Probe, ...], tuple[Broken, ...]]:
    """Every sound probe of every plug-in, and what is broken."""
    found: list[Probe] = []
    broken: list[Broken] = []
    for entry in entries(PROBES):
        try:
            loaded = contained(entry.load, LOADING)
        except CrashError as error:
            broken.append(Broken(called(entry), str(error)))
            continue
        held = [one for one in _held(loaded) if isinstance(one, Probe)]
        if not held:
            broken.append(Broken(called(entry), f"{entry.value} holds no probe: a function under @probe(...)"))
        for one in held:
            if flaw := probe_flaw(one, {known.fact.__name__ for known in found if known is not one}):
                broken.append(Broken(called(entry), flaw))
            elif one not in found:
                found.append(replace(one, deadline_s=min(one.deadline_s, LONGEST)))
    return tuple(found), tuple(broken)


def _held(loaded: Any) -> Iterator[Any]:
    """What a module holds, or the value itself."""
    yield from vars(loaded).values() if isinstance(loaded, ModuleType) else (loaded,)


def probe_flaw(probe: Any, taken: Collection[str]) -> str:
    """Why a plug-in's probe cannot be used beside facts of these names; "" where it can."""
    if not isfunction(probe.read) or not isinstance(probe.fact, type) or not is_dataclass(probe.fact):
        return f"the probe {probe.name} reads no fact: its return annotation must be a frozen dataclass"
    if probe.fact.__name__ in taken:
        return f"the probe {probe.name} reads {probe.fact.__name__}, and a fact of that name is read already"
    if not all(isinstance(read, Read) for read in probe.reads):
        return f"the probe {probe.name} must declare what it reads: @probe(Read(...), lane=...)"
    if not probe.deadline_s > 0:
        return f"the probe {probe.name} has no time to look: deadline_s must be above 0"
    return ""


def formats() -> tuple[str, ...]:
    """The names of further formats; none of their code is imported for that."""
    return tuple(dict.fromkeys(entry.name for entry in entries(RENDERERS) if _FORMAT.fullmatch(entry.name)))


def rendered(report: Report, form: str) -> str:
    """The report in a plug-in's format. It gets a copy: what it does to that changes neither report nor exit status.

    Raises:
        CrashError: it cannot be imported, raised, took too long, or returned something else than text.
    """
    [entry, *_] = [entry for entry in entries(RENDERERS) if entry.name == form]
    renderer: Callable[[Report], Any] = contained(entry.load, LOADING)
    text = contained(lambda: renderer(deepcopy(report)), RENDERING)
    if not isinstance(text, str):
        raise CrashError(f"it returned a {type(text).__name__}, not text")
    return text
