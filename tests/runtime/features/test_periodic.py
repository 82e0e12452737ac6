import threading
from datetime import UTC, datetime
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest

import kiqdoctor
from kiqdoctor.runtime.job import Job
from kiqdoctor.runtime.periodic import PERIODIC, Clockwork, Periodic
from kiqdoctor.wire.codec import ArgumentError
from kiqdoctor.wire.keys import Keys

MINUTE = 60.0
NOON = datetime(2026, 3, 10, 12, 0, tzinfo=UTC).timestamp()


class Turned:
    """A process's clockwork at a time that the test says."""

    def __init__(self, redis: Any) -> None:
        self.now = NOON
        self.work = Clockwork(redis, Keys(), threading.Event(), now=lambda: self.now)

    def at(self, now: float) -> int:
        self.now = now
        return self.work.look()


@pytest.fixture
def here(redis: Any) -> Turned:
    return Turned(redis)


@pytest.fixture
def there(redis: Any) -> Turned:
    return Turned(redis)


def every(expression: str, **options: Any) -> Job[..., None]:
    @kiqdoctor.periodic(expression, **options)
    @kiqdoctor.job(name="Tick")
    def tick(*args: Any) -> None: ...

    return tick


def ticks(lab: Any) -> int:
    return int(lab.redis.llen("queue:default"))


def test_what_was_never_seen_has_missed_nothing(lab: Any, here: Turned) -> None:
    every("*/5 * * * *")

    assert here.at(NOON + 1) == 0
    assert here.at(NOON + 299) == 0
    assert here.at(NOON + 300) == 1
    assert here.at(NOON + 301) == 0
    assert ticks(lab) == 1


def test_each_tick_is_pushed_once_by_the_whole_fleet(lab: Any, here: Turned, there: Turned) -> None:
    every("* * * * *")
    here.at(NOON)
    there.at(NOON)
    for minute in range(1, 11):
        first, second = (here, there) if minute % 2 else (there, here)
        assert first.at(NOON + minute * MINUTE + 0.2) == 1
        assert second.at(NOON + minute * MINUTE + 0.3) == 0

    assert ticks(lab) == 10


def test_threads_that_look_at_once_push_once(lab: Any, redis: Any) -> None:
    every("* * * * *")
    clocks = [Turned(redis) for _ in range(6)]
    for clock in clocks:
        clock.at(NOON)
    threads = [threading.Thread(target=clock.at, args=[NOON + 61]) for clock in clocks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert ticks(lab) == 1


def test_after_a_pause_only_the_last_tick_is_pushed_and_none_that_is_too_old(lab: Any, here: Turned) -> None:
    every("0 * * * *")
    here.at(NOON)

    assert here.at(NOON + 5 * 3600 + 299) == 1
    assert here.at(NOON + 9 * 3600 + 301) == 0
    assert here.at(NOON + 10 * 3600) == 1
    assert ticks(lab) == 2


def test_a_process_that_starts_within_the_grace_pushes_what_others_did_not(
    lab: Any, here: Turned, there: Turned
) -> None:
    every("0 * * * *")
    here.at(NOON)

    assert there.at(NOON + 3600 + 120) == 1


def test_a_clock_that_is_set_back_repeats_nothing(lab: Any, here: Turned) -> None:
    every("* * * * *")
    here.at(NOON)
    assert here.at(NOON + 60) == 1

    assert here.at(NOON - 600) == 0
    assert here.at(NOON + 61) == 0
    assert here.at(NOON + 120) == 1


def local(year: int, month: int, day: int, hour: int, minute: int, fold: int = 0) -> float:
    return datetime(year, month, day, hour, minute, fold=fold, tzinfo=ZoneInfo("Europe/Berlin")).timestamp()


def between(entry: Periodic, start: float, end: float) -> list[float]:
    found = []
    while (start := entry.next(start)) < end:
        found.append(start)
    return found


def entry(expression: str, tz: str | None = "Europe/Berlin") -> Periodic:
    every(expression, tz=tz)
    return PERIODIC[-1]


def test_a_time_that_the_spring_leaves_out_comes_once_that_day() -> None:
    found = between(entry("30 2 * * *"), local(2026, 3, 28, 12, 0), local(2026, 3, 30, 12, 0))

    assert found[0] - local(2026, 3, 29, 0, 0) == pytest.approx(2 * 3600, abs=3600)
    assert len(found) == 2
    assert found[1] == local(2026, 3, 30, 2, 30)


def test_a_time_that_the_autumn_has_twice_comes_once() -> None:
    found = between(entry("30 2 * * *"), local(2026, 10, 24, 12, 0), local(2026, 10, 26, 12, 0))

    assert found == [local(2026, 10, 25, 2, 30), local(2026, 10, 26, 2, 30)]


def test_every_half_hour_goes_on_through_the_doubled_hour() -> None:
    found = between(entry("*/30 * * * *"), local(2026, 10, 25, 1, 45), local(2026, 10, 25, 3, 15))

    assert {later - earlier for earlier, later in pairwise(found)} == {1800}
    assert len(found) == 5


@pytest.mark.parametrize("expression", ["30 2 * * *", "*/30 * * * *", "0 * * * *", "15 1-3 * * *"])
@pytest.mark.parametrize("day", [(2026, 3, 29), (2026, 10, 25)])
def test_on_days_with_a_change_the_last_tick_is_one_that_came(expression: str, day: tuple[int, int, int]) -> None:
    one = entry(expression)
    start, end = local(*day, 0, 0) - 7200, local(*day, 6, 0)
    came = between(one, start, end)
    now = came[0]
    while now < end:
        assert one.last(now) == max(at for at in came if at <= now)
        now += 300


def test_a_change_of_time_pushes_as_often_as_there_are_ticks(lab: Any, here: Turned) -> None:
    one = entry("30 2 * * *")
    start, end = local(2026, 10, 24, 12, 0), local(2026, 10, 26, 12, 0)
    here.at(start)
    pushed = sum(here.at(start + minute * MINUTE) for minute in range(int((end - start) / MINUTE)))

    assert pushed == len(between(one, start, end)) == 2


def test_the_zone_says_when_it_is_nine(lab: Any) -> None:
    assert entry("0 9 * * *", "Asia/Tokyo").next(NOON) == datetime(2026, 3, 11, 0, 0, tzinfo=UTC).timestamp()
    assert entry("0 9 * * *", None).next(NOON) == datetime(2026, 3, 11, 9, 0, tzinfo=UTC).timestamp()


def test_the_same_job_at_two_times_with_two_arguments(lab: Any, here: Turned) -> None:
    @kiqdoctor.periodic("*/2 * * * *", args=["even"])
    @kiqdoctor.periodic("* * * * *", args=["each", {"deep": [1]}])
    @kiqdoctor.job(name="Tick", queue="low")
    def tick(*args: Any) -> None: ...

    here.at(NOON)
    for minute in (1, 2):
        here.at(NOON + minute * MINUTE)

    found = [job["args"] for job in lab.jobs("queue:low")]
    assert sorted(map(str, found)) == sorted(map(str, [["each", {"deep": [1]}]] * 2 + [["even"]]))
    assert lab.redis.smembers("queues") == {b"low"}
    assert len({job["jid"] for job in lab.jobs("queue:low")}) == 3


def test_a_unique_one_does_not_pile_up(lab: Any, here: Turned) -> None:
    @kiqdoctor.periodic("* * * * *")
    @kiqdoctor.job(name="Slow", unique_for=3600)
    def slow() -> None: ...

    here.at(NOON)
    assert [here.at(NOON + minute * MINUTE) for minute in (1, 2, 3)] == [1, 0, 0]
    lab.work()
    assert here.at(NOON + 4 * MINUTE) == 1
    assert slow.perform_async() == lab.jobs("queue:default")[0]["jid"]


def test_its_state_can_be_asked_for(lab: Any, here: Turned) -> None:
    @kiqdoctor.periodic("* * * * *")
    @kiqdoctor.job(name="Told", status=True)
    def told() -> None: ...

    here.at(NOON)
    here.at(NOON + MINUTE)
    state = kiqdoctor.Status(lab.jobs("queue:default")[0]["jid"]).read()

    assert state is not None
    assert state.state == "queued"


def test_a_job_whose_push_fails_is_in_no_other_s_way_and_is_tried_again(lab: Any, here: Turned) -> None:
    every("* * * * *")

    @kiqdoctor.periodic("* * * * *")
    @kiqdoctor.job(name="After", queue="after")
    def after() -> None: ...

    here.at(NOON)
    lab.redis.set("queue:default", "no list")
    assert here.at(NOON + MINUTE) == 1
    lab.redis.delete("queue:default")
    assert here.at(NOON + MINUTE + 1) == 1
    assert (ticks(lab), lab.redis.llen("queue:after")) == (1, 1)


def test_one_that_a_middleware_drops_is_left_out(lab: Any, here: Turned) -> None:
    asked: list[str] = []
    lab.configure(client_middleware=[lambda fields, proceed: asked.append(fields["class"])])
    every("* * * * *")
    here.at(NOON)
    here.at(NOON + MINUTE)
    here.at(NOON + MINUTE + 1)

    assert ticks(lab) == 0
    assert asked == ["Tick", "Tick"]


@pytest.mark.parametrize("expression", ["", "nonsense", "* * * *", "61 * * * *", "0 0 31 2 *", "*/0 * * * *"])
def test_a_wrong_expression_is_told_where_it_stands(expression: str) -> None:
    with pytest.raises(ValueError, match="no cron expression"):
        every(expression)
    assert not PERIODIC


@pytest.mark.parametrize("tz", ["Mars/Olympus", "", "../etc/passwd", "Europe/Berlin\0"])
def test_a_wrong_zone_is_told_where_it_stands(tz: str) -> None:
    with pytest.raises(ValueError, match="no time zone"):
        every("* * * * *", tz=tz)


def test_it_stands_above_a_job_and_its_arguments_are_checked() -> None:
    with pytest.raises(ValueError, match="stands above @job"):
        kiqdoctor.periodic("* * * * *")(lambda: None)
    with pytest.raises(ArgumentError):
        every("* * * * *", args=[{1}])


def test_a_worker_has_a_clockwork_of_its_own(lab: Any) -> None:
    every("0 0 1 1 *")
    with kiqdoctor.embed():
        assert "kiq.periodic" in {thread.name for thread in threading.enumerate()}
        lab.waits_for(lambda: lab.redis.hlen("kiq:periodic") == 1)
