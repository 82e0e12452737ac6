"""The screen: tabs over one source, refreshed in threads; what goes wrong is shown and nothing ends because of it."""

import re
import threading
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widgets import ContentSwitcher, Input

from kiqdoctor.actions import Done, Plan, Verb
from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.doctor.facts.live import Workers
from kiqdoctor.doctor.facts.processes import Process
from kiqdoctor.text import LONG, clean
from kiqdoctor.top import dialogs, frame, keys, paint, words
from kiqdoctor.top.dialogs import Dialog, Question
from kiqdoctor.top.doctoring import Diagnosis, follow
from kiqdoctor.top.history import History, read
from kiqdoctor.top.lines import Bar, Lines
from kiqdoctor.top.panes.busy import Busy
from kiqdoctor.top.panes.doctor import Doctor
from kiqdoctor.top.panes.doctor import details as finding_details
from kiqdoctor.top.panes.jobs import Dead, Jobs, Retries, Scheduled
from kiqdoctor.top.panes.jobs import details as job_details
from kiqdoctor.top.panes.metrics import MetricsPane
from kiqdoctor.top.panes.overview import Overview
from kiqdoctor.top.panes.pane import Pane, Shown
from kiqdoctor.top.panes.processes import Processes
from kiqdoctor.top.panes.processes import details as process_details
from kiqdoctor.top.panes.queues import Queues
from kiqdoctor.top.panes.redis import RedisPane
from kiqdoctor.top.panes.threads import ThreadsPane
from kiqdoctor.top.source import Examined, Look, LostError, Recorded, Source, Writing
from kiqdoctor.top.table import Table
from kiqdoctor.top.unusual import Durations

Result = TypeVar("Result")
PANES: Final[tuple[type[Pane], ...]] = (
    *(Overview, Processes, Queues, Busy, Retries, Scheduled, Dead, Doctor, ThreadsPane, RedisPane, MetricsPane),
)

SHARE: Final = 100  # an examination's own duration times this passes before the next: a hundredth of a core
MINUTE: Final = 60.0  # seconds
FONTS: Final = re.compile(r"@font-face\s*\{[^}]*\}")
"""A picture must not ask anybody for a font."""
DARK, LIGHT = "textual-dark", "textual-light"


class Top(App[int]):
    """The live view of one installation, or of a folder of recordings."""

    TITLE = "kiqdoctor top"
    CSS = f"""{paint.LIGHT}
    Screen {{ layout: vertical; }}
    ContentSwitcher {{ height: 1fr; }}
    Pane {{ height: 1fr; }}
    Table, Lines {{ height: 1fr; }}
    #filter {{ display: none; height: 1; border: none; padding: 0 1; }}
    #filter.asked {{ display: block; }}
    """
    BINDINGS: ClassVar[list[BindingType]] = [Binding("ctrl+c", "quit", show=False, priority=True)]
    ENABLE_COMMAND_PALETTE = True

    class Arrived(Message):
        """Something that a thread brought, and who takes it."""

        def __init__(self, take: Callable[[Any], None], value: Any) -> None:
            super().__init__()
            self.take, self.value = take, value

    def __init__(
        self,
        source: Source | Recorded,
        *,
        interval: float = 1.0,
        examine_every: float = 15.0,
        writing: Callable[[], Writing] = Writing,
        folder: Path = Path(),
        light: bool = False,
        clock: Clock = SYSTEM,
    ) -> None:
        """``writing`` is asked once, in a thread: whether this user may write is Redis' to say."""
        super().__init__()
        self.source = None if isinstance(source, Recorded) else source
        self.recorded = source if isinstance(source, Recorded) else None
        self.target = source.target
        self.interval, self.examine_every, self.folder, self.clock = interval, examine_every, folder, clock
        self.history = History(thin=self.recorded is None)
        self.durations = Durations()
        self.diagnosis: Diagnosis | None = None
        self.diagnoses: list[Diagnosis] = []
        self.examined: Examined | None = None
        self.trouble = ""
        self.lost_at = 0.0
        self.last_at = 0.0  # local time of the last look
        self.at: float | None = None  # the moment that is shown; None: now
        self.playing = False
        self.done: list[Done] = []
        self._looking = self._examining = False
        self._ask_writing, self.writing = writing, Writing(reason="not known yet")
        self._search: object = None
        self.panes: dict[str, Pane] = {kind.label: kind() for kind in PANES}
        self.numbers, self.where, self.keys = Bar(id="numbers"), Bar(id="where", under="bar"), Bar(id="keys")
        self.tabs = Bar(id="tabs", under="bar", clicked=self._tab_clicked)
        self.switcher = ContentSwitcher(initial=self.panes[Overview.label].id)
        self.field = Input(placeholder="filter", id="filter", compact=True, select_on_focus=False)
        self.first_theme = LIGHT if light else DARK

    # The frame

    def compose(self) -> ComposeResult:
        """Numbers, tabs, the tab, where we are, keys."""
        yield self.numbers
        yield self.tabs
        with self.switcher:
            yield from self.panes.values()
        yield self.field
        yield self.where
        yield self.keys

    def on_mount(self) -> None:
        """Begin to read."""
        self.theme = self.first_theme
        self._bind(writing=False)
        self.screen.set_focus(self.pane.focus_on)
        if self.recorded is not None:
            self.writing = Writing(reason="a recording")
            self._load(self.recorded)
        else:
            self.background(self._ask_writing, self._may_write)
            self._tick()
            self.background(self._examine, self._diagnosed)
        self.set_interval(self.interval, self._tick)

    def _bind(self, *, writing: bool) -> None:
        for binding in keys.bindings(writing=writing):
            self.bind(binding.key, binding.action, description=binding.description, show=False)

    def background(self, work: Callable[[], Result], take: Callable[[Result], None]) -> None:
        """In a thread; ``take`` hears what came of it, in the screen's own."""

        def run() -> None:
            self.post_message(self.Arrived(take, work()))

        threading.Thread(target=run, daemon=True, name="kiq.top").start()

    def on_top_arrived(self, event: Arrived) -> None:
        """What a thread brought."""
        event.take(event.value)

    @property
    def label(self) -> str:
        """The tab in front."""
        current = self.switcher.current
        return next(label for label, pane in self.panes.items() if pane.id == current)

    @property
    def pane(self) -> Pane:
        """The tab in front."""
        return self.panes[self.label]

    # Reading

    def _tick(self) -> None:
        if self.recorded is not None:
            if self.playing:
                self.action_scrub(1)
            return
        self._examine_if_due()
        if self._looking or self.source is None:
            self.draw()  # it takes long: what is shown gets older
            return
        self._looking = True
        source, also = self.source, self.pane.costly
        self.background(lambda: _looked(source, also), self._looked)

    def _looked(self, look: Look | LostError) -> None:
        self._looking = False
        if isinstance(look, LostError):
            self._lost(str(look))
        else:
            self._found(look)
        self.draw()

    def _found(self, look: Look) -> None:
        if self.trouble:
            self.tell(f"Redis is back after {words.age(self.clock.now() - self.lost_at)}", "information")
        if self.writing.ask_again:
            self.writing = Writing(reason="asking again")
            self.background(self._ask_writing, self._may_write)
        self.trouble, self.last_at = "", self.clock.now()
        self.history.add(look)
        workers = read(look.snapshot, Workers)
        if isinstance(workers, Workers):
            self.durations.observe(workers)

    def _lost(self, trouble: str) -> None:
        if not self.trouble:
            self.lost_at = self.clock.now()
            self.tell(f"Redis cannot be reached: {trouble}; trying again", "error")
        self.trouble = trouble
        self.history.lost(self.now)

    def _load(self, recorded: Recorded) -> None:
        for look in recorded.looks:
            self.history.add(look)
            if look.report is not None:
                self.diagnosis = follow(self.diagnosis, look.report, look.at)
            if self.diagnosis is not None:
                self.diagnoses.append(self.diagnosis)
        for text in recorded.left_out:
            self.tell(text, "warning")
        self.at = self.history.looks[0].at if self.history.looks else 0.0
        self.draw()

    def _examine_if_due(self) -> None:
        if self._examining or self.diagnosis is None:
            return
        every = max(self.examine_every, SHARE * self.diagnosis.report.duration_s)
        if self.now - self.diagnosis.at >= every:
            self.background(self._examine, self._diagnosed)
            self._examining = True

    def _examine(self) -> Examined | None:
        self._examining = True
        return self.source.examine() if self.source is not None else None

    def _diagnosed(self, examined: Examined | None) -> None:
        self._examining = False
        if examined is None:
            return
        self.examined = examined
        self.diagnosis = follow(self.diagnosis, examined.report, self.now)
        self.diagnoses = [*self.diagnoses[-400:], self.diagnosis]
        fresh = [
            one for _, one in self.diagnosis.findings if self.diagnosis.since[one.fingerprint] == self.diagnosis.at
        ]
        for one in fresh[:3]:
            self.tell(f"new: {one.finding.title}", "warning")
        self.draw()

    def _may_write(self, writing: Writing) -> None:
        self.writing = writing
        if writing.actions is not None:
            self._bind(writing=True)
        self.draw()

    @property
    def now(self) -> float:
        """Redis' time, as the last look told it."""
        last = self.history.looks[-1] if self.history.looks else None
        if last is None or self.recorded is not None:
            return last.at if last is not None else self.clock.now()
        return last.at + (self.clock.now() - self.last_at)

    @property
    def shown(self) -> Shown:
        """What is shown now, or at the moment that was chosen."""
        looks = self.history.looks
        now = self.now if self.at is None else self.at
        index = len(looks) - 1 if self.at is None else self.history.index_at(self.at)
        then = [self.diagnosis] if self.at is None else [one for one in self.diagnoses if one.at <= now]
        return Shown(
            target=self.target,
            look=looks[index] if index is not None and looks else None,
            now=now,
            local_now=self.clock.now(),
            interval=self.interval,
            behind=None if self.at is None else self.now - self.at,
            trouble=self.trouble,
            samples=self.history.samples,
            diagnosis=then[-1] if then else None,
            durations=self.durations,
        )

    def draw(self) -> None:
        """All that is visible."""
        shown = self.shown
        self.pane.show(shown)
        self.numbers.set(frame.numbers(shown, self.size.width))
        self.tabs.set(frame.tabs(self.label, self.size.width))
        place = (self.history.index_at(self.at) or 0) + 1 if self.at is not None else 0
        where = frame.where(shown, self.writing.reason, playing=self.playing, place=place, of=len(self.history.looks))
        self.where.set(where)
        self.keys.set(frame.keys_of(self.pane.keys, self.size.width, writing=self.writing.actions is not None))

    def on_resize(self) -> None:
        """For the new size."""
        self.call_after_refresh(self.draw)

    # Going

    def action_tab(self, label: str) -> None:
        """Another tab."""
        self._end_filter()
        self.switcher.current = self.panes[label].id
        self.screen.set_focus(self.pane.focus_on)
        self.draw()
        self.call_after_refresh(self.draw)

    def action_beside(self, step: int) -> None:
        """The tab at its side."""
        if len(self.screen_stack) > 1:  # a page lies over it
            return
        labels = list(self.panes)
        self.action_tab(labels[(labels.index(self.label) + step) % len(labels)])

    def _tab_clicked(self, column: int) -> None:
        label = frame.tab_at(column, self.size.width)
        if label:
            self.action_tab(label)

    def action_out(self) -> None:
        """Out of what is open."""
        pane = self.pane
        if self.field.has_class("asked"):
            self._end_filter()
        elif isinstance(pane, Queues) and pane.jobs.display and not pane.jobs.found:
            pane.open(None)
        else:
            pane.filter("")
        self.screen.set_focus(pane.focus_on)

    def on_table_chosen(self, event: Table.Chosen) -> None:
        """Enter, or a click."""
        pane, shown = self.pane, self.shown
        jobs = pane.front if isinstance(pane, Queues) else pane
        if isinstance(pane, Queues) and not isinstance(jobs, Jobs):
            pane.open(jobs.id_here)
        elif isinstance(jobs, Jobs) and jobs.here is not None and self.source is not None:
            row, source, verbs = jobs.here, self.source, jobs.verbs if self.writing.actions else frozenset()
            self.background(
                lambda: source.whole(row),
                lambda whole: self._open(f"{whole.job_class or 'job'}", job_details(whole, shown), whole.jid, verbs),
            )
        elif isinstance(pane, Processes) and pane.here is not None:
            self._open(pane.here.identity, process_details(pane.here, shown), pane.here.identity)
        elif isinstance(pane, Busy) and pane.here is not None:
            process = pane.here.process
            self._open(process.identity, process_details(process, shown), pane.here.job.jid)
        elif isinstance(pane, Doctor) and pane.here is not None:
            told = pane.here
            page = self.source.explain(told.result.check.id) if self.source is not None else told.result.check.page
            self._open(f"{told.result.check.id} {told.result.check.name}", finding_details(told, page), pane.id_here)
        event.stop()

    def _open(self, title: str, lines: Any, id_here: str = "", verbs: frozenset[Verb] = frozenset()) -> None:
        def left(verb: str | None) -> None:
            if verb:
                self.action_verb(verb)

        self.push_screen(Dialog(title, lines, id_here=id_here, verbs=verbs), left)

    def action_help(self) -> None:
        """Every key."""
        why_not = "" if self.writing.actions is not None else self.writing.reason
        self._open("Keys", dialogs.help_lines(self.label, self.pane.keys, why_not))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette: every key by what it does."""
        del screen
        changing = (*keys.WRITING.values(), keys.UNDO) if self.writing.actions is not None else ()
        for key in (*keys.GOING, *keys.LOOKING, *keys.TIME, *changing):
            if key.listed:
                yield SystemCommand(key.says, f"key {key.shown}", self._run(key.action))

    def _run(self, action: str) -> Callable[[], Any]:
        return lambda: self.call_later(self.run_action, action)

    # Filtering

    def action_filter(self) -> None:
        """Ask for the text."""
        self.field.value = self.pane.needle
        self.field.add_class("asked")
        self.screen.set_focus(self.field)

    def on_input_changed(self, event: Input.Changed) -> None:
        """Tables filter as one types; jobs are searched when it is done."""
        if event.input.has_class("asked") and not self._searching:
            self.pane.filter(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The text is whole."""
        if self._searching:
            self.pane.filter(event.value)
        self._end_filter()
        self.screen.set_focus(self.pane.focus_on)

    @property
    def _searching(self) -> bool:
        pane = self.pane
        return isinstance(pane.front if isinstance(pane, Queues) else pane, Jobs)

    def _end_filter(self) -> None:
        self.field.remove_class("asked")

    def on_jobs_asked(self, event: Jobs.Asked) -> None:
        """A page of jobs."""
        pane, source = event.pane, self.source
        if source is not None:
            place, start, count, backwards = pane.window(event.number)
            self.background(
                lambda: source.page(place, start, count, backwards=backwards),
                lambda page: pane.take(event.number, page),
            )

    def on_jobs_sought(self, event: Jobs.Sought) -> None:
        """A search; it ends when another begins."""
        pane, source, text = event.pane, self.source, event.text
        if source is None:
            return
        token = self._search = object()
        place = pane.place

        def run() -> None:
            for found in source.search(place, text):
                if self._search is not token:
                    return
                self.post_message(self.Arrived(pane.hold, found))

        threading.Thread(target=run, daemon=True, name="kiq.top.search").start()

    def on_table_ordered(self, event: Table.Ordered) -> None:
        """Another order of a table that is all there."""
        event.stop()
        pane = self.pane
        (pane.front if isinstance(pane, Queues) else pane).again()

    # Time

    def action_pause(self) -> None:
        """Stand still, or go on."""
        if self.recorded is not None:
            self.playing = not self.playing
        else:
            self.at = self.now if self.at is None else None
        self.draw()

    def action_scrub(self, step: int) -> None:
        """To the look before or after the one that is shown; past the last one it is live again."""
        looks = self.history.looks
        if not looks:
            return
        index = len(looks) - 1 if self.at is None else self.history.index_at(self.at) or 0
        self._go_to(index + step)

    def action_scrub_minute(self, step: int) -> None:
        """The same by a minute."""
        if self.history.looks:
            wanted = (self.now if self.at is None else self.at) + step * MINUTE
            found = self.history.index_at(wanted) or 0
            at_end = step > 0 and wanted >= self.history.looks[-1].at
            self._go_to(len(self.history.looks) if at_end else found)

    def _go_to(self, index: int) -> None:
        looks = self.history.looks
        if index >= len(looks):
            self.at, self.playing = (looks[-1].at, False) if self.recorded is not None else (None, False)
        else:
            self.at = looks[max(index, 0)].at
        self.draw()

    # Doing

    def action_again(self) -> None:
        """Read now."""
        pane = self.pane
        if isinstance(pane, Doctor) and self.source is not None and not self._examining:
            self._examining = True
            self.background(self._examine, self._diagnosed)
        elif isinstance(pane, ThreadsPane) and pane.process is not None:
            self._dump(pane.process)
        else:
            self._tick()

    def action_threads(self) -> None:
        """What the threads of the process under the cursor do."""
        pane = self.pane
        here = (
            pane.here
            if isinstance(pane, Processes)
            else pane.here.process
            if isinstance(pane, Busy) and pane.here
            else None
        )
        if self.source is None:
            self.tell("a recording has no threads to dump", "warning")
        elif here is None:
            self.tell("choose a process on tab 2, or a job on tab 4", "warning")
        else:
            self._dump(here)
            self.action_tab(ThreadsPane.label)

    def _dump(self, process: Process) -> None:
        pane, source = self.panes[ThreadsPane.label], self.source
        if isinstance(pane, ThreadsPane) and source is not None:
            pane.ask(process)
            self.background(lambda: source.threads(process), lambda dump: self._dumped(pane, process, dump))

    def _dumped(self, pane: ThreadsPane, process: Process, dump: Any) -> None:
        pane.take(process, dump)
        self.draw()

    def action_view(self) -> None:
        """The next view of the threads."""
        pane = self.pane
        if isinstance(pane, ThreadsPane):
            pane.turn()

    def action_zoom(self, step: int) -> None:
        """Another span of the charts."""
        pane = self.pane
        if isinstance(pane, Overview):
            pane.zoom(step)

    def action_copy(self) -> None:
        """The id, cleaned: it goes to the terminal."""
        found = clean(self.pane.id_here, LONG)
        if found:
            self.copy_to_clipboard(found)
            self.tell(f"copied {found}", "information")

    def action_light(self) -> None:
        """Light or dark."""
        self.theme = LIGHT if self.theme == DARK else DARK

    def action_save(self) -> None:
        """The look that is shown, with the last examination's facts."""
        look, source, examined = self.shown.look, self.source, self.examined
        if look is None or source is None:
            self.tell("there is nothing to save" if source is not None else "this is a recording already", "warning")
            return
        self.background(lambda: _attempt(lambda: source.save(look, examined, self.folder)), self._saved)

    def action_export(self) -> None:
        """The screen as a picture that needs nothing from anywhere."""
        svg = FONTS.sub("", self.export_screenshot(title="kiqdoctor top"))
        name = f"kiqdoctor-{self.label.lower()}-{words.moment(self.clock.now()).replace(' ', 'T').replace(':', '')}.svg"
        path = self.folder / name
        self._saved(_attempt(lambda: _written(path, svg)))

    def _saved(self, told: Path | OSError) -> None:
        if isinstance(told, OSError):
            self.tell(f"cannot write {told.filename or self.folder}: {told.strerror or told}", "error")
        else:
            self.tell(f"saved {told}", "information")

    def action_verb(self, name: str) -> None:
        """Ask, then do."""
        if self.writing.actions is None:
            self.tell(f"read-only: {self.writing.reason}", "warning")
            return
        try:
            plan = self.pane.plan(Verb(name))
        except ValueError as error:
            self.tell(str(error), "warning")
            return
        self.push_screen(Question(plan), lambda said: self._carry_out(plan) if said else None)

    def _carry_out(self, plan: Plan) -> None:
        actions = self.writing.actions
        if actions is not None:
            self.background(lambda: actions.carry_out(plan), self._carried_out)

    def _carried_out(self, done: Done) -> None:
        if done.reversal is not None:
            self.done.append(done)
        undo = "; u undoes it" if done.reversal is not None else ""
        gone = f", {done.gone} had left before" if done.gone else ""
        self.tell(f"{done.plan.title}: {done.changed} done{gone}{undo}", "information" if done.changed else "warning")
        for problem in done.problems[:3]:
            self.tell(problem, "error")
        self._forget_marks()

    def _forget_marks(self) -> None:
        for pane in self.panes.values():
            for table in pane.query(Table):
                table.marked = set()
            for jobs in [pane, *pane.query(Jobs)]:
                if isinstance(jobs, Jobs):
                    jobs.read_at.clear()
        self._tick()

    def action_undo(self) -> None:
        """What was done last."""
        actions = self.writing.actions
        if actions is None or not self.done:
            self.tell("there is nothing to undo", "warning")
            return
        done = self.done.pop()
        self.background(lambda: actions.undo(done), self._undone)

    def _undone(self, done: Done) -> None:
        gone = f", {done.gone} could not be: they have gone on" if done.gone else ""
        self.tell(f"undone: {done.changed}{gone}", "information" if done.changed else "warning")
        for problem in done.problems[:3]:
            self.tell(problem, "error")
        self._forget_marks()

    def tell(self, text: str, severity: Any) -> None:
        """A note for some seconds, as plain text."""
        self.notify(clean(text, LONG), severity=severity, markup=False, timeout=8 if severity == "error" else 4)


def _looked(source: Source, also: frozenset[type]) -> Look | LostError:
    try:
        return source.look(also)
    except LostError as error:
        return error


def _attempt(write: Callable[[], Path]) -> Path | OSError:
    try:
        return write()
    except OSError as error:
        return error


def _written(path: Path, text: str) -> Path:
    path.write_text(text, encoding="utf-8")
    return path


def lines_of(app: Top) -> Iterator[str]:
    """What the tab in front shows, without styles."""
    for widget in app.pane.query(Lines):
        if widget.display:
            yield widget.text
    for table in app.pane.query(Table):
        if table.display and (table.parent is None or table.parent.display):
            yield table.text
