"""How many jobs of a class may run at once, or in a period, in the whole fleet."""

from typing import TYPE_CHECKING, Any

from kiqdoctor.runtime import lua
from kiqdoctor.runtime.endings import slot
from kiqdoctor.wire.keys import Keys

if TYPE_CHECKING:
    from redis import Redis

    from kiqdoctor.runtime.job import Job


class Limits:
    """Asks for places among the running, which are given up where a job ends."""

    def __init__(self, client: "Redis", keys: Keys) -> None:
        self._keys = keys
        self._script = client.register_script(lua.source("enter"))

    def enter(self, job: "Job[Any, Any]", owner: str, jid: str) -> float:
        """0 where the job may begin, and has its place; else seconds after which asking again is worthwhile."""
        count, period = job.options.rate or (0, 0.0)
        found: Any = self._script(
            keys=[self._keys.slots(job.name), self._keys.rate(job.name)],
            args=[
                slot(owner, jid),
                job.options.limit or 0,
                count,
                int(period * 1_000_000),
                self._keys.lease(""),
                self._keys.process(""),
            ],
        )
        return int(found) / 1000
