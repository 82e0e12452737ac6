"""What every tab has: a heading with the age of its data, its own error, and a body that only it draws."""

from collections.abc import Hashable, Iterator, Sequence
from typing import Any, ClassVar, Final, TypeVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget

from kiqdoctor.actions import Proposal, Verb
from kiqdoctor.doctor.facts.fleet import Process
from kiqdoctor.doctor.snapshot import Absent, Refused, Snapshot
from kiqdoctor.text import LONG, clean
from kiqdoctor.top import words
from kiqdoctor.top.feed import Feed
from kiqdoctor.top.lines import Lines, OneLine
from kiqdoctor.top.paint import Line, Piece
from kiqdoctor.top.scene import Scene
from kiqdoctor.top.table import Column, Table, listed
from kiqdoctor.top.view import View

Fact = TypeVar("Fact")

STALE_LOOKS: Final = 3  # looks that may be missed
STALE_LEAST: Final = 5.0  # seconds
MISSED: Final = 2  # readings more that may be missed, of what is read seldom


def unread(of: str, value: object) -> Iterator[tuple[str, str]]:
    """What ``--plain`` tells of a fact that Redis refused."""
    if isinstance(value, Refused):
        yield of, f"not known: {clean(value.reason, 400)}"


def said(refused: Refused) -> str:
    """Why it is not known, and what would settle it."""
    return f"{refused.reason}; to settle it: {refused.unlock}" if refused.unlock else refused.reason


class MissingFactError(Exception):
    """A fact that a pane needs is not there; one line."""


class Pane(Vertical):
    """A tab, and all that there is to say of it. ``draw`` may raise whatever it likes: no other tab suffers."""

    label: ClassVar[str]
    key: ClassVar[str]  # brings it to the front
    short: ClassVar[str] = ""  # its name where there is little room; "": the same
    facts: ClassVar[tuple[type, ...]] = ()  # that it is made of; the oldest of them is its age
    helps: ClassVar[tuple[type, ...]] = ()  # facts that it shows more with
    keys: ClassVar[tuple[tuple[str, str], ...]] = ()  # of this tab alone: key and what it does
    again_says: ClassVar[str] = ""  # what r does here, where that is more than to read now
    searches: ClassVar[bool] = False  # its filter asks Redis, once the text is whole

    def __init__(self, view: View) -> None:
        super().__init__(id=f"pane-{self.label.lower()}")
        self.view = view
        self.head = OneLine(id=f"head-{self.label.lower()}")
        self.shown: Scene | None = None
        self.title_here = self.label
        self.needle = ""
        self.trouble = ""

    @classmethod
    def told(cls, snapshot: Snapshot) -> Iterator[tuple[str, str]]:
        """What ``--plain`` tells of it: what it is of, and how that is now, cleaned."""
        del snapshot
        yield from ()

    def compose(self) -> ComposeResult:
        """Heading and body."""
        yield self.head
        yield from self.body()

    def body(self) -> ComposeResult:
        """The widgets below the heading."""
        raise NotImplementedError

    def draw(self, shown: Scene) -> Line:
        """Fill the body; the words of the heading."""
        raise NotImplementedError

    def show(self, shown: Scene) -> None:
        """Draw, or say why not."""
        self.shown = shown
        try:
            told, self.trouble = self.draw(shown), ""
        except MissingFactError as error:
            told, self.trouble = [("warn", f"cannot be shown: {clean(str(error), LONG)}")], str(error)
        except Exception as error:  # noqa: BLE001 - one pane's fault is no reason for the others to go dark
            said = clean(f"{type(error).__name__}: {error}", LONG)
            told, self.trouble = [("bad", f"this pane failed ({said}); the others go on")], said
        self.head.set([("strong", f"{self.title_here}  "), *told, *self._filtered(), *self._age(shown)])

    def redraw(self) -> None:
        """The same once more, in another order or with another filter."""
        if self.shown is not None:
            self.show(self.shown)

    def enter(self) -> None:
        """Open what is under the cursor; nothing opens here, unless a tab says otherwise."""

    def out(self) -> None:
        """Out of what is open here."""
        self.filter("")

    def again(self) -> None:
        """The key r."""
        self.view.look()

    def turn(self) -> None:
        """The next way to show the same, where there are several."""

    def zoom(self, step: int) -> None:
        """More or less of it, where there is more."""

    def changed(self) -> None:
        """Something was changed in Redis: nothing is marked any more, and what was read is old."""
        for table in self.query(Table):
            table.marked = set()

    def fact(self, shown: Scene, kind: type[Fact]) -> Fact:
        """The fact.

        Raises:
            MissingFactError: it was not read, with the reason and what opens it.
        """
        reading = shown.reading(kind)
        if reading is None:
            reason = shown.trouble or ("a recording without it" if shown.target.recorded else "not read yet")
            raise MissingFactError(reason)
        value = reading.value
        if isinstance(value, Refused):
            raise MissingFactError(said(value))
        if isinstance(value, Absent):
            raise MissingFactError(value.reason)
        found: Fact = value
        return found

    def filter(self, text: str) -> None:
        """Show only what holds the text; "" for all."""
        self.needle = text
        self.redraw()

    @property
    def focus_on(self) -> Widget:
        """What takes the keys."""
        return self.query_one(Lines)

    def propose(self, verb: Verb) -> Proposal:
        """What the verb would do to what is chosen here.

        Raises:
            ValueError: nothing here can be done that to; one line.
        """
        raise ValueError(f"nothing on this tab can be asked to {verb.value}")

    @property
    def id_here(self) -> str:
        """The id under the cursor, for the clipboard."""
        return ""

    @property
    def process_here(self) -> Process | None:
        """The process under the cursor, or that runs the job there."""
        return None

    @property
    def front(self) -> "Pane":
        """The pane itself, or the part of it that lies in front."""
        return self

    def _filtered(self) -> Line:
        return [("accent", f"  filter: {clean(self.needle)}")] if self.needle else []

    def _age(self, shown: Scene) -> Line:
        """How old the oldest of this pane's facts is; ``stale`` where that is more than it should be."""
        readings = [reading for kind in self.facts if (reading := shown.reading(kind)) is not None]
        if not readings:
            return []
        if shown.behind is not None or shown.target.recorded:
            return [("accent", f"  as of {words.moment(shown.now)}")]
        aged = max(shown.local_now - reading.at for reading in readings)
        slack = MISSED * max(shown.rhythms.get(kind, 0.0) for kind in self.facts if shown.reading(kind) is not None)
        if aged > max(STALE_LOOKS * shown.interval, STALE_LEAST) + slack:
            return [("bad", f"  STALE: {words.age(aged)} old")]
        return [("dim", f"  {words.age(max(aged, 0.0))} old")]


class TablePane(Pane):
    """A tab whose body is one table of items that are all there."""

    columns: ClassVar[tuple[Column, ...]]
    order: ClassVar[int | None] = None
    empty: ClassVar[str] = "nothing here"

    def __init__(self, view: View) -> None:
        super().__init__(view)
        self.table = Table(self.columns, order=self.order)
        self.table.empty = [("dim", f"  {self.empty}")]
        self.items: dict[Hashable, Any] = {}

    def body(self) -> ComposeResult:
        """The table."""
        yield self.table

    @property
    def focus_on(self) -> Widget:
        """The table."""
        return self.table

    def on_table_ordered(self, event: Table.Ordered) -> None:
        """Another order."""
        event.stop()
        self.redraw()

    def fill(self, items: Sequence[Any], shown: Scene) -> Sequence[Any]:
        """These items, filtered and in the table's order; those that are shown."""

        def cells(item: Any) -> Sequence[Piece]:
            return self.cells(item, shown)

        if self.needle:
            wanted = self.needle.lower()
            items = [item for item in items if any(wanted in text.lower() for _, text in cells(item))]
        ordered = self.table.sorted(items)
        self.items = {self.row_key(item): item for item in ordered}
        self.table.marked &= self.items.keys()
        self.table.show(listed(ordered, self.row_key, cells))
        return ordered

    def row_key(self, item: Any) -> Hashable:
        """What knows an item again at the next refresh."""
        raise NotImplementedError

    def cells(self, item: Any, shown: Scene) -> Sequence[Piece]:
        """A row, cleaned."""
        raise NotImplementedError

    @property
    def here(self) -> Any | None:
        """The item under the cursor."""
        return self.items.get(self.table.key)

    @property
    def chosen(self) -> list[Any]:
        """The marked items, else the one under the cursor."""
        return [self.items[key] for key in self.table.chosen if key in self.items]


def explained(source: Feed, jid: str) -> list[Line]:
    """Where a job is by now, why it has not run, when it will."""
    return [[], [("strong", "why")], *([("", f"  {line}")] for line in source.why(jid))]
