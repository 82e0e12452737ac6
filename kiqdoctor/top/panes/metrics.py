"""Job classes by the time that they took in the last hour, as Sidekiq 7 and later count it."""

from collections.abc import Hashable, Sequence
from typing import ClassVar, Final

from kiqdoctor.doctor.facts.live import ClassMetrics, Metrics
from kiqdoctor.text import clean
from kiqdoctor.top import words
from kiqdoctor.top.chart import spark
from kiqdoctor.top.paint import Line, Piece
from kiqdoctor.top.panes.pane import TablePane
from kiqdoctor.top.scene import Scene
from kiqdoctor.top.table import Column

WIDTH: Final = 60  # cells: one a minute


class MetricsPane(TablePane):
    """A row a class."""

    label: ClassVar[str] = "Metrics"
    key: ClassVar[str] = "m"
    short: ClassVar[str] = "Met"
    facts: ClassVar[tuple[type, ...]] = (Metrics,)
    order: ClassVar[int | None] = 4
    empty: ClassVar[str] = "no metrics of the last hour: Sidekiq 7 and later write them, our runtime does not"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Job", 20, lambda one: one.name, grow=2),
        Column("Runs", 9, lambda one: -one.runs, right=True),
        Column("Failed", 9, lambda one: -one.failures, right=True),
        Column("Mean", 8, lambda one: -one.mean_s if one.mean_s is not None else None, right=True),
        Column("Total", 9, lambda one: -one.ms, right=True),
        Column("Share", 6, lambda one: -one.ms, right=True),
        Column("Each minute of the hour, highest = its own", 40, None, grow=2, rank=1),
    )

    def draw(self, shown: Scene) -> Line:
        """The table, and all of it together."""
        metrics = self.fact(shown, Metrics)
        self.whole = sum(one.ms for one in metrics.classes) or 1
        self.fill(metrics.classes, shown)
        runs, failed = (sum(getattr(one, name) for one in metrics.classes) for name in ("runs", "failures"))
        classes = words.plural(len(metrics.classes), "class")
        return [
            ("", f"{metrics.minutes} minutes: {words.plural(runs, 'run')} of {classes}"),
            ("warn" if failed else "", f", {failed:,} failed" if failed else ""),
        ]

    def row_key(self, item: ClassMetrics) -> Hashable:
        """The class."""
        return item.name

    def cells(self, item: ClassMetrics, shown: Scene) -> Sequence[Piece]:
        """A class in a row."""
        del shown
        return (
            ("strong", clean(item.name)),
            ("", words.count(item.runs)),
            ("warn" if item.failures else "", words.count(item.failures)),
            ("", words.duration(item.mean_s)),
            ("", words.age(item.ms / 1000)),
            ("", f"{item.ms / self.whole:.0%}"),
            ("accent", spark(item.by_minute, min(WIDTH, len(item.by_minute)))),
        )
