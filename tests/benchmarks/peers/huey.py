"""Huey with its blocking Redis storage and no results."""

import importlib
from typing import Any

from benchmarks.peers.work import JOBS, URL

library: Any = importlib.import_module("huey")

huey = library.RedisHuey("bench", url=URL, results=False)
TASKS = {name: huey.task(name=name)(function) for name, function in JOBS.items()}

if __name__ == "__main__":
    from benchmarks.peers.driving import Client, main

    main(Client(lambda name, args: TASKS[name](*args)))
