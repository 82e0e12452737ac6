"""The readers: the only part of the doctor that looks at anything."""

import pkgutil
from functools import cache
from importlib import import_module

from kiqdoctor.doctor import plugins
from kiqdoctor.doctor.plan import DECIDED, LIVE_GIVEN
from kiqdoctor.doctor.probe import Probe


def every() -> tuple[Probe, ...]:
    """Each probe of each module in this folder, and the plug-ins'; heavy libraries are imported when probes run."""
    return _every()[0]


def broken() -> tuple[plugins.Broken, ...]:
    """Plug-ins that bring no probe, or one that reads what is read already."""
    return _every()[1]


@cache
def _every() -> tuple[tuple[Probe, ...], tuple[plugins.Broken, ...]]:
    modules = [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
    own = {value for module in modules for value in vars(module).values() if isinstance(value, Probe)}
    further, unsound = plugins.probes()
    taken = {probe.fact.__name__ for probe in own} | {kind.__name__ for kind in LIVE_GIVEN | DECIDED}
    flaws = [(probe, plugins.probe_flaw(probe, taken)) for probe in further]
    lost = tuple(plugins.Broken(probe.read.__module__, flaw) for probe, flaw in flaws if flaw)
    found = [*own, *(probe for probe, flaw in flaws if not flaw)]
    return tuple(sorted(found, key=lambda probe: (probe.fact.__name__, probe.name))), (*unsound, *lost)
