"""Dramatiq as it comes: its default middleware, Redis broker, acknowledged after the run."""

import importlib
from typing import Any

from benchmarks.peers.work import JOBS, URL

dramatiq: Any = importlib.import_module("dramatiq")
redis: Any = importlib.import_module("dramatiq.brokers.redis")

broker = redis.RedisBroker(url=URL)
dramatiq.set_broker(broker)
TASKS = {name: dramatiq.actor(function, actor_name=name) for name, function in JOBS.items()}

if __name__ == "__main__":
    from benchmarks.peers.driving import Client, main

    main(Client(lambda name, args: TASKS[name].send(*args)))
