"""Looks for jobs in every place where one may lie, within a budget, and says where it did not look."""

import time
from collections.abc import Iterator, Sequence
from typing import Any, Final

from kiqdoctor.doctor.facts import tracing as facts
from kiqdoctor.doctor.facts.fleet import Fleet, InFlight, Process
from kiqdoctor.doctor.facts.keyspace import Databases, Installation, Keyspace
from kiqdoctor.doctor.facts.tracing import Hit, Pace, Sought, Trace
from kiqdoctor.doctor.probe import Lane, Read, RefusalError, probe
from kiqdoctor.doctor.snapshot import Absent, Refused
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import average_sizes, batched, members, number
from kiqdoctor.probes.beside.places import Place, places
from kiqdoctor.probes.names import shared
from kiqdoctor.probes.queues.payloads import unsaid
from kiqdoctor.records import dataclass
from kiqdoctor.text import LONG, clean, decode
from kiqdoctor.wire import codec, fields, status
from kiqdoctor.wire.keys import PROCESSED, QUEUE_PREFIX, SETS, Keys
from kiqdoctor.wire.numbers import real, whole
from kiqdoctor.wire.payload import Payload, PayloadError, read

MOST_BYTES: Final = 1024 * 1024 * 1024
MOST_SECONDS: Final = 20.0
MOST_HITS: Final = 100
TOGETHER: Final = 500  # members in one reply: 0.3 ms of Redis' time
PAGE_BYTES: Final = 128 * 1024
AT_ONCE: Final = 16  # pages in one round trip
LARGE: Final = 1024 * 1024  # bytes: a member that is larger is told by its size
PACED_FOR: Final = 2.0  # seconds in which a job's place in its queue is watched
BACK: Final = 20_000  # members that are looked through for it then
MOST_PAUSED: Final = 2_000
THROTTLED: Final = "throttled:{}:concurrency.v2"  # sidekiq-throttled's sorted set of jids


@probe(
    Read("SCAN", "+scan", "shared with Keyspace"),
    Read("SSCAN queues and paused, LLEN, ZCARD", "+sscan +scard +llen +zcard +type +sismember", "O(1) each"),
    Read("MEMORY USAGE, LRANGE, ZSCAN of all jobs", "+memory|usage +lrange +zscan", "up to 1 GiB or 20 s"),
    Read("HMGET kiq:status:<jid>, GET stat:processed", "+hmget +get", "O(1)"),
    Read("SELECT", "+select", "where it is in another database"),
    lane=Lane.REDIS,
    deadline_s=40.0,
)
def trace(
    redis: Redis,
    sought: Sought,
    fleet: Fleet,
    keyspace: Keyspace | Refused | Absent,
    databases: Databases | Refused | Absent,
) -> Trace:
    """Queues, sets, private lists and what is in flight; then other namespaces and databases."""
    keys, search = Keys(redis.namespace), Search(sought)
    search.in_flight(fleet)
    where, short = places(redis, shared(redis))
    search.note(short, fleet.partial)
    for place in where:
        if not sought.queue or place.is_set or sought.queue in {place.queue, place.taken_from}:
            search.through(redis, keys, place)
    paced = search.paced(redis, keys) if fleet.live else None
    elsewhere(redis, search, keyspace, databases)
    said, at = _status(redis, keys, sought.jid) if sought.jid else ("", None)
    paused, _ = members(redis, keys.paused, MOST_PAUSED)
    return Trace(
        hits=tuple(search.hits),
        matching=search.matching,
        looked_at=tuple(search.looked_at.items()),
        unknown=tuple(dict.fromkeys(search.unknown)),
        pace=paced,
        status=said,
        status_at=at,
        limits=_limits(redis, keys, search.hits),
        paused=tuple(clean(decode(one)) for one in sorted(paused)),
        processed=whole(redis.ask("GET", keys.name(PROCESSED))),
    )


@dataclass(frozen=True, slots=True)
class Page:
    """Members from ``start`` on of a list that held ``size`` then, or of a set with their scores; ``asked`` so many."""

    start: int
    size: int
    members: Sequence[bytes]
    scores: Sequence[float | None]
    asked: int

    def fitting(self, words: Sequence[bytes]) -> Sequence[int]:
        """The places of those that hold all words."""
        left: Sequence[int] = range(len(self.members))
        for word in words:
            left = [index for index in left if word in self.members[index]]
        return left


@dataclass(frozen=True, slots=True)
class Watched:
    """The first job that waits in a queue, and where it stood when (monotonic)."""

    place: Place
    member: bytes
    position: int
    at: float
    asked: int


class Search:
    """What was found so far, and where."""

    def __init__(self, sought: Sought) -> None:
        self.sought = sought
        self.hits: list[Hit] = []
        self.matching = 0
        self.looked_at: dict[str, int] = {}
        self.unknown: list[str] = []
        self._left, self._deadline = MOST_BYTES, time.monotonic() + MOST_SECONDS
        self._words = [word.encode() for word in (sought.jid, sought.job_class, sought.queue) if word]
        self._first: Watched | None = None

    def note(self, *reasons: str) -> None:
        """Why something was not seen."""
        self.unknown += [reason for reason in reasons if reason]

    def add(self, hit: Hit) -> None:
        """One that fits."""
        self.matching += 1
        if len(self.hits) < MOST_HITS:
            self.hits.append(hit)

    def in_flight(self, fleet: Fleet) -> None:
        """What processes say that they run; their arguments are not kept."""
        seen = 0
        for process in fleet.processes:
            for job in process.in_flight:
                seen += 1
                if not job.jid:
                    self.note(f"what {process.identity} has in flight was not read whole")
                elif self._names(job):
                    self.add(_running(process, job))
        self.looked_at["in-flight"] = seen
        if self.sought.text and seen:
            self.note(f"the arguments of {seen} jobs in flight are not kept")

    def _names(self, job: InFlight) -> bool:
        sought = self.sought
        pairs = ((sought.jid, job.jid), (sought.job_class, job.job_class), (sought.queue, job.queue))
        return not sought.text and all(not want or want == have for want, have in pairs)

    def through(self, redis: Redis, keys: Keys, place: Place, namespace: str = "", database: int | None = None) -> None:
        """Every member of one place."""
        looked = 0
        for page in self._pages(redis, keys, place):
            looked += len(page.members)
            for index in page.fitting(self._words):
                if (job := self.matches(page.members[index])) is not None:
                    self._found(place, page, index, job, namespace, database)
        label = f"{namespace}:{place.name}" if namespace else place.name
        self.looked_at[clean(label if database is None else f"database {database}, {label}")] = looked

    def _found(
        self, place: Place, page: "Page", index: int, job: Payload, namespace: str, database: int | None
    ) -> None:
        position = max(0, page.size - 1 - page.start - index) if place.queue else None
        hit = _hit(place, job, position, page.scores[index] if page.scores else None)
        if namespace or database is not None:
            hit = _elsewhere(hit, namespace, database)
        elif position is not None and self._first is None:
            self._first = Watched(place, page.members[index], position, time.monotonic(), page.asked)
        self.add(hit)

    def _pages(self, redis: Redis, keys: Keys, place: Place) -> Iterator["Page"]:
        key = keys.name(place.name)
        [average] = average_sizes(redis, [key], [place.size])
        if average is not None and average > LARGE:
            self.note(f"the jobs of {clean(place.name)} hold {average:.0f} bytes each and were not read")
            return
        count = TOGETHER if not average else max(1, min(TOGETHER, int(PAGE_BYTES // average)))
        for page in _set(redis, key, count) if place.is_set else _list(redis, key, count):
            self._left -= sum(map(len, page.members))
            yield page
            if self._left <= 0 or time.monotonic() > self._deadline:
                self.note(f"{clean(place.name)} was not looked through to its end: the time or the bytes were used up")
                return

    def matches(self, member: bytes) -> Payload | None:
        """Its payload, where it is such a job."""
        sought = self.sought
        if len(member) > 4 * LARGE:
            self.note(f"a job of {len(member)} bytes was not parsed")
            return None
        try:
            job = read(member)
        except PayloadError:
            return None
        if sought.jid and job.jid != sought.jid:
            return None
        if sought.job_class and sought.job_class not in {job.job_class, job.shown_class}:
            return None
        if sought.queue and job.queue != sought.queue:
            return None
        return job if not sought.text or sought.text in codec.encode(job.args).decode("utf-8", "replace") else None

    def paced(self, redis: Redis, keys: Keys) -> Pace | None:
        """How the first job that waits in a queue moves up: its queue is read again from the end that is taken next."""
        if (seen := self._first) is None or seen.position > BACK:
            return None
        time.sleep(max(0.0, seen.at + PACED_FOR - time.monotonic()))
        key, read_at = keys.name(seen.place.name), time.monotonic()
        for first in range(0, seen.position + 1, seen.asked):
            page = redis.ask("LRANGE", key, -first - seen.asked, -first - 1)[::-1]
            if seen.member in page:
                return Pace(seen.position, first + page.index(seen.member), read_at - seen.at)
        return Pace(seen.position, 0, read_at - seen.at, gone=True)


def _list(redis: Redis, key: str, count: int) -> Iterator[Page]:
    """A list from its head: what is pushed meanwhile comes in front, so nothing that stays is passed over."""
    start, ended = 0, False
    while not ended:
        starts = [start + count * turn for turn in range(AT_ONCE)]
        size, *replies = redis.ask_all([("LLEN", key), *(("LRANGE", key, one, one + count - 1) for one in starts)])
        for one, members_ in zip(starts, map(_insisted, replies), strict=True):
            yield Page(one, number(size), members_, (), count)
            ended = ended or len(members_) < count
        start += count * AT_ONCE


def _set(redis: Redis, key: str, count: int) -> Iterator[Page]:
    """A set by ZSCAN, which promises the same."""
    cursor: Any = 0
    while True:
        cursor, flat = redis.ask("ZSCAN", key, cursor, "COUNT", count)
        yield Page(0, 0, flat[::2], [real(one) for one in flat[1::2]], count)
        if cursor in {b"0", 0}:
            return


def _insisted(reply: Any) -> Any:
    if isinstance(reply, Refused):
        raise RefusalError(reply.reason, reply.unlock)
    return reply


def _running(process: Process, job: InFlight) -> Hit:
    return Hit(
        place=facts.IN_FLIGHT,
        jid=clean(job.jid),
        job_class=clean(job.job_class),
        queue=clean(job.queue),
        key=clean(f"{process.identity}:{process.in_flight_key}"),
        process=clean(process.identity),
        thread=clean(job.thread),
        since=job.run_at,
    )


def _hit(place: Place, job: Payload, position: int | None, score: float | None) -> Hit:
    found = job.fields
    failed = found.get(fields.ERROR_CLASS)
    message = found.get(fields.ERROR_MESSAGE)
    message = unsaid(message, [*job.args, job.keywords]) if isinstance(message, str) else None
    said = ": ".join(clean(one, 400) for one in (failed, message) if isinstance(one, str))
    kept = place.name if place.is_set else facts.PRIVATE if place.owner else facts.QUEUE
    moves = place.name in {facts.SCHEDULE, facts.RETRY}
    return Hit(
        place=kept,
        jid=clean(job.jid),
        job_class=clean(job.shown_class),
        queue=clean(place.queue or place.taken_from or job.queue),
        key=clean(place.name, LONG),
        position=position,
        of=place.size if position is not None else None,
        due_at=score if moves else None,
        attempt=None if job.retry_count is None else job.retry_count + 2,
        error=said,
        process=clean(place.owner),
        since=score if place.name == facts.DEAD else job.at(fields.ENQUEUED_AT) or job.at(fields.CREATED_AT),
        at_most_once=job.at_most_once,
        expiry=real(job.expiry),
    )


def _elsewhere(hit: Hit, namespace: str, database: int | None) -> Hit:
    import msgspec

    place = facts.OTHER_NAMESPACE if database is None else facts.OTHER_DATABASE
    return msgspec.structs.replace(hit, place=place, namespace=clean(namespace), database=database)


def elsewhere(
    redis: Redis, search: Search, keyspace: Keyspace | Refused | Absent, databases: Databases | Refused | Absent
) -> None:
    """Other installations of this database, then those of others: with names that are known, and no scan."""
    if isinstance(keyspace, Keyspace):
        for one in keyspace.installations:
            if one.prefix != (redis.namespace or ""):
                _through(redis, search, one, None)
    elif isinstance(keyspace, Refused):
        search.note(f"other namespaces: {keyspace.reason}")
    if isinstance(databases, Refused):
        search.note(f"other databases: {databases.reason}")
    if not isinstance(databases, Databases):
        return
    search.note(*(f"database {one}: {reason}" for one, reason in databases.skipped))
    for one in databases.installations:
        _in_database(redis, search, one)


def _in_database(redis: Redis, search: Search, one: Installation) -> None:
    [reply] = redis.ask_all([("SELECT", one.database)])
    if isinstance(reply, Refused):
        search.note(f"database {one.database}: {reply.reason}")
        return
    try:
        _through(redis, search, one, one.database)
    finally:
        redis.ask("SELECT", redis.database)


def _through(redis: Redis, search: Search, one: Installation, database: int | None) -> None:
    keys = Keys(one.prefix or None)
    cards = batched(redis, [("ZCARD", keys.name(name)) for name in SETS])
    found = [Place(QUEUE_PREFIX + name, size) for name, size in one.queues]
    found += [Place(name, number(size), is_set=True) for name, size in zip(SETS, cards, strict=True)]
    for place in found:
        if place.size:
            search.through(redis, keys, place, one.prefix, database)


def _limits(redis: Redis, keys: Keys, hits: Sequence[Hit]) -> tuple[tuple[str, int], ...]:
    """Whoever waits for a limit is put back or into ``schedule``: the places that are taken tell of it."""
    classes = dict.fromkeys(hit.job_class for hit in hits if hit.place in {facts.QUEUE, facts.SCHEDULE})
    names = [name for one in classes for name in (keys.slots(one), keys.name(THROTTLED.format(one)))]
    counts = map(number, batched(redis, [("ZCARD", name) for name in names]))
    return tuple((clean(name), count) for name, count in zip(names, counts, strict=True) if count)


def _status(redis: Redis, keys: Keys, jid: str) -> tuple[str, float | None]:
    """What our runtime tells of a job whose class keeps its status."""
    [reply] = redis.ask_all([("HMGET", keys.status(jid), status.STATE, status.AT)])
    state, at = reply if isinstance(reply, list) else (None, None)
    return (clean(decode(state)), real(at)) if isinstance(state, bytes) else ("", None)
