"""The fluid against jobs taken one by one: the same queues, order, weights and durations, many jobs."""

import heapq
import random
from statistics import mean

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kiqdoctor.doctor.fluid import Pool, Stream, run

NAMES = ("a", "b", "c")


def one_by_one(waiting: dict[str, int], job_s: dict[str, float], pools: list[Pool], seed: int) -> dict[str, float]:
    """When each queue was empty: each thread takes a job, as Sidekiq draws, and comes back after its time."""
    left, empty, luck = (
        dict(waiting),
        dict.fromkeys((name for name, size in waiting.items() if not size), 0.0),
        random.Random(seed),
    )
    free = [(0.0, number, pool) for number, pool in enumerate(pool for pool in pools for _ in range(int(pool.threads)))]
    heapq.heapify(free)
    while free:
        now, number, pool = heapq.heappop(free)
        takes = [(name, weight) for name, weight in pool.takes if left.get(name)]
        if not takes:
            continue
        strict = not any(weight for _, weight in pool.takes)
        name = takes[0][0] if strict else luck.choices(*zip(*takes, strict=True))[0]
        left[name] -= 1
        if not left[name]:
            empty[name] = now + job_s[name]
        heapq.heappush(free, (now + job_s[name], number, pool))
    return empty


takes = st.permutations(NAMES).flatmap(lambda names: st.integers(1, 3).map(lambda count: tuple(names[:count])))
strict = takes.map(lambda names: tuple((name, 0) for name in names))
weighted = takes.flatmap(
    lambda names: st.tuples(*[st.integers(1, 5)] * len(names)).map(lambda some: tuple(zip(names, some, strict=True)))
)
pool = st.builds(Pool, st.integers(1, 8), strict | weighted)


@settings(max_examples=25, deadline=None)
@given(
    st.fixed_dictionaries(dict.fromkeys(NAMES, st.sampled_from([0, 200, 700]))),
    st.fixed_dictionaries(dict.fromkeys(NAMES, st.sampled_from([0.1, 0.25, 1.0]))),
    st.lists(pool, min_size=1, max_size=3),
)
def test_as_jobs_taken_one_by_one(waiting: dict[str, int], job_s: dict[str, float], pools: list[Pool]) -> None:
    """On the average of several draws: one alone is a matter of luck, which many examples find."""
    streams = {name: Stream(waiting[name], 0.0, job_s[name]) for name in NAMES}

    found = run(streams, pools)

    assert found.settled
    drawn = [one_by_one(waiting, job_s, pools, seed) for seed in range(8)]
    assert found.empty_s.keys() == drawn[0].keys()
    for name, at in found.empty_s.items():
        expected = mean(each[name] for each in drawn)
        assert at == pytest.approx(expected, rel=0.2, abs=3 * max(job_s.values()))


@pytest.mark.parametrize(
    ("arriving", "empty"),
    [(0.0, 10.0), (5.0, 20.0), (10.0, None), (11.0, None)],
)
def test_what_comes_is_done_beside_what_waits(arriving: float, empty: float | None) -> None:
    found = run({"a": Stream(100, arriving, 0.1)}, [Pool(1, (("a", 0),))])

    assert found.empty_s.get("a") == (None if empty is None else pytest.approx(empty))


def test_a_queue_that_is_empty_takes_what_comes_to_it_before_a_lower_one() -> None:
    streams = {"high": Stream(0, 5, 0.1), "low": Stream(100, 0, 0.1)}

    assert run(streams, [Pool(1, (("high", 0), ("low", 0)))]).empty_s == {"high": 0.0, "low": pytest.approx(20)}


def test_time_that_is_up_tells_what_ended_till_then() -> None:
    streams = {"a": Stream(100, 0, 0.1)}

    assert run(streams, [Pool(1, (("a", 0),))], 4).ended == pytest.approx(40)
    assert run(streams, [Pool(1, (("a", 0),))], 40).ended == pytest.approx(100)


def test_more_threads_than_jobs_are_no_faster_than_one_job() -> None:
    assert run({"a": Stream(3, 0, 20.0)}, [Pool(50, (("a", 0),))]).empty_s == {"a": 20.0}
