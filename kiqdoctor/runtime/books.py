"""Where it is kept what goes with jobs that run: their places, their states, their cursors."""

from typing import TYPE_CHECKING, Any, Protocol

from kiqdoctor.runtime import log, status
from kiqdoctor.runtime.iterating import Cursor, Position
from kiqdoctor.runtime.limits import Limits
from kiqdoctor.runtime.middleware import Running
from kiqdoctor.wire.keys import Keys
from kiqdoctor.wire.status import More

if TYPE_CHECKING:
    from redis import Redis

    from kiqdoctor.runtime.job import Job


class Books(Protocol):
    """A worker keeps them in Redis, a testing mode in memory."""

    def enter(self, job: "Job[Any, Any]", owner: str, jid: str) -> float:
        """0 where a job of a limited class may begin, and has its place; else seconds until asking is worthwhile."""

    def tell(self, jid: str, state: str, now: float, more: More) -> None:
        """The state of a job whose status is kept."""

    def cursor(self, running: Running) -> Position:
        """Where an iterable job goes on."""


class RedisBooks:
    """A worker's."""

    def __init__(self, client: "Redis", keys: Keys) -> None:
        self._client, self._keys, self._limits = client, keys, Limits(client, keys)

    def enter(self, job: "Job[Any, Any]", owner: str, jid: str) -> float:
        """Asks Redis, where all processes of the fleet ask."""
        return self._limits.enter(job, owner, jid)

    def tell(self, jid: str, state: str, now: float, more: More) -> None:
        """As far as Redis lets us: a job does not fail because nobody could be told."""
        try:
            status.tell(self._client, self._keys, jid, state, now, more)
        except Exception as error:  # noqa: BLE001
            log.warn_seldom(f"status: {type(error).__name__}: {error}")

    def cursor(self, running: Running) -> Position:
        """Where Sidekiq keeps its own."""
        return Cursor(self._client, self._keys, running.jid, running.work)
