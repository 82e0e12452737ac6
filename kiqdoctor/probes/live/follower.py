"""Follows one installation from refresh to refresh, reading again only what may have changed.

A process' record changes at its beat, every 5 to 10 seconds: until then its beat alone is read. One refresh takes some
ten round trips, however many processes and jobs there are.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, Final

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.doctor.facts.fleet import Process
from kiqdoctor.doctor.facts.live import Counters, Depths, Metrics, SlowLog, Workers
from kiqdoctor.doctor.facts.queues import JobSet, Queue
from kiqdoctor.doctor.facts.redis import Clients, Server
from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.doctor.snapshot import Reading, Refused, Snapshot
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import MEMBER_LIMIT, PAGE, average_sizes, batched, number, word
from kiqdoctor.probes.fleet import fleet
from kiqdoctor.probes.live.metrics import metrics
from kiqdoctor.probes.live.slowlog import slow_log
from kiqdoctor.probes.redis import server as servers
from kiqdoctor.text import decode
from kiqdoctor.wire import payload
from kiqdoctor.wire.fields import CREATED_AT, ENQUEUED_AT
from kiqdoctor.wire.heartbeat import BEAT, DEPLOY, RUNTIME
from kiqdoctor.wire.keys import SETS, Keys

EVERY: Final = {Clients: 5.0, SlowLog: 5.0, Metrics: 30.0}  # seconds between two readings of what costs more
MEASURED_FOR: Final = 60.0  # seconds that a queue's average size is believed
MEMBERS_FOR: Final = 10.0  # seconds that the members of a very large set are believed
MOST_PAGES: Final = 12  # of a set, in one refresh
MOST_PROCESSES: Final = 2_000
MOST_QUEUES: Final = 2_000
MOST_OLDEST: Final = 200  # queues whose oldest job is looked at, the longest first


class Follower:
    """Reads facts of one Redis over and over; keeps what it read to read less."""

    def __init__(self, redis: Redis, clock: Clock = SYSTEM) -> None:
        self._redis, self._clock = redis, clock
        self._keys = Keys(redis.namespace)
        self._kept: dict[type, Reading] = {}
        self._read_at: dict[type, float] = {}
        self._processes: dict[bytes, Process] = {}
        self._beats: dict[bytes, Any] = {}
        self._large: dict[str, tuple[float, list[bytes]]] = {}
        self._averages: dict[str, tuple[float, float | None]] = {}
        self._oldest: dict[str, tuple[bytes, float | None]] = {}

    def look(self, also: frozenset[type] = frozenset()) -> Snapshot:
        """What moves, and of the costlier facts those that are due: all of them at first, then those in ``also``."""
        first = self._first()
        now = _time(first[1], self._clock)
        readings: dict[type, Reading] = {}
        self._put(readings, Server, lambda: self._server(first[0]))
        self._put(readings, Counters, lambda: _counters(first[2], now))
        self._put(readings, Depths, lambda: self._depths(first[3:6], first[6], first[8], now))
        self._put(readings, Workers, lambda: replace(self._workers(first[7], now), leader=word(first[9])))
        server = readings[Server].value
        for kind, read in self._costly(server, now).items():
            if self._due(kind, also):
                self._put(self._kept, kind, read)
        return Snapshot({**readings, **self._kept})

    def _first(self) -> list[Any]:
        keys, today = self._keys, datetime.fromtimestamp(self._clock.now(), UTC).strftime("%Y-%m-%d")
        stats = [keys.stat(name, day) for day in ("", today) for name in ("processed", "failed")]
        return self._redis.ask_all(
            [
                ("INFO",),
                ("TIME",),
                ("MGET", *stats),
                *(("ZCARD", keys.name(name)) for name in SETS),
                ("SSCAN", keys.queues, 0, "COUNT", PAGE),
                ("SSCAN", keys.processes, 0, "COUNT", PAGE),
                ("SSCAN", keys.paused, 0, "COUNT", PAGE),
                ("GET", keys.leader),
            ]
        )

    def _put(self, readings: dict[type, Reading], kind: type, read: Callable[[], Any]) -> None:
        """The fact, or why it could not be read: what fails takes no other fact down."""
        began, at = self._clock.monotonic(), self._clock.now()
        try:
            value = read()
        except RefusalError as error:
            value = error.refused
        except (ValueError, TypeError, LookupError, AttributeError) as error:
            value = Refused(f"{kind.__name__} could not be read: {type(error).__name__}: {error}")
        readings[kind] = Reading(value, "follower", at, (self._clock.monotonic() - began) * 1000)

    def _due(self, kind: type, also: frozenset[type]) -> bool:
        now, last = self._clock.monotonic(), self._read_at.get(kind)
        if last is not None and (kind not in also or now - last < EVERY[kind]):
            return False
        self._read_at[kind] = now
        return True

    def _costly(self, server: Server | Refused, now: float) -> dict[type, Callable[[], Any]]:
        return {
            Clients: lambda: servers.clients.read(redis=self._redis, server=server),
            SlowLog: lambda: slow_log(self._redis),
            Metrics: lambda: metrics(self._redis, self._keys, now),
        }

    @staticmethod
    def _server(reply: Any) -> Server:
        return servers.read_info(decode(_must(reply)))

    def _depths(self, sizes: Sequence[Any], names: Any, paused: Any, now: float) -> Depths:
        raw, complete = self._members(self._keys.queues, names, MOST_QUEUES)
        halted = set(paused[1]) if isinstance(paused, list) else set()
        listed = sorted(raw)
        lengths = batched(self._redis, [("LLEN", self._keys.queue(decode(name))) for name in listed])
        found = {decode(name): number(length) for name, length in zip(listed, lengths, strict=True)}
        oldest = self._oldest_of(found)
        queues = tuple(
            Queue(
                name=decode(name),
                size=found[decode(name)],
                oldest_at=oldest.get(decode(name)),
                unread=length.reason if isinstance(length, Refused) else "",
                paused=name in halted,
            )
            for name, length in zip(listed, lengths, strict=True)
        )
        sets = tuple(
            JobSet(name, number(size), unread=size.reason if isinstance(size, Refused) else "")
            for name, size in zip(SETS, sizes, strict=True)
        )
        return Depths(now, queues, sets, "" if complete else f"{len(listed)} queues were read, there are more")

    def _oldest_of(self, sizes: dict[str, int]) -> dict[str, float | None]:
        """When the oldest job of each queue was enqueued; only where payloads are known to be of a sane size."""
        names = sorted((name for name, size in sizes.items() if size), key=lambda name: -sizes[name])[:MOST_OLDEST]
        self._measure(names, sizes)
        small = [name for name in names if (self._averages[name][1] or 0) <= MEMBER_LIMIT]
        replies = batched(self._redis, [("LINDEX", self._keys.queue(name), -1) for name in small])
        return {name: self._stamp(name, raw) for name, raw in zip(small, replies, strict=True)}

    def _measure(self, names: Sequence[str], sizes: dict[str, int]) -> None:
        now = self._clock.monotonic()
        old = [name for name in names if now - self._averages.get(name, (-MEASURED_FOR, 0))[0] >= MEASURED_FOR]
        found = average_sizes(self._redis, [self._keys.queue(name) for name in old], [sizes[name] for name in old])
        self._averages |= {name: (now, average) for name, average in zip(old, found, strict=True)}

    def _stamp(self, name: str, raw: Any) -> float | None:
        if not isinstance(raw, bytes):
            return None
        known = self._oldest.get(name)
        if known is None or known[0] != raw:
            try:
                job = payload.read(raw)
                at = job.at(ENQUEUED_AT) or job.at(CREATED_AT)
            except payload.PayloadError:
                at = None
            self._oldest[name] = known = (raw, at)
        return known[1]

    def _workers(self, names: Any, now: float) -> Workers:
        raw, complete = self._members(self._keys.processes, names, MOST_PAGES * PAGE)
        known = self._existing(raw)
        beats = batched(self._redis, [("HGET", fleet.key_of(self._keys, one), BEAT) for one in known])
        alive = [(one, beat) for one, beat in zip(known, beats, strict=True) if isinstance(beat, bytes)]
        changed = [one for one, beat in alive[:MOST_PROCESSES] if self._beats.get(one) != beat]
        read = fleet.with_work(self._redis, self._keys, fleet.records(self._redis, self._keys, changed, now))
        by_name = {process.identity: process for process in self._deployed(read)}
        self._processes |= {one: by_name[decode(one)] for one in changed if decode(one) in by_name}
        self._beats = dict(alive)
        self._processes = {one: self._processes[one] for one, _ in alive if one in self._processes}
        partial = "" if complete and len(alive) <= MOST_PROCESSES else f"{len(self._processes)} processes were read"
        return Workers(now, tuple(self._processes[one] for one in sorted(self._processes)), len(raw), partial)

    def _deployed(self, processes: list[Process]) -> list[Process]:
        """Our runtime says what it was deployed as beside its record."""
        ours = [one for one in processes if one.runtime == RUNTIME]
        told = batched(self._redis, [("HGET", self._keys.about(one.identity), DEPLOY) for one in ours])
        deploys = {one.identity: word(deploy) for one, deploy in zip(ours, told, strict=True)}
        return [replace(one, deploy=deploys.get(one.identity, "")) for one in processes]

    def _existing(self, identities: list[bytes]) -> list[bytes]:
        """Where ghosts abound, their records are not asked for one by one."""
        if len(identities) <= PAGE:
            return identities
        return fleet.sorted_out(self._redis, self._keys, identities)[0]

    def _members(self, key: str, first: Any, limit: int) -> tuple[list[bytes], bool]:
        """A set's members from its first page on; those of a set of many pages are believed for a while."""
        cursor, page = _must(first)
        if cursor in {b"0", 0}:
            return list(page), True
        at, known = self._large.get(key, (-MEMBERS_FOR, []))
        if self._clock.monotonic() - at < MEMBERS_FOR:
            return known, len(known) <= limit
        seen = dict.fromkeys(page)
        for _ in range(MOST_PAGES):
            cursor, page = self._redis.ask("SSCAN", key, cursor, "COUNT", PAGE)
            seen.update(dict.fromkeys(page))
            if cursor in {b"0", 0} or len(seen) > limit:
                break
        self._large[key] = (self._clock.monotonic(), list(seen)[:limit])
        return self._large[key][1], cursor in {b"0", 0} and len(seen) <= limit


def settled(workers: Workers, now: float) -> Workers:
    """The same with each beat's age as of ``now``, as a recording wants it."""
    processes = tuple(
        replace(one, beat_age_s=now - one.beat) if one.beat is not None else one for one in workers.processes
    )
    return replace(workers, processes=processes)


def _counters(reply: Any, now: float) -> Counters:
    processed, failed, processed_today, failed_today = map(number, _must(reply))
    return Counters(now, processed, failed, processed_today, failed_today)


def _time(reply: Any, clock: Clock) -> float:
    now = servers.clock_of(reply)
    return clock.now() if now is None else now


def _must(reply: Any) -> Any:
    if isinstance(reply, Refused):
        raise RefusalError(reply.reason, reply.unlock)
    return reply
