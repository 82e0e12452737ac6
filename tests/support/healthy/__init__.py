"""A healthy installation as facts, a file a subject: the twin that every fault's test changes by one fact."""

import pkgutil
from functools import reduce
from importlib import import_module

from kiqdoctor.doctor.snapshot import Snapshot

_SUBJECTS = [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
_FACTS = tuple(fact for subject in _SUBJECTS for fact in getattr(subject, "FACTS", ()))
HEALTHY = Snapshot.of(*_FACTS)
WATCHED = reduce(lambda seen, fact: seen.over(60.0, *[fact] * 11), _FACTS, HEALTHY.after(3600.0, *_FACTS))
"""The same for ten minutes, an hour after a recording of it: nothing changes."""
