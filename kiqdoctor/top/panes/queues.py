"""Queues: how long, how late, whether paused; a queue opens into its jobs."""

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import ClassVar

from textual.app import ComposeResult
from textual.widget import Widget

from kiqdoctor import actions
from kiqdoctor.actions import Proposal, Verb
from kiqdoctor.doctor.facts.live import Depths, Workers
from kiqdoctor.doctor.facts.queues import Queue
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.text import clean
from kiqdoctor.top import words
from kiqdoctor.top.paint import Line, Piece
from kiqdoctor.top.panes.jobs import QueueJobs
from kiqdoctor.top.panes.pane import Pane, TablePane, unread
from kiqdoctor.top.scene import Scene
from kiqdoctor.top.table import Column
from kiqdoctor.top.view import View

VERBS = frozenset({Verb.PAUSE, Verb.RESUME, Verb.CLEAR})


@dataclass(frozen=True, slots=True)
class Waiting:
    """A queue, with what is reckoned of it. ``consumers`` None: the processes could not be read."""

    queue: Queue
    latency: float | None
    consumers: int | None
    growth: float | None  # jobs a second


class QueueTable(TablePane):
    """A row a queue."""

    label: ClassVar[str] = "Queues"
    facts: ClassVar[tuple[type, ...]] = (Depths,)
    empty: ClassVar[str] = "no queue is registered here"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Queue", 20, lambda one: one.queue.name, grow=3),
        Column("Size", 10, lambda one: -one.queue.size, right=True),
        Column("Latency", 9, lambda one: -one.latency if one.latency is not None else None, right=True),
        Column("Change/s", 9, lambda one: -one.growth if one.growth is not None else None, right=True, rank=1),
        Column("Threads", 8, lambda one: one.consumers, right=True),
        Column("State", 14, lambda one: one.queue.paused, grow=1),
    )

    def __init__(self, view: View) -> None:
        super().__init__(view)
        self._before: dict[str, tuple[float, int]] = {}
        self._growth: dict[str, float] = {}

    def draw(self, shown: Scene) -> Line:
        """The table, and the sum."""
        depths = self.fact(shown, Depths)
        self._grow(depths)
        waiting = [self._waiting(queue, depths.at, shown) for queue in depths.queues]
        self.fill(waiting, shown)
        paused = sum(queue.paused for queue in depths.queues)
        return [
            ("", f"{words.plural(len(depths.queues), 'queue')}, {words.plural(depths.enqueued, 'job')}"),
            ("warn", f", {paused} paused" if paused else ""),
            ("warn", f"; {clean(depths.partial)}" if depths.partial else ""),
        ]

    def _grow(self, depths: Depths) -> None:
        for queue in depths.queues:
            at, size = self._before.get(queue.name, (depths.at, queue.size))
            if depths.at > at:
                self._growth[queue.name] = (queue.size - size) / (depths.at - at)
            self._before[queue.name] = depths.at, queue.size

    def _waiting(self, queue: Queue, at: float, shown: Scene) -> Waiting:
        latency = max(0.0, at - queue.oldest_at) if queue.oldest_at is not None and queue.size else None
        reading = shown.reading(Workers)
        fleet = reading.value if reading is not None else None
        consumers = None
        if isinstance(fleet, Workers):
            consumers = sum(
                one.concurrency or 0 for one in fleet.processes if not one.quiet and queue.name in (one.queues or ())
            )
        return Waiting(queue, latency if queue.size else 0.0, consumers, self._growth.get(queue.name))

    def row_key(self, item: Waiting) -> Hashable:
        """Its name."""
        return item.queue.name

    def cells(self, item: Waiting, shown: Scene) -> Sequence[Piece]:
        """A queue in a row."""
        del shown
        alone = item.consumers == 0 and item.queue.size > 0
        state = (
            "paused" if item.queue.paused else "nobody takes it" if alone else "waiting" if item.queue.size else "empty"
        )
        growth = words.NOTHING if item.growth is None else f"{item.growth:+,.1f}" if item.growth else "0"
        return (
            ("strong", clean(item.queue.name)),
            ("", clean(item.queue.unread, 20) or words.count(item.queue.size)),
            ("", words.age(item.latency) if item.latency is not None else "unknown"),
            ("", growth),
            ("bad" if alone else "", words.count(item.consumers)),
            ("bad" if alone else "warn" if item.queue.paused else "", state),
        )

    def propose(self, verb: Verb) -> Proposal:
        """Pause, resume or clear what is chosen."""
        if verb not in VERBS:
            raise ValueError(f"a queue cannot be asked to {verb.value}; enter opens it")
        chosen: list[Waiting] = self.chosen
        if verb is Verb.PAUSE and chosen and all(one.queue.paused for one in chosen):
            verb = Verb.RESUME
        namespace = self.shown.target.namespace if self.shown else None
        return actions.propose(verb, queues=[one.queue.name for one in chosen], namespace=namespace)

    @property
    def id_here(self) -> str:
        """The name."""
        return self.here.queue.name if self.here is not None else ""


class QueuesPane(Pane):
    """The table, or one queue's jobs in its place."""

    label: ClassVar[str] = "Queues"
    key: ClassVar[str] = "3"
    short: ClassVar[str] = "Que"
    keys: ClassVar[tuple[tuple[str, str], ...]] = (
        ("enter", "its jobs"),
        ("esc", "back to the queues"),
        ("P", "pause, or resume what is paused"),
        ("C", "clear: remove all of its jobs"),
        ("D K", "delete or kill jobs of an opened queue"),
    )

    def __init__(self, view: View) -> None:
        super().__init__(view)
        self.list, self.jobs = QueueTable(view), QueueJobs(view)
        self.head.display = False

    @classmethod
    def told(cls, snapshot: Snapshot) -> Iterator[tuple[str, str]]:
        """How many wait in each."""
        depths = snapshot.get(Depths)
        for queue in depths.queues if isinstance(depths, Depths) else ():
            yield f"queue {clean(queue.name)}", f"{words.count(queue.size)} waiting{', paused' if queue.paused else ''}"
        yield from unread("queues", depths)

    def body(self) -> ComposeResult:
        """Both, one of them hidden."""
        self.jobs.display = False
        yield self.list
        yield self.jobs

    @property
    def front(self) -> QueueTable | QueueJobs:
        """Which of them is shown."""
        return self.jobs if self.jobs.display else self.list

    def open(self, queue: str | None) -> None:
        """A queue's jobs; None: the queues again."""
        if queue is not None:
            self.jobs.open(queue)
        self.jobs.display, self.list.display = queue is not None, queue is None
        self.redraw()
        self.screen.set_focus(self.front.focus_on)

    def enter(self) -> None:
        """The queue's jobs, or a whole job of them."""
        if self.jobs.display:
            self.jobs.enter()
        else:
            self.open(self.list.id_here)

    def out(self) -> None:
        """Of a search, then of the queue."""
        if self.jobs.display and not self.jobs.found:
            self.open(None)
        else:
            super().out()

    def changed(self) -> None:
        """Both."""
        self.list.changed()
        self.jobs.changed()

    def draw(self, shown: Scene) -> Line:
        """The one in front."""
        self.front.show(shown)
        return []

    @property
    def focus_on(self) -> Widget:
        """The table in front."""
        return self.front.focus_on

    def filter(self, text: str) -> None:
        """Of the one in front."""
        self.front.filter(text)

    def propose(self, verb: Verb) -> Proposal:
        """Of the one in front."""
        return self.front.propose(verb)

    @property
    def id_here(self) -> str:
        """Of the one in front."""
        return self.front.id_here
