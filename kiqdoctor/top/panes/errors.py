"""Why jobs fail: those that wait for another try and those that are dead, by class, error and queue."""

from collections.abc import Hashable, Sequence
from typing import ClassVar

from kiqdoctor.doctor.facts.live import ErrorGroup, Errors, Sought
from kiqdoctor.text import clean
from kiqdoctor.top import words
from kiqdoctor.top.paint import Line, Piece
from kiqdoctor.top.panes.jobs import Dead, Retries
from kiqdoctor.top.panes.pane import TablePane
from kiqdoctor.top.scene import Scene
from kiqdoctor.top.table import Column


class ErrorsPane(TablePane):
    """A row a group, the most jobs first."""

    label: ClassVar[str] = "Errors"
    key: ClassVar[str] = "f"
    short: ClassVar[str] = "Err"
    facts: ClassVar[tuple[type, ...]] = (Errors,)
    empty: ClassVar[str] = "no job waits for another try, and none is dead"
    keys: ClassVar[tuple[tuple[str, str], ...]] = (("enter", "its jobs, in Retries or Dead"),)
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Error", 18, lambda one: one.failure.error_class, grow=3),
        Column("Job", 13, lambda one: one.failure.job_class, grow=3),
        Column("Queue", 8, lambda one: one.failure.queue, grow=1),
        Column("Jobs", 8, None, right=True),
        Column("Share", 5, None, right=True, rank=1),
        Column("Last failed", 11, lambda one: -one.newest if one.newest is not None else None, right=True),
        Column("Next try", 9, lambda one: one.next_try, right=True),
        Column("Retrying", 9, lambda one: -one.retrying, right=True, rank=2),
        Column("Dead", 9, lambda one: -one.dead, right=True, rank=2),
    )

    def draw(self, shown: Scene) -> Line:
        """The table; how much of the sets was looked at."""
        self.errors = self.fact(shown, Errors)
        errors = self.errors
        self.fill(errors.groups, shown)
        at, of = errors.retrying.at + errors.dead.at, errors.retrying.of + errors.dead.of
        share = f"; {at:,} looked at ({at / of:.1%}), ~ is reckoned" if not errors.whole else ""
        return [
            ("", f"{words.plural(of, 'failed job')} in {words.plural(len(errors.groups), 'group')}"),
            ("warn", share),
            ("warn", f"; {errors.unread:,} cannot be read" if errors.unread else ""),
            ("warn", f"; {clean(errors.partial)}" if errors.partial else ""),
        ]

    def row_key(self, item: ErrorGroup) -> Hashable:
        """What its jobs have in common."""
        return item.failure

    def cells(self, item: ErrorGroup, shown: Scene) -> Sequence[Piece]:
        """A group in a row."""
        errors, failure = self.errors, item.failure
        jobs, of = errors.jobs(item), errors.retrying.of + errors.dead.of
        return (
            ("bad", clean(failure.error_class) or "(none)"),
            ("strong", clean(failure.job_class)),
            ("", clean(failure.queue)),
            ("", _counted(jobs, exact=errors.whole)),
            ("", f"{jobs / of:.0%}" if of else words.NOTHING),
            ("", words.when(item.newest, shown.now)),
            ("", words.when(item.next_try, shown.now)),
            ("dim", _counted(item.retrying * errors.retrying.each, exact=errors.retrying.whole)),
            ("dim", _counted(item.dead * errors.dead.each, exact=errors.dead.whole)),
        )

    def enter(self) -> None:
        """Its jobs, and no others."""
        here = self.here
        if here is not None:
            self.view.to(Retries if here.retrying else Dead).seek(Sought(failure=here.failure))

    @property
    def id_here(self) -> str:
        """The error's class."""
        return self.here.failure.error_class if self.here is not None else ""


def _counted(jobs: float, *, exact: bool) -> str:
    """Counted, or with a ~ where it is reckoned."""
    return words.count(jobs) if exact else f"~{words.brief(jobs)}"
