"""The doctor's budget, printed: ``python tests/benchmarks/doctor.py``.

Each figure is the median of several runs of the whole process, against its goal: ``--version`` 100 ms, ``check --live``
on a small healthy fleet 400 ms, an examination of 1,000,000 queued jobs and 500 processes 2 s with no single Redis
command over 5 ms (the slow log's word, not ours), one of 10,000 processes and 10,000 queues 10 s and 256 MiB. Beside
them, as a yardstick of this machine, an empty
Python process and one that imports redis-py.
"""

import json
import os
import resource
import statistics
import subprocess
import sys
import time
from typing import Any

import redis

from kiqdoctor.embedded import start

RUNS = 7
JOBS = 1_000_000
PROCESSES = 500
SLOW_US = 5_000
CROWD = 10_000
MOST_MIB = 256


def timed(*arguments: str, runs: int = RUNS) -> float:
    """Median milliseconds of a whole process."""
    took = []
    for _ in range(runs):
        began = time.perf_counter()
        subprocess.run([sys.executable, *arguments], capture_output=True, check=False)
        took.append((time.perf_counter() - began) * 1000)
    return statistics.median(took)


def fleet(client: Any, processes: int, *, own_queues: bool = False) -> None:
    """Live processes as Sidekiq 7 writes them; each with a queue of its own, in which a job waits."""
    now = time.time()
    with client.pipeline(transaction=False) as pipe:
        for number in range(processes):
            identity = f"web-{number}:{1000 + number}:{number:012x}"
            info = {
                "hostname": f"web-{number}",
                "pid": 1000 + number,
                "started_at": now - 3600,
                "tag": "shop",
                "concurrency": 10,
                "queues": ["default", f"own-{number}"] if own_queues else ["default"],
                "labels": [],
                "identity": identity,
                "version": "7.3.9",
                "embedded": False,
            }
            pipe.sadd("processes", identity)
            fields = {"info": json.dumps(info), "busy": 1, "beat": now, "quiet": "false", "rtt_us": 300, "rss": 9000}
            pipe.hset(identity, mapping=fields)
            pipe.expire(identity, 600)
            payload = json.dumps({"class": "Mail", "args": [1], "jid": f"{number:024x}", "queue": "default"})
            entry = {"queue": "default", "payload": payload, "run_at": int(now)}
            pipe.hset(f"{identity}:work", "tid", json.dumps(entry))
            pipe.expire(f"{identity}:work", 600)
            if own_queues:
                job = {
                    "class": "Mail",
                    "args": [1],
                    "jid": f"{number:024x}",
                    "queue": f"own-{number}",
                    "enqueued_at": now,
                }
                pipe.sadd("queues", f"own-{number}").lpush(f"queue:own-{number}", json.dumps(job))
            if number % 1_000 == 0:
                pipe.execute()
        pipe.execute()


def jobs(client: Any, count: int) -> None:
    """Waiting jobs in ten queues."""
    names = [f"queue-{number}" for number in range(10)]
    client.sadd("queues", *names, "default")
    template = '{"class":"Mail","args":[%d],"jid":"%024x","queue":"%s","retry":true,"created_at":%f,"enqueued_at":%f}'
    for begin in range(0, count, 10_000):
        now, name = time.time(), names[(begin // 10_000) % 10]
        client.lpush(f"queue:{name}", *(template % (n, n, name, now, now) for n in range(begin, begin + 10_000)))


def main() -> None:
    """Print the budget."""
    rows: list[tuple[str, float, float | None]] = [("an empty Python process", timed("-c", "pass"), None)]
    rows.append(("a Python process that imports redis-py", timed("-c", "import redis"), None))
    rows.append(("kiqdoctor --version", timed("-m", "kiqdoctor", "--version"), 100.0))
    with start() as server:
        os.environ["KIQDOCTOR_REDIS_URL"] = server.url
        client = redis.Redis.from_url(server.url)
        fleet(client, 3)
        live = ("-m", "kiqdoctor", "check", "--live", "--format", "json")
        rows.append(("check --live, 3 processes, no backlog", timed(*live), 400.0))
        fleet(client, PROCESSES)
        jobs(client, JOBS)
        client.config_set("slowlog-log-slower-than", 1000)
        client.slowlog_reset()
        rows.append((f"check --live, {JOBS:,} jobs, {PROCESSES} processes", timed(*live, runs=3), 2000.0))
        slow = client.slowlog_get(128)
        client.flushall()
        fleet(client, CROWD, own_queues=True)
        rows.append((f"check --live, {CROWD:,} processes and queues", timed(*live, runs=3), 10_000.0))
        peak_mib = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1024
    for name, took, goal in rows:
        verdict = "" if goal is None else f"   goal {goal:6.0f} ms   {'met' if took < goal else 'MISSED'}"
        print(f"{name:<45} {took:8.1f} ms{verdict}")
    print(f"{'largest resident memory of any of them':<45} {peak_mib:8.0f} MiB  goal {MOST_MIB} MiB")
    worst = max(slow, key=lambda entry: entry["duration"], default=None)
    shown = f"{worst['duration'] / 1000:.1f} ms ({worst['command'][:60]!r})" if worst else "under 1 ms"
    print(f"{'slowest single Redis command':<45} {shown}   goal {SLOW_US / 1000:.0f} ms")


if __name__ == "__main__":
    main()
