"""Styled pieces of text -> strips of a terminal line. What is painted has been cleaned before: no markup, no escape.

A style never says anything that no word or mark says too.
"""

from collections.abc import Iterable, Sequence
from typing import Final, Protocol

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip

Piece = tuple[str, str]
"""Style name and text."""
Line = Sequence[Piece]

STYLES: Final = ("good", "warn", "bad", "worst", "dim", "strong", "accent", "head", "cursor", "bar", "tab")
SEVERITIES: Final = {"critical": "worst", "high": "bad", "medium": "warn", "low": "accent", "info": "dim"}
CSS: Final = """
.paint--good { color: $text-success; }
.paint--warn { color: $text-warning; }
.paint--bad { color: $text-error; text-style: bold; }
.paint--worst { color: $text-error; text-style: bold reverse; }
.paint--dim { color: #9a9a9a; }
.paint--strong { text-style: bold; }
.paint--accent { color: $text-accent; }
.paint--head { text-style: bold underline; }
.paint--cursor { background: $primary-background; text-style: bold; }
.paint--bar { background: $panel; color: $foreground; }
.paint--tab { color: $foreground; text-style: bold reverse; }
"""
LIGHT: Final = """
.-light-mode .paint--dim { color: #5c5c5c; }
.-light-mode .paint--cursor { background: #b9cfe4; }
"""
"""Of the app's own style sheet: a widget's knows nothing of what it lies in."""
CLASSES: Final = {f"paint--{name}" for name in STYLES}


class Canvas(Protocol):
    """A widget that has the classes above."""

    def get_component_rich_style(self, *names: str, partial: bool = False) -> Style: ...

    @property
    def rich_style(self) -> Style: ...


def strip(canvas: Canvas, line: Line, width: int, under: str = "") -> Strip:
    """The line at this width, cut or filled; ``under`` styles all of it."""
    base = canvas.rich_style
    if under:
        base += canvas.get_component_rich_style(f"paint--{under}", partial=True)
    segments, left = [], width
    for name, text in line:
        if left <= 0:
            break
        fitting = text if cell_len(text) <= left else set_cell_size(text, left)
        style = base + canvas.get_component_rich_style(f"paint--{name}", partial=True) if name else base
        segments.append(Segment(fitting, style))
        left -= cell_len(fitting)
    if left > 0:
        segments.append(Segment(" " * left, base))
    return Strip(segments, width)


def plain(line: Line) -> str:
    """The line's text."""
    return "".join(text for _, text in line).rstrip()


def fitted(text: str, width: int, *, right: bool = False) -> str:
    """The text in exactly ``width`` cells; an ellipsis says that it was cut."""
    length = cell_len(text)
    if length > width:
        return set_cell_size(text, width - 1) + "…" if width > 0 else ""
    return " " * (width - length) + text if right else text + " " * (width - length)


def wrapped(lines: Iterable[Line], width: int) -> list[Line]:
    """Lines cut into pieces of at most ``width`` cells; what goes on is indented by two."""
    found: list[Line] = []
    for line in lines:
        found += _wrapped(line, max(width, 8)) if sum(cell_len(text) for _, text in line) > width else [line]
    return found


def _wrapped(line: Line, width: int) -> list[Line]:
    found: list[list[Piece]] = [[]]
    left = width
    for name, whole in line:
        text = whole
        while cell_len(text) > left:
            head, text = _cut(text, left)
            found[-1].append((name, head))
            found.append([("", "  ")])
            left = width - 2
        found[-1].append((name, text))
        left -= cell_len(text)
    return list(found)


def _cut(text: str, width: int) -> Piece:
    """What fits, up to a space if one is near, and the rest."""
    taken = length = 0
    for char in text:
        length += cell_len(char)
        if length > width:
            break
        taken += 1
    space = text.rfind(" ", max(taken - 24, 1), taken + 1)
    return (text[:space], text[space + 1 :]) if space > 0 else (text[:taken], text[taken:])
