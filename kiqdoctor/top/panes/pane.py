"""What every tab has: a heading with the age of its data, its own error, and a body that only it draws."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar, Final, TypeVar

from textual.app import ComposeResult
from textual.containers import Vertical
from textual.widget import Widget

from kiqdoctor.actions import Proposal, Verb
from kiqdoctor.doctor.facts.fleet import Process
from kiqdoctor.doctor.facts.live import Metrics
from kiqdoctor.doctor.snapshot import Absent, Reading, Refused
from kiqdoctor.text import LONG, clean
from kiqdoctor.top import words
from kiqdoctor.top.doctoring import Diagnosis
from kiqdoctor.top.feed import Look, Watched
from kiqdoctor.top.history import Numbers
from kiqdoctor.top.lines import Bar, Lines
from kiqdoctor.top.paint import Line, Piece
from kiqdoctor.top.table import Column, Table, listed
from kiqdoctor.top.unusual import Durations

Fact = TypeVar("Fact")

STALE_LOOKS: Final = 3  # refreshes that may be missed
STALE_LEAST: Final = 5.0  # seconds
SLACK: Final[dict[type, float]] = {Metrics: 60.0}  # seconds more, of what is read seldom
SELDOM: Final = 10.0  # seconds more, of what is read every few seconds


@dataclass(frozen=True)
class Moment:
    """The moment that the screen shows: a look, the numbers until then, the findings. ``now`` is Redis' time of it.

    ``behind``: seconds before the present, None while it is live. ``aged``: seconds since the look was taken.
    """

    target: Watched
    look: Look | None = None
    now: float = 0.0
    local_now: float = 0.0
    interval: float = 1.0
    behind: float | None = None
    trouble: str = ""
    samples: Sequence[Numbers] = ()
    diagnosis: Diagnosis | None = None
    durations: Durations = field(default_factory=Durations)

    @property
    def live(self) -> bool:
        """The present, of an installation that is there."""
        return self.behind is None and not self.target.recorded

    def reading(self, kind: type) -> Reading | None:
        """A fact's reading."""
        return self.look.snapshot.readings.get(kind) if self.look is not None else None


class MissingFactError(Exception):
    """A fact that a pane needs is not there; one line."""


class Pane(Vertical):
    """A tab. ``draw`` may raise whatever it likes: no other pane suffers."""

    label: ClassVar[str]
    facts: ClassVar[tuple[type, ...]] = ()
    costly: ClassVar[frozenset[type]] = frozenset()  # facts that are read while this tab is visible
    keys: ClassVar[tuple[tuple[str, str], ...]] = ()  # of this tab alone: key and what it does

    def __init__(self) -> None:
        super().__init__(id=f"pane-{self.label.lower()}")
        self.head = Bar(id=f"head-{self.label.lower()}")
        self.shown: Moment | None = None
        self.title_here = self.label
        self.needle = ""
        self.trouble = ""

    def compose(self) -> ComposeResult:
        """Heading and body."""
        yield self.head
        yield from self.body()

    def body(self) -> ComposeResult:
        """The widgets below the heading."""
        raise NotImplementedError

    def draw(self, shown: Moment) -> Line:
        """Fill the body; the words of the heading."""
        raise NotImplementedError

    def show(self, shown: Moment) -> None:
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

    def again(self) -> None:
        """The same once more, in another order or with another filter."""
        if self.shown is not None:
            self.show(self.shown)

    def fact(self, shown: Moment, kind: type[Fact]) -> Fact:
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
            raise MissingFactError(f"{value.reason}; to settle it: {value.unlock}" if value.unlock else value.reason)
        if isinstance(value, Absent):
            raise MissingFactError(value.reason)
        found: Fact = value
        return found

    def filter(self, text: str) -> None:
        """Show only what holds the text; "" for all."""
        self.needle = text
        self.again()

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

    def _age(self, shown: Moment) -> Line:
        """How old the oldest of this pane's facts is; ``stale`` where that is more than it should be."""
        readings = [reading for kind in self.facts if (reading := shown.reading(kind)) is not None]
        if not readings:
            return []
        if shown.behind is not None or shown.target.recorded:
            return [("accent", f"  as of {words.moment(shown.now)}")]
        aged = max(shown.local_now - reading.at for reading in readings)
        kinds = [kind for kind in self.facts if shown.reading(kind) is not None]
        slack = max(SLACK.get(kind, SELDOM if kind in self.costly else 0.0) for kind in kinds)
        if aged > max(STALE_LOOKS * shown.interval, STALE_LEAST) + slack:
            return [("bad", f"  STALE: {words.age(aged)} old")]
        return [("dim", f"  {words.age(max(aged, 0.0))} old")]


class TablePane(Pane):
    """A tab whose body is one table of items that are all there."""

    columns: ClassVar[tuple[Column, ...]]
    order: ClassVar[int | None] = None
    empty: ClassVar[str] = "nothing here"

    def __init__(self) -> None:
        super().__init__()
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

    def fill(self, items: Sequence[Any], shown: Moment) -> Sequence[Any]:
        """These items, filtered and in the table's order; those that are shown."""

        def cells(item: Any) -> Sequence[Piece]:
            return self.cells(item, shown)

        if self.needle:
            wanted = self.needle.lower()
            items = [item for item in items if any(wanted in text.lower() for _, text in cells(item))]
        ordered = self.table.sorted(items)
        self.items = {self.key(item): item for item in ordered}
        self.table.marked &= self.items.keys()
        self.table.show(listed(ordered, self.key, cells))
        return ordered

    def key(self, item: Any) -> Hashable:
        """What knows an item again at the next refresh."""
        raise NotImplementedError

    def cells(self, item: Any, shown: Moment) -> Sequence[Piece]:
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
