"""The screen: tabs over one source, refreshed in threads; what goes wrong is shown and nothing ends because of it."""

import asyncio
import re
import signal
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar, Final, TypeVar

from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widgets import ContentSwitcher, Input

from kiqdoctor.actions import Verb
from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.doctor.facts.fleet import Process
from kiqdoctor.text import LONG, clean
from kiqdoctor.top import dialogs, frame, keys, paint, words
from kiqdoctor.top.changing import Changing
from kiqdoctor.top.dialogs import Dialog
from kiqdoctor.top.feed import Feed, Judgement, Look, LostError, Recorded, Writing
from kiqdoctor.top.lines import Bar
from kiqdoctor.top.opening import Opened, opening
from kiqdoctor.top.panes.busy import Busy
from kiqdoctor.top.panes.doctor import Doctor
from kiqdoctor.top.panes.jobs import Dead, Jobs, Retries, Scheduled
from kiqdoctor.top.panes.metrics import MetricsPane
from kiqdoctor.top.panes.overview import Overview
from kiqdoctor.top.panes.pane import Pane
from kiqdoctor.top.panes.processes import Processes
from kiqdoctor.top.panes.queues import QueuesPane
from kiqdoctor.top.panes.redis import RedisPane
from kiqdoctor.top.panes.threads import ThreadsPane
from kiqdoctor.top.state import ViewState
from kiqdoctor.top.table import Table

Result = TypeVar("Result")
PANES: Final[tuple[type[Pane], ...]] = (
    *(Overview, Processes, QueuesPane, Busy, Retries, Scheduled, Dead, Doctor, ThreadsPane, RedisPane, MetricsPane),
)

NOTES: Final = 3  # of new findings at once
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
        source: Feed | Recorded,
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
        self.interval, self.folder, self.clock = interval, folder, clock
        self.state = ViewState(source.target, clock, interval=interval, examine_every=examine_every)
        self.changing = Changing(self)
        self._ask_writing = writing
        self._looking = self._examining = False
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
            self.changing.writing = Writing(reason="a recording")
            self.state.load(self.recorded)
            for text in self.recorded.left_out:
                self.tell(text, "warning")
            self.draw()
        else:
            self.background(self._ask_writing, self._may_write)
            self._tick()
            self._examine()
        self.set_interval(self.interval, self._tick)
        with suppress(RuntimeError, NotImplementedError):  # not the main thread: whoever runs us there ends us too
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)

    def _bind(self, *, writing: bool) -> None:
        for binding in keys.bindings(writing=writing):
            self.bind(binding.key, binding.action, description=binding.description, show=False)

    def background(
        self, work: Callable[[], Result], take: Callable[[Result], None], failed: Callable[[], None] = lambda: None
    ) -> None:
        """In a thread; ``take`` hears what came of it, in the screen's own, or ``failed`` that nothing did."""

        def lost(error: Exception) -> None:
            failed()
            self.tell(f"something under way failed: {type(error).__name__}: {error}", "error")

        def run() -> None:
            try:
                self.post_message(self.Arrived(take, work()))
            except Exception as error:  # noqa: BLE001 - it is told on the screen, which goes on
                self.post_message(self.Arrived(lost, error))

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

    @property
    def front(self) -> Pane:
        """The same, or the part of it that lies in front."""
        return self.pane.front

    # Reading

    def _tick(self) -> None:
        if self.recorded is not None:
            if self.state.playing:
                self.action_scrub(1)
            return
        if self.state.examination_due():
            self._examine()
        if self._looking or self.source is None:
            self.draw()  # it takes long: what is shown gets older
            return
        self._looking = True
        source, also = self.source, self.pane.costly
        self.background(lambda: _looked(source, also), self._looked, self._look_failed)

    def _looked(self, look: Look | LostError) -> None:
        self._looking = False
        if isinstance(look, LostError):
            self.tell(self.state.lost(str(look)), "error")
        else:
            self.tell(self.state.found(look), "information")
            if self.changing.writing.ask_again:
                self.changing.writing = Writing(reason="asking again")
                self.background(self._ask_writing, self._may_write)
        self.draw()

    def _look_failed(self) -> None:
        self._looking = False

    def _examine(self) -> None:
        source = self.source
        if not self._examining and source is not None:
            self._examining = True
            self.state.examining()
            self.background(source.examine, self._examined, self._examination_failed)

    def _examination_failed(self) -> None:
        self._examining = False

    def _examined(self, examination: Judgement) -> None:
        self._examining = False
        for title in self.state.examined(examination)[:NOTES]:
            self.tell(f"new: {title}", "warning")
        self.draw()

    def _may_write(self, writing: Writing) -> None:
        self.changing.writing = writing
        if self.changing.able:
            self._bind(writing=True)
        self.draw()

    def draw(self) -> None:
        """All that is visible."""
        shown, width, able = self.state.shown, self.size.width, self.changing.able
        self.pane.show(shown)
        self.numbers.set(frame.numbers(shown, width))
        self.tabs.set(frame.tabs(self.label, width))
        place, of = (self.state.index or 0) + 1, len(self.state.history.looks)
        reason = self.changing.writing.reason
        self.where.set(frame.where(shown, reason, playing=self.state.playing, place=place, of=of))
        self.keys.set(frame.keys_of(self.pane.keys, width, writing=able))

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
        elif isinstance(pane, QueuesPane) and pane.jobs.display and not pane.jobs.found:
            pane.open(None)
        else:
            pane.filter("")
        self.screen.set_focus(pane.focus_on)

    def on_table_chosen(self, event: Table.Chosen) -> None:
        """Enter, or a click."""
        event.stop()
        pane = self.pane
        if isinstance(pane, QueuesPane) and not pane.jobs.display:
            pane.open(pane.list.id_here)
            return
        found = opening(self.front, self.state.shown, self.source)
        if found is not None:
            self.background(found, self._open)

    def _open(self, page: Opened) -> None:
        verbs = page.verbs if self.changing.able else frozenset()
        self.push_screen(Dialog(page.title, page.lines, id_here=page.id_here, verbs=verbs), self._left)

    def _left(self, verb: str | None) -> None:
        if verb:
            self.action_verb(verb)

    def action_help(self) -> None:
        """Every key."""
        why_not = "" if self.changing.able else self.changing.writing.reason
        self._open(Opened("Keys", dialogs.help_lines(self.label, self.pane.keys, why_not)))

    def get_system_commands(self, screen: Screen[Any]) -> Iterable[SystemCommand]:
        """The palette: every key by what it does."""
        del screen
        changing = (*keys.WRITING.values(), keys.UNDO) if self.changing.able else ()
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
        return isinstance(self.front, Jobs)

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

        self.background(run, lambda _: None)

    def on_table_ordered(self, event: Table.Ordered) -> None:
        """Another order of a table that is all there."""
        event.stop()
        self.front.again()

    # Time

    def action_pause(self) -> None:
        """Stand still, or go on."""
        self.state.pause()
        self.draw()

    def action_scrub(self, step: int) -> None:
        """To the look before or after the one that is shown."""
        self.state.step(step)
        self.draw()

    def action_scrub_minute(self, step: int) -> None:
        """The same by a minute."""
        self.state.step_minutes(step)
        self.draw()

    # Doing

    def action_again(self) -> None:
        """Read now."""
        pane = self.pane
        if isinstance(pane, Doctor):
            self._examine()
        elif isinstance(pane, ThreadsPane) and pane.process is not None:
            self._dump(pane.process)
        else:
            self._tick()

    def action_threads(self) -> None:
        """What the threads of the process under the cursor do."""
        here = self.pane.process_here
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
        look, source, examined = self.state.shown.look, self.source, self.state.examination
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
        self.changing.ask(lambda: self.pane.propose(Verb(name)))

    def action_undo(self) -> None:
        """What was done last."""
        self.changing.undo()

    def changed(self) -> None:
        """Nothing is marked any more, and what was read is old."""
        for pane in self.panes.values():
            for table in pane.query(Table):
                table.marked = set()
            for jobs in [pane, *pane.query(Jobs)]:
                if isinstance(jobs, Jobs):
                    jobs.read_at.clear()
        self._tick()

    def tell(self, text: str, severity: Any) -> None:
        """A note for some seconds, as plain text; none where there is no text."""
        if text:
            self.notify(clean(text, LONG), severity=severity, markup=False, timeout=8 if severity == "error" else 4)


def _looked(source: Feed, also: frozenset[type]) -> Look | LostError:
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
