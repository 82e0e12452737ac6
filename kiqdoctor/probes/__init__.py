"""The readers: all that looks at anything. One folder a subject, named as its file of facts."""

import os
from collections.abc import Iterator
from functools import cache
from importlib import import_module
from typing import Final

from kiqdoctor.doctor.probe import Probe

_MARK: Final = b"\n@probe("


@cache
def every() -> tuple[Probe, ...]:
    """Each of our probes, ordered by its fact; heavy libraries are imported when probes run.

    Only files that make a probe are imported: the others are helpers, and each costs the start of every command.
    """
    modules = [import_module(name) for name in _named()]
    found = {_once(value) for module in modules for value in vars(module).values() if isinstance(value, Probe)}
    return tuple(sorted(found, key=lambda probe: (probe.fact.__name__, probe.name)))


def _once(probe: Probe) -> Probe:
    """What is read of source alone is remembered."""
    from kiqdoctor.probes.code.reading import SOURCE

    if probe.reads != (SOURCE,):
        return probe
    from kiqdoctor.probes.tree.remembering import remembered

    return remembered(probe)


def _named() -> Iterator[str]:
    here = os.path.dirname(__file__)  # noqa: PTH120 - a Path for each of a hundred files costs 8 ms of every command
    for folder, folders, names in os.walk(here):
        folders.sort()
        package = folder[len(here) :].replace(os.sep, ".")
        for name in sorted(names):
            if name.endswith(".py") and _MARK in _text(f"{folder}{os.sep}{name}"):
                yield f"{__name__}{package}.{name.removesuffix('.py')}"


def _text(path: str) -> bytes:
    with open(path, "rb") as file:  # noqa: PTH123 - the same
        return file.read()
