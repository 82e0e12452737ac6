"""Places and stretches of a file, in either language."""

from typing import Final

Position = tuple[int, int]
"""Line and column, from 1."""
Span = tuple[Position, Position]

WHOLE: Final[Span] = ((0, 0), (1 << 60, 0))


def within(at: Position, span: Span) -> bool:
    """Whether a place lies in a span."""
    return span[0] <= at < span[1]
