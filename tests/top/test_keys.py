"""Every key of the live view, pressed."""

import asyncio
import re
import threading
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest
from screens import BLIND, NOW, SICK, THREADS, Scripted, Standing, Willing, look, perform, report, screen, until
from textual.app import App, ComposeResult
from textual.binding import Binding
from textual.command import Command, CommandList
from textual.pilot import Pilot

from kiqdoctor.actions import Verb
from kiqdoctor.doctor.facts.live import JobRow, SlowLog
from kiqdoctor.doctor.report import Report
from kiqdoctor.doctor.snapshot import Refused
from kiqdoctor.top import keys
from kiqdoctor.top.app import Top
from kiqdoctor.top.feed import Recorded, Watched
from kiqdoctor.top.panes.jobs import Jobs
from kiqdoctor.top.panes.queues import QueuesPane
from kiqdoctor.top.panes.threads import ThreadsPane
from kiqdoctor.top.table import Column, Rows, Table
from kiqdoctor.top.tabs import TABS

Case = Callable[[Pilot[int], Top, Any], Awaitable[None]]
CASES: dict[str, Case] = {}


def key(shown: str) -> Callable[[Case], Case]:
    def keep(case: Case) -> Case:
        CASES[shown] = case
        return case

    return keep


def to_tab(pressed: str, name: str) -> Case:
    async def case(pilot: Pilot[int], app: Top, source: Any) -> None:
        await pilot.press("2" if pressed == "1" else "1", pressed)
        assert app.label == name
        assert re.search(rf"\[{pressed} ?{name}\]", screen(app))
        assert app.pane.trouble in {"", "the first examination is under way"}, app.pane.trouble

    return case


CASES |= {tab.key: to_tab(tab.key, tab.label) for tab in TABS}


@key("left h")
async def _before(pilot: Pilot[int], app: Top, source: Any) -> None:
    await pilot.press("left")
    assert app.label == TABS[-1].label
    await pilot.press("h", "shift+tab")
    assert app.label == TABS[-3].label


@key("right l")
async def _after(pilot: Pilot[int], app: Top, source: Any) -> None:
    await pilot.press("right", "l", "tab")
    assert app.label == "Busy"


@key("esc")
async def _out(pilot: Pilot[int], app: Top, source: Any) -> None:
    await pilot.press("2", "slash", *"web-1", "enter")
    assert "web-0" not in screen(app)
    await pilot.press("escape")
    assert "web-0" in screen(app)


@key("/")
async def _filter(pilot: Pilot[int], app: Top, source: Any) -> None:
    await pilot.press("2", "slash", *"WEB-2")
    assert app.field.has_class("asked")
    assert "web-2" in screen(app)
    assert "web-0" not in screen(app)
    await pilot.press("enter")
    assert not app.field.has_class("asked")
    assert "filter: WEB-2" in screen(app)


def _commands(offered: CommandList) -> list[Command]:
    return [one for one in offered.options if isinstance(one, Command)]


@key(":")
async def _palette(pilot: Pilot[int], app: Top, source: Any) -> None:
    await pilot.press("colon")
    await until(pilot, lambda: len(app.screen_stack) > 1)
    await pilot.press(*"tab Doctor")
    offered = app.screen.query_one(CommandList)
    await until(pilot, lambda: any(one.hit.text == "tab Doctor" for one in _commands(offered)[:1]))
    await pilot.press("enter")
    await until(pilot, lambda: len(app.screen_stack) == 1 and app.label == "Doctor")


@key("?")
async def _help(pilot: Pilot[int], app: Top, source: Any) -> None:
    await pilot.press("5", "question_mark")
    await until(pilot, lambda: len(app.screen_stack) > 1)
    said = screen(app)
    for one in (*keys.LOOKING, *keys.TIME, *keys.GOING, *keys.TABLES, *keys.WRITING.values(), keys.UNDO):
        assert one.says in said
    assert "the whole job" in said
    await pilot.press("escape")
    assert len(app.screen_stack) == 1


@key("r")
async def _again(pilot: Pilot[int], app: Top, source: Any) -> None:
    await until(pilot, lambda: app.state.diagnosis is not None)
    source.reports = [report("RED001", "RED002", "PRO001")]
    await pilot.press("8", "r")
    await until(pilot, lambda: app.state.diagnosis is not None and len(app.state.diagnosis.report.results) == 3)


@key("t")
async def _threads(pilot: Pilot[int], app: Top, source: Any) -> None:
    await pilot.press("2", "t")
    await until(pilot, lambda: "PROBABLE DEADLOCK" in screen(app))
    assert app.label == "Threads"
    assert "pool worker: 5 of 5 in use - FULL" in screen(app)
    assert "waits for L" in screen(app)
    source.dump = Refused("it runs elsewhere", "run it there")
    await pilot.press("r")
    await until(pilot, lambda: "To get one: run it there" in screen(app))
    await pilot.press("1", "t")
    assert app.label == "Overview"


@key("v")
async def _view(pilot: Pilot[int], app: Top, source: Any) -> None:
    pane = app.panes[ThreadsPane.label]
    await pilot.press("4", "t")
    await until(pilot, lambda: "kiq.processor 0" in screen(app))
    await pilot.press("v")
    assert "1 thread: Mailer0" in screen(app)
    await pilot.press("v")
    assert "2 threads: send  mail.py:7" in screen(app)
    await pilot.press("v")
    assert isinstance(pane, ThreadsPane)
    assert pane.dump is THREADS
    assert pane.way == 0


@key("y")
async def _copy(pilot: Pilot[int], app: Top, source: Any) -> None:
    await pilot.press("2", "y")
    assert app.clipboard == "web-0:4710:000000000000"


@key("s")
async def _save(pilot: Pilot[int], app: Top, source: Any) -> None:
    await pilot.press("s")
    await until(pilot, lambda: bool(source.saved))


@key("e")
async def _export(pilot: Pilot[int], app: Top, source: Any) -> None:
    await pilot.press("3", "e")
    [svg] = (app.folder or Path()).glob("kiqdoctor-queues-*.svg")
    text = svg.read_text()
    assert "default" in text
    assert "url(http" not in text
    assert "@import" not in text


@key("+")
async def _longer(pilot: Pilot[int], app: Top, source: Any) -> None:
    await pilot.press("plus")
    assert "-15m" in screen(app)


@key("-")
async def _shorter(pilot: Pilot[int], app: Top, source: Any) -> None:
    await pilot.press("plus", "plus")
    assert "-1h" in screen(app)
    await pilot.press("minus", "minus", "minus")
    assert "-5m" in screen(app)


@key("ctrl+l")
async def _light(pilot: Pilot[int], app: Top, source: Any) -> None:
    await pilot.press("ctrl+l")
    assert app.theme == "textual-light"
    await pilot.press("ctrl+l")
    assert app.theme == "textual-dark"


@key("q")
async def _quit(pilot: Pilot[int], app: Top, source: Any) -> None:
    await pilot.press("q")
    assert app.return_code == 0


@key("space")
async def _pause(pilot: Pilot[int], app: Top, source: Any) -> None:
    await pilot.press("space")
    assert "PAUSED" in screen(app)
    source.looks = [look(NOW + 1, processed=999_999)]
    await pilot.pause(0.3)
    assert "999,999" not in screen(app)
    await pilot.press("space")
    await until(pilot, lambda: "999,999" in screen(app))
    assert "LIVE" in screen(app)


@key("[")
async def _back(pilot: Pilot[int], app: Top, source: Any) -> None:
    source.looks = [look(NOW + 1, processed=200_000)]
    await until(pilot, lambda: "200,000" in screen(app))
    for _ in tuple(app.state.history.samples):  # one reading a step, and the first of all is the one that is looked for
        await pilot.press("left_square_bracket")
        if "123,456" in screen(app):
            break
    assert "PAUSED" in screen(app)
    assert "123,456" in screen(app)


@key("]")
async def _forward(pilot: Pilot[int], app: Top, source: Any) -> None:
    await pilot.press("left_square_bracket")
    assert "PAUSED" in screen(app)
    for _ in range(200):
        await pilot.press("right_square_bracket")
        if "LIVE" in screen(app):
            return
    raise AssertionError(screen(app))


@key("{")
async def _minute_back(pilot: Pilot[int], app: Top, source: Any) -> None:
    source.looks = [look(NOW + 90, processed=200_000)]
    await until(pilot, lambda: "200,000" in screen(app))
    await pilot.press("left_curly_bracket")
    assert "123,456" in screen(app)


@key("}")
async def _minute_forward(pilot: Pilot[int], app: Top, source: Any) -> None:
    await pilot.press("left_curly_bracket")
    assert "PAUSED" in screen(app)
    await pilot.press("right_curly_bracket")
    assert "LIVE" in screen(app)


@key("up down j k")
async def _rows(pilot: Pilot[int], app: Top, source: Any) -> None:
    await pilot.press("2", "j", "down", "k")
    assert ">  web-1" in screen(app)
    await pilot.press("up")
    assert ">  web-0" in screen(app)


@key("PgUp PgDn")
async def _pages(pilot: Pilot[int], app: Top, source: Any) -> None:
    pane = app.panes["Retries"]
    assert isinstance(pane, Jobs)
    await pilot.press("5", "pagedown", "pagedown")
    await until(pilot, lambda: pane.table.cursor > 50)
    await pilot.press("pageup")
    assert 0 < pane.table.cursor < 50


@key("g G")
async def _ends(pilot: Pilot[int], app: Top, source: Any) -> None:
    await pilot.press("5", "G")
    await until(pilot, lambda: f"{3_999:024x}" in screen(app))
    assert ("retry", 3_800, False) in source.pages
    await pilot.press("g")
    await until(pilot, lambda: f"{0:024x}" in screen(app))


@key("enter")
async def _open(pilot: Pilot[int], app: Top, source: Any) -> None:
    await until(pilot, lambda: app.state.diagnosis is not None)
    pages = (("2", "resident memory"), ("4", "in flight: 5 jobs"), ("5", "app/jobs/pay.rb:12"), ("5", "3 of 9 before"))
    for tab, said in pages:
        await pilot.press(tab)
        await until(pilot, lambda: app.pane.id_here)
        await pilot.press("enter")
        await until(pilot, lambda said=said: len(app.screen_stack) > 1 and said in screen(app))  # type: ignore[misc]
        await pilot.press("escape")
    await pilot.press("3", "enter")
    pane = app.pane
    assert isinstance(pane, QueuesPane)
    await until(pilot, lambda: "Pay0" in screen(app))
    assert pane.jobs.place == "queue:default"
    await pilot.press("escape")
    assert not pane.jobs.display


@key("x A")
async def _marks(pilot: Pilot[int], app: Top, source: Any) -> None:
    await pilot.press("2", "x")
    assert " * web-0" in screen(app)
    await pilot.press("A")
    assert screen(app).count("* web-") == 3
    await pilot.press("A")
    assert screen(app).count("* web-") == 0


@key("o O")
async def _order(pilot: Pilot[int], app: Top, source: Any) -> None:
    await pilot.press("2", "o")
    assert "Process▲" in screen(app)
    await pilot.press("O")
    assert "Process▼" in screen(app)
    assert screen(app).index("web-2") < screen(app).index("web-0")
    await pilot.press("5", "o")
    await until(pilot, lambda: "are ordered" in screen(app))
    await pilot.press("escape")
    await until(pilot, lambda: "4,000 jobs" in screen(app))


def verb(tab: str, pressed: str, wanted: Verb, title: str) -> Case:
    async def case(pilot: Pilot[int], app: Top, source: Any) -> None:
        actions = app.changing.writing.actions
        assert isinstance(actions, Willing)
        await pilot.press(tab)
        await until(pilot, lambda: app.pane.id_here)
        await pilot.press(pressed)
        await until(pilot, lambda: title in screen(app))
        await pilot.press("enter", "n")  # neither says yes
        assert actions.carried == []
        await pilot.press(pressed, "y")
        await until(pilot, lambda: bool(actions.carried))
        assert actions.carried[0].verb is wanted

    return case


CASES["R"] = verb("5", "R", Verb.RETRY, "Retry 1 job of retry?")
CASES["E"] = verb("6", "E", Verb.ENQUEUE, "Enqueue 1 job of schedule?")
CASES["D"] = verb("7", "D", Verb.DELETE, "Delete 1 job of dead?")
CASES["K"] = verb("5", "K", Verb.KILL, "Kill 1 job of retry?")
CASES["P"] = verb("3", "P", Verb.PAUSE, "Pause 1 queue: default?")
CASES["C"] = verb("3", "C", Verb.CLEAR, "Clear 1 queue: default?")
CASES["Q"] = verb("2", "Q", Verb.QUIET, "Quiet 1 process: web-0:4710:000000000000?")
CASES["T"] = verb("2", "T", Verb.STOP, "Stop 1 process: web-0:4710:000000000000?")


@key("u")
async def _undo(pilot: Pilot[int], app: Top, source: Any) -> None:
    actions = app.changing.writing.actions
    assert isinstance(actions, Willing)
    await pilot.press("3", "P", "y")
    await until(pilot, lambda: bool(app.changing.done))
    await pilot.press("u")
    await until(pilot, lambda: bool(actions.undone))
    await pilot.press("u")
    assert len(actions.undone) == 1


@pytest.mark.parametrize("shown", CASES)
def test_the_key_does_what_it_says(shown: str, tmp_path: Path) -> None:
    source = Scripted()

    async def steps(pilot: Pilot[int], app: Top) -> None:
        await CASES[shown](pilot, app, source)

    perform(steps, source, actions=Willing(), folder=tmp_path)


def test_every_key_is_pressed_here_and_does_one_thing() -> None:
    known = [*keys.GOING, *keys.LOOKING, *keys.TIME, *keys.TABLES, *keys.WRITING.values(), keys.UNDO]
    pressed = [name for one in known for name in one.keys.split(",") if name]

    assert {one.shown for one in known} == set(CASES)
    assert len(pressed) == len(set(pressed))
    of_tables = {name for one in Table.BINDINGS if isinstance(one, Binding) for name in one.key.split(",")}
    assert not of_tables & {tab.key for tab in TABS}


def test_read_only_has_no_key_that_changes_anything() -> None:
    async def steps(pilot: Pilot[int], app: Top) -> None:
        for tab in "2356":
            await pilot.press(tab, *(one.keys for one in keys.WRITING.values()), "u")
            assert len(app.screen_stack) == 1
        await pilot.press("question_mark")
        assert "read-only: the Redis user reader may not write" in screen(app)

    perform(steps, reason="the Redis user reader may not write")


def test_a_verb_that_does_not_fit_the_tab_is_a_note() -> None:
    async def steps(pilot: Pilot[int], app: Top) -> None:
        await pilot.press("2", "R")
        assert len(app.screen_stack) == 1
        await pilot.press("7")
        await until(pilot, lambda: app.pane.id_here)
        await pilot.press("K")
        assert len(app.screen_stack) == 1
        await pilot.press("8", "P")
        assert len(app.screen_stack) == 1

    perform(steps, actions=Willing())


def test_the_detail_of_a_job_offers_what_can_be_done_with_it() -> None:
    actions = Willing()

    async def steps(pilot: Pilot[int], app: Top) -> None:
        await pilot.press("5")
        await until(pilot, lambda: app.pane.id_here)
        await pilot.press("enter")
        await until(pilot, lambda: len(app.screen_stack) > 1 and "R retry" in screen(app))
        await pilot.press("R")
        await until(pilot, lambda: "Retry 1 job of retry?" in screen(app))
        await pilot.press("y")
        await until(pilot, lambda: bool(actions.carried))

    perform(steps, actions=actions)


class Late(Scripted):
    """Tells the whole job when it may."""

    def __init__(self) -> None:
        super().__init__()
        self.go = threading.Event()
        self.telling = threading.current_thread()

    def whole(self, found: JobRow) -> JobRow:
        self.telling = threading.current_thread()
        self.go.wait(60)
        return super().whole(found)


def test_a_page_that_comes_late_does_not_cover_a_question() -> None:
    source, actions = Late(), Willing()

    async def steps(pilot: Pilot[int], app: Top) -> None:
        await pilot.press("5")
        await until(pilot, lambda: app.pane.id_here)
        await pilot.press("enter", "R")
        await until(pilot, lambda: "Retry 1 job of retry?" in screen(app))
        await until(pilot, lambda: source.telling is not threading.current_thread())
        source.go.set()
        await until(pilot, lambda: not source.telling.is_alive())
        await pilot.press("y")
        await until(pilot, lambda: bool(actions.carried))

    perform(steps, source, actions=actions)


def test_the_mouse_goes_to_tabs_rows_and_headings() -> None:
    async def steps(pilot: Pilot[int], app: Top) -> None:
        await pilot.click("#tabs", offset=(16, 0))
        assert app.label == "Processes"
        table = app.pane.focus_on
        await pilot.click(table, offset=(5, 2))
        assert ">  web-1" in screen(app)
        await pilot.click(table, offset=(5, 2))
        await until(pilot, lambda: len(app.screen_stack) > 1)
        await pilot.press("escape")
        await pilot.click(table, offset=(5, 0))
        assert "Process▲" in screen(app)

    perform(steps)


def test_marked_jobs_are_sought_and_acted_on_together() -> None:
    actions = Willing()

    async def steps(pilot: Pilot[int], app: Top) -> None:
        await pilot.press("5", "slash", *"answer 12", "enter")
        await until(pilot, lambda: "hold 'answer 12'; looked at 4,000 of 4,000" in screen(app))
        await pilot.press("A", "D")
        await until(pilot, lambda: "Delete 11 jobs of retry?" in screen(app))
        await pilot.press("y")
        await until(pilot, lambda: bool(actions.carried))
        assert len(actions.carried[0].jobs) == 11

    perform(steps, actions=actions)


def test_a_row_that_is_not_there_yet_cannot_be_marked() -> None:
    table = Table([Column("Job", 4)])

    class Alone(App[int]):
        def compose(self) -> ComposeResult:
            yield table

    async def run() -> None:
        async with Alone().run_test() as pilot:
            table.show(Rows(2, str, lambda row: [("", "here")] if row == 0 else None))
            table.focus()
            await pilot.press("g", "x", "x")

    asyncio.run(run())

    assert table.marked == {"0"}


def test_a_recording_plays_and_is_stepped_through() -> None:
    looks = [look(NOW + 10 * number, processed=1_000 * (number + 1)) for number in range(4)]
    recorded = Recorded(Watched("redis://redis-1:6379/0", recorded="shots"), looks, ("bad.json is left out",))

    async def steps(pilot: Pilot[int], app: Top) -> None:
        assert "REPLAY 1/4" in screen(app)
        await pilot.press("right_square_bracket")
        assert "REPLAY 2/4" in screen(app)
        assert "2,000" in screen(app)
        await pilot.press("right_square_bracket", "right_square_bracket", "right_square_bracket")
        assert "REPLAY 4/4" in screen(app)
        await pilot.press("left_curly_bracket")
        assert "REPLAY 1/4" in screen(app)
        await pilot.press("space")
        await until(pilot, lambda: "4/4" in screen(app))
        for tab in (one.key for one in TABS):
            await pilot.press(tab)
            assert "failed (" not in screen(app)
        await pilot.press("5")
        assert "recordings keep how many, not which" in screen(app)
        await pilot.press("D", "s", "t")
        assert len(app.screen_stack) == 1

    perform(steps, recorded)


def test_what_a_tab_shows_is_read_while_it_is_visible() -> None:
    source = Scripted()

    async def steps(pilot: Pilot[int], app: Top) -> None:
        await pilot.press("1")
        await pilot.pause(0.2)
        source.asked.clear()
        await until(pilot, lambda: len(source.asked) > 1)
        assert SlowLog not in frozenset().union(*source.asked)
        await pilot.press("0")
        await until(pilot, lambda: SlowLog in source.asked[-1])

    perform(steps, source)


def test_findings_that_come_and_heal_are_marked_and_told() -> None:
    source = Scripted(reports=[report("RED002")])
    standing = Standing()

    async def examined(pilot: Pilot[int], app: Top, result: Report) -> None:
        before = app.state.diagnosis
        source.reports = [result]
        await pilot.press("r")
        await until(pilot, lambda: app.state.diagnosis is not before)

    async def steps(pilot: Pilot[int], app: Top) -> None:
        await until(pilot, lambda: app.state.diagnosis is not None)
        await pilot.press("8")
        standing.now += 5
        await examined(pilot, app, report("RED002", snapshot=SICK))
        assert re.search(r"high +new +RED002 +99 of 100 client slots", screen(app)), screen(app)
        assert "1 high" in app.numbers.text
        await pilot.press("enter")
        await until(pilot, lambda: "the page of RED002" in screen(app) and "do: " in screen(app))
        await pilot.press("escape")
        await examined(pilot, app, report("RED002", snapshot=BLIND))
        assert "unseen" in screen(app)
        assert re.search(r"unknown +RED002 +because no permission", screen(app))
        await examined(pilot, app, report("RED002"))
        assert re.search(r"high +healed +RED002", screen(app))
        assert "healthy" in app.numbers.text

    perform(steps, source, clock=standing.clock)


def test_the_documents_name_every_key() -> None:
    page = (Path(__file__).parents[2] / "docs" / "top.md").read_text()

    for one in (*keys.LOOKING, *keys.WRITING.values()):
        said = one.says.replace("--replay", "`--replay`").replace("in check", "in `check`")
        assert said in page or one.shown in {"+", "-", "?", "ctrl+l", "q", "u"} | set("PCQTKRED"), one
    for one in (*keys.TIME, *keys.GOING, *keys.TABLES):
        assert all(word in page for word in one.shown.split()), one


def test_the_documents_describe_every_tab() -> None:
    page = (Path(__file__).parents[2] / "docs" / "top.md").read_text()
    section = page.partition("\n## Tabs\n")[2].partition("\n## ")[0]
    rows = [line.split("|")[1:3] for line in section.splitlines() if line.startswith("|")][2:]
    told = [pair for marks, names in rows for pair in zip(marks.split(), names.strip().split(", "), strict=True)]

    assert told == [(tab.key, tab.label) for tab in TABS]
