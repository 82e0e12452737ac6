"""The members of a set that is read again and again: all of a small one, those of a large one only now and then."""

from typing import Any, Final

from kiqdoctor.clock import Clock
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import PAGE
from kiqdoctor.probes.live.reader import must

BELIEVED_FOR: Final = 10.0  # seconds that the members of a set of many pages are believed
MOST_PAGES: Final = 12  # of a set, in one look


class Members:
    """Of one set, at most ``limit`` of them."""

    def __init__(self, redis: Redis, clock: Clock, key: str, limit: int) -> None:
        self._redis, self._clock, self._key, self._limit = redis, clock, key, limit
        self._read_at: float | None = None
        self._known: list[bytes] = []

    def after(self, first: Any) -> tuple[list[bytes], bool]:
        """From the reply with the set's first page on, and whether these are all."""
        cursor, page = must(first)
        if cursor in {b"0", 0}:
            return list(page), True
        now = self._clock.monotonic()
        if self._read_at is not None and now - self._read_at < BELIEVED_FOR:
            return self._known, len(self._known) <= self._limit
        seen = dict.fromkeys(page)
        for _ in range(MOST_PAGES):
            cursor, page = self._redis.ask("SSCAN", self._key, cursor, "COUNT", PAGE)
            seen.update(dict.fromkeys(page))
            if cursor in {b"0", 0} or len(seen) > self._limit:
                break
        self._read_at, self._known = now, list(seen)[: self._limit]
        return self._known, cursor in {b"0", 0} and len(seen) <= self._limit
