"""Jobs that run by the clock: of each scheduler, when they ran, when they will, and which ticks nobody pushed."""

from collections.abc import Hashable, Sequence
from typing import ClassVar, Final

import msgspec

from kiqdoctor.doctor.facts.beside import PeriodicJob, PeriodicJobs
from kiqdoctor.doctor.facts.live import Workers
from kiqdoctor.doctor.ticks import UntoldError, due, missed
from kiqdoctor.text import clean
from kiqdoctor.top import words
from kiqdoctor.top.paint import Line, Piece
from kiqdoctor.top.panes.pane import TablePane
from kiqdoctor.top.scene import Scene
from kiqdoctor.top.table import Column
from kiqdoctor.top.view import View

GRACE: Final = 120.0  # seconds for which a tick may still be pushed, as QUE016 has it
OURS: Final = "kiqdoctor"


class Row(msgspec.Struct, frozen=True):
    """A job and its ticks. ``missed``: the latest that nobody pushed; ``untold``: why nothing is said."""

    job: PeriodicJob
    due: float | None = None
    missed: float | None = None
    untold: str = ""

    @property
    def rank(self) -> int:
        """Missed first, then what cannot be told."""
        return 0 if self.missed is not None else 1 if self.untold else 2


class Periodic(TablePane):
    """A row a job, those that were missed first."""

    label: ClassVar[str] = "Periodic"
    key: ClassVar[str] = "p"
    short: ClassVar[str] = "Per"
    facts: ClassVar[tuple[type, ...]] = (PeriodicJobs,)
    empty: ClassVar[str] = "no periodic job lies in Redis"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Job", 16, lambda one: one.job.name, grow=2),
        Column("Class", 12, lambda one: one.job.job_class, grow=2, rank=1),
        Column("Cron", 13, lambda one: one.job.cron, grow=1),
        Column("Zone", 8, lambda one: one.job.zone, grow=1, rank=2),
        Column("Last", 11, lambda one: -(one.job.last or 0.0), right=True),
        Column("Next", 9, lambda one: one.due, right=True),
        Column("Missed", 11, lambda one: one.rank, grow=2),
        Column("Scheduler", 17, lambda one: one.job.kind, rank=3),
    )

    def __init__(self, view: View) -> None:
        super().__init__(view)
        self._of: tuple[object, ...] = ()
        self._rows: list[Row] = []

    def draw(self, shown: Scene) -> Line:
        """The table; how many were missed."""
        periodic = self.fact(shown, PeriodicJobs)
        reading = shown.reading(PeriodicJobs), shown.behind is None
        if self._of != reading:  # five thousand lines are not gone through at every look
            self._of, self._rows = reading, rows(periodic, shown)
        self.fill(self._rows, shown)
        late, untold = (sum(one.rank == rank for one in self._rows) for rank in (0, 1))
        return [
            ("", words.plural(len(self._rows), "periodic job")),
            ("bad" if late else "", f", {late} missed"),
            ("warn", f", of {untold} it cannot be told" if untold else ""),
            ("warn", f"; {clean(periodic.partial)}" if periodic.partial else ""),
        ]

    def row_key(self, item: Row) -> Hashable:
        """Its name, and whose it is."""
        return item.job.kind, item.job.name, item.job.cron

    def cells(self, item: Row, shown: Scene) -> Sequence[Piece]:
        """A job in a row."""
        job = item.job
        return (
            ("strong", clean(job.name)),
            ("", clean(job.job_class) or words.NOTHING),
            ("", clean(job.cron) or words.NOTHING),
            ("dim", clean(job.zone) or words.NOTHING),
            ("", words.when(job.last, shown.now)),
            ("", words.when(item.due, shown.now)),
            _told(item, shown.now),
            ("dim", clean(job.kind)),
        )

    @property
    def id_here(self) -> str:
        """Its name."""
        return self.here.job.name if self.here is not None else ""


def rows(periodic: PeriodicJobs, shown: Scene) -> list[Row]:
    """Each job as of this moment, those that were missed first."""
    reading = shown.reading(Workers)
    workers = reading.value if reading is not None else None
    unasked = isinstance(workers, Workers) and any(one.runtime for one in workers.processes)
    found = (_row(job, shown.now, unasked=unasked) for job in periodic.all)
    return sorted(found, key=lambda one: (one.rank, one.job.name))


def _row(job: PeriodicJob, now: float, *, unasked: bool) -> Row:
    """``unasked``: one of our processes lives, and may still want what it does not name."""
    if not job.enabled or job.wanted is False:
        return Row(job)
    next_at = due(job, now)
    try:
        found = missed(job, now, GRACE)
    except UntoldError as error:
        return Row(job, next_at, untold=str(error))
    if found is not None and job.kind == OURS and job.wanted is None and unasked:
        return Row(job, next_at, untold="no process says whether it is still wanted")
    return Row(job, next_at, found.tick if found is not None else None)


def _told(row: Row, now: float) -> Piece:
    if row.missed is not None:
        return "bad", words.when(row.missed, now)
    if row.untold:
        return "warn", f"unknown: {clean(row.untold)}"
    if not row.job.enabled:
        return "dim", "disabled"
    return ("dim", "not wanted") if row.job.wanted is False else ("good", "none")
