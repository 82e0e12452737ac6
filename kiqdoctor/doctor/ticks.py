"""Which ticks of a periodic job were missed, as far as its line, its zone and its last time tell."""

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from typing import Final

import msgspec

from kiqdoctor import cron
from kiqdoctor.doctor.facts.beside import PeriodicJob

HOUR: Final = 3600
FAR: Final = 14  # hours that a zone lies from UTC at most
LONGEST_ZONE: Final = 64  # letters of a zone's name; of longer ones Python looks for a folder a part, one in another


class Missed(msgspec.Struct, frozen=True):
    """The latest tick that nothing was pushed for (epoch seconds), and whether the one before was missed too.

    ``changing``: the zone's time is changed within some hours of it.
    """

    tick: float
    more: bool = False
    changing: bool = False


class UntoldError(ValueError):
    """It cannot be told, and why."""


def missed(job: PeriodicJob, now: float, grace_s: float) -> Missed | None:
    """The latest tick that is older than the grace and later than whatever is known of its pushes.

    Raises:
        UntoldError: its line, its zone or its last time do not tell.
    """
    if job.odd:
        raise UntoldError(job.odd)
    since = [at for at in (job.last, job.registered) if at is not None]
    handled = max(since, default=None)
    if job.next is not None and now - job.next > grace_s and (handled is None or handled < job.next - 1):
        return Missed(job.next, more=True)  # whoever loads another line says another time
    if not job.cron:
        return None  # an interval: its scheduler's own next time is all there is
    if handled is None:
        if job.next is not None:
            return None
        raise UntoldError("it was never pushed, and since when it is registered is not said")
    first, *others = _zones(job)
    beside = HOUR if job.last_offset_s is not None else 0  # its last tick, by the clock that is an hour beside
    found = [_of_zone(job.cron, first, now, grace_s, handled)]
    found += [_of_zone(job.cron, zone, now, grace_s, handled + beside) for zone in others]
    if all(found) or not any(found):
        return found[0]
    if job.last_offset_s is None:
        raise UntoldError("its line names no zone, and whether a tick was missed depends on it")
    return found[0] and msgspec.structs.replace(found[0], changing=True)  # summer time may have come or gone since then


def due(job: PeriodicJob, now: float) -> float | None:
    """When it is due next, as its scheduler says or its line and zone do; None where they do not."""
    if job.next is not None or job.odd or not (job.enabled and job.cron and job.zone):
        return job.next
    try:
        return cron.after(job.cron, _zone(job.zone), now)
    except (UntoldError, cron.CronError):
        return None


def _of_zone(line: str, zone: tzinfo | None, now: float, grace_s: float, handled: float) -> Missed | None:
    try:
        tick = cron.before(line, zone, now - grace_s)
        if tick <= handled + 1:
            return None
        earlier = cron.before(line, zone, tick - 1)
    except cron.CronError as error:
        raise UntoldError(str(error)) from None
    return Missed(tick, more=earlier > handled + 1, changing=cron.changes(zone, tick))


def _zones(job: PeriodicJob) -> Sequence[tzinfo | None]:
    """The zone that it says; else what its last time was written in, and an hour beside; else every one there is."""
    if job.zone:
        return [_zone(job.zone)]
    if job.last_offset_s is not None:
        return [_fixed(job.last_offset_s + hours * HOUR) for hours in (0, -1, 1)]
    return [_fixed(hours * HOUR) for hours in range(1 - FAR, FAR + 1)]


def _zone(name: str) -> tzinfo | None:
    if name in {"UTC", "Z", "Etc/UTC", "GMT"}:
        return None
    try:
        if name[0] in "+-":
            sign = -1 if name[0] == "-" else 1
            return _fixed(sign * (int(name[1:3]) * HOUR + int(name[-2:]) * 60))
        from zoneinfo import ZoneInfo  # 5 ms, for the few schedules that name one

        if len(name) <= LONGEST_ZONE:
            return ZoneInfo(name)
    except (KeyError, ValueError, OSError):
        pass  # told below, as of one that is too long
    raise UntoldError(f"this machine knows no time zone {name}")


def _fixed(seconds: int) -> tzinfo:
    return timezone(timedelta(seconds=max(-FAR * HOUR, min(seconds, FAR * HOUR))))


def shown(at: float) -> str:
    """A time as people read it; as the number that it is where no calendar has it."""
    try:
        return datetime.fromtimestamp(at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    except (OverflowError, OSError, ValueError):
        return f"{at:g}"
