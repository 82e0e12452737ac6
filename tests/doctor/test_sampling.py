"""What is wanted over time is read again and again, in a rhythm that spares the server; what fails is missed."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from kiqdoctor.clock import Clock
from kiqdoctor.doctor.carry_out import carry_out, rounds
from kiqdoctor.doctor.check import Check, Need, Span
from kiqdoctor.doctor.examine import judge
from kiqdoctor.doctor.plan import plan
from kiqdoctor.doctor.probe import Lane, Probe, RefusalError, probe
from kiqdoctor.doctor.report import Outcome
from kiqdoctor.doctor.series import Series, Twice
from kiqdoctor.doctor.snapshot import Refused, Snapshot
from kiqdoctor.doctor.tools import Settings
from kiqdoctor.doctor.verdict import Evidence, Severity, Verdict

BEGAN = 1_795_500_000.0


@dataclass(frozen=True)
class Depth:
    number: int


@dataclass(frozen=True)
class Tide:
    """What the depth is reckoned with."""

    number: int


@dataclass(frozen=True)
class Chart:
    """A file about it."""

    number: int


@dataclass
class Hands:
    """A clock whose time passes only where somebody sleeps, or works."""

    passed: float = 0.0
    slept: list[float] = field(default_factory=list)

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.passed += seconds

    @property
    def clock(self) -> Clock:
        return Clock(
            now=lambda: BEGAN + self.passed,
            monotonic=lambda: self.passed,
            sleep=self.sleep,
            boottime=lambda: self.passed,
        )


@pytest.fixture
def hands() -> Hands:
    return Hands()


def depths(read: Callable[[int], Depth], lane: Lane = Lane.REDIS, deadline_s: float = 10.0) -> Probe:
    """A probe that reads by the number of its readings so far."""
    taken = [0]

    @probe(lane=lane, deadline_s=deadline_s)
    def depth(settings: Settings) -> Depth:
        taken[0] += 1
        return read(taken[0])

    return depth


def sampled(hands: Hands, window_s: float, *probes: Probe, span: Span = Span.SERIES) -> Snapshot:
    wanting = Check("TST001", "some", "test", Severity.LOW, lambda: (), (Need("depth", Depth, span=span),), "")
    return carry_out(plan([wanting], probes), {Settings: Settings()}, {}, window_s, hands.clock)


def series(snapshot: Snapshot) -> Series[Depth]:
    found = snapshot.series(Depth)
    assert isinstance(found, Series)
    return found


def boats(lane: Lane, hands: Hands) -> Probe:
    """A probe of what is judged beside the depth."""

    @probe(lane=lane)
    def boat(settings: Settings) -> Tide:
        return Tide(int(hands.passed))

    return boat


DEPTHS = Need("depth", Depth, span=Span.SERIES)


@pytest.mark.parametrize("lane", [Lane.REDIS, Lane.HOST])
def test_what_is_judged_beside_a_series_is_read_once_more_at_its_end(hands: Hands, lane: Lane) -> None:
    told: list[object] = []

    def judged(depth: Series[Depth], tide: Tide) -> Iterator[Verdict]:
        told.append((depth.last, tide))
        yield Evidence("seen", "both")

    wanting = Check("TST001", "some", "test", Severity.LOW, judged, (DEPTHS, Need("tide", Tide)), "")
    probes = (depths(lambda _: Depth(int(hands.passed))), boats(lane, hands))
    snapshot = carry_out(plan([wanting], probes), {Settings: Settings()}, {}, 20.0, hands.clock)
    judge(wanting, snapshot, hands.clock)

    assert len(snapshot.later[Tide]) == 1
    assert told == [(snapshot.later[Depth][-1].value, snapshot.later[Tide][-1].value)]


def test_a_file_does_not_move(hands: Hands) -> None:
    wanting = Check("TST001", "some", "test", Severity.LOW, lambda: (), (DEPTHS, Need("tide", Tide)), "")

    snapshot = carry_out(
        plan([wanting], (depths(Depth), boats(Lane.FILES, hands))), {Settings: Settings()}, {}, 20.0, hands.clock
    )

    assert Tide not in snapshot.later


def test_who_judges_no_series_has_the_beginning_whoever_samples_the_same(hands: Hands) -> None:
    """Of one moment with what else it judges."""
    told: list[Depth] = []

    def judged(depth: Depth) -> Iterator[Verdict]:
        told.append(depth)
        yield Evidence("depth", "")

    plainly = Check("TST002", "other", "test", Severity.LOW, judged, (Need("depth", Depth),), "")
    wanting = Check("TST001", "some", "test", Severity.LOW, lambda: (), (DEPTHS,), "")
    snapshot = carry_out(plan([wanting, plainly], (depths(Depth),)), {Settings: Settings()}, {}, 20.0, hands.clock)
    judge(plainly, snapshot, hands.clock)

    assert told == [Depth(1)]


def test_a_last_reading_that_failed_is_no_older_one(hands: Hands) -> None:
    """Else a check would pass on what was so when the window began."""
    gone = Snapshot.of(Depth(1)).over(5, Tide(1), Refused("it went away", "come again"))
    wanting = Check("TST001", "some", "test", Severity.LOW, lambda: (), (DEPTHS, Need("tide", Tide)), "")

    found = judge(wanting, gone, hands.clock)

    assert (found.outcome, found.reason) == (Outcome.UNKNOWN, "it went away (to settle it: come again)")


def test_a_window_is_read_at_both_ends_and_in_ten_steps(hands: Hands) -> None:
    found = series(sampled(hands, 60.0, depths(Depth)))

    assert [one.at - BEGAN for one in found.moments] == [6.0 * number for number in range(11)]
    assert [one.number for one in found.facts] == list(range(1, 12))


def test_a_short_window_is_not_read_faster_than_once_a_second(hands: Hands) -> None:
    found = series(sampled(hands, 3.5, depths(Depth)))

    assert [one.at - BEGAN for one in found.moments] == [0.0, 1.0, 2.0, 3.0, 3.5]


def test_the_shortest_window_has_both_ends(hands: Hands) -> None:
    found = sampled(hands, 0.25, depths(Depth), span=Span.TWICE).twice(Depth)

    assert found == Twice(Depth(1), Depth(2), 0.25)


def test_the_time_of_the_examination_counts_beside_the_window(hands: Hands) -> None:
    probes = (depths(Depth),)
    wanting = Check("TST001", "some", "test", Severity.LOW, lambda: (), (Need("depth", Depth, span=Span.SERIES),), "")

    snapshot = carry_out(plan([wanting], probes), {Settings: Settings()}, {}, 60.0, hands.clock, within_s=5.0)

    assert len(series(snapshot).moments) == 11
    assert series(snapshot).missed == ()


def test_a_reading_that_the_time_did_not_reach_is_missed(hands: Hands) -> None:
    def slow(number: int) -> Depth:
        hands.passed += 0.0 if number == 1 else 100.0
        return Depth(number)

    wanting = Check("TST001", "some", "test", Severity.LOW, lambda: (), (Need("depth", Depth, span=Span.SERIES),), "")
    chosen = plan([wanting], (depths(slow),))

    snapshot = carry_out(chosen, {Settings: Settings()}, {}, 60.0, hands.clock, within_s=5.0)

    assert series(snapshot).facts == (Depth(1), Depth(2))
    assert [one.reason.partition(": ")[2] for one in series(snapshot).missed] == [
        "depth was not read: the time for the examination was up"
    ]


def test_without_a_window_a_fact_is_read_once(hands: Hands) -> None:
    snapshot = sampled(hands, 0.0, depths(Depth))

    assert series(snapshot).facts == (Depth(1),)
    assert snapshot.twice(Depth) == Refused("one sample cannot show a change", "--for SECONDS")
    assert hands.slept == []


def test_nobody_waits_where_nothing_is_sampled(hands: Hands) -> None:
    snapshot = sampled(hands, 60.0, depths(Depth), span=Span.ONCE)

    assert snapshot.get(Depth) == Depth(1)
    assert hands.slept == []


def test_a_slow_probe_rests_as_long_as_it_took(hands: Hands) -> None:
    def slow(number: int) -> Depth:
        hands.passed += 2.5
        return Depth(number)

    found = series(sampled(hands, 20.0, depths(slow)))

    assert [one.at - BEGAN for one in found.moments] == [0.0, 6.0, 12.0, 18.0, 20.5]


def test_a_probe_that_outlasts_the_window_is_still_read_at_its_end(hands: Hands) -> None:
    def slow(number: int) -> Depth:
        hands.passed += 30.0
        return Depth(number)

    found = series(sampled(hands, 10.0, depths(slow)))

    assert [one.at - BEGAN for one in found.moments] == [0.0, 30.0]


def test_every_fact_is_watched_for_the_whole_window(hands: Hands) -> None:
    @probe(lane=Lane.REDIS)
    def chart(settings: Settings) -> Chart:
        hands.passed += 5.0
        return Chart(0)

    wanting = Check("TST001", "some", "test", Severity.LOW, lambda: (),
                    (Need("chart", Chart), Need("depth", Depth, span=Span.TWICE)), "")  # fmt: skip
    chosen = plan([wanting], (chart, depths(Depth)))
    found = carry_out(chosen, {Settings: Settings()}, {}, 10.0, hands.clock).twice(Depth)

    assert isinstance(found, Twice)
    assert found.window_s == 10.0


def test_a_later_refusal_is_missed_and_the_rest_is_read_on(hands: Hands) -> None:
    def refusing(number: int) -> Depth:
        if number == 2:
            raise RefusalError("Redis went away", "run it again")
        return Depth(number)

    found = series(sampled(hands, 3.0, depths(refusing)))

    assert found.facts == (Depth(1), Depth(3), Depth(4))
    [missed] = found.missed
    assert (missed.at - BEGAN, missed.reason, missed.unlock) == (
        1.0, "Depth, reading 2 of 4: Redis went away", "run it again",
    )  # fmt: skip


def test_what_was_refused_at_first_is_not_asked_again(hands: Hands) -> None:
    asked = []

    def refusing(number: int) -> Depth:
        asked.append(number)
        raise RefusalError("NOPERM", "+llen")

    snapshot = sampled(hands, 60.0, depths(refusing))

    assert snapshot.series(Depth) == snapshot.twice(Depth) == Refused("NOPERM", "+llen")
    assert (asked, hands.slept) == ([1], [])


def test_a_clock_that_is_set_while_we_look_changes_no_time(hands: Hands) -> None:
    jumps = iter([BEGAN])
    clock = Clock(lambda: next(jumps), lambda: hands.passed, hands.sleep, lambda: hands.passed)
    wanting = Check("TST001", "some", "test", Severity.LOW, lambda: (), (Need("d", Depth, span=Span.TWICE),), "")
    found = carry_out(plan([wanting], [depths(Depth)]), {Settings: Settings()}, {}, 5.0, clock).twice(Depth)

    assert isinstance(found, Twice)
    assert found.window_s == 5.0


def test_what_a_sampled_fact_is_reckoned_with_is_read_again_with_it_but_no_file() -> None:
    taken = {Tide: 0, Chart: 0}

    @probe(lane=Lane.REDIS)
    def tide(settings: Settings) -> Tide:
        taken[Tide] += 1
        return Tide(taken[Tide])

    @probe(lane=Lane.FILES)
    def chart(settings: Settings) -> Chart:
        taken[Chart] += 1
        return Chart(taken[Chart])

    @probe(lane=Lane.REDIS)
    def depth(tide: Tide, chart: Chart) -> Depth:
        return Depth(10 * tide.number + chart.number)

    found = series(sampled(Hands(), 3.0, tide, chart, depth))

    assert [one.number for one in found.facts] == [11, 21, 31, 41]


def test_a_lane_does_not_wait_for_another_s_readings() -> None:
    hands = Hands()

    @probe(lane=Lane.FILES)
    def chart(settings: Settings) -> Chart:
        while hands.passed < 5.0:  # for as long as the other lane samples
            pass
        return Chart(0)

    wanting = Check("TST001", "some", "test", Severity.LOW, lambda: (),
                    (Need("chart", Chart), Need("depth", Depth, span=Span.SERIES)), "")  # fmt: skip
    chosen = plan([wanting], (chart, depths(Depth)))
    snapshot = carry_out(chosen, {Settings: Settings()}, {}, 5.0, hands.clock)

    assert len(series(snapshot).moments) == 6
    assert snapshot.get(Chart) == Chart(0)


def test_somebody_is_told_what_is_sampled_and_until_when(hands: Hands) -> None:
    told: list[tuple[frozenset[type], float]] = []
    wanting = Check("TST001", "some", "test", Severity.LOW, lambda: (), (Need("d", Depth, span=Span.SERIES),), "")
    chosen = plan([wanting], [depths(Depth)])
    for window_s in (7.0, 0.0):
        carry_out(chosen, {Settings: Settings()}, {}, window_s, hands.clock, lambda *seen: told.append(seen))

    assert told == [(frozenset({Depth}), BEGAN + 7.0)]


def test_no_rhythm_stands_still_whatever_a_float_rounds_to() -> None:
    for window_s in (0.1, 1.1, 9.999999, 10.000001, 33.3, 1e9 / 7):
        hands = Hands()
        count = sum(1 for _ in rounds(BEGAN, window_s, hands.clock))

        assert 1 <= count <= 11
        assert hands.passed == pytest.approx(window_s, abs=1e-3)
