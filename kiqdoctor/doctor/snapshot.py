"""What was read: facts by their type, and what was not, with the reason."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, TypeVar

Fact = TypeVar("Fact")


@dataclass(frozen=True, slots=True)
class Refused:
    """A fact that could not be read: why, and what would unlock it (a permission, a flag, a package).

    ``crashed``: its probe failed, or did not end: nothing that anybody may lack, and the examination is not complete.
    """

    reason: str
    unlock: str = ""
    crashed: bool = False


@dataclass(frozen=True, slots=True)
class Absent:
    """A fact that does not exist in this examination (no application given, live half deselected...)."""

    reason: str


Missing = Refused | Absent


@dataclass(frozen=True, slots=True)
class Reading:
    """How one fact was read: by which probe, when (epoch seconds), in how many milliseconds."""

    value: Any
    probe: str = ""
    at: float = 0.0
    took_ms: float = 0.0


@dataclass(frozen=True)
class Snapshot:
    """Facts by type. ``later`` holds a second reading of those that a window (``--for``) reads twice."""

    readings: Mapping[type, Reading] = field(default_factory=dict)
    later: Mapping[type, Reading] = field(default_factory=dict)
    window_s: float = 0.0

    @classmethod
    def of(cls, *facts: object) -> "Snapshot":
        """A snapshot of these facts, for tests and packs."""
        return cls({type(fact): Reading(fact) for fact in facts})

    def with_(self, *facts: object) -> "Snapshot":
        """The same with these facts in place of theirs."""
        changed = {type(fact): Reading(fact) for fact in facts}
        return Snapshot({**self.readings, **changed}, self.later, self.window_s)

    def without(self, kind: type, missing: Missing) -> "Snapshot":
        """The same, with one fact missing."""
        return Snapshot({**self.readings, kind: Reading(missing)}, self.later, self.window_s)

    def get(self, kind: type[Fact]) -> Fact | Refused | Absent:
        """The fact, or why it is missing."""
        reading = self.readings.get(kind)
        return Refused(f"{kind.__name__} was not read", "") if reading is None else reading.value

    def last(self, kind: type[Fact]) -> Fact | Refused | Absent:
        """The reading at the end of the window."""
        reading = self.later.get(kind)
        if reading is None:
            return Refused("one sample cannot show a change", "--for SECONDS")
        value: Fact | Refused | Absent = reading.value
        return value
