"""Jobs that may begin once say in their private list that they have begun, before they do."""

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from kiqdoctor.runtime import lua
from kiqdoctor.runtime.fetching.work import Work

if TYPE_CHECKING:
    from redis import Redis

TRIES: Final = 3  # where a reply was lost


class Marks:
    """Whoever recovers one that is marked knows that it may not begin again."""

    def __init__(self, client: "Redis") -> None:
        self._script = client.register_script(lua.source("begin"))
        self._unsure: set[bytes] = set()  # what we may have marked, and did not begin

    def begin(self, work: Work, marked: bytes, lease: str) -> bool:
        """Put the mark; False where the job is not ours any more.

        Under the lane's lock, so that nobody compares the lists meanwhile. A request may be repeated; where no reply
        came at all the job is found in its list, with or without the mark.
        """
        lane = work.home.lane
        with lane.lock:
            if lane.retired:
                return False
            try:
                began = self._asked(work, marked, lease)
            except Exception:
                self._unsure.add(marked)
                raise
            if began:
                work.payload = marked
        return began

    def _asked(self, work: Work, marked: bytes, lease: str) -> bool:
        import redis

        keys, words = [work.home.key, lease], [work.payload, marked]
        for _ in range(TRIES - 1):
            with suppress(redis.ConnectionError, redis.TimeoutError):
                return bool(self._script(keys=keys, args=words) == 1)
        return bool(self._script(keys=keys, args=words) == 1)

    def unbegun(self, work: Work) -> bool:
        """Whether we may have marked it, and did not begin it."""
        known = work.payload in self._unsure
        self._unsure.discard(work.payload)
        return known
