"""A scrolling page of styled lines, and single lines of the frame."""

from collections.abc import Callable, Sequence
from typing import ClassVar

from textual.binding import Binding, BindingType
from textual.events import Click, Resize
from textual.geometry import Size
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.widget import Widget

from kiqdoctor.top import paint
from kiqdoctor.top.paint import Line

Drawing = Callable[[int, int], Sequence[Line]]
"""Width and height in cells -> lines."""


class Lines(ScrollView, can_focus=True):
    """Lines that are drawn for the size that there is, and scrolled where they are more."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h,shift+tab", "app.beside(-1)", show=False),
        Binding("right,l,tab", "app.beside(1)", show=False),
        Binding("j", "scroll_down", show=False),
        Binding("k", "scroll_up", show=False),
        Binding("g", "scroll_home", show=False),
        Binding("G", "scroll_end", show=False),
    ]

    def __init__(self, drawing: Drawing | None = None, *, wrap: bool = True, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self._drawing, self._wrap = drawing or (lambda _width, _height: []), wrap
        self._lines: Sequence[Line] = ()

    def draw(self, drawing: Drawing | None = None) -> None:
        """Draw again, or from now on with another drawing."""
        self._drawing = drawing or self._drawing
        width, height = self.scrollable_content_region.size
        if not width:
            return
        drawn = self._drawing(width, height)
        self._lines = paint.wrapped(drawn, width) if self._wrap else drawn
        self.virtual_size = Size(width, len(self._lines))
        self.refresh()

    def on_resize(self, event: Resize) -> None:
        """For the new size."""
        del event
        self.draw()

    @property
    def text(self) -> str:
        """What is shown, without its styles."""
        return "\n".join(map(paint.plain, self._lines))

    def render_line(self, y: int) -> Strip:
        """One line."""
        row = y + self.scroll_offset.y
        line = self._lines[row] if row < len(self._lines) else ()
        return paint.strip(self, line, self.scrollable_content_region.width)


class OneLine(Widget):
    """One line of the frame; ``clicked`` hears the column of a click."""

    DEFAULT_CSS = "OneLine { height: 1; }"

    def __init__(
        self,
        *,
        under: str = "",
        clicked: Callable[[int], None] | None = None,
        id: str | None = None,  # noqa: A002
    ) -> None:
        super().__init__(id=id)
        self._under, self._clicked = under, clicked
        self._line: Line = ()

    def set(self, line: Line) -> None:
        """Show this line."""
        if line != self._line:
            self._line = line
            self.refresh()

    @property
    def text(self) -> str:
        """What it shows."""
        return paint.plain(self._line)

    def on_click(self, event: Click) -> None:
        """Where it can be clicked."""
        if self._clicked is not None:
            self._clicked(event.x)

    def render_line(self, y: int) -> Strip:
        """The line."""
        del y
        return paint.strip(self, self._line, self.size.width, self._under)
