"""The readers: all that looks at anything. One folder a subject, named as its file of facts."""

from collections.abc import Iterator
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Final

from kiqdoctor.doctor.probe import Probe

_MARK: Final = "\n@probe("


@cache
def every() -> tuple[Probe, ...]:
    """Each of our probes, ordered by its fact; heavy libraries are imported when probes run.

    Only files that make a probe are imported: the others are helpers, and each costs the start of every command.
    """
    modules = [import_module(name) for name in _named()]
    found = {value for module in modules for value in vars(module).values() if isinstance(value, Probe)}
    return tuple(sorted(found, key=lambda probe: (probe.fact.__name__, probe.name)))


def _named() -> Iterator[str]:
    here = Path(__file__).parent
    for file in sorted(here.rglob("*.py")):
        if _MARK in file.read_text("utf-8"):
            yield ".".join((__name__, *file.relative_to(here).with_suffix("").parts))
