"""Jobs of a queue or set: a window over however many there are, searched and ordered on request."""

from collections.abc import Hashable, Iterator, Sequence
from typing import ClassVar, Final

from textual.app import ComposeResult
from textual.widget import Widget

from kiqdoctor import actions
from kiqdoctor.actions import JobEntry, Proposal, Verb
from kiqdoctor.doctor.facts.live import Depths, JobPage, JobRow, Search, Sought
from kiqdoctor.doctor.snapshot import Refused, Snapshot
from kiqdoctor.text import clean
from kiqdoctor.top import words
from kiqdoctor.top.feed import Feed
from kiqdoctor.top.paint import Line, Piece
from kiqdoctor.top.panes import job
from kiqdoctor.top.panes.pane import Pane, explained, said
from kiqdoctor.top.scene import Scene
from kiqdoctor.top.table import Rows, Table
from kiqdoctor.top.view import Opened, View
from kiqdoctor.wire.keys import DEAD, QUEUE_PREFIX, RETRY, SCHEDULE

PAGE: Final = 200  # rows
KEPT: Final = 50  # pages: 10,000 rows
FRESH: Final = 2.0  # seconds that a visible page is believed
VERBS: Final = {
    RETRY: frozenset({Verb.RETRY, Verb.DELETE, Verb.KILL}),
    SCHEDULE: frozenset({Verb.ENQUEUE, Verb.DELETE, Verb.KILL}),
    DEAD: frozenset({Verb.RETRY, Verb.DELETE}),
}
OF_QUEUES: Final = frozenset({Verb.DELETE, Verb.KILL})
KEYS: Final = {
    Verb.RETRY: ("R", "retry now"),
    Verb.ENQUEUE: ("E", "enqueue now"),
    Verb.DELETE: ("D", "delete"),
    Verb.KILL: ("K", "kill: move to dead"),
}


class Jobs(Pane):
    """A table of jobs: pages and searches are asked for, and shown when they come."""

    searches: ClassVar[bool] = True
    facts: ClassVar[tuple[type, ...]] = (Depths,)
    place: str
    newest_first: ClassVar[bool] = False

    def __init__(self, view: View) -> None:
        super().__init__(view)
        self.table = Table(job.columns(self.place), order=0)
        self.table.backwards = self.newest_first
        self.reset()

    @classmethod
    def told(cls, snapshot: Snapshot) -> Iterator[tuple[str, str]]:
        """How many there are."""
        depths = snapshot.get(Depths)
        if isinstance(depths, Depths):
            yield cls.label.lower(), words.count(depths.size(cls.place))

    def reset(self) -> None:
        """Forget what was read."""
        self.pages: dict[int, JobPage] = {}
        self.read_at: dict[int, float] = {}
        self.asked: set[int] = set()
        self.known: dict[bytes, JobRow] = {}
        self.found: Search | None = None
        self.held: list[JobRow] = []
        self.total = 0
        self.refusal = ""
        self.table.restart()

    @property
    def verbs(self) -> frozenset[Verb]:
        """What may be done to its jobs."""
        return VERBS.get(self.place, OF_QUEUES)

    def body(self) -> ComposeResult:
        """The table."""
        yield self.table

    @property
    def focus_on(self) -> Widget:
        """The table."""
        return self.table

    def draw(self, shown: Scene) -> Line:
        """What was read so far; pages that are visible are read again when they are older than a moment."""
        if shown.target.recorded:
            self.table.show(Rows(0, str, lambda _: None))
            depths = self.fact(shown, Depths)
            return [
                ("", f"{words.plural(self._length(depths), 'job')}; "),
                ("warn", "recordings keep how many, not which"),
            ]
        depths = self.fact(shown, Depths)
        self.total = self._length(depths) if self.found is None else len(self.held)
        self._refresh(shown)
        self._fill(shown)
        past = (
            [("warn", "; the list is of now: the past keeps how many, not which")] if shown.behind is not None else []
        )
        return [*self._told(depths), *past, ("bad", f"; {clean(self.refusal, 400)}" if self.refusal else "")]

    def _length(self, depths: Depths) -> int:
        if self.place.startswith(QUEUE_PREFIX):
            name = self.place.removeprefix(QUEUE_PREFIX)
            return next((queue.size for queue in depths.queues if queue.name == name), 0)
        return depths.size(self.place)

    def _told(self, depths: Depths) -> list[Piece]:
        size = self._length(depths)
        if self.found is None:
            marked = f", {len(self.table.marked)} marked" if self.table.marked else ""
            return [("", f"{words.plural(size, 'job')}{marked}")]
        found = self.found
        looked = f"looked at {found.looked_at:,} of {found.total:,}"
        what = _told_of(found.sought, len(self.held))
        note = f"; {found.note}" if found.note else ""
        return [("accent", f"{what}; {looked}{'' if found.done else ' so far'}{note}; esc for all")]

    def _refresh(self, shown: Scene) -> None:
        if self.found is not None:
            return
        first = self.table.scroll_offset.y // PAGE
        last = (self.table.scroll_offset.y + self.table.room) // PAGE
        for number in range(first, last + 1):
            if number * PAGE < self.total and shown.local_now - self.read_at.get(number, 0.0) > FRESH:
                self._ask(number)

    def _ask(self, number: int) -> None:
        source = self.view.source
        if source is not None and number not in self.asked:
            self.asked.add(number)
            place, backwards = self.place, self.table.backwards
            self.view.background(
                lambda: source.page(place, number * PAGE, PAGE, backwards=backwards),
                lambda page: self.take(number, page),
            )

    def _fill(self, shown: Scene) -> None:
        held, pages = (self.held if self.found is not None else None), self.pages  # these, whatever comes next

        def row(index: int) -> JobRow | None:
            if held is not None:
                return held[index]
            page = pages.get(index // PAGE)
            within = index - (index // PAGE) * PAGE
            return page.rows[within] if page is not None and within < len(page.rows) else None

        def cells(index: int) -> Sequence[Piece] | None:
            one = row(index)
            return job.cells(self.place, one, shown) if one is not None else None

        def key(index: int) -> Hashable:
            one = row(index)
            return one.member if one is not None else index

        def find(wanted: Hashable) -> int | None:
            return next(
                (index for index in self._near() if (one := row(index)) is not None and one.member == wanted), None
            )

        self.table.empty = [("dim", "  nothing here" if not self.found or self.found.done else "  searching")]
        self.table.show(Rows(self.total, key, cells, find))

    def _near(self) -> list[int]:
        """Rows near the cursor, the nearest first: where a row that moved a little is found again."""
        at = self.table.cursor
        around = sorted(range(at - PAGE, at + PAGE), key=lambda index: abs(index - at))
        return [index for index in around if 0 <= index < self.total]

    def take(self, number: int, page: JobPage | Refused) -> None:
        """A page that was asked for."""
        self.asked.discard(number)
        if isinstance(page, Refused):
            self.refusal = said(page)
        elif page.place == self.place:
            self.refusal = page.note
            self.pages[number] = page
            self.read_at[number] = self.shown.local_now if self.shown else 0.0
            self.known |= {row.member: row for row in page.rows}
            self._forget(number)
        self.redraw()

    def _forget(self, number: int) -> None:
        """The pages farthest from this one."""
        for far in sorted(self.pages, key=lambda one: -abs(one - number))[: max(0, len(self.pages) - KEPT)]:
            for row in self.pages.pop(far).rows:
                if row.member not in self.table.marked:
                    self.known.pop(row.member, None)

    def hold(self, search: Search | Refused) -> None:
        """What a search has found so far."""
        if isinstance(search, Refused):
            self.refusal = said(search)
        elif search.place == self.place:
            self.found, self.refusal = search, ""
            self.known |= {row.member: row for row in search.rows}
            self.held = self.table.sorted(search.rows)
        self.redraw()

    def filter(self, text: str) -> None:
        """Search Redis for the text; "" shows all again."""
        if text:
            self.seek(Sought(text))
        elif self.found is not None:
            self._everything()

    def seek(self, sought: Sought) -> None:
        """Only these, as they are found."""
        self.view.search(self.place, sought, self.hold)

    def _everything(self) -> None:
        self.reset()
        self.table.order, self.table.backwards = 0, self.newest_first
        self.redraw()

    def reorder(self) -> None:
        """By time Redis has the order; by anything else all of it, up to the search's limit, is read and ordered."""
        if self.found is not None:
            self.held = self.table.sorted(self.found.rows)
            self.redraw()
        elif self.table.order == 0:
            backwards = self.table.backwards
            self.reset()
            self.table.backwards = backwards
            self.redraw()
        else:
            self.seek(Sought())

    def enter(self) -> None:
        """The whole job."""
        row, verbs, source = self.here, self.verbs, self.view.source
        if row is not None and source is not None:
            self.view.background(lambda: _opened(source, row, verbs), self.view.open)

    def changed(self) -> None:
        """Every page is old."""
        super().changed()
        self.read_at.clear()

    def on_table_wanted(self, event: Table.Wanted) -> None:
        """Rows that are visible and not there."""
        event.stop()
        for number in range(event.first // PAGE, max(event.last - 1, event.first) // PAGE + 1):
            self._ask(number)

    def on_table_ordered(self, event: Table.Ordered) -> None:
        """Another order."""
        event.stop()
        self.reorder()

    @property
    def chosen(self) -> list[JobRow]:
        """The marked jobs, else the one under the cursor."""
        return [self.known[key] for key in self.table.chosen if isinstance(key, bytes) and key in self.known]

    @property
    def here(self) -> JobRow | None:
        """The job under the cursor."""
        key = self.table.key
        return self.known.get(key) if isinstance(key, bytes) else None

    def propose(self, verb: Verb) -> Proposal:
        """What the verb would do to what is chosen."""
        if verb not in self.verbs:
            able = ", ".join(f"{KEYS[one][0]} {KEYS[one][1]}" for one in Verb if one in self.verbs)
            raise ValueError(f"jobs of {clean(self.place)} cannot be asked to {verb.value}; they can: {able}")
        jobs = [JobEntry(row.place, row.member, row.score) for row in self.chosen]
        return actions.propose(verb, jobs=jobs, namespace=self.shown.target.namespace if self.shown else None)

    @property
    def id_here(self) -> str:
        """The jid."""
        return self.here.jid if self.here is not None else ""


def _told_of(sought: Sought, found: int) -> str:
    """What a search has found, in words."""
    if (failure := sought.failure) is not None:
        said = (failure.job_class or "of no class", failure.error_class or "no error class", failure.queue)
        job_class, error, queue = map(clean, said)
        return f"{found:,} are {job_class} with {error}{f' in {queue}' if queue else ''}"
    return f"{found:,} hold {clean(sought.text)!r}" if sought.text else f"the first {found:,} are ordered"


def _opened(source: Feed, row: JobRow, verbs: frozenset[Verb]) -> Opened:
    whole = source.whole(row)
    more = (lambda: explained(source, whole.jid)) if whole.jid else None
    return Opened(whole.job_class or "job", job.details(whole), whole.jid, verbs, more)


def keys_of(place: str) -> tuple[tuple[str, str], ...]:
    """The keys that act on jobs of a place."""
    verbs = VERBS.get(place, OF_QUEUES)
    return (*(KEYS[verb] for verb in Verb if verb in verbs), ("enter", "the whole job"))


class Retries(Jobs):
    """Jobs that failed and will be tried again."""

    label: ClassVar[str] = "Retries"
    key: ClassVar[str] = "5"
    short: ClassVar[str] = "Ret"
    place = RETRY
    keys: ClassVar[tuple[tuple[str, str], ...]] = keys_of(RETRY)


class Scheduled(Jobs):
    """Jobs whose time has not come."""

    label: ClassVar[str] = "Scheduled"
    key: ClassVar[str] = "6"
    short: ClassVar[str] = "Sch"
    place = SCHEDULE
    keys: ClassVar[tuple[tuple[str, str], ...]] = keys_of(SCHEDULE)


class Dead(Jobs):
    """Jobs that nobody will run again by themselves, the last first."""

    label: ClassVar[str] = "Dead"
    key: ClassVar[str] = "7"
    place = DEAD
    newest_first: ClassVar[bool] = True
    keys: ClassVar[tuple[tuple[str, str], ...]] = keys_of(DEAD)


class QueueJobs(Jobs):
    """Jobs of one queue, in the order in which they will run."""

    label: ClassVar[str] = "Queue"
    place = QUEUE_PREFIX
    keys: ClassVar[tuple[tuple[str, str], ...]] = keys_of(QUEUE_PREFIX)

    def open(self, queue: str) -> None:
        """Show this queue."""
        self.place = QUEUE_PREFIX + queue
        self.title_here = f"Queue {clean(queue)}"
        self.reset()
