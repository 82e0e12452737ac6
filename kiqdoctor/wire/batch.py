"""A batch as its hash and its two sets of jids show it."""

from collections.abc import Sequence
from typing import Final, Literal

from kiqdoctor.records import dataclass
from kiqdoctor.wire.numbers import whole

CREATED_AT: Final = "created_at"  # the hash's fields; batch.lua and seal.lua have these names
TOTAL: Final = "total"
FAILURES: Final = "failures"
SEALED: Final = "sealed"  # "1": it has all its jobs

OPEN: Final = "open"  # the sets: jobs that have not run to an end once
PENDING: Final = "pending"  # and those that have not succeeded

Event = Literal["complete", "success"]
"""What a callback is for: the field of its payload; ``<event>_queue`` is the field of its queue's name."""
EVENTS: Final[tuple[Event, Event]] = ("complete", "success")

Heard = Literal["done", "failed"]
"""What a batch hears of a job that came to an end."""


def told(event: Event) -> str:
    """The field that is there once its callback was pushed."""
    return f"{event}_told"


@dataclass(frozen=True, slots=True)
class Progress:
    """``total`` jobs; ``open``: not run to an end once; ``pending``: not succeeded; ``failures``: runs that failed."""

    total: int
    open: int
    pending: int
    failures: int

    @property
    def complete(self) -> bool:
        """Each has run to an end at least once."""
        return self.open == 0

    @property
    def succeeded(self) -> bool:
        """Each has succeeded."""
        return self.pending == 0


def read(counts: Sequence[bytes | None], still_open: int, pending: int) -> Progress | None:
    """From ``total`` and ``failures`` and the sizes of the sets; None where it is not known (any more)."""
    total, failures = map(whole, counts)
    return None if total is None else Progress(total, still_open, pending, failures or 0)
