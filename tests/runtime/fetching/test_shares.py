"""Of which queue, and how much at once: order, weights, pauses, what is fetched ahead."""

from collections import Counter
from typing import Any

from fetching import Start, jobs, push

from kiqdoctor.runtime.fetching.pace import MOST
from kiqdoctor.runtime.fetching.parking import LONGEST_PAUSE
from kiqdoctor.runtime.fetching.work import Work
from kiqdoctor.wire.connections import WAITING


def names(works: list[Work]) -> list[str]:
    return [work.queue for work in works]


def test_strict_order_holds_within_and_between_batches(redis: Any, start: Start) -> None:
    process = start(queues=(("first", 0), ("second", 0), ("third", 0)))
    for queue in ("third", "second", "first"):
        push(redis, *jobs(30, queue), queue=queue)
    process.fetch.pace.want = 20

    works = process.take_all()

    assert names(works) == ["first"] * 30 + ["second"] * 30 + ["third"] * 30
    assert [work.payload for work in works] == jobs(30, "first") + jobs(30, "second") + jobs(30, "third")


def test_weights_divide_batches_as_they_divide_single_fetches(redis: Any, start: Start) -> None:
    process = start(queues=(("heavy", 6), ("middle", 3), ("light", 1)))
    for queue in ("heavy", "middle", "light"):
        push(redis, *jobs(800, queue), queue=queue)
    counts: Counter[str] = Counter()
    for _ in range(40):
        process.fetch.pace.want = 20
        process.fetch._refill(process.fetch.holdings.lanes[0])
        counts.update(names(list(process.fetch.local)))
        process.fetch.local.clear()

    total = counts.total()
    assert 0.52 < counts["heavy"] / total < 0.68
    assert 0.24 < counts["middle"] / total < 0.36
    assert 0.06 < counts["light"] / total < 0.14


def test_single_shares_are_drawn_by_weight(redis: Any, start: Start) -> None:
    process = start(queues=(("heavy", 3), ("light", 1)))
    for queue in ("heavy", "light"):
        push(redis, *jobs(700, queue), queue=queue)
    process.fetch.pace.adapt = lambda wanted, got, slowest: None  # type: ignore[method-assign]
    process.fetch.pace.want = 1
    counts = Counter(names([work for work in (process.take() for _ in range(600)) if work is not None]))
    assert 0.68 < counts["heavy"] / 600 < 0.82


def test_what_one_queue_lacks_others_fill(redis: Any, start: Start) -> None:
    process = start(queues=(("heavy", 9), ("light", 1)))
    push(redis, *jobs(20, "light"), queue="light")
    process.fetch.pace.want = 20
    process.fetch._refill(process.fetch.holdings.lanes[0])
    assert len(process.fetch.local) == 20


def test_a_paused_queue_is_neither_asked_nor_waited_for(redis: Any, start: Start) -> None:
    process = start(queues=(("default", 0), ("other", 0)))
    process.fetch.pause(frozenset({"other"}))
    push(redis, *jobs(2, "other"), queue="other")
    push(redis, *jobs(2))
    assert names(process.take_all()) == ["default", "default"]
    assert process.fetch.parking.waits.out == {0}
    process.fetch.pause(frozenset())
    assert names(process.take_all()) == ["other", "other"]


def test_with_every_queue_paused_nothing_is_taken(redis: Any, start: Start) -> None:
    process = start()
    process.fetch.pause(frozenset({"default"}))
    push(redis, *jobs(2))
    assert process.take_all() == []
    assert redis.llen("queue:default") == 2


def test_more_queues_than_are_waited_for_are_looked_at(redis: Any, start: Start) -> None:
    queues = tuple((f"queue-{number}", 0) for number in range(WAITING + 1))
    process = start(queues=queues)
    assert process.fetch.take(0) is None
    assert not process.fetch.parking.waits.out
    for name, _ in queues:
        push(redis, *jobs(1, name), queue=name)
    assert sorted(names(process.take_all())) == sorted(name for name, _ in queues)


def test_a_pause_between_two_looks_grows_and_begins_anew_after_a_job(redis: Any, start: Start) -> None:
    queues = tuple((f"queue-{number}", 0) for number in range(WAITING + 1))
    process = start(queues=queues)
    assert process.fetch.take(0) is None
    assert process.fetch.parking.pause == LONGEST_PAUSE
    push(redis, *jobs(1, "queue-3"), queue="queue-3")
    assert process.take() is not None
    assert process.fetch.parking.pause == 0.0


def test_more_is_fetched_ahead_of_short_jobs_and_nothing_ahead_of_long_ones(redis: Any, start: Start) -> None:
    process = start()
    push(redis, *jobs(3000))
    fetch = process.fetch
    sizes: list[int] = []
    while len(sizes) < 12:
        work = process.take()
        assert work is not None
        fetch.slowest = 0.000_02
        fetch.done(work)
        if not sizes or fetch.pace.want != sizes[-1]:
            sizes.append(fetch.pace.want)
        if fetch.pace.want == MOST:
            break
    assert sizes == sorted(sizes)
    assert sizes[-1] == MOST
    while fetch.local:
        fetch.done(fetch.local.popleft())

    fetch.slowest = 2.0
    assert process.take() is not None
    fetch.slowest = 2.0
    while fetch.local:
        fetch.done(fetch.local.popleft())
    before = redis.llen("queue:default")
    assert process.take() is not None
    assert redis.llen("queue:default") == before - 1
    assert not fetch.local
