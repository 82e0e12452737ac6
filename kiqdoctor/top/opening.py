"""What enter opens: the whole of the row under the cursor. It may ask the source, and is called in a thread."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kiqdoctor.actions import Verb
from kiqdoctor.doctor.facts.live import JobRow
from kiqdoctor.top.feed import Feed
from kiqdoctor.top.paint import Line
from kiqdoctor.top.panes import doctor, jobs, processes
from kiqdoctor.top.panes.busy import Busy
from kiqdoctor.top.panes.pane import Moment, Pane


@dataclass(frozen=True, slots=True)
class Opened:
    """A page: its title, its lines, the id that it is about, and what can be done to that."""

    title: str
    lines: Sequence[Line]
    id_here: str = ""
    verbs: frozenset[Verb] = frozenset()


def opening(pane: Pane, shown: Moment, source: Feed | None) -> Callable[[], Opened] | None:
    """The page of the row under the cursor, as work for a thread; None where nothing opens."""
    match pane:
        case jobs.Jobs() if pane.here is not None and source is not None:
            row, verbs = pane.here, pane.verbs
            return lambda: _job(source, row, verbs)
        case processes.Processes() if pane.here is not None:
            process = pane.here
            return lambda: Opened(process.identity, processes.details(process, shown), process.identity)
        case Busy() if pane.here is not None:
            running = pane.here
            lines = processes.details(running.process, shown)
            return lambda: Opened(running.process.identity, lines, running.job.jid)
        case doctor.Doctor() if pane.here is not None:
            told, id_here = pane.here, pane.id_here
            return lambda: _finding(source, told, id_here)
        case _:
            return None


def _job(source: Feed, row: JobRow, verbs: frozenset[Verb]) -> Opened:
    whole = source.whole(row)
    return Opened(whole.job_class or "job", jobs.details(whole), whole.jid, verbs)


def _finding(source: Feed | None, told: doctor.DoctorRow, id_here: str) -> Opened:
    check = told.result.check
    page = source.explain(check.id) if source is not None else check.page
    return Opened(f"{check.id} {check.name}", doctor.details(told, page), id_here)
