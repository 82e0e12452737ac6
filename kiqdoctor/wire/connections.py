"""How many connections to Redis a process of our runtime may open; it says so at boot and in its ``info``."""

from typing import Final

FETCHING: Final = 3  # two that take turns at asking, and one beside the waits
WAITING: Final = 8  # queues that are waited for, each over a connection of its own; with more we look again and again
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
