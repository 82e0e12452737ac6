"""The producer of every Python contender: the same words, the same loop, its own client.

``fill JOB COUNT`` · ``pace JOB FIRST COUNT RATE BURST`` · ``enqueue SECONDS`` · ``bulk SECONDS``; the last two print
what they did as JSON. peers/sidekiq.rb understands the same.
"""

import json
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from benchmarks.peers.tally import SENT
from benchmarks.peers.work import TALLY

BATCH: Final = 1_000  # jobs in one bulk call
WARM: Final = 10  # jobs before the clock starts: the connection, and whatever is made at first use
LONG: Final = 100  # one job of so many is long, of those that are asked for in bursts
TEXT: Final = "x" * 1_000

Arguments = tuple[Any, ...]


@dataclass(frozen=True)
class Client:
    """How a contender enqueues one job, and many at once if it can."""

    one: Callable[[str, Arguments], object]
    many: Callable[[str, Sequence[Arguments]], object] | None = None


def arguments(job: str, number: int) -> Arguments:
    """What a job of this name is called with."""
    return (number, TEXT) if job == "Payload" else (number,)


def fill(client: Client, job: str, count: int) -> None:
    """So many jobs, as fast as it goes."""
    if client.many is None:
        for number in range(count):
            client.one(job, arguments(job, number))
        return
    for begin in range(0, count, BATCH):
        client.many(job, [arguments(job, number) for number in range(begin, min(count, begin + BATCH))])


def pace(client: Client, first: int, count: int, rate: float, burst: int) -> None:
    """Stamped jobs, evenly, or so many at once; in bursts one of a hundred sleeps for a second."""
    for _ in range(WARM):
        client.one("Noop", (0,))
    began = time.monotonic()
    for number in range(first, first + count):
        if (number - first) % burst == 0:
            time.sleep(max(0.0, began + (number - first) / rate - time.monotonic()))
        late = 1_000 if burst > 1 and number % LONG == 0 else 0
        TALLY.cells[SENT + number] = time.monotonic_ns()
        client.one("Stamp", (number, late))


def timed(enqueue: Callable[[], object], jobs: int, seconds: float) -> None:
    """Call it for so long; print calls and time."""
    for _ in range(WARM):
        enqueue()
    began, spent, calls = time.monotonic(), time.process_time(), 0
    while time.monotonic() < began + seconds:
        enqueue()
        calls += 1
    took, spent = time.monotonic() - began, time.process_time() - spent
    sys.stdout.write(json.dumps({"jobs": calls * jobs, "seconds": took, "cpu": spent, "warm": WARM * jobs}) + "\n")


def main(client: Client) -> None:
    """Do what the command line says."""
    match sys.argv[1:]:
        case ["fill", job, count]:
            fill(client, job, int(count))
        case ["pace", first, count, rate, burst]:
            pace(client, int(first), int(count), float(rate), int(burst))
        case ["enqueue", seconds]:
            timed(lambda: client.one("Noop", (1,)), 1, float(seconds))
        case ["bulk", seconds] if (many := client.many) is not None:
            batch = [(number,) for number in range(BATCH)]
            timed(lambda: many("Noop", batch), BATCH, float(seconds))
        case words:
            raise SystemExit(f"not understood: {' '.join(words)}")
