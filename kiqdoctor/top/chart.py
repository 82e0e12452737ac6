"""Line charts in Braille cells: each with its legend, its scale and its span in words. Pure: points in, lines out."""

from collections.abc import Callable, Iterator, Sequence
from itertools import groupby
from typing import Final

from kiqdoctor.top.paint import Line

DOTS: Final = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))
"""The bits of one Braille cell: four rows of two dots."""
EMPTY: Final = 0x2800
ROWS: Final = 4  # dots of a cell from top to bottom
SCALE: Final = 7  # cells of the numbers at the left
LEAST_WIDTH: Final = 16
MARK: Final = "▲"
EIGHTHS: Final = " ▏▎▍▌▋▊▉█"

Points = Sequence[float | None]
"""One value a dot column, oldest first; None: not known."""
Spelling = Callable[[float], str]
"""How a number of the scale is written."""


def chart(
    legend: Line,
    points: Points,
    width: int,
    height: int,
    *,
    span: str,
    said: Spelling,
    marks: Sequence[float] = (),
) -> list[Line]:
    """``height`` lines: the legend, the plot with the scale at its left, the span of time below it.

    ``said`` writes a number of the scale; ``marks`` stand on the axis, from 0 at its left end to 1 at its right.
    """
    rows = height - 2
    if width < LEAST_WIDTH or rows < 1:
        return [legend][:height]
    plot = width - SCALE - 1
    known = [point for point in points if point is not None]
    top = _round(max(known, default=0.0))
    cells = _cells(_resampled(points, plot * 2), plot, rows, top)
    lines: list[Line] = [legend]
    for row in range(rows):
        mark = said(top) if row == 0 else said(0) if row == rows - 1 else ""
        lines.append([("dim", f"{mark[:SCALE]:>{SCALE}}"), ("dim", "┤"), ("accent", cells[row])])
    return [*lines, [("dim", f"{'':>{SCALE}}└"), *_marked(_axis(span, plot), marks)]]


def _marked(axis: str, marks: Sequence[float]) -> Line:
    """The axis with the marks in it, which win over its words."""
    cells = {min(int(mark * len(axis)), len(axis) - 1) for mark in marks if 0 <= mark <= 1}
    return [("warn" if of_mark else "dim", "".join(part)) for of_mark, part in _runs(axis, cells)]


def _runs(axis: str, cells: set[int]) -> Iterator[tuple[bool, list[str]]]:
    for of_mark, run in groupby(enumerate(axis), lambda pair: pair[0] in cells):
        yield of_mark, [MARK if of_mark else sign for _, sign in run]


def _axis(span: str, width: int) -> str:
    ends = f"-{span}", "now"
    return ends[0] + "─" * max(1, width - len(ends[0]) - len(ends[1])) + ends[1]


def _round(value: float) -> float:
    """The next larger 1, 2 or 5 times a power of ten: a scale that does not change at each refresh."""
    if value <= 0:
        return 1.0
    power = 10.0 ** (len(str(int(value))) - 1) if value >= 1 else 0.1
    while power > value:
        power /= 10
    return next(step * power for step in (1, 2, 5, 10) if step * power >= value * (1 - 1e-9))


def _resampled(points: Points, columns: int) -> list[float | None]:
    """The last ``columns`` points, each the highest of those that share a column."""
    if len(points) <= columns:
        return [None] * (columns - len(points)) + list(points)
    found: list[float | None] = []
    for column in range(columns):
        part = points[column * len(points) // columns : (column + 1) * len(points) // columns]
        found.append(max((point for point in part if point is not None), default=None))
    return found


def _cells(points: Points, width: int, rows: int, top: float) -> list[str]:
    grid = [[0] * width for _ in range(rows)]
    highest = rows * ROWS - 1
    before: int | None = None
    for column, point in enumerate(points):
        if point is None:
            before = None
            continue
        dot = round(min(max(point, 0) / top, 1) * highest)
        for level in range(min(dot, dot if before is None else before), max(dot, before or dot) + 1):
            row, within = divmod(highest - level, ROWS)
            grid[row][column // 2] |= DOTS[within][column % 2]
        before = dot
    return ["".join(chr(EMPTY + cell) if cell else " " for cell in line) for line in grid]


def bar(value: float, top: float, width: int) -> str:
    """A horizontal bar in eighths of a cell."""
    eighths = round(min(max(value, 0) / top, 1) * width * 8) if top > 0 else 0
    full, rest = divmod(eighths, 8)
    return ("█" * full + (EIGHTHS[rest] if rest else "")).ljust(width)


def spark(points: Points, width: int) -> str:
    """One cell a point, in eighths of its height; its scale is its own highest."""
    shown = _resampled(points, width)
    top = max((point for point in shown if point is not None), default=0)
    blocks = "▁▂▃▄▅▆▇█"
    return "".join(
        " " if point is None else blocks[min(int(point / top * 7.999), 7)] if top > 0 else "▁" for point in shown
    )
