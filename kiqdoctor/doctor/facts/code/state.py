"""State that all threads of a process see, and who changes it."""

from enum import StrEnum

from kiqdoctor.doctor.facts.code.sites import Sites
from kiqdoctor.doctor.facts.code.table import Site


class Change(StrEnum):
    """How it is changed. ``ONCE``: only where nothing was there yet."""

    SET = "sets"
    COUNTED = "reads and then writes"
    FILLED = "changes"
    ONCE = "makes, where it is not there yet,"


class StateWrite(Site, frozen=True, omit_defaults=True, gc=False):
    """One change, under no lock, of what a module, a class or a default argument holds (``holder``)."""

    name: str
    holder: str
    change: Change


class StateWrites(Sites[StateWrite]):
    """All of them, outside what runs when files are loaded."""

    __slots__ = ()
