"""Where processes sit, as the kernel tells it: a neighbour's death is seen at once, without waiting for its lease."""

import os
from enum import StrEnum
from pathlib import Path
from typing import Final

from kiqdoctor.wire.account import Whereabouts

ENDED: Final = frozenset("ZX")  # states of what has ended and is only listed still
STARTED: Final = 19  # place of the start among a stat line's cells after the name


class Fate(StrEnum):
    """What is proven of a process; whatever cannot be read proves nothing, and the lease decides."""

    DEAD = "dead"
    ALIVE = "alive"
    UNKNOWN = "unknown"


def here() -> Whereabouts:
    """Ours."""
    own = os.getpid()
    return Whereabouts(_text("/proc/sys/kernel/random/boot_id"), _link("/proc/self/ns/pid"), own, _stat(own)[1])


def fate(ours: Whereabouts, other: Whereabouts) -> Fate:
    """Of a process that says it sits there: dead where its pid is free, a zombie's, or another process' by now.

    The pid is asked for by a signal that does nothing, which needs no descriptor and goes by no hidepid: a process out
    of descriptors, or one that may not see others in /proc, once took its healthy neighbours for dead.
    """
    seen = (ours.boot, ours.namespace)
    if not all(seen) or seen != (other.boot, other.namespace) or other.pid <= 0:
        return Fate.UNKNOWN
    try:
        os.kill(other.pid, 0)
    except ProcessLookupError:
        return Fate.DEAD
    except (OSError, OverflowError):
        pass  # it is there, and somebody else's; or it is no pid at all
    state, started = _stat(other.pid)
    if state in ENDED:
        return Fate.DEAD
    if not started or not other.started:
        return Fate.UNKNOWN
    return Fate.ALIVE if started == other.started else Fate.DEAD


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8", errors="replace").strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return str(Path(path).readlink())
    except OSError:
        return ""


def _stat(pid: int) -> tuple[str, str]:
    """A process' state and when it started; empty where that cannot be read."""
    cells = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return (cells[0], cells[STARTED]) if len(cells) > STARTED else ("?", "")
