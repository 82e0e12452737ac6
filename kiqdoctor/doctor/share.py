"""A share of a sample, and what it says of the whole: Wilson's interval, 95 % sure."""

from math import sqrt
from typing import Final

from kiqdoctor.records import dataclass

SURE: Final = 1.96  # standard deviations on each side that hold 95 %


@dataclass(frozen=True, slots=True)
class Share:
    """``count`` of ``looked`` members of a place that holds ``total``."""

    count: int
    looked: int
    total: int

    @property
    def value(self) -> float:
        """The share itself; 0 of nothing."""
        return self.count / self.looked if self.looked else 0.0

    @property
    def whole(self) -> bool:
        """Every member was looked at, so that it is exact."""
        return self.looked >= self.total

    @property
    def low(self) -> float:
        """The least share of the whole that fits the sample."""
        return self.value if self.whole else max(0.0, self._middle - self._reach)

    @property
    def high(self) -> float:
        """The largest share of the whole that fits the sample; all of it where nothing was looked at."""
        return self.value if self.whole else min(1.0, self._middle + self._reach)

    @property
    def jobs(self) -> int:
        """How many members of the whole it stands for."""
        return round(self.value * self.total)

    @property
    def text(self) -> str:
        """As it is shown."""
        if self.whole:
            return f"{self.count} of all {self.total}"
        return f"{self.count} of {self.looked} sampled of {self.total} ({self.low:.0%} to {self.high:.0%}, 95 % sure)"

    @property
    def _middle(self) -> float:
        if not self.looked:
            return 0.5
        return (self.value + SURE**2 / (2 * self.looked)) / (1 + SURE**2 / self.looked)

    @property
    def _reach(self) -> float:
        if not self.looked:
            return 0.5
        spread = self.value * (1 - self.value) / self.looked + SURE**2 / (4 * self.looked**2)
        return SURE * sqrt(spread) / (1 + SURE**2 / self.looked)
