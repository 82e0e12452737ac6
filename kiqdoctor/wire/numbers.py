"""The one reader of numbers from outside: bounded in length and range, ASCII digits, finite; else None.

``str.isdigit`` takes "²", ``int`` refuses five thousand digits, ``float`` takes "nan" and overflows on a long integer:
each of these has crashed a reader of one bad record, and so hidden all the good ones beside it.
"""

import math
import re
from typing import Any, Final

LARGEST: Final = 2**63 - 1  # what Redis counts with
LONGEST: Final = 40  # characters that a number of any honest writer takes

_WHOLE: Final = re.compile(rb"-?[0-9]{1,20}")
_REAL: Final = re.compile(rb"[+-]?(?:[0-9]{1,24}\.?[0-9]{0,24}|\.[0-9]{1,24})(?:[eE][+-]?[0-9]{1,3})?")


def whole(value: Any, *, least: int = 0, most: int = LARGEST) -> int | None:
    """An integer, of a number or of its decimal digits, where it lies within the range; else None."""
    if isinstance(value, str | bytes):
        raw = _raw(value)
        number = int(raw) if _WHOLE.fullmatch(raw) else None
    else:
        number = value if isinstance(value, int) and not isinstance(value, bool) else None
    return number if number is not None and least <= number <= most else None


def real(value: Any, *, least: float = -1e18, most: float = 1e18) -> float | None:
    """A finite float, of a number or of its text, where it lies within the range; else None."""
    if isinstance(value, str | bytes):
        raw = _raw(value)
        number = float(raw) if _REAL.fullmatch(raw) else None
    elif isinstance(value, bool) or not isinstance(value, int | float):
        number = None
    else:
        number = float(value) if isinstance(value, float) or -LARGEST <= value <= LARGEST else None
    return number if number is not None and math.isfinite(number) and least <= number <= most else None


def _raw(text: str | bytes) -> bytes:
    """The text as bytes; longer or other than ASCII is no number."""
    if len(text) > LONGEST:
        return b""
    return text if isinstance(text, bytes) else text.encode("utf-8", "replace")
