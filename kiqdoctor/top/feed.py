"""What the live view is handed to read, ask and write with. Everything here may block: it is called in threads."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from kiqdoctor.actions import Actions
from kiqdoctor.doctor.facts.fleet import Process
from kiqdoctor.doctor.facts.live import JobPage, JobRow, Search, Sought
from kiqdoctor.doctor.facts.threads import Threads
from kiqdoctor.doctor.report import Report
from kiqdoctor.doctor.snapshot import Refused, Snapshot


class LostError(Exception):
    """Redis cannot be reached now; one line with the step that failed."""


@dataclass(frozen=True, slots=True)
class Look:
    """One refresh: facts, when (epoch seconds by Redis' clock), its cost in round trips and milliseconds."""

    snapshot: Snapshot
    at: float
    round_trips: int = 0
    took_ms: float = 0.0
    report: Report | None = None  # of recordings, which are judged as they are read


@dataclass(frozen=True, slots=True)
class WholeExamination:
    """A whole examination: what was found, and the facts that it was found in."""

    report: Report
    snapshot: Snapshot


@dataclass(frozen=True, slots=True)
class Watched:
    """What is looked at, as it may be shown; ``recorded``: it is a recording, where nothing moves or is changed."""

    redis: str
    namespace: str | None = None
    recorded: str = ""
    show_args: bool = False


class Feed(Protocol):
    """One installation, live."""

    target: Watched
    rhythms: Mapping[type, float]
    """Seconds between two readings of each fact; 0 where each look reads it."""

    def look(self, also: frozenset[type]) -> Look:
        """What moves, and of the facts in ``also`` those that are read seldom and are due.

        Raises:
            LostError: Redis cannot be reached; the next call tries again.
        """

    def examine(self) -> WholeExamination:
        """The checks' verdicts; whatever goes wrong is in the report."""

    def page(self, place: str, start: int, count: int, *, backwards: bool) -> JobPage | Refused:
        """Jobs of a queue or set."""

    def search(self, place: str, sought: Sought) -> Iterator[Search | Refused]:
        """Jobs that fit, as they are found."""

    def whole(self, row: JobRow) -> JobRow:
        """The row with what only its detail shows."""

    def why(self, jid: str) -> Sequence[str]:
        """Where this job is, why it has not run, when it will: lines for people."""

    def threads(self, process: Process) -> Threads | Refused:
        """What each thread of the process does now."""

    def explain(self, check: str) -> str:
        """The check's own page."""

    def save(self, look: Look, examined: WholeExamination | None, folder: Path) -> Path:
        """Write a recording, and say where.

        Raises:
            OSError: it cannot be written.
        """


@dataclass(frozen=True, slots=True)
class Recorded:
    """Saved looks in the order of their time; ``left_out`` says which files were none."""

    target: Watched
    looks: Sequence[Look]
    left_out: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Writing:
    """What may be changed: nothing, for a reason, or all that ``actions`` offers."""

    actions: Actions | None = None
    reason: str = ""
    ask_again: bool = False  # it could not be asked
