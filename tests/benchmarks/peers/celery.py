"""Celery without results; with BENCH_LATE=1 it acknowledges after the run and rejects what a lost worker held."""

import importlib
import os
from typing import Any

from benchmarks.peers.work import JOBS, URL

celery: Any = importlib.import_module("celery")

late = os.environ.get("BENCH_LATE") == "1"
app = celery.Celery("bench", broker=URL)
app.conf.update(
    task_ignore_result=True,
    task_acks_late=late,
    task_reject_on_worker_lost=late,
    broker_connection_retry_on_startup=True,
)
TASKS = {name: app.task(name=name)(function) for name, function in JOBS.items()}

if __name__ == "__main__":
    from benchmarks.peers.driving import Client, main

    main(Client(lambda name, args: TASKS[name].delay(*args)))
