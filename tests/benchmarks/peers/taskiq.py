"""taskiq with the list broker, or with BENCH_STREAM=1 the stream broker; coroutines, which it runs fastest.

Its client is a coroutine too: a producer of one job a call pays for a turn of the event loop.
"""

import asyncio
import importlib
import os
from typing import Any

from benchmarks.peers.work import URL, noop, stamp

library: Any = importlib.import_module("taskiq_redis")

broker = library.RedisStreamBroker(URL) if os.environ.get("BENCH_STREAM") == "1" else library.ListQueueBroker(URL)


async def _noop(number: int) -> None:
    noop(number)


async def _stamp(number: int, milliseconds: int = 0) -> None:
    stamp(number, milliseconds)


TASKS = {
    "Noop": broker.register_task(_noop, task_name="Noop"),
    "Stamp": broker.register_task(_stamp, task_name="Stamp"),
}

if __name__ == "__main__":
    from benchmarks.peers.driving import Client, main

    with asyncio.Runner() as runner:
        runner.run(broker.startup())
        main(Client(lambda name, args: runner.run(TASKS[name].kiq(*args))))
        runner.run(broker.shutdown())
