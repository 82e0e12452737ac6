"""Styled pieces of text -> strips of a terminal line. What is painted has been cleaned before: no markup, no escape.

A style never says anything that no word or mark says too.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final, Protocol

from rich.cells import cell_len, set_cell_size
from rich.segment import Segment
from rich.style import Style
from textual.app import App
from textual.color import Color
from textual.strip import Strip

Piece = tuple[str, str]
"""Style name and text."""
Line = Sequence[Piece]

SEVERITIES: Final = {"critical": "worst", "high": "bad", "medium": "warn", "low": "accent", "info": "dim"}
COLOURS: Final = {
    "good": ("text-success", ""),
    "warn": ("text-warning", ""),
    "bad": ("text-error", ""),
    "worst": ("text-error", ""),
    "accent": ("text-accent", ""),
    "cursor": ("", "primary-background"),
    "bar": ("foreground", "panel"),
    "tab": ("foreground", ""),
}
"""Of the letters and behind them, by the theme's own names."""
DARK: Final = {"dim": ("#9a9a9a", "")}
LIGHT: Final = {"dim": ("#5c5c5c", ""), "cursor": ("", "#b9cfe4")}
WEIGHTS: Final = {
    "bad": Style(bold=True),
    "worst": Style(bold=True, reverse=True),
    "strong": Style(bold=True),
    "head": Style(bold=True, underline=True),
    "cursor": Style(bold=True),
    "tab": Style(bold=True, reverse=True),
}


class Canvas(Protocol):
    """A widget."""

    @property
    def app(self) -> App[object]: ...

    @property
    def rich_style(self) -> Style: ...


_styles: dict[str, dict[str, Style]] = {}
"""By theme. As classes of every widget Textual would work them all out again whenever the focus goes elsewhere."""


def styles(app: App[object]) -> Mapping[str, Style]:
    """What each name means in the app's theme."""
    if app.theme not in _styles:
        theme = app.get_css_variables()
        colours = COLOURS | (DARK if app.current_theme.dark else LIGHT)
        found = {name: _coloured(letters, behind, theme) for name, (letters, behind) in colours.items()}
        _styles[app.theme] = {name: found.get(name, Style()) + WEIGHTS.get(name, Style()) for name in found | WEIGHTS}
    return _styles[app.theme]


def _coloured(letters: str, behind: str, theme: Mapping[str, str]) -> Style:
    """Of names in the theme, or colours as such."""
    found = (Color.parse(theme.get(name, name)).rich_color if name else None for name in (letters, behind))
    return Style(color=next(found), bgcolor=next(found))


def strip(canvas: Canvas, line: Line, width: int, under: str = "") -> Strip:
    """The line at this width, cut or filled; ``under`` styles all of it."""
    known = styles(canvas.app)
    base = canvas.rich_style
    if under:
        base += known[under]
    segments, left = [], width
    for name, text in line:
        if left <= 0:
            break
        fitting = text if cell_len(text) <= left else set_cell_size(text, left)
        segments.append(Segment(fitting, base + known[name] if name else base))
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
