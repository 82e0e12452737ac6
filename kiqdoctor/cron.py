"""When a cron line ticks in a time zone: the runtime pushes by it, the doctor looks back by it."""

from datetime import UTC, datetime, tzinfo
from typing import Final

CHANGE: Final = 3 * 3600.0  # seconds before a tick within which a change of the zone's time may concern it


class CronError(ValueError):
    """No cron line, or one that never ticks."""


def before(line: str, zone: tzinfo | None, now: float) -> float:
    """The latest tick that is not after ``now``; both in epoch seconds. ``zone`` None is UTC.

    Backwards the search finds the other one of a doubled hour's two: there the ticks are gone through as they came.

    Raises:
        CronError: no cron line, or one that never ticks.
    """
    found = _tick(line, zone, now + 0.001, reverse=True)  # the search leaves its own start out
    if zone is None or _offset(zone, found - CHANGE) == _offset(zone, now):
        return found
    found = _tick(line, zone, found - CHANGE, reverse=True)
    while (later := after(line, zone, found)) <= now:
        found = later
    return found


def after(line: str, zone: tzinfo | None, now: float) -> float:
    """The first tick after ``now``.

    Raises:
        CronError: no cron line, or one that never ticks.
    """
    return _tick(line, zone, now, reverse=False)


def changes(zone: tzinfo | None, tick: float) -> bool:
    """Whether the zone's time is changed within some hours of a tick."""
    return zone is not None and _offset(zone, tick - CHANGE) != _offset(zone, tick + CHANGE)


def _offset(zone: tzinfo, at: float) -> object:
    return datetime.fromtimestamp(at, zone).utcoffset()


def _tick(line: str, zone: tzinfo | None, now: float, *, reverse: bool) -> float:
    from cronsim import CronSim, CronSimError

    try:
        found: datetime = next(CronSim(line, datetime.fromtimestamp(now, zone or UTC), reverse=reverse))
    except (CronSimError, StopIteration) as error:
        raise CronError(f"no cron expression: {line!r}: {error}") from None
    return found.timestamp()
