"""Remedies for what lies beside jobs: locks of jobs that are gone, batches that wait for what cannot come."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from kiqdoctor.actions.exact import WHOLE, Change, Edit, Entry, Guard, Step
from kiqdoctor.doctor.facts.beside import Batch, Batches, Lock, Locks, Sightings
from kiqdoctor.doctor.series import Series
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.examining.remedies.looking import (
    LARGE,
    Search,
    again,
    dumped,
    ends,
    known,
    lying,
    now,
    raw,
    retried,
    search,
)
from kiqdoctor.probes.asking import batched
from kiqdoctor.text import clean
from kiqdoctor.wire import batch as wire
from kiqdoctor.wire.keys import BATCHES, DEAD, Keys
from kiqdoctor.wire.numbers import whole
from kiqdoctor.wire.stamps import stamp

if TYPE_CHECKING:
    from kiqdoctor.doctor.report import Finding
    from kiqdoctor.doctor.tools import Redis

OUTLIVES: Final = "until_expired"
OURS: Final = "kiqdoctor"  # who keeps a lock or a batch
DIGESTS: Final = "uniquejobs:digests"  # sidekiq-unique-jobs
BESIDE: Final = ("", ":QUEUED", ":PRIMED", ":LOCKED", ":INFO")  # what it keeps of one digest
MOST_LOCKS: Final = 5_000
MOST_GONE: Final = 1_000  # jobs of one batch that are given up


def _gone(seen: Snapshot) -> frozenset[str]:
    """Jobs that were nowhere at every reading."""
    readings = seen.series(Sightings)
    if not isinstance(readings, Series):
        return frozenset()
    return frozenset.intersection(*(one.nowhere for one in readings.facts))


def locks(findings: Sequence["Finding"], seen: Snapshot, redis: "Redis") -> Iterator[Step]:  # noqa: ARG001 - one for all
    """Each lock of a job that is nowhere, also those beyond what the check names."""
    found, gone = seen.get(Locks), _gone(seen)
    if not isinstance(found, Locks):
        return
    orphans = [one for one in found.all if one.jid in gone and _ends_with_its_job(one) and known(one.key)]
    for one in orphans[:MOST_LOCKS]:
        change = _our_lock(redis, one) if one.kind == OURS else _their_lock(redis, one)
        if change is not None:
            yield _released(one, change)


def _ends_with_its_job(one: Lock) -> bool:
    return one.type != OUTLIVES and bool(one.type or one.ttl_s is None)


def _released(one: Lock, change: Change) -> Step:
    digest = one.key.removesuffix(":LOCKED")
    return Step(
        "QUE014", f"lock:{digest}", f"Release {one.key}, which job {one.jid} holds that is nowhere",
        "if that job runs somewhere after all, a second one may run beside it",
        "the lock is put back as it was, while nobody else took it and it had not ended by itself",
        (change,),
    )  # fmt: skip


def _our_lock(redis: "Redis", one: Lock) -> Change | None:
    key = Keys(redis.namespace).name(one.key)
    holder, [end] = redis.ask("GET", key), ends(redis, [key])
    if not isinstance(holder, bytes) or clean(holder.decode("utf-8", "backslashreplace")) != one.jid:
        return None
    return Change((Edit(Entry("string", raw(key), value=holder, ends=end)),), (WHOLE,))


def _their_lock(redis: "Redis", one: Lock) -> Change | None:
    """Of several holders this one; of the last one all that the gem keeps of the digest."""
    keys, locked = Keys(redis.namespace), Keys(redis.namespace).name(one.key)
    digest = one.key.removesuffix(":LOCKED")
    count, since = redis.ask_all([("HLEN", locked), ("HGET", locked, one.jid)])
    if not isinstance(since, bytes) or not known(one.jid):
        return None
    if count != 1:
        held = Entry("hash", raw(locked), raw(one.jid), since, ends(redis, [locked])[0])
        return Change((Edit(held),), (Guard("size", raw(locked), value=str(count).encode()), WHOLE))
    parts = dumped(redis, [keys.name(f"{digest}{part}") for part in BESIDE], LARGE)
    score = redis.ask("ZSCORE", keys.name(DIGESTS), digest)
    if parts is None:
        return None
    listed = (Edit(Entry("zset", raw(keys.name(DIGESTS)), raw(digest), score)),) if isinstance(score, bytes) else ()
    guards = (Guard("size", raw(locked), value=b"1"), Guard("field", raw(locked), raw(one.jid), since), WHOLE)
    return Change((*map(Edit, parts), *listed), guards)


def batches(findings: Sequence["Finding"], seen: Snapshot, redis: "Redis") -> Iterator[Step]:
    """Dead jobs run again; what is nowhere is given up, of our runtime's batches, whose layout is known."""
    found, readings, gone = seen.get(Batches), seen.get(Sightings), _gone(seen)
    if not (isinstance(found, Batches) and isinstance(readings, Sightings)):
        return
    named = {one.subject: one for one in findings}
    for batch in found.all:
        finding = named.get(f"batch:{batch.key.rpartition(':')[2].removeprefix('b-')}")
        if finding is None or not batch.sealed or (batch.pending or 0) < 0 or not known(batch.key):
            continue
        dead = [jid for jid in batch.remaining if jid in readings.only_dead]
        lost = [jid for jid in batch.remaining if jid in gone]
        if dead:
            yield from _retried(redis, finding, batch, dead)
        if lost and batch.kind == OURS and len(lost) <= MOST_GONE:
            yield from _given_up(redis, finding, batch, lost)


def _retried(redis: "Redis", finding: "Finding", batch: Batch, jids: list[str]) -> Iterator[Step]:
    keys, at = Keys(redis.namespace), now(redis)
    name = keys.name(batch.key)
    found = search(redis, set(jids))
    changes = []
    for jid in jids:
        guard = (
            Guard("member", raw(f"{name}:{wire.PENDING}"), raw(jid))
            if batch.kind == OURS
            else Guard("present", raw(name))
        )
        edits = _from_the_dead(redis, found, jid, at)
        changes += [Change(edits, (guard,))] if edits else []
    if changes:
        yield Step(
            "QUE015", finding.subject, f"Retry {len(changes)} dead jobs of batch {batch.key}",
            "a job that failed for good fails again, with its retries",
            "those that still wait in their queue go back to the dead set; what has begun cannot be called back",
            tuple(changes),
        )  # fmt: skip


def _from_the_dead(redis: "Redis", found: Search, jid: str, at: float) -> tuple[Edit, ...]:
    """Nothing where it lies elsewhere by now, or may not run again."""
    keys, there = Keys(redis.namespace), found.of(jid)
    if len(there) != 1 or there[0].place.name != DEAD or not again(there[0].raw) or not there[0].payload.queue:
        return ()
    entry, said = lying(redis, there[0]), there[0].payload
    if entry is None:
        return ()
    registered = Edit(to=Entry("set", raw(keys.queues), raw(said.queue)))
    return Edit(entry, Entry("head", raw(keys.queue(said.queue)), retried(said, at), b"once")), registered


def _given_up(redis: "Redis", finding: "Finding", batch: Batch, jids: list[str]) -> Iterator[Step]:
    """The batch waits for them no more; where it then waits for nothing its callbacks are pushed, as its end would."""
    keys = Keys(redis.namespace)
    bid = batch.key.removeprefix(BATCHES)
    sets = [keys.batch(bid, wire.OPEN), keys.batch(bid, wire.PENDING)]
    sizes = redis.ask_all([("SCARD", name) for name in sets])
    lasting = ends(redis, sets)
    edits: list[Edit] = []
    called: list[str] = []
    for name, size, end, event in zip(sets, sizes, lasting, wire.EVENTS, strict=True):
        held = [
            jid
            for jid, there in zip(jids, batched(redis, [("SISMEMBER", name, jid) for jid in jids]), strict=True)
            if there == 1
        ]
        edits += [Edit(Entry("set", raw(name), raw(jid), ends=end)) for jid in held]
        if size == len(held):
            pushed = _called_back(redis, keys, bid, event)
            edits += pushed
            called += [event] if pushed else []
    if not edits:
        return
    guards = tuple(Guard("count", raw(name), value=str(size).encode()) for name, size in zip(sets, sizes, strict=True))
    then = f", and push its callbacks ({', '.join(called)})" if called else ""
    yield Step(
        "QUE015", finding.subject,
        f"Let batch {batch.key} wait no more for {len(jids)} jobs that are nowhere ({', '.join(jids[:20])}){then}",
        "nobody knows whether these jobs ran: what its callbacks rely on may not be there",
        "the batch waits for them again, and callbacks that still wait in their queue are taken back",
        (Change(tuple(edits), (*guards, WHOLE)),),
    )  # fmt: skip


def _called_back(redis: "Redis", keys: Keys, bid: str, event: wire.Event) -> list[Edit]:
    """As batch.lua pushes it: once, with its time."""
    key = keys.batch(bid)
    fields = (event, f"{event}_queue", f"{event}_expires", wire.told(event))
    body, queue, lasts, told = redis.ask("HMGET", key, *fields)
    if body is None or queue is None or told is not None:
        return []
    at = now(redis)
    more = f',"enqueued_at":{stamp(at)!r}'
    lasting = whole(lasts)
    more += f',"expiry":{stamp(at + lasting / 1000)!r}' if lasting is not None else ""
    job = body[:-1] + more.encode() + b"}"
    name = queue.decode("utf-8", "surrogateescape")
    return [
        Edit(to=Entry("head", raw(keys.queue(name)), job, b"once")),
        Edit(to=Entry("hash", raw(key), raw(wire.told(event)), b"1")),
        Edit(to=Entry("set", raw(keys.queues), queue)),
    ]
