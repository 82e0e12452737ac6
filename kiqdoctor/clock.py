"""What time it is: the one seam through which now and elapsed time come in; tests turn it."""

import time
from collections.abc import Callable
from functools import partial

from kiqdoctor.records import dataclass

_BOOTTIME = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)


boottime: Callable[[], float] = partial(time.clock_gettime, _BOOTTIME)
"""Seconds that never jump and go on while the machine is suspended, where the system has such a clock."""


@dataclass(frozen=True, slots=True)
class Clock:
    """Wall time in epoch seconds, and a monotonic time in seconds for durations."""

    now: Callable[[], float] = time.time
    monotonic: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep
    boottime: Callable[[], float] = boottime


SYSTEM = Clock()
