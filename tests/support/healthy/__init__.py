"""A healthy installation as facts, a file a subject: the twin that every fault's test changes by one fact."""

import pkgutil
from importlib import import_module

from kiqdoctor.doctor.snapshot import Snapshot

_SUBJECTS = [import_module(f"{__name__}.{found.name}") for found in pkgutil.iter_modules(__path__)]
HEALTHY = Snapshot.of(*(fact for subject in _SUBJECTS for fact in getattr(subject, "FACTS", ())))
