"""The screen: tabs over one feed, refreshed in threads; what goes wrong is shown and nothing ends because of it."""

import asyncio
import signal
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any, ClassVar

from textual.app import App, ComposeResult, SystemCommand
from textual.binding import Binding, BindingType
from textual.message import Message
from textual.screen import Screen
from textual.widgets import ContentSwitcher, Input

from kiqdoctor.actions import Verb
from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.doctor.facts.live import Search, Sought
from kiqdoctor.doctor.snapshot import Refused
from kiqdoctor.text import LONG, clean
from kiqdoctor.top import dialogs, frame, keys
from kiqdoctor.top.changing import Changing
from kiqdoctor.top.dialogs import Dialog
from kiqdoctor.top.feed import Feed, Recorded, Writing
from kiqdoctor.top.lines import OneLine
from kiqdoctor.top.panes.pane import Pane
from kiqdoctor.top.panes.threads import CHOOSE, ThreadsPane
from kiqdoctor.top.refreshing import Refreshing
from kiqdoctor.top.saving import Saving
from kiqdoctor.top.state import ViewState
from kiqdoctor.top.table import Table
from kiqdoctor.top.tabs import TABS
from kiqdoctor.top.view import Opened, Result, Tab

DARK, LIGHT = "textual-dark", "textual-light"


class Top(App[int]):
    """The live view of one installation, or of a folder of recordings."""

    TITLE = "kiqdoctor top"
    CSS = """
    Screen { layout: vertical; }
    ContentSwitcher { height: 1fr; }
    Pane { height: 1fr; }
    Table, Lines { height: 1fr; }
    #filter { display: none; height: 1; border: none; padding: 0 1; }
    #filter.asked { display: block; }
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
        folder: Path | None = Path(),
        light: bool = False,
        clock: Clock = SYSTEM,
    ) -> None:
        """``writing`` is asked once, in a thread: whether this user may write is Redis' to say."""
        super().__init__()
        self.source = None if isinstance(source, Recorded) else source
        self.recorded = source if isinstance(source, Recorded) else None
        self.interval, self.folder = interval, folder
        rhythms = self.source.rhythms if self.source is not None else {}
        self.state = ViewState(source.target, clock, interval=interval, examine_every=examine_every, rhythms=rhythms)
        self.changing = Changing(self, writing)
        self.refreshing = Refreshing(self, self.source, self.state, self.changing, self.draw) if self.source else None
        self.saving = Saving(self, folder, clock)
        self._search: object = None
        self.panes: dict[str, Pane] = {tab.label: tab(self) for tab in TABS}
        self.numbers, self.keys = OneLine(id="numbers"), OneLine(id="keys")
        self.where = OneLine(id="where", under="bar")
        self.tabs = OneLine(id="tabs", under="bar", clicked=self._tab_clicked)
        self.switcher = ContentSwitcher(initial=self.panes[TABS[0].label].id)
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
        self.rebind()
        self.screen.set_focus(self.pane.focus_on)
        if self.recorded is not None:
            self.changing.writing = Writing(reason="a recording")
            self.state.load(self.recorded)
            for text in self.recorded.left_out:
                self.tell(text, "warning")
            self.draw()
        else:
            self.changing.find_out()
            self.look()
        self.set_interval(self.interval, self.look)
        with suppress(RuntimeError, NotImplementedError):  # not the main thread: whoever runs us there ends us too
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, self.exit)

    def rebind(self) -> None:
        """Keys that change something are bound where something may be changed."""
        for binding in keys.bindings(writing=self.changing.able):
            self.bind(binding.key, binding.action, description=binding.description, show=False)
        self.draw()

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

    # Reading

    def look(self) -> None:
        """Read now what the tab in front shows; a recording that plays goes on."""
        if self.refreshing is not None:
            self.refreshing.tick(frozenset((*self.pane.facts, *self.pane.helps)))
        elif self.state.playing:
            self.action_scrub(1)

    def examine(self) -> None:
        """Have the checks judge now."""
        if self.refreshing is not None:
            self.refreshing.examine()

    def search(self, place: str, sought: Sought, take: Callable[[Search | Refused], None]) -> None:
        """Jobs that fit, as they are found; a search ends when another begins."""
        source = self.source
        if source is None:
            return
        token = self._search = object()

        def run() -> None:
            for found in source.search(place, sought):
                if self._search is not token:
                    return
                self.post_message(self.Arrived(take, found))

        self.background(run, lambda _: None)

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
        label = frame.tab_at(column, self.label, self.size.width)
        if label:
            self.action_tab(label)

    def to(self, kind: type[Tab]) -> Tab:
        """That tab, brought to the front."""
        pane = next(one for one in self.panes.values() if isinstance(one, kind))
        self.action_tab(pane.label)
        return pane

    def action_out(self) -> None:
        """Out of what is open."""
        if self.field.has_class("asked"):
            self._end_filter()
        else:
            self.pane.out()
        self.screen.set_focus(self.pane.focus_on)

    def on_table_chosen(self, event: Table.Chosen) -> None:
        """Enter, or a click."""
        event.stop()
        self.pane.enter()

    def open(self, page: Opened) -> None:
        """A page over the tabs; one that comes late does not cover what was asked for meanwhile."""
        if len(self.screen_stack) > 1:
            return
        verbs = page.verbs if self.changing.able else frozenset()
        dialog = Dialog(page.title, page.lines, id_here=page.id_here, verbs=verbs)
        self.push_screen(dialog, self._left)
        if page.more is not None:
            self.background(page.more, dialog.add)

    def _left(self, verb: str | None) -> None:
        if verb:
            self.action_verb(verb)

    def action_help(self) -> None:
        """Every key."""
        why_not = "" if self.changing.able else self.changing.writing.reason
        self.open(Opened("Keys", dialogs.help_lines(self.label, self.pane.keys, why_not)))

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
        if event.input.has_class("asked") and not self.pane.front.searches:
            self.pane.filter(event.value)

    def on_input_submitted(self, event: Input.Submitted) -> None:
        """The text is whole."""
        if self.pane.front.searches:
            self.pane.filter(event.value)
        self._end_filter()
        self.screen.set_focus(self.pane.focus_on)

    def _end_filter(self) -> None:
        self.field.remove_class("asked")

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
        """Read now, or what that means on this tab."""
        self.pane.again()

    def action_threads(self) -> None:
        """What the threads of the process under the cursor do."""
        here = self.pane.process_here
        if self.source is None:
            self.tell("a recording has no threads to dump", "warning")
        elif here is None:
            self.tell(CHOOSE, "warning")
        else:
            self.to(ThreadsPane).ask(here)

    def action_view(self) -> None:
        """The next way to show the same."""
        self.pane.turn()

    def action_zoom(self, step: int) -> None:
        """More or less of it."""
        self.pane.zoom(step)

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
        self.saving.snapshot(self.state.shown.look, self.state.examination)

    def action_export(self) -> None:
        """The screen as a picture."""
        self.saving.picture(self.label, self.export_screenshot(title=self.TITLE))

    def action_verb(self, name: str) -> None:
        """Ask, then do."""
        self.changing.ask(lambda: self.pane.propose(Verb(name)))

    def action_undo(self) -> None:
        """What was done last."""
        self.changing.undo()

    def changed(self) -> None:
        """Nothing is marked any more, and what was read is old."""
        for pane in self.panes.values():
            pane.changed()
        self.look()

    def tell(self, text: str, severity: Any) -> None:
        """A note for some seconds, as plain text; none where there is no text."""
        if text:
            self.notify(clean(text, LONG), severity=severity, markup=False, timeout=8 if severity == "error" else 4)
