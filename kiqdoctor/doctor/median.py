"""The median. Python's own brings random, fractions and OpenSSL with it: 8 ms of every examination."""

from collections.abc import Iterable


def median(values: Iterable[float]) -> float:
    """Of two in the middle, what lies between them.

    Raises:
        ValueError: there is none.
    """
    ordered = sorted(values)
    if not ordered:
        raise ValueError("no median of nothing")
    half = len(ordered) // 2
    return ordered[half] if len(ordered) % 2 else (ordered[half - 1] + ordered[half]) / 2
