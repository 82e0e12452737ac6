"""Workers inside another program: no signal handlers, no exit, a graceful stop at the end of the ``with``."""

import atexit
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from kiqdoctor.runtime import config, forking, records
from kiqdoctor.runtime.capsule import Capsule, parse_queues
from kiqdoctor.runtime.launcher import Launcher
from kiqdoctor.runtime.options import WorkerOptions


@contextmanager
def embed(
    *,
    concurrency: int = 2,
    queues: Sequence[str] = ("default",),
    timeout: float = 25.0,
    tag: str = "",
    fetch: str = "reliable",
) -> Iterator[Launcher]:
    """Run jobs in threads of this process until the block ends, or the program does.

    ``queues``: ``"name"`` or ``"name,weight"``; ``timeout``: seconds that running jobs have at the end.

    Raises:
        ValueError: no thread, or a queue that is no name.
        redis.exceptions.RedisError: Redis cannot be reached.
    """
    if concurrency < 1:
        raise ValueError(f"concurrency must be at least 1, not {concurrency}")
    chosen = Capsule("default", concurrency, parse_queues(queues))
    records.name()
    origin = forking.origin("a worker, by embed(),")
    launcher = Launcher(WorkerOptions(config.current(), chosen, timeout, fetch, tag, embedded=True))
    launcher.start()

    def stop() -> None:
        if origin.here:  # a child after fork that leaves the block has none of its threads, and would end the parent's
            launcher.stop()

    atexit.register(stop)
    try:
        yield launcher
    finally:
        # Of a block that nobody left what is below runs last of all, where a thread that is started is waited for for
        # ever, and the program with it: by then ``stop`` has been called.
        if not sys.is_finalizing():
            atexit.unregister(stop)
            stop()
