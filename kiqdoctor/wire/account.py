"""An entry of our runtime's index: which private lists a process keeps, and where it sits."""

from dataclasses import asdict
from typing import Final

from kiqdoctor.records import dataclass
from kiqdoctor.wire import codec

STOPPING: Final = "stopping"  # it was asked to end: what it leaves was interrupted, and says nothing of a job
LEFT: Final = "left"  # its process goes on under another identity: the pid says nothing of this one


@dataclass(frozen=True, slots=True)
class Whereabouts:
    """Enough for a neighbour to see that a process is gone: boot id, pid namespace, pid, and when that began."""

    boot: str = ""
    namespace: str = ""
    pid: int = 0
    started: str = ""


@dataclass(frozen=True, slots=True)
class Account:
    """Bare names of the queues, the process's seat, and its state: "", ``stopping`` or ``left``."""

    queues: tuple[str, ...] = ()
    seat: Whereabouts = Whereabouts()
    state: str = ""

    def encode(self) -> bytes:
        """As it is stored."""
        return codec.encode(asdict(self))


def read(raw: bytes) -> Account:
    """What can be read of one; a seat that cannot be read is nowhere."""
    try:
        found = codec.decode(raw)
        queues = tuple(str(name) for name in found["queues"])
        state = str(found.get("state", ""))
    except (codec.NotJsonError, KeyError, TypeError, AttributeError):
        return Account()
    try:
        seat = found["seat"]
        where = Whereabouts(str(seat["boot"]), str(seat["namespace"]), int(seat["pid"]), str(seat["started"]))
    except (KeyError, TypeError, ValueError):
        where = Whereabouts()
    return Account(queues, where, state)
