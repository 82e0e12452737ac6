"""What became of a job, for those who ask: its state, how far it is, and a number that grows with each change."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.runtime import config, instead
from kiqdoctor.runtime.beside import beside
from kiqdoctor.wire import status as wire
from kiqdoctor.wire.keys import STATUS_TTL, Keys
from kiqdoctor.wire.status import JobState, More

if TYPE_CHECKING:
    from redis import Redis

LOOK: Final = 0.05  # seconds between two looks of ``wait``


class Status:
    """Of a job that was declared with ``@job(status=True)``; kept for a day."""

    def __init__(self, jid: str) -> None:
        self.jid = jid

    def read(self) -> JobState | None:
        """Its state now; None where there is none (any more)."""
        if instead.current is not None:
            return instead.current.state(self.jid)
        found: Any = config.client().hgetall(config.current().keys.status(self.jid))
        return wire.read(found)

    async def aread(self) -> JobState | None:
        """``read`` that blocks no event loop."""
        return self.read() if instead.current is not None else await beside(self.read)

    async def await_(self, *, after: int | None = None, timeout: float = 60.0) -> JobState | None:  # noqa: ASYNC109
        """``wait`` that blocks no event loop."""
        from asyncio import sleep

        deadline = SYSTEM.monotonic() + timeout
        while not _enough(found := await self.aread(), after) and SYSTEM.monotonic() < deadline:  # noqa: ASYNC110
            await sleep(LOOK)
        return found

    def wait(self, *, after: int | None = None, timeout: float = 60.0, clock: Clock = SYSTEM) -> JobState | None:
        """The first state with a version above ``after``, or, without it, in which the job has ended.

        The state as it is when ``timeout`` (seconds) is over.
        """
        deadline = clock.monotonic() + timeout
        while not _enough(found := self.read(), after) and clock.monotonic() < deadline:
            clock.sleep(LOOK)
        return found


def _enough(found: JobState | None, after: int | None) -> bool:
    return found is not None and (found.ended if after is None else found.version > after)


def commands(keys: Keys, jid: str, state: str, now: float, more: More | None = None) -> list[tuple[Any, ...]]:
    """What writes a state."""
    key = keys.status(jid)
    return [
        ("HSET", key, *wire.change(state, repr(now), more)),
        ("HINCRBY", key, wire.VERSION, 1),
        ("EXPIRE", key, STATUS_TTL),
    ]


def tell(client: "Redis", keys: Keys, states: Sequence[tuple[str, str, float, More]]) -> None:
    """Write them now: jid, state, since when, and what is told beside it."""
    if not states:
        return
    with client.pipeline(transaction=True) as pipe:
        for state in states:
            for words in commands(keys, *state):
                pipe.execute_command(*words)  # type: ignore[no-untyped-call]
        pipe.execute()
