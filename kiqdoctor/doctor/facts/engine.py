"""What the engine itself tells checks: what it could not see, what people decided. Never refused."""

from collections.abc import Iterator
from enum import StrEnum
from fnmatch import fnmatchcase

from kiqdoctor.doctor.verdict import Location
from kiqdoctor.records import dataclass


@dataclass(frozen=True, slots=True)
class Gap:
    """One fact that was refused, why, what would unlock it, and the checks that went without."""

    fact: str
    reason: str
    unlock: str = ""
    checks: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Coverage:
    """Every gap, every probe's cost, and how many facts were read."""

    gaps: tuple[Gap, ...] = ()
    read: int = 0
    partial: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Threshold:
    """A number of a check that may be turned, declared beside the check.

    ``name`` is its key in the configuration, ``unit`` what it counts, ``source`` where the default comes from;
    ``least`` and ``most`` are the smallest and the largest that make sense. ``per`` names what it may differ by.
    """

    name: str
    default: float
    unit: str
    meaning: str
    source: str
    least: float = 0.0
    most: float | None = None
    per: tuple[str, ...] = ()  # of "queue", "tag"

    def refuses(self, value: float) -> str:
        """Why this value makes no sense; "" where it does."""
        if value < self.least or (self.most is not None and value > self.most):
            upper = "" if self.most is None else f" and at most {self.most:g}"
            return f"must be at least {self.least:g}{upper} ({self.unit}), not {value:g}"
        return ""


@dataclass(frozen=True, slots=True)
class Turned:
    """One number that somebody set: for a check, and perhaps only for queues or tags that match a glob."""

    check: str
    name: str
    value: float
    source: str = ""
    queue: str = ""
    tag: str = ""

    def fits(self, queue: str, tag: str) -> bool:
        """Whether it speaks of this queue and this tag ("": of none in particular)."""
        return all(
            not glob or (name and fnmatchcase(name, glob)) for glob, name in ((self.queue, queue), (self.tag, tag))
        )

    @property
    def closeness(self) -> int:
        """How narrowly it is meant: a queue's own name before a glob, before a tag, before the check as a whole."""
        return max(4 - _wild(self.queue) if self.queue else 0, 2 - _wild(self.tag) if self.tag else 0)


def _wild(glob: str) -> bool:
    return any(char in glob for char in "*?[")


@dataclass(frozen=True, slots=True)
class Thresholds:
    """What was turned. A check that takes this fact sees its own numbers only."""

    turned: tuple[Turned, ...] = ()

    def __getitem__(self, threshold: Threshold) -> float:
        """The number in force, for nothing in particular."""
        return self.of(threshold)

    def of(self, threshold: Threshold, *, queue: str = "", tag: str = "") -> float:
        """The number in force for a queue or the tag of a process; of equally narrow ones the first."""
        fitting = [one for one in self.turned if one.name == threshold.name and one.fits(queue, tag)]
        return max(fitting, key=lambda one: one.closeness).value if fitting else threshold.default

    def of_check(self, check: str) -> "Thresholds":
        """Those of one check, by its id."""
        return Thresholds(tuple(one for one in self.turned if one.check == check))

    def about(self, subject: str) -> Iterator[Turned]:
        """What was turned and speaks of this subject of a finding."""
        queue = subject.removeprefix("queue:") if subject.startswith("queue:") else ""
        for one in self.turned:
            if not one.queue or (queue and fnmatchcase(queue, one.queue)):
                yield one


class Fate(StrEnum):
    """Why a suppression applies, or does not."""

    HOLDS = "holds"  # it silences a finding
    UNUSED = "unused"  # its check was judged, and found nothing that it names
    UNJUDGED = "unjudged"  # its check was not selected, does not apply or ended unknown: nothing can be said
    EXPIRED = "expired"
    REFUTED = "refuted"  # its condition does not hold
    UNTOLD = "untold"  # the facts do not tell whether its condition holds
    UNREASONED = "without a reason"  # a comment that does not say why: it does not apply
    NAMELESS = "without a check"  # a comment that names no check that there is


@dataclass(frozen=True, slots=True)
class Suppressed:
    """One suppression: what it names, who wants it until when, and its fate."""

    check: str
    names: str  # the check and what else narrows it, as findings' subjects spell it
    reason: str
    owner: str
    expires: str
    days_left: float
    fate: Fate
    matched: int = 0  # findings that it names, silenced or not
    condition: str = ""
    told: str = ""  # what the facts say about the condition
    source: str = ""
    location: Location | None = None

    @property
    def in_place(self) -> bool:
        """Whether it is a comment beside what it silences, which has no end and no owner."""
        return not self.expires


@dataclass(frozen=True, slots=True)
class Suppressions:
    """Every suppression: those that are configured, and those that comments ask for."""

    all: tuple[Suppressed, ...] = ()
