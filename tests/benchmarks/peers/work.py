"""The jobs, the same for every Python contender."""

import os
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

from benchmarks.peers.tally import STARTED, Tally

TALLY: Final = Tally(Path(os.environ["BENCH_TALLY"]))
URL: Final = os.environ["BENCH_REDIS_URL"]

_cells = TALLY.cells


class _Slot(threading.local):
    cell: int

    def __getattr__(self, name: str) -> int:
        """The first job of a thread takes a slot; importing this takes none."""
        if name != "cell":
            raise AttributeError(name)
        self.cell = TALLY.claim()
        return self.cell


_slot = _Slot()


def noop(_number: int) -> None:
    """Count, and nothing else."""
    _cells[_slot.cell] += 1


def sleep_1ms(_number: int) -> None:
    """What waits for a fast neighbour."""
    time.sleep(0.001)
    _cells[_slot.cell] += 1


def sleep_10ms(_number: int) -> None:
    """What waits for a database."""
    time.sleep(0.01)
    _cells[_slot.cell] += 1


def cpu_100us(_number: int) -> None:
    """100 µs on a core, by the thread's own clock, so that it is the same work in every language."""
    until = time.thread_time_ns() + 100_000
    while time.thread_time_ns() < until:
        pass
    _cells[_slot.cell] += 1


def payload_1kb(_number: int, _text: str) -> None:
    """Count; its argument is heavy."""
    _cells[_slot.cell] += 1


def stamp(number: int, milliseconds: int = 0) -> None:
    """Leave the moment of starting; then sleep, if so told."""
    _cells[STARTED + number] = time.monotonic_ns()
    if milliseconds:
        time.sleep(milliseconds / 1000)
    _cells[_slot.cell] += 1


JOBS: Final[Mapping[str, Callable[..., Any]]] = {
    "Noop": noop,
    "Sleep1": sleep_1ms,
    "Sleep10": sleep_10ms,
    "Cpu": cpu_100us,
    "Payload": payload_1kb,
    "Stamp": stamp,
}
"""Name on the wire -> what runs; Ruby's constants have the same names."""
