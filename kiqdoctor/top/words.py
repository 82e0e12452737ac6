"""How the live view writes ages, sizes, counts and times: short, and the same everywhere."""

from datetime import UTC, datetime
from typing import Final

MINUTE: Final = 60
HOUR: Final = 3_600
DAY: Final = 86_400
KIBI: Final = 1_024
NOTHING: Final = "-"


def age(seconds: float | None) -> str:
    """``850ms``, ``12s``, ``4m10s``, ``2h05m``, ``3d04h``."""
    if seconds is None:
        return NOTHING
    sign, rest = ("-", -seconds) if seconds < 0 else ("", seconds)
    return sign + _age(rest)


def _age(seconds: float) -> str:
    if seconds < 1:
        return f"{seconds * 1000:.1f}ms" if 0 < seconds < 0.01 else f"{seconds * 1000:.0f}ms"  # noqa: PLR2004 - 10 ms
    if seconds < MINUTE:
        return f"{seconds:.0f}s"
    if seconds < HOUR:
        return f"{seconds // MINUTE:.0f}m{seconds % MINUTE:02.0f}s".replace("m60s", "m59s")
    if seconds < DAY:
        return f"{seconds // HOUR:.0f}h{seconds % HOUR // MINUTE:02.0f}m"
    return f"{seconds // DAY:.0f}d{seconds % DAY // HOUR:02.0f}h"


def duration(seconds: float | None) -> str:
    """An age whose tenths matter: ``0.4ms``, ``1.2s``, ``4m10s``."""
    return f"{seconds:.1f}s" if seconds is not None and 1 <= seconds < 10 else age(seconds)  # noqa: PLR2004 - seconds


def count(number: float | None) -> str:
    """``1,234,567``."""
    return NOTHING if number is None else f"{number:,.0f}"


def brief(number: float | None) -> str:
    """``9999``, ``12k``, ``1.2M``."""
    if number is None:
        return NOTHING
    for unit, one in (("M", 1e6), ("k", 1e3)):
        if number >= 10_000 and number >= one:  # noqa: PLR2004 - four digits need no unit
            return f"{number / one:.0f}{unit}" if number / one >= 10 else f"{number / one:.1f}{unit}"  # noqa: PLR2004
    return f"{number:.0f}"


def rate(number: float | None) -> str:
    """Something a second: ``0``, ``0.25``, ``12.3``, ``1,234``."""
    if number is None:
        return NOTHING
    if number == 0 or number >= 100:  # noqa: PLR2004 - three digits say enough
        return f"{number:,.0f}"
    return f"{number:.1f}" if number >= 10 else f"{number:.2f}"  # noqa: PLR2004


def size(count_of_bytes: float | None) -> str:
    """``812 B``, ``1.5 KiB``, ``96 MiB``."""
    if count_of_bytes is None:
        return NOTHING
    number, unit = float(count_of_bytes), "B"
    for larger in ("KiB", "MiB", "GiB", "TiB"):
        if number < KIBI:
            break
        number, unit = number / KIBI, larger
    return f"{number:.0f} {unit}" if unit == "B" or number >= 10 else f"{number:.1f} {unit}"  # noqa: PLR2004


def clock(at: float | None) -> str:
    """UTC time of day."""
    return NOTHING if at is None else f"{_moment(at):%H:%M:%S}"


def moment(at: float | None) -> str:
    """UTC date and time."""
    return NOTHING if at is None else f"{_moment(at):%Y-%m-%d %H:%M:%S}Z"


def when(at: float | None, now: float) -> str:
    """``in 4m10s`` or ``2h05m ago``."""
    if at is None:
        return NOTHING
    return f"in {age(at - now)}" if at > now else f"{age(now - at)} ago"


def plural(number: int, noun: str) -> str:
    """``1 job``, ``3 jobs``."""
    plural_noun = f"{noun}es" if noun.endswith(("s", "ch")) else f"{noun[:-1]}ies" if noun.endswith("y") else f"{noun}s"
    return f"{number:,} {noun if number == 1 else plural_noun}"


def _moment(at: float) -> datetime:
    try:
        return datetime.fromtimestamp(at, UTC)
    except (OverflowError, OSError, ValueError):
        return datetime.fromtimestamp(0, UTC)
