"""What became of a job, for those who ask: its state, how far it is, and a number that grows with each change."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.runtime import config
from kiqdoctor.runtime.fetching.work import Step
from kiqdoctor.wire.keys import Keys

if TYPE_CHECKING:
    from redis import Redis

KEEP: Final = 24 * 3600  # seconds
LOOK: Final = 0.05  # seconds between two looks of ``wait``
ENDED: Final = frozenset({"done", "dead", "gone"})


@dataclass(frozen=True, slots=True)
class State:
    """``state``: queued, scheduled, running, retry, done, dead, gone; ``at``: epoch seconds of the last change."""

    state: str
    version: int
    at: float
    done: int = 0
    total: int = 0


class Status:
    """Of a job that was declared with ``@job(status=True)``; kept for a day."""

    def __init__(self, jid: str) -> None:
        self.jid = jid

    def read(self) -> State | None:
        """Its state now; None where there is none (any more)."""
        found: Any = config.client().hgetall(config.current().keys.status(self.jid))
        if not found:
            return None
        words = {key.decode(): value.decode() for key, value in found.items()}
        return State(
            words.get("state", ""),
            int(words.get("version", 0)),
            float(words.get("at", 0)),
            int(words.get("done", 0)),
            int(words.get("total", 0)),
        )

    def wait(self, *, after: int | None = None, timeout: float = 60.0, clock: Clock = SYSTEM) -> State | None:
        """The first state with a version above ``after``, or, without it, in which the job has ended.

        The state as it is when ``timeout`` (seconds) is over.
        """
        deadline = clock.monotonic() + timeout
        while True:
            found = self.read()
            if found is not None and (found.state in ENDED if after is None else found.version > after):
                return found
            if clock.monotonic() >= deadline:
                return found
            clock.sleep(LOOK)


def commands(
    keys: Keys, jid: str, state: str, now: float, more: Mapping[str, int] | None = None
) -> list[tuple[Any, ...]]:
    """What writes a state."""
    key = keys.status(jid)
    words = [part for name, value in (more or {}).items() for part in (name, value)]
    return [
        ("HSET", key, "state", state, "at", repr(now), *words),
        ("HINCRBY", key, "version", 1),
        ("EXPIRE", key, KEEP),
    ]


def steps(keys: Keys, jid: str, state: str, now: float) -> tuple[Step, ...]:
    """The same beside a job's end; the first may be the ending's first, which must be one that cannot be refused."""
    told = [Step(one[0], one[1], one[2:]) for one in commands(keys, jid, state, now)]
    return (Step("EXISTS", keys.status(jid)), *told)


def tell(client: "Redis", keys: Keys, jid: str, state: str, now: float, more: Mapping[str, int] | None = None) -> None:
    """Write it now."""
    with client.pipeline(transaction=True) as pipe:
        for words in commands(keys, jid, state, now, more):
            pipe.execute_command(*words)  # type: ignore[no-untyped-call]
        pipe.execute()
