"""How every tab looks at two sizes, line by line. After a wanted change: KIQDOCTOR_SNAPSHOTS=write pytest this file."""

import os
import threading
from pathlib import Path

import pytest
from screens import NOW, SICK, THREADS, Scripted, Willing, look, perform, report, screen, until
from textual.pilot import Pilot

from kiqdoctor.top.app import Top
from kiqdoctor.top.tabs import TABS

FOLDER = Path(__file__).parent / "snapshots"
PICTURE = Path(__file__).parents[2] / "docs" / "top.svg"
SIZES = ((80, 24), (250, 80))
KEYS = {tab.label: tab.key for tab in TABS}


def seen(tab: str, *pressed: str, size: tuple[int, int], picture: Path | None = None) -> str:
    """The screen after these keys: one reading, five minutes of history, one finding, one dump."""
    source = Scripted(look(processed=200_000), reports=[report("RED001", "RED002", snapshot=SICK)])
    found, drawn = [], []

    async def steps(pilot: Pilot[int], app: Top) -> None:
        await until(pilot, lambda: app.state.diagnosis is not None)
        now = app.state.history.looks.pop()
        app.state.history.samples.clear()
        for back in range(100, 0, -1):
            past = look(NOW - 3 * back, processed=200_000 - back * back * 9, size=400 + 90 * (back % 37))
            app.state.history.add(past)
        app.state.history.add(now)
        await pilot.press("2", "t")
        await until(pilot, lambda: "kiq.processor 0" in screen(app))
        await pilot.press(KEYS[tab])
        await until(pilot, lambda: not hasattr(app.pane, "pages") or app.pane.pages)
        app.draw()
        await pilot.press(*pressed)
        await until(pilot, lambda: not any(one.name == "kiq.top" for one in threading.enumerate()))
        await pilot.pause(0.1)
        found.append("\n".join(line.rstrip() for line in screen(app).splitlines()) + "\n")
        drawn.append(app.export_screenshot())

    perform(steps, source, size=size, interval=1_000.0, actions=Willing())
    if picture is not None:
        picture.write_text(drawn[0])
    return found[0]


def test_the_picture_in_the_readme_has_the_tabs_of_today() -> None:
    """KIQDOCTOR_SNAPSHOTS=write draws it anew; a picture's colours and class names are Rich's own affair."""
    written = os.environ.get("KIQDOCTOR_SNAPSHOTS") == "write"
    seen("Overview", size=(120, 36), picture=PICTURE if written else None)
    shown = PICTURE.read_text().replace("&#160;", " ")

    assert [tab.label for tab in TABS if tab.label not in shown] == []


def compare(name: str, now: str) -> None:
    file = FOLDER / f"{name}.txt"
    if os.environ.get("KIQDOCTOR_SNAPSHOTS") == "write":
        FOLDER.mkdir(exist_ok=True)
        file.write_text(now)
    assert now == file.read_text()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("tab", KEYS)
def test_the_tab_looks_as_it_did(tab: str, size: tuple[int, int]) -> None:
    compare(f"{tab.lower()}-{size[0]}x{size[1]}", seen(tab, size=size))


@pytest.mark.parametrize(
    ("name", "tab", "pressed"),
    [
        ("help", "Retries", ("question_mark",)),
        ("question", "Retries", ("x", "x", "D")),
        ("finding", "Doctor", ("enter",)),
        ("queue", "Queues", ("enter",)),
        ("threads-by-frame", "Threads", ("v", "v")),
    ],
)
def test_what_lies_over_a_tab_looks_as_it_did(name: str, tab: str, pressed: tuple[str, ...]) -> None:
    compare(f"{name}-100x30", seen(tab, *pressed, size=(100, 30)))


def test_the_dump_that_is_shown_is_the_one_that_was_taken() -> None:
    assert THREADS.threads[0].name in (FOLDER / "threads-80x24.txt").read_text()
