"""What may be done about a finding by machine: from its facts, and the bytes that lie in Redis, to exact steps."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from kiqdoctor.actions.exact import Change, Edit, Entry, Guard, Step, chunks
from kiqdoctor.actions.proposals import Verb, propose
from kiqdoctor.doctor.death import proofs_of_death
from kiqdoctor.doctor.facts.fleet import Fleet, PrivateList, PrivateLists, Process
from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.probes.asking import batched
from kiqdoctor.text import clean
from kiqdoctor.wire.heartbeat import BEAT, read_work
from kiqdoctor.wire.keys import QUEUE_PREFIX, Keys
from kiqdoctor.wire.payload import PayloadError, read

if TYPE_CHECKING:
    from kiqdoctor.doctor.report import Finding
    from kiqdoctor.doctor.tools import Redis

CHECKS: Final = ("PRO002", "PRO008", "PRO014", "QUE003")
MOST: Final = 20_000  # jobs of one list
LARGE: Final = 8 * 1024 * 1024  # bytes of one list's jobs


def steps(check: str, findings: Sequence["Finding"], seen: Snapshot, redis: "Redis") -> Iterator[Step]:
    """The remedies for these findings of this check, none where there is none that is safe."""
    if not findings:
        return
    match check:
        case "PRO002":
            yield from _ghosts(seen, redis)
        case "PRO008":
            yield from _in_flight(seen, redis, {one.subject for one in findings})
        case "PRO014":
            yield from _private(seen, redis, findings)
        case _:
            yield from _pauses(findings, redis)


def _raw(text: str) -> bytes:
    return text.encode("utf-8", "surrogateescape")


def _ghosts(seen: Snapshot, redis: "Redis") -> Iterator[Step]:
    keys, fleet = Keys(redis.namespace), seen.get(Fleet)
    assert isinstance(fleet, Fleet)  # noqa: S101 - the check failed on it
    changes = [_pruned(keys, one.identity) for one in fleet.ghosts]
    if changes:
        yield Step(
            "PRO002",
            "redis",
            f"Remove {len(changes)} members of {clean(keys.processes)} that have no record:"
            f" {clean(', '.join(one.identity for one in fleet.ghosts))}",
            "none: a process that lives adds itself again with its next beat",
            f"SADD {clean(keys.processes)} IDENTITY",
            tuple(changes),
        )


def _pruned(keys: Keys, identity: str) -> Change:
    """Not where it has a record again, or jobs in flight, which PRO008 is about."""
    names = (keys.process(identity), keys.work(identity), keys.workers(identity))
    guards = tuple(Guard("absent", _raw(name)) for name in names)
    return Change((Edit(Entry("set", _raw(keys.processes), _raw(identity))),), guards)


def _in_flight(seen: Snapshot, redis: "Redis", subjects: set[str]) -> Iterator[Step]:
    """Only where death is proven, or the record is gone, by which Sidekiq itself knows the dead."""
    fleet, local = seen.get(Fleet), seen.get(LocalProcesses)
    assert isinstance(fleet, Fleet)  # noqa: S101 - the check failed on it
    proofs = proofs_of_death(fleet.processes, fleet, local)
    for process in fleet.processes:
        if process.subject in subjects and (process.identity in proofs or not process.exists):
            step = _given_back(redis, process)
            if step.changes:
                yield step


def _given_back(redis: "Redis", process: Process) -> Step:
    keys = Keys(redis.namespace)
    work = keys.name(f"{process.identity}:{process.in_flight_key}")
    beat, flat = redis.ask_all([("HGET", keys.process(process.identity), BEAT), ("HGETALL", work)])
    pairs = zip(flat[::2], flat[1::2], strict=True) if isinstance(flat, list) else ()
    still = Guard(
        "field", _raw(keys.process(process.identity)), BEAT.encode(), beat if isinstance(beat, bytes) else b""
    )
    changes = [_job_back(keys, _raw(work), thread, raw, still) for thread, raw in pairs if _whole(raw)]
    return Step(
        "PRO008",
        process.subject,
        f"Put {len(changes)} jobs that {clean(process.identity)} had in flight back into their queues",
        "a job that ended between its process' last beat and its death runs a second time",
        "what still waits in its queue goes back to its record; what has begun cannot be called back",
        tuple(changes),
    )


def _whole(raw: bytes) -> bool:
    """Whether it tells a queue and a job that has a jid, and may run again."""
    try:
        found = read_work("", raw)
    except ValueError:
        return False
    return bool(found.queue.removeprefix(QUEUE_PREFIX) and found.job.jid and _again(found.payload))


def _job_back(keys: Keys, work: bytes, thread: bytes, raw: bytes, still: Guard) -> Change:
    found = read_work("", raw)
    name = found.queue.removeprefix(QUEUE_PREFIX)
    queue = _raw(keys.queue(name))
    registered = Edit(to=Entry("set", _raw(keys.queues), _raw(name)))
    return Change(
        (Edit(Entry("hash", work, thread, raw), Entry("tail", queue, found.payload, b"once")), registered), (still,)
    )


def _private(seen: Snapshot, redis: "Redis", findings: Sequence["Finding"]) -> Iterator[Step]:
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
    moved = [Edit(Entry("head", _raw(key), raw), Entry("tail", queue, raw, b"once")) for raw in raws if _again(raw)]
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


def _again(raw: bytes) -> bool:
    """Whether it may run again, as far as it says so."""
    try:
        return not read(raw).at_most_once
    except PayloadError:
        return True


def _pauses(findings: Sequence["Finding"], redis: "Redis") -> Iterator[Step]:
    keys = Keys(redis.namespace)
    for one in findings:
        if one.key == "paused":
            name = one.subject.removeprefix(QUEUE_PREFIX)
            said = propose(Verb.RESUME, queues=[name], namespace=redis.namespace)
            edit = Edit(Entry("set", _raw(keys.paused), _raw(name)))
            risk = "whoever paused it on purpose wants it paused"
            yield Step("QUE003", one.subject, f"{said.title}. {said.effect}", risk, said.undo, (Change((edit,)),))
