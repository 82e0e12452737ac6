"""Queues simulated as fluids: what waits flows off as fast as threads and order allow, exact between two events.

An event is a queue that runs empty. Between two events every rate is constant, so nothing is stepped through: a
million jobs cost as much as ten. Strict order and weights are Sidekiq's own: a weighted fetch takes a queue that has
jobs with its share of the weights of those that have.
"""

from collections.abc import Iterable, Mapping, Sequence
from typing import Final

import msgspec

ENDLESS: Final = float("inf")
NOTHING: Final = 1e-6  # of a job: what rounding leaves
EVENTS: Final = 5  # a queue that ran empty may fill again, while a neighbour has its turn
SHORTEST: Final = 0.0002  # seconds that any job costs a thread: to fetch it, at least


class Pool(msgspec.Struct, frozen=True):
    """Threads that take from the same queues: name and weight of each, in their order; 0 everywhere: strictly so."""

    threads: float
    takes: tuple[tuple[str, int], ...]


class Stream(msgspec.Struct, frozen=True):
    """A queue: jobs that wait, jobs that come in a second, seconds that one takes."""

    waiting: float
    arriving: float
    job_s: float


class Run(msgspec.Struct, frozen=True):
    """When each queue was first empty (seconds; one that never is is left out), and how many jobs ended.

    Not ``settled``: given up after too many events, so that what is left out may be empty some day.
    """

    empty_s: dict[str, float]
    ended: float
    settled: bool = True


def run(streams: Mapping[str, Stream], pools: Sequence[Pool], most_s: float = ENDLESS) -> Run:
    """Until each queue was empty once, or none gets shorter, or the time is up."""
    waiting = {name: one.waiting for name, one in streams.items()}
    empty = {name: 0.0 for name, left in waiting.items() if left <= NOTHING}
    passed = ended = 0.0
    for _ in range(EVENTS * (len(streams) + 1)):
        served = _served(streams, waiting, pools)
        grows = {name: one.arriving - served.get(name, 0.0) for name, one in streams.items()}
        ends = [waiting[name] / -by for name, by in grows.items() if waiting[name] > NOTHING and by < -NOTHING]
        step = min([*ends, most_s - passed])
        if step == ENDLESS or passed >= most_s or (len(empty) == len(streams) and most_s == ENDLESS):
            return Run(_not_before_one_ran(empty, streams), ended)
        passed += step
        ended += step * sum(served.values())
        for name, by in grows.items():
            left = waiting[name] + by * step
            waiting[name] = left if left > NOTHING else 0.0
            if not waiting[name]:
                empty.setdefault(name, passed)
    return Run(_not_before_one_ran(empty, streams), ended, settled=False)


def _not_before_one_ran(empty: Mapping[str, float], streams: Mapping[str, Stream]) -> dict[str, float]:
    """More threads than jobs are no faster than one job."""
    return {name: max(at, streams[name].job_s) if streams[name].waiting else at for name, at in empty.items()}


def _served(streams: Mapping[str, Stream], waiting: Mapping[str, float], pools: Iterable[Pool]) -> dict[str, float]:
    """Jobs a second of each queue: all that threads can do of one that has jobs, of an empty one what comes."""
    wants = {name: ENDLESS if waiting[name] > NOTHING else one.arriving for name, one in streams.items()}
    served: dict[str, float] = {}
    for pool in pools:
        for name, busy in _shares(pool, streams, wants).items():
            jobs = busy / max(streams[name].job_s, SHORTEST)
            served[name] = served.get(name, 0.0) + jobs
            wants[name] -= jobs
    return served


def _shares(pool: Pool, streams: Mapping[str, Stream], wants: Mapping[str, float]) -> dict[str, float]:
    """How many of its threads work for each queue."""
    asked = {
        name: wants[name] * max(streams[name].job_s, SHORTEST) for name, _ in pool.takes if wants.get(name, 0.0) > 0
    }
    if any(weight for _, weight in pool.takes):
        return _by_weight(pool, streams, asked)
    spare, shares = pool.threads, {}
    for name, need in asked.items():
        shares[name] = min(spare, need)
        spare -= shares[name]
    return shares


def _by_weight(pool: Pool, streams: Mapping[str, Stream], asked: Mapping[str, float]) -> dict[str, float]:
    """Each its fair share; what one does not need is shared by the others. A long job holds its thread longer."""
    parts = {name: max(weight, 1) * max(streams[name].job_s, SHORTEST) for name, weight in pool.takes if name in asked}
    spare, shares = pool.threads, {}
    while parts:
        unit = spare / sum(parts.values())
        content = [name for name, part in parts.items() if asked[name] <= part * unit]
        for name in content or list(parts):
            shares[name] = asked[name] if content else parts[name] * unit
            spare -= shares[name]
            del parts[name]
    return shares
