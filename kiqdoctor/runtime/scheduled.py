"""Due jobs of ``retry`` and ``schedule`` go to their queues, each once, whoever polls."""

import random
import threading
from typing import TYPE_CHECKING, Any

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.runtime import log, lua
from kiqdoctor.wire.keys import Keys
from kiqdoctor.wire.payload import PayloadError, pushed, read

if TYPE_CHECKING:
    from redis import Redis

AVERAGE = 5.0  # seconds between two polls of the whole fleet
PAGE = 100
MANY = 10  # processes; from here on the spread is wider


class Poller:
    """One thread of each process."""

    def __init__(self, client: "Redis", keys: Keys, stop: threading.Event, clock: Clock = SYSTEM) -> None:
        self._client, self._keys, self._stop, self._clock = client, keys, stop, clock
        self._due = client.register_script(lua.source("due"))
        self.thread = threading.Thread(target=self.run, daemon=True, name="kiq.scheduler")

    def run(self) -> None:
        """Poll until stopped; a first wait spreads processes that start together."""
        wait = random.random() * AVERAGE  # noqa: S311 - a spread, not a secret
        while not self._stop.wait(wait):
            try:
                self.poll()
                wait = self._interval(max(1, self._client.scard(self._keys.processes)))
            except Exception as error:  # noqa: BLE001 - Redis may be away; the next round tries again
                log.warn_seldom(f"scheduler: {type(error).__name__}: {error}")
                wait = AVERAGE

    @staticmethod
    def _interval(processes: int) -> float:
        average = AVERAGE * processes
        drawn = random.random()  # noqa: S311
        return average * drawn + average / 2 if processes < MANY else average * drawn * 2

    def poll(self) -> int:
        """Push what is due now; how many."""
        return sum(self._drain(key) for key in (self._keys.retry, self._keys.schedule))

    def _drain(self, key: str) -> int:
        count = 0
        while not self._stop.is_set():
            due: Any = self._client.zrangebyscore(key, "-inf", self._clock.now(), start=0, num=PAGE)
            for member in due:
                count += self._push(key, member)
            if len(due) < PAGE:
                return count
        return count

    def _push(self, key: str, member: bytes) -> int:
        try:
            payload = read(member)
        except PayloadError:
            return self._bury(key, member)
        queue = payload.queue or "default"
        raw = pushed(payload, self._clock.now()).encode()
        return int(self._due(keys=[key, self._keys.queues, self._keys.queue(queue)], args=[member, queue, raw]))

    def _bury(self, key: str, member: bytes) -> int:
        """What is no payload can never run."""
        if self._client.zrem(key, member):
            self._client.zadd(self._keys.dead, {member: self._clock.now()})
            log.warn(f"invalid payload of {key} moved to dead")
        return 0
