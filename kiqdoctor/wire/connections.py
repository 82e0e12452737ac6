"""How many connections to Redis a worker process may open: Sidekiq by its version, and our own runtime, which says so
at boot and in its ``info``.
"""

from typing import Final

from kiqdoctor.records import dataclass

FETCHING: Final = 3  # two that take turns at asking, and one beside the waits
WAITING: Final = 40  # queues that are waited for, each over a connection of its own; with more we look again and again
SHARED: Final = 5  # by heartbeat, lease, poller, recovery and the ends of jobs, which wait for one another
PUSHING: Final = 10  # that callers of ``perform_async`` share


def pools(threads: int, queues: int, *, reliable: bool = True) -> tuple[tuple[str, int], ...]:
    """What opens connections, and how many at most. With basic fetch each thread waits over one of its own."""
    fetch = (("fetch", FETCHING + min(max(1, queues), WAITING)),) if reliable else ()
    return (*fetch, ("worker", shared(threads, reliable=reliable)), ("pushes of jobs", min(PUSHING, threads)))


def shared(threads: int, *, reliable: bool = True) -> int:
    """The size of the pool that everything but fetching and pushing takes its connections from."""
    return SHARED + (0 if reliable else threads)


def by_thread(threads: int, *, reliable: bool = True) -> int:
    """How many of all of them would be fewer with fewer threads."""
    return min(PUSHING, threads) + (0 if reliable else threads)


@dataclass(frozen=True, slots=True)
class Pools:
    """What one Sidekiq process opens at most: so many beside its threads, or ``fixed``, whatever its threads."""

    beside: int
    fixed: int | None = None

    def peak(self, threads: int) -> int:
        """With so many threads, those of its capsules among them."""
        return self.fixed if self.fixed is not None else threads + self.beside


def of_sidekiq(version: tuple[int, ...], size: int | None = None) -> Pools:
    """Its pools at this version; ``size`` is what the application's own configuration makes of them.

    Up to 6.5 there is one pool. From 7.0 on each capsule keeps one of its threads' number beside the process's own,
    which alone takes ``size`` (from 7.0.3 on): measured with 8.1.7, size 30 and 5 threads open 35.
    """
    if version < (7,):
        return Pools(5, size)
    if size is not None and version >= (7, 0, 3):
        return Pools(size)
    return Pools(10 if version >= (7, 1, 1) else 5)
