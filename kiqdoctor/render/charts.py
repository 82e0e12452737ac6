"""Small SVG charts, drawn inline: a ring and bars, each with its numbers as text and a sentence for who cannot see it.

Colours are names of the page's CSS variables, so that both themes hold; meaning never hangs on colour alone.
"""

from collections.abc import Sequence
from html import escape
from math import pi
from typing import Final

from kiqdoctor.records import dataclass

WIDTH: Final = 320  # of the view box; a phone shows it at about its own size
ROW: Final = 24
LEFT: Final = 118  # where bars begin
ROOM: Final = 36  # for a bar's number
RADIUS: Final = 44
STROKE: Final = 16


@dataclass(frozen=True, slots=True)
class Part:
    """One piece: its colour's name, what it is, how many."""

    colour: str
    label: str
    count: int


@dataclass(frozen=True, slots=True)
class Bar:
    """One row of a bar chart, of one or more pieces."""

    label: str
    parts: tuple[Part, ...]

    @property
    def total(self) -> int:
        """Its length."""
        return sum(part.count for part in self.parts)


def ring(parts: Sequence[Part], within: str, below: str) -> str:
    """A ring with its legend beside it, and two lines of text inside."""
    total, around = sum(part.count for part in parts), 2 * pi * RADIUS
    height = max(2 * (RADIUS + STROKE), ROW * len(parts) + 8)
    x, y = RADIUS + STROKE / 2 + 2, height / 2
    circle = f'<circle cx="{x:g}" cy="{y:g}" r="{RADIUS}" fill="none" stroke-width="{STROKE}"'
    drawn, gone = [f'{circle} style="stroke:var(--line)"/>\n'], 0.0
    for part in parts:
        length = around * part.count / total if total else 0.0
        if length:
            dash = f'stroke-dasharray="{length:.2f} {around - length:.2f}" stroke-dashoffset="{around / 4 - gone:.2f}"'
            drawn.append(f'{circle} {dash} style="stroke:var(--{part.colour})"/>\n')
        gone += length
    drawn.append(f'<text x="{x:g}" y="{y + 1:g}" text-anchor="middle" font-weight="700">{escape(within)}</text>\n')
    drawn.append(f'<text class="of" x="{x:g}" y="{y + 16:g}" text-anchor="middle">{escape(below)}</text>\n')
    top = (height - ROW * len(parts)) / 2
    drawn += [_legend(part, 2 * (RADIUS + STROKE) + 12, top + ROW * row) for row, part in enumerate(parts)]
    said = f"{within} {below}; {', '.join(f'{part.count} {part.label}' for part in parts)}"
    return _svg(height, said, drawn)


def _legend(part: Part, x: float, y: float) -> str:
    square = f'<rect x="{x:g}" y="{y + 5:g}" width="13" height="13" rx="2" style="fill:var(--{part.colour})"/>\n'
    return f'{square}<text x="{x + 20:g}" y="{y + 16:g}">{part.count} {escape(part.label)}</text>\n'


def bars(rows: Sequence[Bar]) -> str:
    """Rows of bars on one scale, the number of each at its end."""
    longest = max((row.total for row in rows), default=0) or 1
    scale = (WIDTH - LEFT - ROOM) / longest
    drawn: list[str] = []
    for number, row in enumerate(rows):
        drawn += _row(row, number * ROW, scale)
    said = "; ".join(f"{row.label}: {_said(row)}" for row in rows) or "none"
    return _svg(max(1, len(rows)) * ROW, said, drawn)


def _row(row: Bar, y: float, scale: float) -> list[str]:
    middle = f'y="{y + 16:g}"'
    drawn = [
        f'<text x="0" {middle}>{escape(row.label)}</text>\n',
        f'<rect class="track" x="{LEFT}" y="{y + 5:g}" width="{WIDTH - LEFT - ROOM}" height="14" rx="2"/>\n',
    ]
    x = float(LEFT)
    for part in row.parts:
        width = part.count * scale
        if width:
            box = f'x="{x:.1f}" y="{y + 5:g}" width="{width:.1f}" height="14"'
            drawn.append(f'<rect {box} style="fill:var(--{part.colour})"><title>{_piece(part)}</title></rect>\n')
        x += width
    drawn.append(f'<text x="{WIDTH - ROOM + 8}" {middle}>{row.total}</text>\n')
    return drawn


def _said(row: Bar) -> str:
    if len(row.parts) == 1:
        return str(row.total)
    return ", ".join(_piece(part) for part in row.parts if part.count) or "0"


def _piece(part: Part) -> str:
    return f"{part.count} {escape(part.label)}"


def _svg(height: float, said: str, drawn: Sequence[str]) -> str:
    head = f'<svg viewBox="0 0 {WIDTH} {height:g}" role="img" aria-label="{escape(said)}">\n'
    return f"{head}{''.join(drawn)}</svg>\n"
