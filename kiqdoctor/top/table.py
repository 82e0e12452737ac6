"""A table that costs what is visible: rows are asked for as they are painted, however many there are."""

from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Final

from textual.binding import Binding, BindingType
from textual.events import Click
from textual.geometry import Size
from textual.message import Message
from textual.scroll_view import ScrollView
from textual.strip import Strip

from kiqdoctor.top import paint
from kiqdoctor.top.paint import Line, Piece

GAP: Final = 1  # cells between columns
MARKS: Final = 3  # cells in front of a row: the cursor, the mark, a gap


@dataclass(frozen=True, slots=True)
class Column:
    """``key`` sorts rows by it; None: it cannot. ``rank`` 0 is never left out where there is no room, 3 is first.

    ``grow`` takes part in what room is left.
    """

    title: str
    width: int
    key: Callable[[Any], Any] | None = None
    right: bool = False
    grow: int = 0
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Rows:
    """What a table shows. ``cells`` of a row, or None while it is not there yet; ``key`` knows a row again."""

    length: int
    key: Callable[[int], Hashable]
    cells: Callable[[int], Sequence[Piece] | None]
    find: Callable[[Hashable], int | None] = lambda _: None


NO_ROWS: Final = Rows(0, lambda index: index, lambda _: None)


class Table(ScrollView, can_focus=True):
    """Rows under a heading, with a cursor, marks, and an order by column."""

    BINDINGS: ClassVar[list[BindingType]] = [
        Binding("left,h,shift+tab", "app.beside(-1)", show=False),
        Binding("right,l,tab", "app.beside(1)", show=False),
        Binding("up,k", "move(-1)", show=False),
        Binding("down,j", "move(1)", show=False),
        Binding("pageup,ctrl+b", "turn(-1)", show=False),
        Binding("pagedown,ctrl+f", "turn(1)", show=False),
        Binding("home,g", "first", show=False),
        Binding("end,G", "last", show=False),
        Binding("x", "mark", show=False),
        Binding("A", "mark_all", show=False),
        Binding("o", "order", show=False),
        Binding("O", "reverse", show=False),
        Binding("enter", "choose", show=False),
    ]

    class Chosen(Message):
        """Enter, or a click on the row under the cursor."""

        def __init__(self, table: "Table", key: Hashable) -> None:
            super().__init__()
            self.table, self.key = table, key

    class Ordered(Message):
        """Another order is wanted."""

        def __init__(self, table: "Table") -> None:
            super().__init__()
            self.table = table

    class Wanted(Message):
        """Rows from ``first`` to before ``last`` are visible and not there."""

        def __init__(self, table: "Table", first: int, last: int) -> None:
            super().__init__()
            self.table, self.first, self.last = table, first, last

    def __init__(self, columns: Sequence[Column], *, order: int | None = None, id: str | None = None) -> None:  # noqa: A002
        super().__init__(id=id)
        self.columns = tuple(columns)
        self.rows = NO_ROWS
        self.cursor = 0
        self.marked: set[Hashable] = set()
        self.order, self.backwards = order, False
        self.empty: Line = [("dim", "nothing here")]

    def show(self, rows: Rows) -> None:
        """These rows; the cursor stays on its row, or near where it was."""
        key = self.key
        self.rows = rows
        found = rows.find(key) if key is not None else None
        self.cursor = max(0, min(self.cursor if found is None else found, rows.length - 1))
        self.virtual_size = Size(self.scrollable_content_region.width, rows.length + 1)
        self.refresh()

    def restart(self) -> None:
        """From the first row, nothing marked: other rows are to come."""
        self.cursor, self.marked = 0, set()
        if self.is_attached:
            self.scroll_to(y=0, animate=False, force=True, immediate=True)

    @property
    def key(self) -> Hashable | None:
        """The row under the cursor."""
        return self.rows.key(self.cursor) if self.cursor < self.rows.length else None

    @property
    def chosen(self) -> list[Hashable]:
        """The marked rows, else the one under the cursor."""
        if self.marked:
            return sorted(self.marked, key=str)
        return [] if self.key is None else [self.key]

    def sorted(self, items: Sequence[Any]) -> list[Any]:
        """The items in this table's order; those without a value come last."""
        if self.order is None or (by := self.columns[self.order].key) is None:
            return list(reversed(items)) if self.backwards else list(items)
        known = [(by(item), item) for item in items]
        valued = sorted((pair for pair in known if pair[0] is not None), key=lambda pair: pair[0])
        if self.backwards:
            valued.reverse()
        return [item for _, item in valued] + [item for value, item in known if value is None]

    @property
    def room(self) -> int:
        """Rows that fit."""
        return max(1, self.scrollable_content_region.height - 1)

    def action_move(self, step: int) -> None:
        """The cursor, up or down."""
        self._go(self.cursor + step)

    def action_turn(self, step: int) -> None:
        """A page."""
        self._go(self.cursor + step * self.room)

    def action_first(self) -> None:
        """To the first row."""
        self._go(0)

    def action_last(self) -> None:
        """To the last row."""
        self._go(self.rows.length - 1)

    def _go(self, row: int) -> None:
        self.cursor = max(0, min(row, self.rows.length - 1))
        top = self.scroll_offset.y
        if self.cursor < top:
            self.scroll_to(y=self.cursor, animate=False, force=True, immediate=True)
        elif self.cursor >= top + self.room:
            self.scroll_to(y=self.cursor - self.room + 1, animate=False, force=True, immediate=True)
        self.refresh()

    def action_mark(self) -> None:
        """Mark the row, or take its mark away, and go on to the next; one that is not there yet has no key to keep."""
        if self.key is not None and self.rows.cells(self.cursor) is not None:
            self.marked ^= {self.key}
            self.action_move(1)

    def action_mark_all(self) -> None:
        """Mark every row that is there; with all of them marked, none."""
        keys = {self.rows.key(row) for row in range(self.rows.length) if self.rows.cells(row) is not None}
        self.marked = set() if keys <= self.marked else keys
        self.refresh()

    def action_order(self) -> None:
        """Order by the next column that can."""
        can = [index for index, column in enumerate(self.columns) if column.key is not None]
        if can:
            later = [index for index in can if self.order is None or index > self.order]
            self._order(later[0] if later else can[0], backwards=False)

    def action_reverse(self) -> None:
        """The other way round."""
        self._order(self.order, backwards=not self.backwards)

    def _order(self, column: int | None, *, backwards: bool) -> None:
        self.order, self.backwards = column, backwards
        self.post_message(self.Ordered(self))
        self.refresh()

    def action_choose(self) -> None:
        """Open the row under the cursor."""
        if self.key is not None:
            self.post_message(self.Chosen(self, self.key))

    def on_click(self, event: Click) -> None:
        """A heading orders; a row takes the cursor; the row that has it opens."""
        if event.y == 0:
            column = next((index for index, at, width in self._layout() if at <= event.x < at + width), None)
            if column is not None and self.columns[column].key is not None:
                self._order(column, backwards=column == self.order and not self.backwards)
            return
        row = event.y - 1 + self.scroll_offset.y
        if row == self.cursor:
            self.action_choose()
        elif row < self.rows.length:
            self._go(row)

    def _layout(self) -> list[tuple[int, int, int]]:
        """Index, first cell and width of each column that has room."""
        room = self.scrollable_content_region.width - MARKS
        shown = list(enumerate(self.columns))
        for rank in (3, 2, 1):
            if sum(column.width + GAP for _, column in shown) > room:
                shown = [pair for pair in shown if pair[1].rank < rank]
        left = max(0, room - sum(column.width + GAP for _, column in shown))
        shares = sum(column.grow for _, column in shown)
        found, at = [], MARKS
        for index, column in shown:
            width = column.width + (left * column.grow // shares if shares else 0)
            found.append((index, at, width))
            at += width + GAP
        return found

    def render_line(self, y: int) -> Strip:
        """The heading, or a row."""
        width = self.scrollable_content_region.width
        if y == 0:
            return paint.strip(self, self._heading(), width)
        row = y - 1 + self.scroll_offset.y
        if row >= self.rows.length:
            return paint.strip(self, self.empty if row == 0 else (), width)
        cells = self.rows.cells(row)
        if cells is None:
            self._want(row)
            return paint.strip(self, [("dim", "   …")], width)
        marked = self.rows.key(row) in self.marked
        at_cursor = row == self.cursor
        marks = f"{'>' if at_cursor else ' '}{'*' if marked else ' '} "
        return paint.strip(self, [("strong", marks), *self._row(cells)], width, "cursor" if at_cursor else "")

    def _row(self, cells: Sequence[Piece]) -> list[Piece]:
        found: list[Piece] = []
        for index, _, width in self._layout():
            style, text = cells[index]
            found += [(style, paint.fitted(text, width, right=self.columns[index].right)), ("", " " * GAP)]
        return found

    def _heading(self) -> list[Piece]:
        found: list[Piece] = [("", " " * MARKS)]
        for index, _, width in self._layout():
            column = self.columns[index]
            mark = ("▼" if self.backwards else "▲") if index == self.order else ""
            title = column.title[: width - len(mark)] + mark
            found += [("head", paint.fitted(title, width, right=column.right)), ("", " " * GAP)]
        return found

    def _want(self, row: int) -> None:
        first = self.scroll_offset.y
        self.post_message(self.Wanted(self, min(first, row), min(first + self.room, self.rows.length)))

    @property
    def text(self) -> str:
        """What is visible, without styles."""
        return "\n".join(self.render_line(y).text.rstrip() for y in range(self.room + 1))


def listed(items: Sequence[Any], key: Callable[[Any], Hashable], cells: Callable[[Any], Sequence[Piece]]) -> Rows:
    """Rows of a list that is all there."""
    places: dict[Hashable, int] = {}

    def find(wanted: Hashable) -> int | None:
        if not places:
            places.update((key(item), index) for index, item in enumerate(items))
        return places.get(wanted)

    return Rows(len(items), lambda row: key(items[row]), lambda row: cells(items[row]), find)
