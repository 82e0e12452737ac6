"""Quiets a worker of this host, and ends it when it is idle: that very process, proven by its start."""

import os
import re
import select
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Final

from kiqdoctor.actions.exact import Leaving
from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex

IDLE_FOR: Final = 30.0  # seconds that its jobs have to end
ENDS_FOR: Final = 35.0  # and it itself: Sidekiq gives its jobs 25 by default
LOOK: Final = 0.5  # seconds between two looks
_CAUGHT: Final = regex(rb"^SigCgt:\s*([0-9a-f]+)$", re.MULTILINE)
STARTED: Final = 19  # the start in clock ticks, of what follows the name in /proc/PID/stat


@dataclass(frozen=True, slots=True)
class Stopped:
    """Whether it ended by us; ``why`` not, or what is left to do."""

    ended: bool
    why: str = ""


def started(pid: int, proc: Path = Path("/proc")) -> int | None:
    """When it started, in clock ticks since boot; None where there is no such process."""
    try:
        cells = (proc / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()
        return int(cells[STARTED])
    except (OSError, IndexError, ValueError):
        return None


def catches(pid: int, *signals: int) -> bool:
    """Whether it handles each of these: TSTP would freeze a process that does not, and TERM would kill it at once."""
    try:
        found = _CAUGHT.search(Path(f"/proc/{pid}/status").read_bytes())
    except OSError:
        return False
    caught = int(found[1], 16) if found else 0
    return all(caught >> (number - 1) & 1 for number in signals)


def stop(leaving: Leaving, idle: Callable[[], bool], clock: Clock = SYSTEM) -> Stopped:
    """TSTP; once ``idle`` says that it takes and runs nothing, TERM; then wait for its end."""
    try:
        handle = os.pidfd_open(leaving.pid)
    except ProcessLookupError:
        return Stopped(ended=True, why="it has ended by itself")
    except OSError as error:
        return Stopped(ended=False, why=f"pid {leaving.pid} cannot be held on to: {error.strerror}")
    try:
        return _stopped(handle, leaving, idle, clock)
    except PermissionError:
        return Stopped(
            ended=False, why=f"pid {leaving.pid} belongs to another user: the same user, or root, may end it"
        )
    except ProcessLookupError:
        return Stopped(ended=True)
    finally:
        os.close(handle)


def _stopped(handle: int, leaving: Leaving, idle: Callable[[], bool], clock: Clock) -> Stopped:
    """The handle is of whoever had the number when it was opened: the start says that it is who was meant."""
    if started(leaving.pid) != leaving.started:
        return Stopped(ended=False, why=f"pid {leaving.pid} is another process by now")
    if not catches(leaving.pid, signal.SIGTSTP, signal.SIGTERM):
        return Stopped(
            ended=False, why=f"pid {leaving.pid} does not handle TSTP and TERM: they would freeze or kill it"
        )
    signal.pidfd_send_signal(handle, signal.SIGTSTP)
    if not _within(IDLE_FOR, lambda: idle() or _over(handle), clock):
        return Stopped(ended=False, why="it is quiet, and still runs jobs: run this again when they are done")
    if _over(handle):
        return Stopped(ended=True)
    signal.pidfd_send_signal(handle, signal.SIGTERM)
    if _within(ENDS_FOR, lambda: _over(handle), clock):
        return Stopped(ended=True)
    return Stopped(ended=False, why="it was told to end, and has not yet")


def _within(seconds: float, done: Callable[[], bool], clock: Clock) -> bool:
    until = clock.monotonic() + seconds
    while not done():
        if clock.monotonic() > until:
            return False
        clock.sleep(LOOK)
    return True


def _over(handle: int) -> bool:
    """A process' handle can be read once it has ended."""
    return bool(select.select([handle], [], [], 0)[0])
