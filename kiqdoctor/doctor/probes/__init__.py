"""The readers: the only part of the doctor that looks at anything."""

import pkgutil
from importlib import import_module

from kiqdoctor.doctor.probe import Probe


def every() -> tuple[Probe, ...]:
    """Each probe of each module in this folder; heavy libraries are imported by the probes when they run."""
    modules = [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    found = [value for module in modules for value in vars(module).values() if isinstance(value, Probe)]
    return tuple(sorted(set(found), key=lambda probe: (probe.fact.__name__, probe.name)))
