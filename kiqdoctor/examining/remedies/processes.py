"""Remedies for processes that are gone and for what they left: ghosts, jobs in flight, private lists; and pauses."""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from kiqdoctor.actions.exact import Change, Edit, Entry, Guard, Step, chunks
from kiqdoctor.actions.proposals import Verb, propose
from kiqdoctor.doctor.death import proofs_of_death
from kiqdoctor.doctor.facts.fleet import Fleet, PrivateList, PrivateLists, Process
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.redis import Clients, Connection, ServerTime
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.doctor.workers_here import lost_beat
from kiqdoctor.examining.remedies.looking import LARGE, MOST, again, ends, search
from kiqdoctor.examining.remedies.looking import raw as _raw
from kiqdoctor.probes.asking import batched
from kiqdoctor.text import clean
from kiqdoctor.wire.heartbeat import BEAT, WorkEntry, read_work
from kiqdoctor.wire.keys import QUEUE_PREFIX, Keys

if TYPE_CHECKING:
    from kiqdoctor.doctor.report import Finding
    from kiqdoctor.doctor.tools import Redis


def ghosts(findings: Sequence["Finding"], seen: Snapshot, redis: "Redis") -> Iterator[Step]:  # noqa: ARG001 - one for all
    """Members of ``processes`` without a record are removed, unless their process lives."""
    keys, fleet = Keys(redis.namespace), seen.get(Fleet)
    assert isinstance(fleet, Fleet)  # noqa: S101 - the check failed on it
    about = (seen.get(LocalProcesses), seen.get(ServerTime), seen.get(Connection), seen.get(Clients))
    silent = lost_beat(fleet, *about)
    gone = [one for one in fleet.ghosts if one not in silent]
    changes = [_pruned(keys, one.identity) for one in gone]
    if changes:
        yield Step(
            "PRO002",
            "redis",
            f"Remove {len(changes)} members of {clean(keys.processes)} that have no record:"
            f" {clean(', '.join(one.identity for one in gone))}",
            "none: a process that lives adds itself again with its next beat",
            f"SADD {clean(keys.processes)} IDENTITY",
            tuple(changes),
        )


def _pruned(keys: Keys, identity: str) -> Change:
    """Not where it has a record again, or jobs in flight, which PRO008 is about."""
    names = (keys.process(identity), keys.work(identity), keys.workers(identity))
    guards = tuple(Guard("absent", _raw(name)) for name in names)
    return Change((Edit(Entry("set", _raw(keys.processes), _raw(identity))),), guards)


def in_flight(findings: Sequence["Finding"], seen: Snapshot, redis: "Redis") -> Iterator[Step]:
    """Only where death is proven, or the record is gone, by which Sidekiq itself knows the dead."""
    fleet, local = seen.get(Fleet), seen.get(LocalProcesses)
    assert isinstance(fleet, Fleet)  # noqa: S101 - the check failed on it
    subjects = {one.subject for one in findings}
    proofs = proofs_of_death(fleet.processes, fleet, local)
    for process in fleet.processes:
        if process.subject in subjects and (process.identity in proofs or not process.exists):
            running = {job.jid for one in fleet.live if one.identity != process.identity for job in one.in_flight}
            step = _given_back(redis, process, running)
            if step.changes:
                yield step


def _given_back(redis: "Redis", process: Process, running: set[str]) -> Step:
    """Of a job that lies elsewhere only the record goes."""
    keys = Keys(redis.namespace)
    work = keys.name(f"{process.identity}:{process.in_flight_key}")
    beat, flat = redis.ask_all([("HGET", keys.process(process.identity), BEAT), ("HGETALL", work)])
    pairs = zip(flat[::2], flat[1::2], strict=True) if isinstance(flat, list) else ()
    entries = [(thread, raw, found) for thread, raw in pairs if (found := _whole(raw)) is not None]
    still = Guard(
        "field", _raw(keys.process(process.identity)), BEAT.encode(), beat if isinstance(beat, bytes) else b""
    )
    [end] = ends(redis, [work])
    sought = search(redis, {found.job.jid for _, _, found in entries})
    elsewhere = Counter[str]()
    changes = []
    for thread, raw, found in entries:
        record = Entry("hash", _raw(work), thread, raw, end)
        there = [one.place.name for one in sought.of(found.job.jid)]
        there += ["in flight in another process"] if found.job.jid in running else []
        elsewhere.update(there[:1])
        edits = (Edit(record),) if there else _job_back(keys, record, found)
        changes.append(Change(edits, (still,)))
    risk = "a job that ended between its process' last beat and its death runs a second time"
    if sought.short:
        risk += f"; and so does one that lies where nobody looked ({sought.short})"
    return Step(
        "PRO008", process.subject, _told(process, len(changes), elsewhere), risk,
        "what still waits in its queue goes back to its record while that lasts; what has begun cannot be called back",
        tuple(changes),
    )  # fmt: skip


def _told(process: Process, count: int, elsewhere: Counter[str]) -> str:
    there = elsewhere.total()
    named = clean(process.identity)
    back = f"Put {count - there} jobs that {named} had in flight back into their queues" if count > there else ""
    found = ", ".join(f"{many} in {clean(place)}" for place, many in elsewhere.most_common())
    dropped = f"{'remove' if back else 'Remove'} {named}'s record of {there} that lie elsewhere ({found})"
    return "; ".join(filter(None, (back, dropped if there else "")))


def _whole(raw: bytes) -> WorkEntry | None:
    """What it tells, where that is a queue and a job that has a jid and may run again."""
    try:
        found = read_work("", raw)
    except ValueError:
        return None
    return found if found.queue.removeprefix(QUEUE_PREFIX) and found.job.jid and again(found.payload) else None


def _job_back(keys: Keys, record: Entry, found: WorkEntry) -> tuple[Edit, ...]:
    name = found.queue.removeprefix(QUEUE_PREFIX)
    registered = Edit(to=Entry("set", _raw(keys.queues), _raw(name)))
    return Edit(record, Entry("tail", _raw(keys.queue(name)), found.payload, b"once")), registered


def private(findings: Sequence["Finding"], seen: Snapshot, redis: "Redis") -> Iterator[Step]:
    """Those lists that the check named: its evidence has their keys."""
    lists = seen.get(PrivateLists)
    assert isinstance(lists, PrivateLists)  # noqa: S101 - the check failed on it
    named = {one.source for finding in findings for one in finding.evidence}
    for one in lists.all:
        if one.kind and one.queue and not one.signed and f"LLEN {one.key}" in named:
            step = _list_back(redis, one)
            if step is not None:
                yield step


def _list_back(redis: "Redis", one: PrivateList) -> Step | None:
    keys = Keys(redis.namespace)
    key = keys.name(one.key)
    size = batched(redis, [("MEMORY", "USAGE", key, "SAMPLES", 0)])[0]
    if one.size > MOST or not isinstance(size, int) or size > LARGE:
        return None
    raws = redis.ask("LRANGE", key, 0, -1)
    queue = _raw(keys.queue(one.queue))
    moved = [Edit(Entry("head", _raw(key), raw), Entry("tail", queue, raw, b"once")) for raw in raws if again(raw)]
    signs = {keys.name(one.sign), keys.process(one.owner)}
    guards = tuple(Guard("absent", _raw(sign)) for sign in sorted(signs))
    registered = Edit(to=Entry("set", _raw(keys.queues), _raw(one.queue)))
    return Step(
        "PRO014",
        f"queue:{one.queue}",
        f"Put {len(moved)} jobs of {clean(one.key)} back into queue {clean(one.queue)}, the oldest first in turn",
        "a job that was nearly done when its process died runs a second time",
        "what still waits in its queue goes back to the private list; what has begun cannot be called back",
        tuple(Change((*part, registered), guards) for part in chunks(moved)),
    )


def pauses(findings: Sequence["Finding"], seen: Snapshot, redis: "Redis") -> Iterator[Step]:  # noqa: ARG001 - one for all
    """Forgotten pauses end."""
    keys = Keys(redis.namespace)
    for one in findings:
        if one.key == "paused":
            name = one.subject.removeprefix(QUEUE_PREFIX)
            said = propose(Verb.RESUME, queues=[name], namespace=redis.namespace)
            edit = Edit(Entry("set", _raw(keys.paused), _raw(name)))
            risk = "whoever paused it on purpose wants it paused"
            yield Step("QUE003", one.subject, f"{said.title}. {said.effect}", risk, said.undo, (Change((edit,)),))
