"""Failed jobs by what they have in common, and the way from a group to its jobs."""

import re
from typing import Any

import pytest
from screens import NOW, Scripted, look, perform, screen, until
from textual.pilot import Pilot

from kiqdoctor.doctor.facts.live import ErrorGroup, Errors, Failure, Looked, Sought
from kiqdoctor.doctor.snapshot import Refused
from kiqdoctor.top.app import Top
from kiqdoctor.top.feed import Recorded, Watched
from kiqdoctor.top.panes.errors import ErrorsPane
from kiqdoctor.top.panes.jobs import Jobs

BOOM, GONE = Failure("Pay0", "Boom", "mail"), Failure("Pay1", "Gone", "low")
GROUPS = (ErrorGroup(BOOM, 3, 1, NOW - 60, NOW + 30), ErrorGroup(GONE, 0, 4, NOW - 5))
COUNTED = Errors(NOW, GROUPS, Looked(3, 3), Looked(5, 5))


def watch(steps: Any, errors: Any, source: Scripted | None = None) -> None:
    found = source or Scripted()
    found.looks = [look(Errors=errors)]

    async def at_errors(pilot: Pilot[int], app: Top) -> None:
        await pilot.press(ErrorsPane.key)
        await steps(pilot, app)

    perform(at_errors, found, size=(160, 40))


def test_what_was_counted_is_told_as_counted() -> None:
    async def steps(pilot: Pilot[int], app: Top) -> None:
        assert "8 failed jobs in 2 groups" in app.pane.head.text
        assert "~" not in screen(app)
        assert re.search(r"Boom +Pay0 +mail +4 +50% +1m00s ago +in 30s +3 +1", screen(app))
        assert re.search(r"Gone +Pay1 +low +4 +50% +5s ago +- +0 +4", screen(app))

    watch(steps, COUNTED)


def test_what_is_reckoned_from_a_sample_is_marked_and_the_sample_is_told() -> None:
    async def steps(pilot: Pilot[int], app: Top) -> None:
        assert "1,000,005 failed jobs in 2 groups" in app.pane.head.text
        assert "; 4,005 looked at (0.4%), ~ is reckoned; 7 cannot be read" in app.pane.head.text
        assert re.search(r"Boom +Pay0 +mail +~751 +0% +1m00s ago +in 30s +~750 +1\b", screen(app))
        assert re.search(r"Gone +Pay1 +low +~4 +0% +5s ago +- +~0 +4\b", screen(app))

    watch(steps, Errors(NOW, GROUPS, Looked(4_000, 1_000_000), Looked(5, 5), 7))


@pytest.mark.parametrize(("down", "tab", "wanted"), [(0, "Retries", BOOM), (1, "Dead", GONE)])
def test_enter_shows_the_jobs_of_the_group_and_no_others(down: int, tab: str, wanted: Failure) -> None:
    source = Scripted()

    async def steps(pilot: Pilot[int], app: Top) -> None:
        await pilot.press(*["down"] * down, "enter")
        pane = app.pane
        assert isinstance(pane, Jobs)
        assert pane.label == tab
        await until(pilot, lambda: pane.found is not None and pane.found.done)
        assert pane.found is not None
        assert pane.found.sought == Sought(failure=wanted)
        assert {row.job_class for row in pane.held} == {wanted.job_class}
        said = f"60 are {wanted.job_class} with {wanted.error_class} in {wanted.queue}; looked at 4,000 of 4,000"
        assert said in pane.head.text
        await pilot.press("escape")
        await until(pilot, lambda: pane.found is None)

    watch(steps, COUNTED, source)


def test_the_groups_are_filtered_and_ordered() -> None:
    async def steps(pilot: Pilot[int], app: Top) -> None:
        await pilot.press("slash", *"gone", "enter")
        assert "Pay0" not in screen(app)
        await pilot.press("escape", "o", "O")
        assert screen(app).index("Gone") < screen(app).index("Boom")
        await pilot.press("y")
        assert app.clipboard == "Gone"

    watch(steps, COUNTED)


def test_why_it_cannot_be_shown_is_told() -> None:
    async def steps(pilot: Pilot[int], app: Top) -> None:
        assert "cannot be shown: Redis refuses ZRANGE: NOPERM; to settle it: ACL +zrange" in screen(app)

    watch(steps, Refused("Redis refuses ZRANGE: NOPERM", "ACL +zrange"))


def test_hostile_text_reaches_no_screen() -> None:
    hostile = Failure("J\x1b[2J", "E\x1b]52;c;ZXZpbA==\x07", "q\u202e[/x]")

    async def steps(pilot: Pilot[int], app: Top) -> None:
        assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", screen(app))
        assert "[/x]" in screen(app)
        await pilot.press("enter")
        await until(pilot, lambda: isinstance(app.pane, Jobs) and app.pane.found is not None)
        assert not re.search("[\x00-\x09\x0b-\x1f\u202e]", screen(app))

    watch(steps, Errors(NOW, (ErrorGroup(hostile, 1),), Looked(1, 1)))


def test_a_recording_keeps_the_groups_and_says_that_it_has_no_jobs() -> None:
    recorded = Recorded(Watched("redis://r/0", recorded="shots"), [look(Errors=COUNTED)])

    async def steps(pilot: Pilot[int], app: Top) -> None:
        await pilot.press(ErrorsPane.key)
        assert "8 failed jobs in 2 groups" in screen(app)
        await pilot.press("enter")
        assert app.label == "Retries"
        assert "recordings keep how many, not which" in screen(app)

    perform(steps, recorded)
