"""The parts of the live view that need no screen."""

from dataclasses import replace

import pytest
from healthy import HEALTHY
from healthy.fleet import WORKER
from screens import BLIND, NOW, SICK, TARGET, Scripted, Standing, look, process, report

from kiqdoctor.doctor.facts.fleet import Fleet, InFlight
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.live import ClassMetrics, Depths, Metrics, Workers
from kiqdoctor.doctor.facts.queues import Queue
from kiqdoctor.doctor.snapshot import Reading, Snapshot
from kiqdoctor.top import frame, paint, plain, words
from kiqdoctor.top.chart import bar, chart, spark
from kiqdoctor.top.doctoring import TOLD, deaths, follow
from kiqdoctor.top.history import SPAN, History, Numbers, rates
from kiqdoctor.top.state import ViewState
from kiqdoctor.top.tabs import TABS
from kiqdoctor.top.unusual import Durations, unusual


@pytest.mark.parametrize(
    ("seconds", "said"),
    [
        (None, "-"),
        (0.0004, "0.4ms"),
        (0.85, "850ms"),
        (12, "12s"),
        (59.9, "60s"),
        (250, "4m10s"),
        (7_500, "2h05m"),
        (273_600, "3d04h"),
        (-5, "-5s"),
    ],
)
def test_ages(seconds: float | None, said: str) -> None:
    assert words.age(seconds) == said


def test_numbers() -> None:
    assert [words.count(1_234_567), words.count(None)] == ["1,234,567", "-"]
    assert [words.brief(9_999), words.brief(12_345), words.brief(1_250_000)] == ["9999", "12k", "1.2M"]
    assert [words.rate(0), words.rate(0.25), words.rate(12.34), words.rate(1_234)] == ["0", "0.25", "12.3", "1,234"]
    assert [words.size(812), words.size(1_536), words.size(100_663_296)] == ["812 B", "1.5 KiB", "96 MiB"]
    assert [words.plural(1, "class"), words.plural(2, "class"), words.plural(3, "query")] == [
        "1 class",
        "2 classes",
        "3 queries",
    ]
    assert words.moment(1e300).startswith("1970")


def test_text_is_fitted_by_cells_not_by_characters() -> None:
    assert paint.fitted("日本語", 5) == "日本…"
    assert paint.fitted("ab", 4, right=True) == "  ab"
    assert paint.fitted("abc", 0) == ""


def test_long_lines_are_wrapped_at_spaces_where_there_are_some() -> None:
    lines = paint.wrapped([[("", "one two three four"), ("dim", "x" * 30)]], 12)

    assert max(len(paint.plain(line)) for line in lines) <= 12
    assert paint.plain(lines[0]) == "one two"
    assert "".join(paint.plain(line).replace(" ", "") for line in lines) == "onetwothreefour" + "x" * 30


def test_a_chart_has_its_legend_its_scale_and_its_span() -> None:
    drawn = [
        paint.plain(line) for line in chart([("", "jobs/s")], [0, 5, 10, None, 37], 40, 8, span="5m", said=words.rate)
    ]

    assert len(drawn) == 8
    assert drawn[0] == "jobs/s"
    assert drawn[1].lstrip().startswith("50.0┤")
    assert drawn[6].lstrip().startswith("0┤")
    assert drawn[7].strip().startswith("└-5m")
    assert drawn[7].endswith("now")
    assert any(0x2800 < ord(char) < 0x2900 for char in "".join(drawn))


@pytest.mark.parametrize("points", [[], [None, None], [0, 0], [1e12]])
def test_a_chart_of_little_is_drawn_too(points: list[float | None]) -> None:
    assert len(chart([("", "x")], points, 30, 6, span="1h", said=words.rate)) == 6


def test_bars_and_sparks_fill_their_width() -> None:
    assert bar(5, 10, 8) == "████    "
    assert bar(0, 0, 4) == "    "
    assert spark([0, None, 10], 3) == "▁ █"


def test_a_rate_is_taken_over_ten_seconds_and_not_over_a_reset_or_an_outage() -> None:
    samples = [Numbers(float(at), processed=value) for at, value in enumerate((0, 10, 20, None, 40, 0))]

    assert rates(samples, "processed") == [None, 10.0, 10.0, None, 10.0, None]


def test_an_hour_is_kept_and_old_looks_thinly() -> None:
    history = History()
    for second in range(2 * int(SPAN)):
        history.add(look(NOW + second))

    assert len(history.samples) == SPAN + 1
    assert len(history.looks) < 700
    oldest, newest = history.looks[0].at, history.looks[-1].at
    assert newest - oldest > SPAN - 20
    found = history.index_at(newest - 1_800)
    assert found is not None
    assert abs(history.looks[found].at - (newest - 1_800)) <= 20
    assert history.looks[history.index_at(newest - 60) or 0].at == newest - 60


def test_looks_of_one_time_are_stepped_over_as_one() -> None:
    state = ViewState(TARGET, Standing().clock, interval=1.0, examine_every=15.0, rhythms={})
    for at in (NOW, NOW + 1, NOW + 2, NOW + 2, NOW + 2, NOW + 3):
        state.found(look(at))

    def stepped(step: int) -> float | None:
        state.step(step)
        return state.at

    assert [stepped(-1) for _ in range(4)] == [NOW + 2, NOW + 1, NOW, NOW]
    assert [stepped(1) for _ in range(4)] == [NOW + 1, NOW + 2, NOW + 3, None]


def test_a_check_that_cannot_look_heals_nothing() -> None:
    sick = follow(None, report("RED002", snapshot=SICK), NOW)
    blind = follow(sick, report("RED002", snapshot=BLIND), NOW + 1)
    still = follow(blind, report("RED002", snapshot=BLIND), NOW + 2)
    well = follow(still, report("RED002"), NOW + 3)
    later = follow(well, report("RED002"), NOW + 3 + TOLD)

    assert sick.mark(sick.findings[0][1]) == ""  # it was there when we came
    assert [(one.at, bool(one.unseen)) for one in blind.gone] == [(NOW + 1, True)]
    assert [(one.at, bool(one.unseen)) for one in still.gone] == [(NOW + 1, True)]
    assert [(one.at, one.unseen) for one in well.gone] == [(NOW + 3, "")]
    assert later.gone == ()


def told(*facts: object, at: float = NOW) -> Snapshot:
    return Snapshot({type(fact): Reading(fact, at=at) for fact in facts})


def test_a_death_is_proven_by_its_host_or_by_its_heir_and_by_no_late_beat() -> None:
    dead, alive, late = process(0), process(1), process(2, beat=NOW - 55, beat_age_s=55.0)
    assert dead.beat is not None
    heir = replace(dead, identity="web-0:4710:ffff", started_at=dead.beat + 1)
    twin = replace(heir, started_at=dead.beat - 5)
    here = LocalProcesses("web-0", pids=frozenset({1, 4711}))

    by_host = deaths(told(Fleet((dead, alive, late)), here))
    by_heir = deaths(told(Fleet((dead, heir, alive, late))))

    assert {identity: one.proof for identity, one in by_host.items()} == {
        dead.identity: "no process with pid 4710 lives on this host"
    }
    assert list(by_heir) == [dead.identity]
    assert by_heir[dead.identity].beat == dead.beat
    assert deaths(told(Fleet((dead, twin, alive, late)))) == {}  # it has beaten since: containers of one host name
    assert deaths(told(Fleet((dead, alive, late)), replace(here, partial="hidepid"))) == {}
    assert deaths(told(Fleet((replace(dead, beat=NOW + 1),)), here)) == {}  # it may have started since
    assert deaths(told(here)) == {}


def test_a_finding_that_comes_back_is_new_and_no_longer_healed() -> None:
    well = follow(None, report("RED002", snapshot=HEALTHY), NOW)
    sick = follow(well, report("RED002", snapshot=SICK), NOW + 1)
    healed = follow(sick, report("RED002"), NOW + 2)
    again = follow(healed, report("RED002", snapshot=SICK), NOW + 3)

    assert sick.mark(sick.findings[0][1]) == "new"
    assert len(healed.gone) == 1
    assert again.gone == ()
    assert again.mark(again.findings[0][1]) == "new"


JOB = InFlight("t1", "mail", "j1", "Mailer", NOW - 60)


def test_how_unusual_a_job_is_by_sidekiqs_own_metrics() -> None:
    metrics = Metrics(60, (ClassMetrics("Mailer", 12, 2, 20_000),))  # 2 s a job

    found = unusual(JOB, NOW, metrics, Durations())

    assert found.times == 30
    assert found.strange
    assert found.why == "30x the hour's mean"


def test_how_unusual_a_job_is_by_what_was_seen_to_end() -> None:
    durations = Durations()
    one = process(0)
    for number in range(7):
        job = InFlight("t1", "mail", f"j{number}", "Mailer", NOW - 10)
        durations.observe(Workers(NOW, (replace(one, in_flight=(job,)),)))

    assert unusual(JOB, NOW, None, durations).why == "longer than 6 of 6 seen, 6.0x their median"
    assert unusual(JOB, NOW, None, Durations()) == replace(unusual(JOB, NOW, None, Durations()), times=None)
    assert unusual(replace(JOB, run_at=None), NOW, None, durations).times is None


def test_plain_text_tells_all_first_and_then_what_changed() -> None:
    before = look()
    after = look(
        Depths=Depths(NOW, (Queue("default", 7), Queue("new", 1)), ()), Workers=Workers(NOW, (process(0, busy=1),))
    )

    assert "queue default: 5,000 waiting" in list(plain.changes(None, before))
    told = list(plain.changes(before, after))
    assert "queue default: 7 waiting, was 5,000 waiting" in told
    assert "queue new: 1 waiting" in told
    assert "queue mail: gone" in told
    assert "process web-0:4710:000000000000: 1 of 10 busy, was 5 of 10 busy" in told
    assert list(plain.changes(before, before)) == []


@pytest.mark.parametrize(("took_s", "rest_s"), [(0.004, 1.0), (3.0, 3.0)])
def test_a_slow_redis_rests_for_as_long_as_it_was_asked(took_s: float, rest_s: float) -> None:
    turned, slept = Standing(), list[float]()
    slow = replace(look(), took_ms=took_s * 1000)
    state = ViewState(TARGET, turned.clock, interval=1.0, examine_every=15.0, rhythms={})
    assert state.look_due()
    state.found(slow)

    turned.now += took_s / 2
    assert state.look_due() == (took_s < 1.0)
    turned.now += took_s / 2 + 0.001
    assert state.look_due()

    clock = replace(turned.clock, sleep=slept.append)
    plain.watch(Scripted(slow), lambda _: None, interval=1.0, examine_every=15.0, count=3, clock=clock)
    assert slept == [rest_s, rest_s]


@pytest.mark.parametrize("width", [20, 60, 80, 100, 120, 250])
def test_the_tabs_are_written_as_whole_as_there_is_room_for(width: int) -> None:
    for front in TABS:
        written = paint.plain(frame.tabs(front.label, width))
        texts = [text for _, text in frame.tabs(front.label, width)]
        ends = [sum(map(len, texts[: number + 1])) - 1 for number in range(len(TABS))]

        assert written.count("[") == 1
        assert len(written) <= max(width, 2 * len(TABS) + 1)
        assert [frame.tab_at(end, front.label, width) for end in ends] == [tab.label for tab in TABS]
        assert frame.tab_at(ends[-1] + 1, front.label, width) == ""
    assert (TABS[0].label in paint.plain(frame.tabs("", width))) == (width >= 120)


def test_every_tab_says_all_that_there_is_to_say_of_it() -> None:
    for tab in TABS:
        assert len(tab.key) == 1
        assert len(tab.short or tab.label) <= 5
    assert len({tab.key for tab in TABS}) == len({tab.label for tab in TABS}) == len(TABS)


def test_in_lines_a_finding_without_a_remedy_ends_with_its_title() -> None:
    basic = HEALTHY.with_(Fleet((replace(WORKER, reliable=False),), 1))

    [line] = [
        one for one in plain.findings(None, follow(None, report("CFG003", snapshot=basic), NOW)) if "CFG003" in one
    ]
    [sick] = plain.findings(None, follow(None, report("RED002", snapshot=SICK), NOW))

    assert line == "info finding CFG003: The only process loses what it runs when it is killed"
    assert ". Do: " in sick
