"""One fact over time: readings with their times, and what they show of a change. Pure; a check asks by annotation."""

from collections.abc import Callable, Hashable
from itertools import pairwise
from typing import Final, Generic, TypeVar

from kiqdoctor.doctor.verdict import Unknown
from kiqdoctor.records import dataclass

Fact = TypeVar("Fact")

PUNCTUAL: Final = 0.95  # of the time asked for: a reading starts when its lane is free, a little early or late


@dataclass(frozen=True, slots=True)
class Moment(Generic[Fact]):
    """A fact as it was at one time (epoch seconds)."""

    at: float
    fact: Fact


@dataclass(frozen=True, slots=True)
class Missed:
    """A reading that failed: when (epoch seconds), why, and what would unlock it."""

    at: float
    reason: str
    unlock: str = ""


@dataclass(frozen=True, slots=True)
class Twice(Generic[Fact]):
    """One fact at both ends of a window, in seconds. It is refused where either end is."""

    first: Fact
    last: Fact
    window_s: float


@dataclass(frozen=True, slots=True)
class Earlier(Moment[Fact]):
    """A fact of the earlier recording that was given (``--baseline-run``), and when it was read."""


@dataclass(frozen=True, slots=True)
class Series(Generic[Fact]):
    """One fact, read again and again over a window (``--for``), perhaps after an earlier recording's reading.

    Without a window it has one reading, which shows no change: ask ``lacks``. ``missed`` are readings that failed;
    a check that was given such a series may find something, but the engine lets it prove no pass.
    """

    moments: tuple[Moment[Fact], ...]  # at least one, in the order of their times
    missed: tuple[Missed, ...] = ()

    @property
    def first(self) -> Fact:
        """The earliest reading."""
        return self.moments[0].fact

    @property
    def last(self) -> Fact:
        """The latest reading."""
        return self.moments[-1].fact

    @property
    def facts(self) -> tuple[Fact, ...]:
        """Every reading."""
        return tuple(one.fact for one in self.moments)

    @property
    def window_s(self) -> float:
        """Seconds between the first reading and the last."""
        return self.moments[-1].at - self.moments[0].at

    def lacks(self, readings: int = 2, apart_s: float = 1.0) -> Unknown | None:
        """What to say where there are not so many readings so far apart; None where there are."""
        had = len(self.apart(apart_s).moments)
        if had >= readings:
            return None
        return Unknown(
            f"it takes {readings} readings {apart_s:g} s apart, not {had}", f"--for {(readings - 1) * apart_s:g}"
        )

    def apart(self, seconds: float) -> "Series[Fact]":
        """The first reading, and each that comes at least so long after the one before it."""
        kept = [self.moments[0]]
        for one in self.moments[1:]:
            if one.at - kept[-1].at >= seconds * PUNCTUAL:
                kept.append(one)
        return Series(tuple(kept), self.missed)

    def within(self, seconds: float) -> "Series[Fact]":
        """The readings of the last so many seconds: those of an earlier recording are mostly older."""
        since = self.moments[-1].at - seconds
        moments = tuple(one for one in self.moments if one.at >= since)
        return Series(moments, tuple(one for one in self.missed if one.at >= since))

    def rate(self, number: Callable[[Fact], float | None]) -> float | None:
        """By how much a number changes in a second, from end to end; None where nothing tells."""
        first, last = number(self.first), number(self.last)
        if first is None or last is None or self.window_s <= 0:
            return None
        return (last - first) / self.window_s

    def rise(
        self, counter: Callable[[Fact], float | None], epoch: Callable[[Fact], Hashable] = lambda _: None
    ) -> float | None:
        """By how much a counter rose, at least; None where nothing tells.

        A counter begins at nought again where ``epoch`` (a server's ``run_id``) changed, or where it fell.
        """
        counts = self._numbers(counter)
        if counts is None:
            return None
        anew = [epoch(one) != epoch(other) for one, other in pairwise(self.facts)]
        steps = zip(pairwise(counts), anew, strict=True)
        return sum(after if new or after < before else after - before for (before, after), new in steps)

    def grows(self, number: Callable[[Fact], float | None]) -> bool | None:
        """Whether a number ends higher than it began and never fell; None where nothing tells."""
        numbers = self._numbers(number)
        if numbers is None:
            return None
        return numbers[-1] > numbers[0] and all(before <= after for before, after in pairwise(numbers))

    def _numbers(self, number: Callable[[Fact], float | None]) -> list[float] | None:
        """One of each reading; None where one reading does not say it, or there is only one."""
        numbers = [found for one in self.facts if (found := number(one)) is not None]
        return numbers if len(numbers) == len(self.moments) > 1 else None
