"""What a process writes of itself every five seconds: Sidekiq's record, counters, jobs in flight, facts of ours."""

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from redis.exceptions import ResponseError

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.runtime import log
from kiqdoctor.runtime.board import Board
from kiqdoctor.runtime.capsule import Capsule
from kiqdoctor.version import __version__
from kiqdoctor.wire import heartbeat as wire
from kiqdoctor.wire.keys import DAY_STAT_TTL, PROCESS_TTL, Keys

if TYPE_CHECKING:
    from redis import Redis
    from redis.client import Pipeline

BEAT: Final = 5.0  # seconds


@dataclass(frozen=True, slots=True)
class Member:
    """What does not change while a process lives under one identity."""

    identity: str
    capsule: Capsule
    started_at: float
    tag: str = ""
    reliable: bool = True
    embedded: bool = False
    connections: int | None = None

    def info(self) -> wire.Info:
        """The record's ``info``."""
        host, pid, _ = self.identity.rsplit(":", 2)
        return wire.Info(
            identity=self.identity,
            hostname=host,
            pid=int(pid),
            tag=self.tag,
            started_at=self.started_at,
            concurrency=self.capsule.concurrency,
            queues=self.capsule.names,
            labels=(wire.RELIABLE,) if self.reliable else (),
            version=__version__,
            embedded=self.embedded,
            connections=self.connections,
            runtime=wire.RUNTIME,
            capsules=(self.capsule.wire,),
        )


class Heartbeat:
    """Each part by itself: where one is refused the others are still told."""

    def __init__(self, client: "Redis", keys: Keys, board: Board, about: Callable[[], Mapping[str, Any]],
                 clock: Clock = SYSTEM) -> None:  # fmt: skip
        self._client, self._keys, self._board, self._about, self._clock = client, keys, board, about, clock
        self._told: dict[str, Any] = {}  # by thread, and "" for the identity: jobs in flight as Redis has them
        self.last = 0.0  # monotonic, of the last that was told whole
        self.rtt_us = 0

    def beat(self, who: Member, *, quiet: bool, prefetched: int = 0) -> str | None:
        """Tell everything; the signal that the web UI asked for, if any."""
        self._board.set_clock()
        self.count()
        self._tell_work(who)
        began = self._clock.monotonic()
        self._client.ping()
        self.rtt_us = int((self._clock.monotonic() - began) * 1_000_000)
        about: Any = dict(self._about())
        with self._client.pipeline(transaction=True) as pipe:
            pipe.sadd(self._keys.processes, who.identity)
            pipe.hset(self._keys.process(who.identity), mapping=self._record(who, quiet, prefetched))
            pipe.expire(self._keys.process(who.identity), PROCESS_TTL)
            pipe.hset(self._keys.about(who.identity), mapping=about)
            pipe.expire(self._keys.about(who.identity), PROCESS_TTL)
            pipe.rpop(self._keys.signals(who.identity))
            replies = _sent(pipe, "its record")
        if replies:
            self.last = self._clock.monotonic()
        wanted = replies[-1] if replies else None
        return wanted.decode("ascii", "replace") if isinstance(wanted, bytes) else None

    def _record(self, who: Member, quiet: bool, prefetched: int) -> dict[Any, Any]:
        return {
            wire.INFO: who.info().encode(),
            wire.BUSY: self._board.busy,
            wire.BEAT: self._clock.now(),
            wire.QUIET: "true" if quiet else "false",
            wire.RTT_US: self.rtt_us,
            wire.RSS: rss_kb(),
            wire.CONCURRENCY: who.capsule.concurrency,
            wire.PREFETCHED: prefetched,
        }

    def count(self) -> None:
        """Counters since the last time; kept where they could not be told."""
        processed, failed = self._board.untold()
        if not processed and not failed:
            return
        day = datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m-%d")
        with self._client.pipeline(transaction=True) as pipe:
            for name, count in (("processed", processed), ("failed", failed)):
                pipe.incrby(self._keys.stat(name), count)
                pipe.incrby(self._keys.stat(name, day), count)
                pipe.expire(self._keys.stat(name, day), DAY_STAT_TTL)
            if _sent(pipe, "counters"):
                self._board.tell(processed, failed)  # also where one of them is no number: the others took them

    def _tell_work(self, who: Member) -> None:
        """Under both names: readers up to 6.4.1 look at ``:workers``, later ones at ``:work``.

        Only what changed since the last time: payloads may be large, and a job may run for hours.
        """
        now = {one.thread: one for one in self._board.in_flight}
        known, self._told = self._told, {}  # what became of it is unknown until Redis has answered
        if known.get("") != who.identity:
            known = {}
        fresh: dict[Any, Any] = {name: one.encode() for name, one in now.items() if known.get(name) != _mark(one)}
        gone = [name for name in known if name and name not in now]
        with self._client.pipeline(transaction=True) as pipe:
            for key in (self._keys.work(who.identity), self._keys.workers(who.identity)):
                if not known:
                    pipe.unlink(key)
                if gone:
                    pipe.hdel(key, *gone)
                if fresh:
                    pipe.hset(key, mapping=fresh)
                pipe.expire(key, PROCESS_TTL)
            replies = _sent(pipe, "jobs in flight")
        if replies and (not now or replies[-1]) and not any(isinstance(one, Exception) for one in replies):
            self._told = {"": who.identity, **{name: _mark(one) for name, one in now.items()}}

    def leave(self, identity: str) -> None:
        """As a clean exit does: counters told, the member and the work removed; the record expires by itself."""
        self.count()
        self._client.srem(self._keys.processes, identity)
        self._client.unlink(self._keys.work(identity), self._keys.workers(identity), self._keys.about(identity))


def _mark(entry: wire.WorkEntry) -> tuple[int, int]:
    """What tells one run from another, without holding its payload."""
    return hash(entry.payload), round(entry.run_at or 0)


def _sent(pipe: "Pipeline", what: str) -> list[Any]:
    """The replies; none where Redis refuses the whole. What it refuses is told, and silences no other part of the beat.

    Anybody may put a text where a counter should be, or a list where the set of processes should: a worker that fell
    silent for that would be taken for dead.
    """
    try:
        replies = pipe.execute(raise_on_error=False)
    except ResponseError as error:
        log.warn_seldom(f"heartbeat: {what}: {error}")
        return []
    for refused in (one for one in replies if isinstance(one, ResponseError)):
        log.warn_seldom(f"heartbeat: {what}: {refused}")
    return replies


def rss_kb() -> int:
    """Resident memory of this process in kB; 0 where the system does not say."""
    try:
        with open("/proc/self/statm", encoding="ascii") as file:  # noqa: PTH123 - one line, each beat
            return int(file.read().split()[1]) * (os.sysconf("SC_PAGE_SIZE") // 1024)
    except (OSError, IndexError):
        return 0
