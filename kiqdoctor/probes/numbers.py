"""The one reader of whole numbers from outside: files, command lines, variables."""

from typing import Final

MOST_DIGITS: Final = 9  # no count of threads, processes or seconds is longer; Python refuses 4,301 of them


def whole(value: object) -> int | None:
    """A whole number of at most nine ASCII digits; None for anything else, truth values too."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value if abs(value) < 10**MOST_DIGITS else None
    if not isinstance(value, str):
        return None
    plain = value.strip().replace("_", "")
    digits = plain.removeprefix("-")
    return int(plain) if digits.isascii() and digits.isdigit() and len(digits) <= MOST_DIGITS else None
