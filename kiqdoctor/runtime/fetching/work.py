"""A unit of work, and what every way of fetching offers."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from math import inf
from typing import Any, Final, Protocol

import msgspec

from kiqdoctor.runtime.alike import Likewise
from kiqdoctor.runtime.endings import Ending

SHORT: Final = 0.001  # seconds; what a shorter job needs of Redis is asked and told together with what others need


class FencedError(Exception):
    """Our lease is gone: somebody may be running what we took."""


@dataclass(slots=True, eq=False)
class Home:
    """Where works lie until they end: a queue's bare name, and the private list of the connection that took them."""

    queue: str
    lane: Any = None
    key: str = ""
    place: bytes = b""  # of that list among a request's keys, packed
    at: int = 0  # the same as a number

    @property
    def retired(self) -> bool:
        """Whether these lists are of an identity that we had: others have taken what lay there."""
        return self.lane is not None and self.lane.retired

    @property
    def good_until(self) -> float:
        """Of the boot clock: until then nobody else can have taken it."""
        return self.lane.term.good_until if self.lane is not None else inf


class Place(msgspec.Struct, eq=False, gc=False):
    """Among the running of a limited class, by its name there.

    It may be passed on to the next job of that class here until then, of the boot clock; ``kept``: since when it waits.
    """

    name: str
    until: float
    kept: float = 0.0


class Work(msgspec.Struct, eq=False, gc=False):
    """A job's bytes and where they lie; two with equal bytes are two. ``ending``: what is to be told beside its end.

    ``place``: the one that it has while it runs, where its class is limited.
    """

    payload: bytes
    home: Home
    ending: Ending | Likewise | None = None
    place: Place | None = None

    @property
    def queue(self) -> str:
        """The bare name of the queue that it came from."""
        return self.home.queue


class Term(Protocol):
    """Until when what was taken may be started."""

    good_until: float  # of the boot clock


class Fetch(Protocol):
    """How a capsule's threads get work and rid of it. ``slowest``: seconds a job of late took, told by processors."""

    slowest: float

    @property
    def lease(self) -> "Term":
        """Until when what was taken may be started."""

    @property
    def done(self) -> Callable[[Work], Any]:
        """Call it with what ended."""

    def take(self, number: int) -> Work | None:
        """The next job for thread ``number``, or None when there is none for now."""

    def works(self, number: int) -> Iterator[Work]:
        """One after another for thread ``number``, as ``take`` gives them, until there is none for now."""

    def next_at_hand(self, number: int) -> Work | None:
        """The same without asking Redis: None also where thread ``number`` had better do so."""

    def put_back(self, work: Work) -> None:
        """Taken and not to be started now."""

    def send_on(self, work: Work, ending: Ending | Likewise) -> bool:
        """It ended otherwise; False where it had left us before."""

    def leave(self, work: Work, ending: Ending | Likewise) -> None:
        """The same of a short job, one of many: it is told with others, soon."""

    def give_back(self, works: Iterable[Work]) -> int:
        """Back into their queues, to be taken next; how many."""

    def unbegun(self, work: Work) -> bool:
        """Whether its mark is ours, and it did not begin: the reply to ``begin`` was lost. To be asked once."""

    def begin(self, work: Work, marked: bytes, owner: str) -> bool:
        """Put down that ``owner`` begins it, as these bytes say it; False where it is not ours to begin."""

    def alone(self, number: int) -> bool:
        """Ask that nothing be started beside this thread's job for a while; False where that cannot be now."""

    def together(self, number: int) -> None:
        """End of that."""

    def tick(self) -> None:
        """Some hundred times a second: what waited long enough is told or given back."""

    def ahead(self) -> Iterable[Work]:
        """What is at hand, to be looked at only."""

    def running(self) -> list[Work]:
        """What was taken and has not ended."""

    def wake(self) -> None:
        """Threads that wait look at whether they should stop."""

    def close(self) -> None:
        """Give back what was taken and not started; tell Redis what ended."""
