"""When a job is to run, as its caller may say it, in epoch seconds."""

import math
from datetime import datetime, timedelta

from kiqdoctor.clock import SYSTEM

Seconds = float | timedelta


def after(delay: Seconds) -> float:
    """So much later than now.

    Raises:
        TypeError: neither a number nor a timedelta.
        ValueError: no finite number.
    """
    try:
        seconds = delay.total_seconds() if isinstance(delay, timedelta) else float(delay)
    except (TypeError, ValueError):
        raise TypeError(f"a job waits seconds or a timedelta, not {delay!r}") from None
    return epoch(SYSTEM.now() + seconds)


def epoch(when: float | datetime) -> float:
    """At this time.

    Raises:
        TypeError: neither a number nor a datetime.
        ValueError: a datetime without a time zone, which could mean any hour; no finite number.
    """
    if isinstance(when, datetime) and when.tzinfo is None:
        raise ValueError("a job needs an aware datetime: this one has no time zone")
    try:
        at = when.timestamp() if isinstance(when, datetime) else float(when)
    except (TypeError, ValueError):
        raise TypeError(f"a job's time is epoch seconds or an aware datetime, not {when!r}") from None
    if not math.isfinite(at):
        raise ValueError(f"a job cannot be scheduled for {at}")
    return at
