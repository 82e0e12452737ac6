"""What reads one fact again and again, how often, and which there are."""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cache
from importlib import import_module
from pathlib import Path
from typing import Any, ClassVar

from kiqdoctor.clock import Clock
from kiqdoctor.connection import Command
from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.doctor.snapshot import Refused, Snapshot
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.wire.keys import Keys


class LiveReader(ABC):
    """Reads one fact of one installation; it may keep what it read, to read less the next time.

    ``every``: seconds between two readings of a fact that costs more, which is read while somebody looks at it; 0: it
    is read at each look. ``unseen`` False: not even at first, before somebody looks at it.
    """

    fact: ClassVar[type]
    every: ClassVar[float] = 0.0
    unseen: ClassVar[bool] = True

    def __init__(self, redis: Redis, clock: Clock) -> None:
        self.redis, self.clock, self.keys = redis, clock, Keys(redis.namespace)

    def asks(self) -> Sequence[Command]:
        """What it asks in the first round trip of a look, which all readers share."""
        return ()

    @abstractmethod
    def read(self, replies: Sequence[Any], now: float, seen: Snapshot) -> object:
        """The fact, from the replies to what it asked; ``now`` is Redis' time, ``seen`` what was read before it.

        Raises:
            RefusalError: it could not be read.
        """


@cache
def every_reader() -> tuple[type[LiveReader], ...]:
    """Each reader of this folder: those of every look first, for others go by them."""
    names = [file.stem for file in sorted(Path(__file__).parent.glob("*.py"))]
    modules = [import_module(f"{__package__}.{name}") for name in names if name != "__init__"]
    found = {
        value
        for module in modules
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, LiveReader) and value is not LiveReader
    }
    return tuple(sorted(found, key=lambda reader: (reader.every, reader.fact.__name__)))


def must(reply: Any) -> Any:
    """The reply.

    Raises:
        RefusalError: Redis refused the command.
    """
    if isinstance(reply, Refused):
        raise RefusalError(reply.reason, reply.unlock)
    return reply
