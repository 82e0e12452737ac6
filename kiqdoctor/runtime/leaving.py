"""A worker that was told to stop is gone soon after its deadline, whatever its connections wait for."""

import os
from collections.abc import Callable
from typing import Final

from kiqdoctor.clock import Clock
from kiqdoctor.runtime import log

GRACE: Final = 2.5  # seconds beyond its deadline
LOOK: Final = 0.2  # seconds


def leave_by(deadline: float, hurried: Callable[[], bool], gone: Callable[[float], bool], clock: Clock) -> None:
    """In a thread of its own. What could not be told lies in our private lists, and is run by others."""
    at = deadline + GRACE
    while clock.monotonic() < at:
        if hurried():
            at = min(at, clock.monotonic() + GRACE)
        if gone(LOOK):
            return
    log.warn("Redis does not answer: we leave without a word; what we hold is run by others")
    log.flush()
    os._exit(0)
