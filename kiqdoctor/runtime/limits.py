"""How many jobs of a class may run at once, or in a period, in the whole fleet."""

from typing import TYPE_CHECKING, Any

from kiqdoctor.runtime import lua
from kiqdoctor.runtime.fetching.work import Step
from kiqdoctor.wire.keys import Keys

if TYPE_CHECKING:
    from redis import Redis

    from kiqdoctor.runtime.job import Job


class Limits:
    """Slots are owned by identity and jid: they end with the job, and with the process."""

    def __init__(self, client: "Redis", keys: Keys) -> None:
        self._keys = keys
        self._script = client.register_script(lua.source("enter"))

    def enter(self, job: "Job[Any, Any]", identity: str, jid: str) -> float:
        """0 where the job may begin, and has its place; else seconds after which asking again is worthwhile."""
        count, period = job.options.rate or (0, 0.0)
        found: Any = self._script(
            keys=[self._keys.slots(job.name), self._keys.rate(job.name)],
            args=[
                f"{identity}|{jid}",
                job.options.limit or 0,
                count,
                int(period * 1_000_000),
                self._keys.lease(""),
                self._keys.process(""),
            ],
        )
        return int(found) / 1000

    def left(self, job_class: str, identity: str, jid: str) -> Step:
        """What frees its place."""
        return Step("ZREM", self._keys.slots(job_class), (f"{identity}|{jid}",))
