"""What a change would do, on plain facts: each number by its formula, and what cannot be told."""

from dataclasses import replace

import pytest

from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.queues import Durations, JobCounts, Place, Queue, Queues, Sample, Samples
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.doctor.whatif import Change, Drained, backtest, fleet_after, forecast, unread


def drains(snapshot: Snapshot, change: Change) -> tuple[Drained, ...]:
    return forecast(snapshot, change).queues


def process(identity: str, host: str = "a", queues: tuple[str, ...] = ("mail",)) -> Process:
    return Process(identity, hostname=host, beat_age_s=1.0, concurrency=5, busy=0, queues=queues)


def shop(*processes: Process, runs: int = 3600) -> Snapshot:
    """100 jobs of half a second wait; one more comes each second."""
    fleet = Fleet(processes or (process("a:1:x"),), 1)
    samples = Samples((Place("queue:mail", 100, (Sample(job_class="A"),)),))
    return Snapshot.of(fleet, Queues((Queue("mail", 100),)), samples, Durations({"A": 0.5}, {"A": runs}))


@pytest.mark.parametrize(
    ("change", "seconds"),
    [
        (Change(), 100 / (10 - 1)),
        (Change(concurrency=10), 100 / (20 - 1)),
        (Change(processes=3), 100 / (30 - 1)),
        (Change(concurrency=10, processes=3), 100 / (60 - 1)),
    ],
)
def test_what_waits_by_what_threads_can_do_less_what_comes(change: Change, seconds: float) -> None:
    [one] = drains(shop(), change)

    assert one.drain_s == pytest.approx(seconds)


def test_where_more_comes_than_goes_it_is_never_empty() -> None:
    [one] = drains(shop(runs=36_000), Change())

    assert (one.drain_s, one.never) == (None, True)


def test_a_killed_host_takes_its_processes_and_no_other() -> None:
    fleet = Fleet((process("a:1:x"), process("b:1:x", "b")), 2)

    assert [one.identity for one in fleet_after(fleet, Change(kill=("b",))).live] == ["a:1:x"]


@pytest.mark.parametrize(
    ("seen", "change"),
    [
        (shop(), Change(kill=("a",), processes=2)),
        (shop(replace(process("a:1:x"), quiet=True)), Change()),
        (shop(replace(process("a:1:x"), concurrency=None)), Change()),
        (shop().with_(Durations({})), Change()),
    ],
)
def test_what_no_formula_holds_for_cannot_be_told(seen: Snapshot, change: Change) -> None:
    [one] = drains(seen, change)

    assert one.drain_s is None
    assert one.why
    assert not one.never


@pytest.mark.parametrize("change", [Change(kill=("a",)), Change(processes=0)])
def test_where_the_change_leaves_no_process_nothing_that_waits_is_ever_done(change: Change) -> None:
    [one] = drains(shop(), change)

    assert (one.drain_s, one.never) == (None, True)


def test_a_quiet_process_takes_nothing() -> None:
    [one] = drains(shop(process("a:1:x"), replace(process("a:2:x"), quiet=True)), Change())

    assert one.drain_s == pytest.approx(100 / (10 - 1))


def test_a_paused_queue_is_not_emptied_and_holds_no_other_up() -> None:
    low = Queue("low", 900, paused=True)
    found = drains(shop().with_(Queues((Queue("mail", 100), low))), Change())

    assert {one.queue: one.drain_s for one in found} == {"low": None, "mail": pytest.approx(100 / (10 - 1))}


def test_what_could_not_be_looked_at_is_no_empty_queue() -> None:
    assert unread(shop(), Change()) == ""
    assert "no live process is on host b" in unread(shop(), Change(kill=("b",)))
    assert unread(Snapshot.of(Fleet((), 0)), Change())
    assert unread(shop().with_(Queues(partial="too many")), Change()) == "too many"


def test_the_first_half_of_a_window_foretells_the_second() -> None:
    counts = [JobCounts(0, 0), JobCounts(40, 0), JobCounts(140, 0), JobCounts(140, 0), JobCounts(220, 0)]
    found = backtest(Snapshot().over(5.0, *counts))

    assert found is not None
    assert (found.predicted, found.measured, found.error) == (200.0, 80.0, 1.5)
    assert backtest(Snapshot.of(JobCounts(5, 0))) is None


def test_counters_leap_with_beats_and_the_ends_of_a_window_do_not_matter() -> None:
    """A job ends each tenth of a second, each beat tells of 50: no reading before the first leap counts."""
    shop = Snapshot.of(Fleet((process("a:1:x"),), 1)).over(1.0, *[Queues((Queue("mail", 500),))] * 14)
    leaps = [JobCounts(1000 + 50 * ((second + 2) // 5), 0) for second in range(14)]

    [one] = drains(shop.over(1.0, *leaps), Change())
    [blind] = drains(shop.over(1.0, *leaps[:7]), Change())

    assert (one.never, one.why) == (True, "10.00 jobs a second come, and 10.00 can be done")
    assert (blind.drain_s, blind.never) == (None, False)


@pytest.mark.parametrize(
    ("waiting", "busy", "seconds"),
    [
        ((200, 100), 0, 100 / 10),  # twenty end and ten come, each second
        ((200, 4), 4, None),
        ((200, 4), 5, 4 / (20 - 0.4)),
        ((3, 100), 0, None),
    ],
)
def test_what_was_done_is_what_can_be_done_only_where_no_thread_lacked_work(
    waiting: tuple[int, int], busy: int, seconds: float | None
) -> None:
    shop = Snapshot.of(Fleet((replace(process("a:1:x"), busy=busy),), 1))
    sizes = [Queues((Queue("mail", size),)) for size in waiting]
    seen = shop.over(10.0, *sizes).over(10.0, *(JobCounts(ended, 0) for ended in (0, 7, 207)))

    [one] = drains(seen, Change())

    assert one.drain_s == (None if seconds is None else pytest.approx(seconds))


def weighted(identity: str, threads: int, *takes: tuple[str, int]) -> Process:
    names = tuple(name for name, _ in takes)
    return replace(process(identity, queues=names), concurrency=threads, weights=(takes,))


def two_queues(*processes: Process, runs: int = 0) -> Snapshot:
    """300 jobs of half a second in `high`, 600 in `low`."""
    places = (Place("queue:high", 300, (Sample(job_class="A"),)), Place("queue:low", 600, (Sample(job_class="B"),)))
    queues = Queues((Queue("high", 300), Queue("low", 600)))
    durations = Durations({"A": 0.5, "B": 0.5}, {"B": runs})
    return Snapshot.of(Fleet(processes, len(processes)), queues, Samples(places), durations)


STRICT, HEAVY = (("high", 0), ("low", 0)), (("high", 3), ("low", 1))


@pytest.mark.parametrize(
    ("seen", "high", "low"),
    [
        (two_queues(weighted("a:1:x", 10, *STRICT)), 15, 45),
        (two_queues(weighted("a:1:x", 10, *STRICT), runs=36_000), 15, 15 + 750 / 10),  # 150 came, ten more a second
        (two_queues(weighted("a:1:x", 10, *HEAVY)), 20, 45),
        (two_queues(weighted("a:1:x", 5, *STRICT), weighted("a:2:x", 5, ("low", 0))), 30, 45),
        (two_queues(weighted("a:1:x", 5, ("high", 0)), weighted("a:2:x", 5, ("low", 0))), 30, 60),
        (two_queues(weighted("a:1:x", 10, ("low", 0))), None, 30),
        (two_queues(weighted("a:1:x", 10, *STRICT), runs=72_000), 15, None),
    ],
)
def test_each_queue_by_its_order_and_its_weight(seen: Snapshot, high: float | None, low: float | None) -> None:
    found = forecast(seen, Change())

    assert found.simulated
    assert {one.queue: one.drain_s for one in found.queues} == {
        name: None if seconds is None else pytest.approx(seconds) for name, seconds in (("high", high), ("low", low))
    }
    assert all(one.never is (one.drain_s is None) for one in found.queues)


@pytest.mark.parametrize(
    "silent",
    [
        replace(weighted("a:1:x", 10, *STRICT), weights=()),
        replace(weighted("a:1:x", 10, *STRICT), weights=((("high", 0),), (("low", 0),))),
        replace(weighted("a:1:x", 10, *STRICT), weights=(), capsules=(("default", 5), ("low", 5))),
    ],
    ids=["no order", "two capsules, threads of both", "two capsules, queues of both"],
)
def test_what_a_process_does_not_say_is_not_simulated(silent: Process) -> None:
    assert not forecast(two_queues(silent), Change()).simulated


def test_a_class_whose_queue_nobody_saw_keeps_its_threads() -> None:
    seen = shop(weighted("a:1:x", 10, ("mail", 0)), runs=0)
    seen = seen.with_(Durations({"A": 0.5, "Elsewhere": 1.0}, {"Elsewhere": 18_000}))

    [one] = forecast(seen, Change()).queues

    assert one.drain_s == pytest.approx(100 / 10)


def test_a_simulation_is_tested_on_the_window_s_second_half() -> None:
    """Ten threads end 20 a second and none comes; the counter moved four times, the third is the middle."""
    sizes = [Queues((Queue("mail", 600 - 100 * number),)) for number in range(5)]
    counts = [JobCounts(100 * number, 0) for number in range(5)]
    seen = shop(weighted("a:1:x", 10, ("mail", 0))).over(5.0, *sizes).over(5.0, *counts)

    found = forecast(seen, Change())

    assert found.simulated
    assert found.backtest is not None
    assert found.backtest.predicted == pytest.approx(100)
    assert found.backtest.measured == 100
    assert [one.drain_s for one in found.queues] == [pytest.approx(10)]
