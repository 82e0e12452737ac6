"""Follows one installation from look to look, reading again only what may have changed.

One look takes some ten round trips, however many processes and jobs there are.
"""

from collections.abc import Mapping, Sequence
from itertools import islice
from typing import Any, Final

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.doctor.snapshot import Reading, Refused, Snapshot
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.live.reader import LiveReader, every_reader
from kiqdoctor.probes.redis.server import clock_of

SHARE: Final = 20  # so many times what a reading took passes before the next of what is read seldom


def rhythms() -> Mapping[type, float]:
    """The facts that are followed, and the seconds between two readings of each; 0: it is read at each look."""
    return {reader.fact: reader.every for reader in every_reader()}


class Follower:
    """Reads facts of one Redis over and over."""

    def __init__(self, redis: Redis, clock: Clock = SYSTEM, readers: Sequence[type[LiveReader]] | None = None) -> None:
        self._redis, self._clock = redis, clock
        self._readers = [reader(redis, clock) for reader in (every_reader() if readers is None else readers)]
        self._kept: dict[type, Reading] = {}
        self._read_at: dict[type, float] = {}

    def look(self, also: frozenset[type] = frozenset()) -> Snapshot:
        """What moves, and of the costlier facts those that are due: nearly all at first, then those in ``also``."""
        due = [reader for reader in self._readers if self._due(reader, also)]
        asked = [reader.asks() for reader in due]
        began = self._clock.monotonic()
        time, *replies = self._redis.ask_all([("TIME",), *(command for commands in asked for command in commands)])
        trip = self._clock.monotonic() - began
        now, left = _time(time, self._clock), iter(replies)
        for reader, commands in zip(due, asked, strict=True):
            self._kept[reader.fact] = self._reading(reader, list(islice(left, len(commands))), now, trip)
        return Snapshot(dict(self._kept))

    def _due(self, reader: LiveReader, also: frozenset[type]) -> bool:
        now, last = self._clock.monotonic(), self._read_at.get(reader.fact)
        wanted = reader.fact in also or (last is None and reader.unseen)
        if reader.every and (not wanted or (last is not None and now - last < self._pause(reader))):
            return False
        self._read_at[reader.fact] = now
        return True

    def _pause(self, reader: LiveReader) -> float:
        """Seconds until it may be read again; longer where Redis is slow, or there is much to read."""
        return max(reader.every, SHARE * self._kept[reader.fact].took_ms / 1000)

    def _reading(self, reader: LiveReader, replies: Sequence[Any], now: float, trip: float) -> Reading:
        """The fact, or why it could not be read: what fails takes no other fact down.

        The round trip that all share, in seconds, was its own too: of a slow Redis it is all that there is.
        """
        began, at = self._clock.monotonic(), self._clock.now()
        value: object
        try:
            value = reader.read(replies, now, Snapshot(self._kept))
        except RefusalError as error:
            value = error.refused
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            value = Refused(f"{reader.fact.__name__} could not be read: {type(error).__name__}: {error}")
        return Reading(value, "follower", at, (trip + self._clock.monotonic() - began) * 1000)


def _time(reply: Any, clock: Clock) -> float:
    now = clock_of(reply)
    return clock.now() if now is None else now
