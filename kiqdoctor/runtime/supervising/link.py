"""What a parent and its child say to each other: JSON lines over a socket, whose end tells that the other is gone."""

import json
import os
import signal
import socket
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Final

VARIABLE: Final = "_KIQDOCTOR_CHILD"  # in a child's environment: what its parent tells it of itself
LINE: Final = 64 * 1024  # bytes of a message at most
CHUNK: Final = 65_536

STACKS: Final[int] = getattr(signal, "SIGRTMIN", -6) + 6
"""At this signal a child writes every thread's stack, whoever keeps its GIL; 0 where there is none so."""

Message = Mapping[str, Any]

# The names of messages. A child says:
HOLD: Final = "hold"  # the lease key to renew, and where
READY: Final = "ready"  # it runs jobs
PULSE: Final = "pulse"  # it is awake: jobs that ended, and why it should not live, if so
BEGAN: Final = "began"  # a job runs, for which it is to be killed after some time
OVER: Final = "over"  # it does not any more
CHANGED: Final = "changed"  # a source file of this name: it wants to be replaced
OPENED: Final = "opened"  # it cannot be forked: it has these threads and connections
BORN: Final = "born"  # the pid of whom it forked
# A parent says:
RENEWED: Final = "renewed"  # the child's lease, by a request of that time of the boot clock
DO: Final = "do"  # one of the words below
LOOK: Final = "look"  # at once for the jobs of the dead, among them this identity
FLEET: Final = "fleet"  # what is to be told in the beat

STOP: Final = "stop"
HURRY: Final = "hurry"
QUIET: Final = "quiet"


@dataclass(frozen=True, slots=True)
class Birth:
    """What a child must know at its start: the socket, its place among its siblings, whether it takes over a port."""

    fd: int
    number: int = 0
    siblings: int = 1
    again: bool = False
    quiet: bool = False
    redis: str | None = None
    template: bool = False  # it runs no job, and forks those that do

    def encode(self) -> str:
        """For the environment."""
        return json.dumps(asdict(self))


def birth() -> Birth | None:
    """Ours, where we are a parent's child; once: what jobs start inherits nothing of it."""
    told = os.environ.pop(VARIABLE, "")
    if not told:
        return None
    found = Birth(**json.loads(told))
    os.set_inheritable(found.fd, False)
    return found


class Link:
    """One end."""

    def __init__(self, end: socket.socket) -> None:
        self._end = end
        self._rest = b""

    def fileno(self) -> int:
        """For a selector."""
        return self._end.fileno()

    def say(self, **message: Any) -> bool:
        """Whether it could be told: the other may be gone, or not read."""
        try:
            self._end.sendall(json.dumps(message, separators=(",", ":")).encode() + b"\n", socket.MSG_DONTWAIT)
        except OSError:
            return False
        return True

    def hand(self, number: int, **message: Any) -> bool:
        """Say it, and hand over a descriptor; whether it could be told."""
        line = json.dumps(message, separators=(",", ":")).encode() + b"\n"
        try:
            socket.send_fds(self._end, [line], [number], socket.MSG_DONTWAIT)
        except OSError:
            return False
        return True

    def taken(self) -> tuple[Message, int] | None:
        """What was said with a descriptor, waiting for it; None at the end."""
        try:
            data, numbers, *_ = socket.recv_fds(self._end, CHUNK, 1)
        except OSError:
            return None
        return (_read(data), numbers[0]) if data and numbers else None

    def hear(self) -> list[Message] | None:
        """What was said, waiting for some; None at the end."""
        try:
            data = self._end.recv(CHUNK)
        except OSError:
            return None
        if not data or len(self._rest) > LINE:
            return None
        *lines, self._rest = (self._rest + data).split(b"\n")
        return [found for line in lines if (found := _read(line))]

    def close(self) -> None:
        """Hang up."""
        self._end.close()


def _read(line: bytes) -> Message:
    """One that was cut off, since the other had not read for hours, says nothing."""
    try:
        found = json.loads(line)
    except ValueError:
        return {}
    return found if isinstance(found, dict) else {}
