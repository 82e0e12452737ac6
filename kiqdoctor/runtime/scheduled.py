"""Due jobs of ``retry`` and ``schedule`` go to their queues, each once, whoever polls."""

import random
import threading
from typing import TYPE_CHECKING, Any

from kiqdoctor.runtime import log, lua
from kiqdoctor.text import clean
from kiqdoctor.wire.keys import Keys
from kiqdoctor.wire.payload import PayloadError, pushed, read

if TYPE_CHECKING:
    from redis import Redis

AVERAGE = 5.0  # seconds between two polls of the whole fleet
PAGE = 100
REFUSED = -1
CLEANUP_EVERY = 60  # seconds
MANY = 10  # processes; from here on the spread is wider


class Poller:
    """One thread of each process."""

    def __init__(self, client: "Redis", keys: Keys, stop: threading.Event) -> None:
        self._client, self._keys, self._stop = client, keys, stop
        self._page = client.register_script(lua.source("page"))
        self._due = client.register_script(lua.source("due"))
        self.thread = threading.Thread(target=self.run, daemon=True, name="kiq.scheduler")

    def run(self) -> None:
        """Poll until stopped; a first wait spreads processes that start together."""
        wait = random.random() * AVERAGE  # noqa: S311 - a spread, not a secret
        while not self._stop.wait(wait):
            try:
                self.poll()
                wait = self._interval(self._processes())
            except Exception as error:  # noqa: BLE001 - Redis may be away; the next round tries again
                log.warn_seldom(f"scheduler: {type(error).__name__}: {error}")
                wait = AVERAGE

    def _processes(self) -> int:
        import redis

        try:
            prune(self._client, self._keys)
        except redis.exceptions.NoPermissionError as error:  # then ghosts are counted
            log.warn_seldom(f"scheduler: {error}")
        return max(1, self._client.scard(self._keys.processes))

    @staticmethod
    def _interval(processes: int) -> float:
        average = AVERAGE * processes
        drawn = random.random()  # noqa: S311
        return average * drawn + average / 2 if processes < MANY else average * drawn * 2

    def poll(self) -> int:
        """Push what is due now; how many.  A key of another type holds up no other."""
        import redis

        count = 0
        for key in (self._keys.retry, self._keys.schedule):
            try:
                count += self._drain(key)
            except redis.exceptions.ResponseError as error:
                if "WRONGTYPE" not in str(error):
                    raise
                log.warn_seldom(f"scheduler: {key}: {error}")
        return count

    def _drain(self, key: str) -> int:
        count = refused = 0
        while not self._stop.is_set():
            found: Any = self._page(keys=[key], args=[PAGE, refused])
            now, due = float(found[0]), found[1]
            moved = self._move(key, due, now)
            count += moved.count(1)
            refused += moved.count(REFUSED)
            if len(due) < PAGE:
                return count
        return count

    def _move(self, key: str, due: list[bytes], now: float) -> list[int]:
        """A page in one round trip: for each 1 where it left now, 0 where it had left.

        One whose queue refuses it stays (``REFUSED``), and holds up no other.
        """
        if not due:
            return []
        keys, args = [key, self._keys.queues], list[Any]()
        for member in due:
            target, queue, raw, score = self._place(member, now)
            if target not in keys[2:]:
                keys.append(target)
            args += [member, queue, raw, score, keys.index(target, 2) + 1]
        replies: Any = self._due(keys=keys, args=args)
        return [self._told(reply, key, args[5 * number + 1]) for number, reply in enumerate(replies)]

    def _place(self, member: bytes, now: float) -> tuple[str, str, bytes, str]:
        """Where it goes, its bare queue, its bytes there, its score there; what is no payload can never run."""
        try:
            payload = read(member)
        except PayloadError:
            return self._keys.dead, "", member, repr(now)
        queue = payload.queue or "default"
        return self._keys.queue(queue), queue, pushed(payload, now).encode(), ""

    @staticmethod
    def _told(reply: int | bytes, key: str, queue: str) -> int:
        import redis

        if isinstance(reply, int):
            if reply and not queue:
                log.warn(f"invalid payload of {key} moved to dead")
            return reply
        error = reply.decode("utf-8", "replace")
        if "WRONGTYPE" not in error:
            raise redis.ResponseError(error)
        log.warn_seldom(f"scheduler: {clean(queue) or 'dead'} refuses a due job: {error}")
        return REFUSED


def prune(client: "Redis", keys: Keys) -> int:
    """Members of ``processes`` whose record is gone, once a minute for the whole fleet: they slow the polls down."""
    if not client.set(keys.cleanup, "1", nx=True, ex=CLEANUP_EVERY):
        return 0
    members: Any = client.smembers(keys.processes)
    listed = list(members)
    with client.pipeline(transaction=False) as pipe:
        for member in listed:
            pipe.exists(keys.process(member.decode("utf-8", "surrogateescape")).encode("utf-8", "surrogateescape"))
        there = pipe.execute()
    ghosts = [member for member, exists in zip(listed, there, strict=True) if not exists]
    return int(client.srem(keys.processes, *ghosts)) if ghosts else 0
