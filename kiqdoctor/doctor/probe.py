"""What a probe is: a function that reads one fact, with all that it may send declared beforehand."""

from collections.abc import Callable
from enum import StrEnum
from typing import Any, Final

from kiqdoctor.doctor.check import Need, hinted, needs_of
from kiqdoctor.doctor.snapshot import Refused
from kiqdoctor.records import dataclass

EVERY: Final = ("*",)


@dataclass(frozen=True, slots=True)
class Read:
    """One kind of read: a Redis command's name (or what file), the permission it takes, what it costs.

    ``keys``: the patterns of the keys that it names, without a namespace; all, where it cannot know them beforehand.
    ``fallback``: it is made only on servers that do not say the same otherwise, as before Redis 6.2.
    """

    what: str
    permission: str = ""
    cost: str = ""
    fallback: bool = False
    keys: tuple[str, ...] = EVERY


class Lane(StrEnum):
    """What a probe waits for: lanes are read side by side, the probes of one lane one after the other."""

    REDIS = "redis"
    HOST = "host"
    WEB = "web"
    DATABASE = "database"
    FILES = "files"


class RefusalError(Exception):
    """Raised by a probe that could not look; becomes ``Refused(reason, unlock)``."""

    def __init__(self, reason: str, unlock: str = "") -> None:
        super().__init__(reason)
        self.refused = Refused(reason, unlock)


class AbsenceError(Exception):
    """Raised by a probe when there is nothing of its kind to look at; becomes ``Absent(reason)``."""


@dataclass(frozen=True, slots=True)
class Probe:
    """A registered reader of one fact."""

    name: str
    fact: type
    read: Callable[..., Any]
    needs: tuple[Need, ...]
    reads: tuple[Read, ...]
    lane: Lane
    deadline_s: float

    @property
    def live(self) -> bool:
        """Whether it looks at what runs; else it reads files."""
        return self.lane is not Lane.FILES

    @property
    def permissions(self) -> tuple[str, ...]:
        """What it takes, once each: ACL rules one by one, and whatever else in its own words."""
        found = [read.permission for read in self.reads if read.permission]
        words = [one.split() if one.startswith("+") else [one] for one in found]
        return tuple(dict.fromkeys(word for some in words for word in some))

    @property
    def rules(self) -> tuple[str, ...]:
        """The ACL rules that it takes on any server of today."""
        found = [read.permission for read in self.reads if read.permission.startswith("+") and not read.fallback]
        return tuple(dict.fromkeys(word for one in found for word in one.split()))


def probe(*reads: Read, lane: Lane, deadline_s: float = 10.0) -> Callable[[Callable[..., Any]], Probe]:
    """Make a probe: the return annotation is the fact, the parameters are tools (``doctor.tools``) or other facts."""

    def register(function: Callable[..., Any]) -> Probe:
        fact = hinted(function)["return"]
        return Probe(function.__name__, fact, function, needs_of(function), reads, lane, deadline_s)

    return register
