"""How often processes beat: what one took shows in its record with its next beat."""

from typing import Final

from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.wire.numbers import whole

OLD: Final = 5.0  # seconds between beats up to Sidekiq 6, and of our runtime
NEW: Final = 10.0  # from 7.0 on
FIRST_NEW: Final = 7


def interval(process: Process) -> float:
    """Seconds between two beats of a process; versions before 7.0.2 do not say which they are."""
    major = whole(process.version.split(".")[0]) or 0
    return NEW if major >= FIRST_NEW and not process.runtime else OLD


def slowest(fleet: Fleet) -> float:
    """Seconds between two beats of whoever beats most seldom; of nobody's as of the slowest there are."""
    return max(map(interval, fleet.live), default=NEW)
