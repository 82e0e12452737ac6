"""What readings over a window show of a change; a reading that failed is never part of a pass."""

from dataclasses import dataclass
from itertools import pairwise

import pytest
from healthy import HEALTHY, WATCHED
from hypothesis import given
from hypothesis import strategies as st
from lessening import less
from trends import REMEMBERING, SAMPLING, written

from kiqdoctor.clock import SYSTEM
from kiqdoctor.doctor import pack
from kiqdoctor.doctor.check import Check, Need, Span, needs_of
from kiqdoctor.doctor.examine import covered, judge
from kiqdoctor.doctor.facts.queues import Queue, Queues
from kiqdoctor.doctor.facts.redis import Server
from kiqdoctor.doctor.report import Outcome, Result
from kiqdoctor.doctor.series import PUNCTUAL, Earlier, Missed, Moment, Series, Twice
from kiqdoctor.doctor.snapshot import Absent, Missing, Refused, Snapshot
from kiqdoctor.doctor.verdict import Unknown

NOPERM = Refused("NOPERM", "+key")


@dataclass(frozen=True)
class Count:
    number: float | None
    run: str = "a"


def series(*numbers: float | None, apart_s: float = 10.0) -> Series[Count]:
    return Series(tuple(Moment(place * apart_s, Count(number)) for place, number in enumerate(numbers)))


def number(count: Count) -> float | None:
    return count.number


def test_its_ends_its_facts_and_its_window() -> None:
    found = series(1, 5, 3)

    assert (found.first, found.last, found.window_s) == (Count(1), Count(3), 20.0)
    assert found.facts == (Count(1), Count(5), Count(3))


def test_one_reading_shows_no_change() -> None:
    found = series(7)

    assert found.lacks() == Unknown("it takes 2 readings 1 s apart, not 1", "--for 1")
    assert found.window_s == 0
    assert (found.rate(number), found.rise(number), found.grows(number)) == (None, None, None)


def test_it_says_how_long_to_look() -> None:
    assert series(1, 2, apart_s=9.0).lacks(3, 10) == Unknown("it takes 3 readings 10 s apart, not 1", "--for 20")
    assert series(*range(11), apart_s=2.0).lacks(3, 10) is None
    assert series(*range(10), apart_s=2.0).lacks(3, 10) == Unknown("it takes 3 readings 10 s apart, not 2", "--for 20")


def test_a_reading_that_was_a_little_late_or_early_counts() -> None:
    moments = tuple(Moment(at, Count(1)) for at in (0.0, 10.2, 20.0))

    assert Series(moments).lacks(3, 10) is None
    assert Series((*moments[:2], Moment(19.0, Count(1)))).lacks(3, 10) is not None


def test_apart_keeps_what_is_far_enough_from_what_was_kept() -> None:
    found = series(0, 1, 2, 3, 4, 5, 6).apart(25)

    assert [one.at for one in found.moments] == [0.0, 30.0, 60.0]


def test_within_leaves_out_what_is_older() -> None:
    long_ago, *rest = series(9, 1, 2).moments
    found = Series((Moment(long_ago.at - 86_400, long_ago.fact), *rest), (Missed(-86_400, "then"), Missed(15.0, "now")))

    assert found.within(10).facts == (Count(1), Count(2))
    assert found.within(10).missed == (Missed(15.0, "now"),)
    assert found.within(1e6) == found


def test_a_rate_is_by_the_second_from_end_to_end() -> None:
    assert series(10, 500, 30).rate(number) == 1.0
    assert series(30, 10).rate(number) == -2.0
    assert series(10, None, 30).rate(number) == 1.0
    assert series(None, 30).rate(number) is None


def test_a_counter_that_began_anew_counts_from_nought() -> None:
    assert series(5, 7, 9).rise(number) == 4
    assert series(5, 7, 2, 3).rise(number) == 5
    assert series(5, None, 9).rise(number) is None


def test_a_counter_of_another_epoch_counts_whole_though_it_did_not_fall() -> None:
    restarted = Series((Moment(0.0, Count(5)), Moment(9.0, Count(8, "b"))))

    assert restarted.rise(number) == 3
    assert restarted.rise(number, lambda count: count.run) == 8


@given(st.lists(st.integers(0, 2**63), min_size=2, max_size=12))
def test_a_rise_is_never_less_than_what_can_be_seen(numbers: list[int]) -> None:
    rise = series(*numbers).rise(number)

    assert rise is not None
    assert rise >= max(0, numbers[-1] - numbers[0])
    assert rise == numbers[-1] - numbers[0] or numbers != sorted(numbers)


@given(st.lists(st.floats(0, 1e6), min_size=1, max_size=30).map(sorted), st.floats(0.1, 1e5))
def test_what_is_kept_apart_is_apart(times: list[float], seconds: float) -> None:
    kept = Series(tuple(Moment(at, Count(1)) for at in times)).apart(seconds).moments

    assert kept[0].at == times[0]
    assert all(after.at - before.at >= seconds * PUNCTUAL for before, after in pairwise(kept))


def test_growth_never_falls_and_ends_higher() -> None:
    assert series(1, 1, 2).grows(number) is True
    assert series(1, 3, 2).grows(number) is False
    assert series(2, 2, 2).grows(number) is False
    assert series(1, None, 2).grows(number) is None


def test_an_annotation_says_over_what_time_a_fact_is_wanted() -> None:
    def wants(
        once: Count, both: Twice[Count] | Missing, many: Series[Count], before: Earlier[Count] | Refused | Absent
    ) -> None: ...

    assert needs_of(wants) == (
        Need("once", Count),
        Need("both", Count, optional=True, span=Span.TWICE),
        Need("many", Count, span=Span.SERIES),
        Need("before", Count, optional=True, span=Span.EARLIER),
    )


@pytest.fixture(scope="module")
def checks(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Check]:
    folders = [written(one, tmp_path_factory.mktemp("pack")) for one in (SAMPLING, REMEMBERING)]
    return {check.id: check for check in pack.load(folders) if check.id.startswith("TRD")}


def judged(check: Check, snapshot: Snapshot) -> Result:
    return judge(check, snapshot, SYSTEM)


def growing(*sizes: int) -> Snapshot:
    return HEALTHY.over(5.0, *(Queues((Queue("mail", size),)) for size in sizes))


def test_growth_that_holds_is_found_and_its_twin_passes(checks: dict[str, Check]) -> None:
    [found] = judged(checks["TRD001"], growing(1, 1, 4)).findings

    assert found.finding.subject == "queue:mail"
    assert judged(checks["TRD001"], growing(1, 4, 3)).outcome is Outcome.PASS
    assert (
        judged(checks["TRD001"], growing(1, 2)).reason == "it takes 3 readings 1 s apart, not 2 (to settle it: --for 2)"
    )


def test_an_earlier_recording_is_the_first_sample(checks: dict[str, Check]) -> None:
    now = HEALTHY.with_(Server({"rejected_connections": "9"}))
    [found] = judged(checks["TRD002"], now.after(60, Server({"rejected_connections": "2"}))).findings

    assert found.finding.title == "7 refused within 60 s"
    assert judged(checks["TRD002"], now).outcome is Outcome.UNKNOWN
    assert judged(checks["TRD002"], now.after(60, Server({"rejected_connections": "9"}))).outcome is Outcome.PASS


def test_what_was_there_may_be_remembered(checks: dict[str, Check]) -> None:
    now = HEALTHY.with_(Server({"redis_version": "7.2.4"}))

    assert judged(checks["TRD003"], now.after(60, Server({"redis_version": "7.0.0"}))).outcome is Outcome.FAIL
    assert judged(checks["TRD003"], now.after(60, Server({"redis_version": "7.2.4"}))).outcome is Outcome.PASS


def test_without_an_earlier_recording_nothing_is_remembered(checks: dict[str, Check]) -> None:
    result = judged(checks["TRD003"], HEALTHY)

    assert (result.outcome, result.reason) == (
        Outcome.NOT_APPLICABLE, "no earlier recording was given (--baseline-run FILE)",
    )  # fmt: skip


def test_what_the_earlier_recording_does_not_hold_is_unknown(checks: dict[str, Check]) -> None:
    result = judged(checks["TRD003"], HEALTHY.after(60))
    sampled = judged(checks["TRD001"], growing(1, 4, 3).after(60))

    assert result.reason == "in the earlier recording: it holds no Server (to settle it: record it again)"
    assert sampled.reason == "Queues in the earlier recording: it holds no Queues (to settle it: record it again)"


@pytest.mark.parametrize(
    ("check", "kind", "place"),
    [
        *(("TRD001", Queues, place) for place in range(12)),
        *(("TRD002", Server, place) for place in (0, -1)),
        ("TRD003", Server, 0),
    ],
)
def test_without_any_one_reading_that_it_needs_a_check_is_unknown(
    checks: dict[str, Check], check: str, kind: type, place: int
) -> None:
    whole, lessened = (judged(checks[check], one) for one in (WATCHED, less(WATCHED, kind, place)))

    assert whole.outcome is Outcome.PASS
    assert lessened.outcome is Outcome.UNKNOWN
    assert "NOPERM (to settle it: +key)" in (lessened.reason or "")


def test_two_ends_do_not_need_what_lies_between(checks: dict[str, Check]) -> None:
    assert judged(checks["TRD002"], less(WATCHED, Server, 5)).outcome is Outcome.PASS


def test_a_fault_that_was_seen_stands_though_a_reading_failed(checks: dict[str, Check]) -> None:
    broken_off = HEALTHY.over(5.0, *(Queues((Queue("mail", size),)) for size in (1, 2, 4)), NOPERM)

    result = judged(checks["TRD001"], broken_off)

    assert result.outcome is Outcome.FAIL
    assert result.reason == "Queues, reading 4 of 4: NOPERM (to settle it: +key)"


def test_a_reading_that_failed_is_a_blind_spot(checks: dict[str, Check]) -> None:
    left_out = Queues(partial="queues has more than 2000 members")
    coverage = covered(list(checks.values()), HEALTHY.over(5.0, Queues(), NOPERM, left_out, left_out))

    assert coverage.partial == ("queues has more than 2000 members", "Queues, reading 2 of 4: NOPERM")


def test_what_is_missing_now_is_missing_over_time(checks: dict[str, Check]) -> None:
    for check, kind in (("TRD001", Queues), ("TRD002", Server)):
        gone = judged(checks[check], WATCHED.without(kind, Absent("the live half was not selected")))
        assert (gone.outcome, gone.reason) == (Outcome.NOT_APPLICABLE, "the live half was not selected")


def test_a_fact_in_place_of_another_was_read_once() -> None:
    changed = WATCHED.with_(Server({}))

    assert isinstance(changed.series(Server), Series)
    assert changed.later.keys() == WATCHED.later.keys() - {Server}
