"""What was read: facts by their type, and what was not, with the reason."""

from collections.abc import Mapping
from dataclasses import field, replace
from typing import Any, TypeVar

from kiqdoctor.doctor.series import Earlier, Missed, Moment, Series, Twice
from kiqdoctor.records import dataclass

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


@dataclass(frozen=True, slots=True)
class Past:
    """What an earlier recording of the same installation held, and when it was made (epoch seconds)."""

    readings: Mapping[type, Reading]
    at: float

    def reading(self, kind: type) -> Reading:
        """Its reading of a fact; one that it does not hold is refused."""
        lacking = Refused(f"it holds no {kind.__name__}", "record it again")
        return self.readings.get(kind) or Reading(lacking, at=self.at)


@dataclass(frozen=True)
class Snapshot:
    """Facts by type, each as it was first read.

    ``later`` holds the further readings of those that are sampled over a window (``--for``), in the order of their
    times; ``earlier`` is the recording that counts as the first sample (``--baseline-run``).
    """

    readings: Mapping[type, Reading] = field(default_factory=dict)
    later: Mapping[type, tuple[Reading, ...]] = field(default_factory=dict)
    earlier: Past | None = None

    @classmethod
    def of(cls, *facts: object) -> "Snapshot":
        """A snapshot of these facts, for tests and packs."""
        return cls({type(fact): Reading(fact) for fact in facts})

    @property
    def seen(self) -> tuple[str, ...]:
        """What facts that are made of much say of that, in words."""
        said = (getattr(reading.value, "seen", "") for reading in self.readings.values())
        return tuple(one for one in said if isinstance(one, str) and one)

    def with_(self, *facts: object) -> "Snapshot":
        """The same with these facts in place of theirs, read once."""
        changed = {type(fact): Reading(fact) for fact in facts}
        return replace(self, readings={**self.readings, **changed}, later=_but(self.later, changed))

    def over(self, apart_s: float, *facts: object) -> "Snapshot":
        """The same with one fact read again and again, so far apart; a missing one is a reading that failed."""
        first, *rest = (Reading(fact, at=number * apart_s) for number, fact in enumerate(facts))
        kind = type(first.value)
        return replace(self, readings={**self.readings, kind: first}, later={**self.later, kind: tuple(rest)})

    def after(self, seconds: float, *facts: object) -> "Snapshot":
        """The same, so long after a recording that held these facts."""
        at = min((one.at for one in self.readings.values()), default=0.0) - seconds
        return replace(self, earlier=Past({type(fact): Reading(fact, at=at) for fact in facts}, at))

    def without(self, kind: type, missing: Missing) -> "Snapshot":
        """The same, with one fact missing, now and in the earlier recording."""
        gone = {kind: Reading(missing)}
        earlier = self.earlier and replace(self.earlier, readings={**self.earlier.readings, **gone})
        return Snapshot({**self.readings, **gone}, _but(self.later, gone), earlier)

    @property
    def values(self) -> tuple[object, ...]:
        """What every reading of this examination came to."""
        further = (one for readings in self.later.values() for one in readings)
        return tuple(one.value for one in (*self.readings.values(), *further))

    def get(self, kind: type[Fact]) -> Fact | Refused | Absent:
        """The fact, or why it is missing."""
        reading = self.readings.get(kind)
        return Refused(f"{kind.__name__} was not read", "") if reading is None else reading.value

    def lately(self, kind: type[Fact]) -> Fact | Refused | Absent:
        """The fact as it was read last, or why that failed."""
        later = self.later.get(kind)
        return later[-1].value if later else self.get(kind)

    def series(self, kind: type[Fact]) -> Series[Fact] | Refused | Absent:
        """Every reading of the fact; it is missing where the examination's own first reading is."""
        first = self.get(kind)
        if isinstance(first, Refused | Absent):
            return first
        turns = self._turns(kind)
        came: list[Moment[Fact]] = [Moment(one.at, one.value) for _, one in turns if not _missing(one)]
        return Series(tuple(came), tuple(_missed(which, one) for which, one in turns if _missing(one)))

    def twice(self, kind: type[Fact]) -> Twice[Fact] | Refused | Absent:
        """Both ends of the series; it is missing where one of them is, or where there is one reading only."""
        value = self.get(kind)
        if isinstance(value, Refused | Absent):
            return value
        turns = self._turns(kind)
        if len(turns) == 1:
            return Refused("one sample cannot show a change", "--for SECONDS")
        ends = (turns[0], turns[-1])
        if failed := [_missed(which, one) for which, one in ends if _missing(one)]:
            return Refused(failed[0].reason, failed[0].unlock)
        (_, first), (_, last) = ends
        return Twice(first.value, last.value, last.at - first.at)

    def recalled(self, kind: type[Fact]) -> Earlier[Fact] | Refused | Absent:
        """The fact of the earlier recording; absent where none was given."""
        if self.earlier is None:
            return Absent("no earlier recording was given (--baseline-run FILE)")
        reading = self.earlier.reading(kind)
        if isinstance(reading.value, Absent):
            return Absent(f"in the earlier recording: {reading.value.reason}")
        if isinstance(reading.value, Refused):
            return Refused(f"in the earlier recording: {reading.value.reason}", reading.value.unlock)
        return Earlier(reading.at, reading.value)

    def failed(self, kind: type) -> tuple[Missed, ...]:
        """The readings of a fact's series that failed."""
        series: Series[object] | Refused | Absent = self.series(kind)
        return series.missed if isinstance(series, Series) else ()

    def _turns(self, kind: type) -> list[tuple[str, Reading]]:
        """Every reading of a fact in the order of their times, and what to call it."""
        own = (self.readings[kind], *self.later.get(kind, ()))
        named = [(f"{kind.__name__}, reading {number} of {len(own)}", one) for number, one in enumerate(own, 1)]
        if self.earlier is None:
            return named
        return [(f"{kind.__name__} in the earlier recording", self.earlier.reading(kind)), *named]


def _missing(reading: Reading) -> bool:
    return isinstance(reading.value, Refused | Absent)


def _missed(which: str, reading: Reading) -> Missed:
    return Missed(reading.at, f"{which}: {reading.value.reason}", getattr(reading.value, "unlock", ""))


def _but(later: Mapping[type, tuple[Reading, ...]], kinds: Mapping[type, Reading]) -> dict[type, tuple[Reading, ...]]:
    return {kind: readings for kind, readings in later.items() if kind not in kinds}
