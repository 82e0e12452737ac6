"""What a change would do, on plain facts: each number by its formula, and what cannot be told."""

from dataclasses import replace

import pytest

from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.queues import Durations, JobCounts, Place, Queue, Queues, Sample, Samples
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.doctor.whatif import Change, backtest, drains, fleet_after, unread


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
        (shop(process("a:1:x"), process("a:2:x", queues=("other",))), Change()),
        (shop(process("a:1:x", queues=("other",))), Change()),
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
