"""What a tab may ask of the view that holds it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

from textual.widget import Widget

from kiqdoctor.actions import Verb
from kiqdoctor.doctor.facts.live import Search, Sought
from kiqdoctor.doctor.snapshot import Refused
from kiqdoctor.top.feed import Feed
from kiqdoctor.top.paint import Line

Result = TypeVar("Result")
Tab = TypeVar("Tab", bound=Widget)


@dataclass(frozen=True, slots=True)
class Opened:
    """A page over the tabs: its title, its lines, the id that it is about, and what can be done to that.

    ``more``: lines that take a while; they come under the others.
    """

    title: str
    lines: Sequence[Line]
    id_here: str = ""
    verbs: frozenset[Verb] = frozenset()
    more: Callable[[], Sequence[Line]] | None = None


class View(Protocol):
    """Of the screen around it. ``source`` None: what is shown is a recording, and there is nothing to ask."""

    source: Feed | None

    def look(self) -> None:
        """Read now what the tab in front shows."""

    def examine(self) -> None:
        """Have the checks judge now."""

    def background(
        self, work: Callable[[], Result], take: Callable[[Result], None], failed: Callable[[], None] = ...
    ) -> None:
        """Work that may block; ``take`` hears what came of it, or ``failed`` that nothing did."""

    def search(self, place: str, sought: Sought, take: Callable[[Search | Refused], None]) -> None:
        """Jobs that fit, as they are found; a search ends when another begins."""

    def to(self, kind: type[Tab]) -> Tab:
        """That tab, brought to the front."""

    def open(self, page: Opened) -> None:
        """A page over the tabs."""

    def push_screen(self, screen: Any, callback: Any = None) -> Any:
        """Anything over the tabs."""

    def tell(self, text: str, severity: Any) -> None:
        """A note for some seconds."""

    def changed(self) -> None:
        """Something was changed in Redis: what was read is old."""

    def rebind(self) -> None:
        """Whether anything may be changed has become known."""
