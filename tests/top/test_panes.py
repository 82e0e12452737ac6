"""Panes that cannot be shown, data that is old, a Redis that goes away: said on the screen, and nothing ends."""

import re
from dataclasses import replace

import pytest
from screens import NOW, Scripted, Standing, look, perform, process, screen, until
from textual.pilot import Pilot

from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.live import Depths, Metrics, Workers
from kiqdoctor.doctor.facts.queues import JobSet, Queue
from kiqdoctor.doctor.snapshot import Reading, Refused, Snapshot
from kiqdoctor.top.app import Top
from kiqdoctor.top.feed import LostError, Watched, WholeExamination
from kiqdoctor.top.tabs import TABS


def test_a_refused_fact_takes_its_own_panes_and_no_other() -> None:
    refused = Refused("Redis refuses SSCAN: NOPERM", "ACL SETUSER reader +sscan")
    source = Scripted(look(Workers=refused, Clients=refused))

    async def steps(pilot: Pilot[int], app: Top) -> None:
        await pilot.press("2")
        assert "cannot be shown: Redis refuses SSCAN: NOPERM; to settle it: ACL SETUSER reader +sscan" in screen(app)
        await pilot.press("3")
        assert "default" in screen(app)
        await pilot.press("0")
        assert "Clients cannot be shown: Redis refuses SSCAN" in screen(app)
        assert "slow log" in screen(app)
        await pilot.press("1")
        assert "Busy -" in screen(app)
        assert "5,003" in screen(app)

    perform(steps, source)


def test_a_pane_that_fails_says_so_and_the_others_go_on() -> None:
    broken = Metrics(60, (None,))  # type: ignore[arg-type]
    source = Scripted(look(Metrics=broken))

    async def steps(pilot: Pilot[int], app: Top) -> None:
        await pilot.press("m")
        assert "this pane failed (AttributeError" in screen(app)
        await pilot.press("3")
        assert "default" in screen(app)

    perform(steps, source)


def test_redis_going_away_and_coming_back_are_events() -> None:
    standing = Standing()
    source = Scripted(look(), LostError("tcp: Connection refused"))

    async def steps(pilot: Pilot[int], app: Top) -> None:
        await until(pilot, lambda: "REDIS AWAY" in screen(app))
        assert "tcp: Connection refused" in app.where.text
        assert "123,456" in screen(app)
        standing.now += 30
        await pilot.press("2")
        await until(pilot, lambda: "STALE: 30s old" in screen(app))
        assert "web-0" in screen(app)
        source.looks = [look(NOW + 30, processed=130_000)]
        await until(pilot, lambda: "LIVE" in app.where.text and "130,000" in screen(app))
        assert "STALE" not in screen(app)
        assert any(one.processed is None for one in app.state.history.samples)

    perform(steps, source, clock=standing.clock)


@pytest.mark.parametrize(("aged", "said"), [(50, "  50s old"), (70, "  STALE: 1m10s old")])
def test_what_is_read_seldom_is_stale_when_two_of_its_readings_are_missing(aged: int, said: str) -> None:
    now = look()
    old = replace(now.snapshot.readings[Metrics], at=NOW - aged)
    source = Scripted(replace(now, snapshot=Snapshot({**now.snapshot.readings, Metrics: old})))

    async def steps(pilot: Pilot[int], app: Top) -> None:
        await pilot.press("m")
        assert said in app.pane.head.text

    perform(steps, source)


def test_an_examination_that_fails_is_tried_again_when_it_is_due() -> None:
    class Failing(Scripted):
        failures = 1

        def examine(self) -> WholeExamination:
            self.failures -= 1
            if self.failures == 0:
                raise RuntimeError("\x1b[2J broken")
            return super().examine()

    standing = Standing()
    source = Failing()

    async def steps(pilot: Pilot[int], app: Top) -> None:
        await until(pilot, lambda: source.failures == 0)
        await pilot.press("8")
        assert "the first examination is under way" in screen(app)
        standing.now += 20
        await until(pilot, lambda: app.state.diagnosis is not None)
        assert "no findings" in screen(app)

    perform(steps, source, clock=standing.clock)


def test_a_redis_that_was_never_there_is_said_and_waited_for() -> None:
    source = Scripted(LostError("tcp: Connection refused"))

    async def steps(pilot: Pilot[int], app: Top) -> None:
        for tab in TABS:
            await pilot.press(tab.key)
            assert "failed (" not in screen(app)
        assert "tcp: Connection refused" in screen(app)
        source.looks = [look()]
        await until(pilot, lambda: "123,456" in screen(app))

    perform(steps, source)


@pytest.mark.parametrize(("size", "light"), [((80, 24), False), ((250, 80), True), ((40, 10), False)])
def test_every_tab_fits_every_size(size: tuple[int, int], light: bool) -> None:
    async def steps(pilot: Pilot[int], app: Top) -> None:
        for tab in TABS:
            await pilot.press(tab.key)
            assert "failed (" not in screen(app)
            assert max(map(len, screen(app).splitlines())) <= max(size[0], 200)

    perform(steps, size=size, light=light)


def test_nothing_at_all_is_shown_as_nothing() -> None:
    empty = look(
        Depths=Depths(NOW, (), (JobSet("retry", 0), JobSet("schedule", 0), JobSet("dead", 0))), Workers=Workers(NOW)
    )
    source = Scripted(empty)

    async def steps(pilot: Pilot[int], app: Top) -> None:
        await pilot.press("2")
        assert "no process beats here: nothing runs these jobs" in screen(app)
        await pilot.press("3")
        assert "no queue is registered here" in screen(app)
        await pilot.press("5")
        assert "0 jobs" in screen(app)

    perform(steps, source)


def test_a_queue_that_nobody_takes_is_said_in_words() -> None:
    alone = look(Depths=Depths(NOW, (Queue("orphan", 3, oldest_at=NOW - 60),), ()))

    async def steps(pilot: Pilot[int], app: Top) -> None:
        await pilot.press("3")
        assert "nobody takes it" in screen(app)

    perform(steps, Scripted(alone))


def test_a_process_that_is_proven_dead_is_marked_until_it_beats_again() -> None:
    source = Scripted()
    host = LocalProcesses("web-0", pids=frozenset({1}))
    source.facts = Snapshot(
        {Fleet: Reading(Fleet((process(0), process(1))), at=NOW), LocalProcesses: Reading(host, at=NOW)}
    )

    async def steps(pilot: Pilot[int], app: Top) -> None:
        await until(pilot, lambda: app.state.diagnosis is not None)
        await pilot.press("2")
        assert re.search(r"web-0:4710:0+ +5/10 +dead ", screen(app))
        assert re.search(r"web-1:4711:0+1 +5/10 +quiet ", screen(app))
        assert ", 1 dead" in app.pane.head.text
        await pilot.press("enter")
        await until(pilot, lambda: "dead: no process with pid 4710 lives on this host" in screen(app))
        await pilot.press("escape", "4")
        assert ", 5 of dead processes" in app.pane.head.text
        assert screen(app).count("(dead) web-0") == 5
        assert "(dead) web-1" not in screen(app)
        again = (process(0, beat=NOW + 4), process(1))
        source.looks = [look(NOW + 5, Workers=Workers(NOW + 5, again))]
        await until(pilot, lambda: "(dead)" not in screen(app))
        source.looks = [look(NOW + 75, Workers=Workers(NOW + 75, again))]
        await pilot.press("2")
        await until(pilot, lambda: ", 2 dead" in app.pane.head.text)
        await pilot.press("enter")
        await until(pilot, lambda: "dead: it has not beaten for 1m1" in screen(app))

    perform(steps, source)


def test_arguments_are_masked_unless_they_are_asked_for() -> None:
    async def masked(pilot: Pilot[int], app: Top) -> None:
        await pilot.press("6")
        await until(pilot, lambda: "masked: --show-args" in screen(app))

    perform(masked, Scripted(target=replace(Watched("redis://r/0"), namespace="shop")))
