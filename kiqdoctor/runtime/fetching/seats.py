"""Where processes sit, as /proc tells it: so a neighbour's death is seen at once, without waiting for its lease."""

import os
from pathlib import Path

from kiqdoctor.wire.account import Whereabouts


def here() -> Whereabouts:
    """Ours."""
    own = os.getpid()
    return Whereabouts(_text("/proc/sys/kernel/random/boot_id"), _link("/proc/self/ns/pid"), own, _started(own))


def gone(ours: Whereabouts, other: Whereabouts) -> bool:
    """Whether the other sits on our host and has ended: its pid is free, a zombie's, or somebody else's by now."""
    if not ours.boot or (ours.boot, ours.namespace) != (other.boot, other.namespace):
        return False
    return _started(other.pid) != other.started


def _text(path: str) -> str:
    try:
        return Path(path).read_text(encoding="ascii").strip()
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return str(Path(path).readlink())
    except OSError:
        return ""


def _started(pid: int) -> str:
    cells = _text(f"/proc/{pid}/stat").rpartition(")")[2].split()
    return cells[19] if len(cells) > 19 and cells[0] != "Z" else ""  # noqa: PLR2004 - the start's place in the line
