"""Jobs in progress: which, where, since when, and how unusual that is."""

from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from typing import ClassVar

from kiqdoctor.doctor.facts.fleet import InFlight, Process
from kiqdoctor.doctor.facts.live import Metrics, Workers
from kiqdoctor.text import clean
from kiqdoctor.top import words
from kiqdoctor.top.paint import Line, Piece
from kiqdoctor.top.panes.pane import TablePane, explained
from kiqdoctor.top.panes.processes import death, details
from kiqdoctor.top.scene import Scene
from kiqdoctor.top.table import Column
from kiqdoctor.top.unusual import Unusual, unusual
from kiqdoctor.top.view import Opened


@dataclass(frozen=True, slots=True)
class BusyRow:
    """A job, the process that runs it, and how unusual it is."""

    process: Process
    job: InFlight
    unusual: Unusual
    lost: bool = False  # its process is dead


class Busy(TablePane):
    """A row a job, the longest first."""

    label: ClassVar[str] = "Busy"
    key: ClassVar[str] = "4"
    facts: ClassVar[tuple[type, ...]] = (Workers,)
    helps: ClassVar[tuple[type, ...]] = (Metrics,)
    order: ClassVar[int | None] = 1
    empty: ClassVar[str] = "nothing is in progress; jobs shorter than a beat (5 to 10 s) may never be seen here"
    keys: ClassVar[tuple[tuple[str, str], ...]] = (
        ("t", "what the threads of its process do"),
        ("enter", "the process and all of its jobs"),
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Job", 20, lambda one: one.job.job_class, grow=3),
        Column("Running", 8, lambda one: one.job.run_at, right=True),
        Column("How unusual", 22, lambda one: -one.unusual.times if one.unusual.times is not None else None, grow=1),
        Column("Queue", 10, lambda one: one.job.queue, grow=1),
        Column("Thread", 9, lambda one: one.job.thread, rank=3),
        Column("Process", 14, lambda one: one.process.identity, grow=2, rank=1),
        Column("Jid", 24, lambda one: one.job.jid, rank=2),
    )

    def draw(self, shown: Scene) -> Line:
        """The table; how many run, how many of them far too long."""
        workers = self.fact(shown, Workers)
        reading = shown.reading(Metrics)
        metrics = reading.value if reading is not None else None
        running = [
            BusyRow(process, job, unusual(job, shown.now, metrics, shown.durations), bool(death(process, shown)))
            for process in workers.processes
            for job in process.in_flight
        ]
        self.fill(running, shown)
        strange, lost = sum(one.unusual.strange for one in running), sum(one.lost for one in running)
        return [
            ("", words.plural(len(running), "job")),
            ("warn", f", {strange} far longer than usual" if strange else ""),
            ("bad", f", {lost} of dead processes" if lost else ""),
        ]

    def row_key(self, item: BusyRow) -> Hashable:
        """A thread of a process runs one job at a time."""
        return item.process.identity, item.job.thread, item.job.jid

    def cells(self, item: BusyRow, shown: Scene) -> Sequence[Piece]:
        """A job in a row."""
        job = item.job
        running = words.age(max(0.0, shown.now - job.run_at)) if job.run_at is not None else words.NOTHING
        strange = item.unusual.strange
        return (
            ("strong", clean(job.job_class) or "(cannot be read)"),
            ("warn" if strange else "", running + ("!" if strange else "")),
            ("warn" if strange else "dim", item.unusual.why),
            ("", clean(job.queue)),
            ("dim", clean(job.thread)),
            ("bad" if item.lost else "", ("(dead) " if item.lost else "") + clean(item.process.identity)),
            ("dim", clean(job.jid)),
        )

    def enter(self) -> None:
        """Its process, and all that runs there."""
        here, shown = self.here, self.shown
        if here is not None and shown is not None:
            lines = details(here.process, shown)
            source, jid = self.view.source, here.job.jid
            more = (lambda: explained(source, jid)) if source is not None and jid else None
            self.view.open(Opened(here.process.identity, lines, jid, more=more))

    @property
    def process_here(self) -> Process | None:
        """What runs the job."""
        return self.here.process if self.here is not None else None

    @property
    def id_here(self) -> str:
        """The jid."""
        return self.here.job.jid if self.here is not None else ""
