"""What another queue system left behind is deleted, key by key, once it lies in the export whole."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from kiqdoctor.actions.exact import WHOLE, Change, Edit, Entry, Guard, Step, chunks
from kiqdoctor.doctor.facts.keyspace import Foreign, Keyspace
from kiqdoctor.doctor.facts.redis import Clients
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.examining.remedies.looking import LARGE, dumped, raw
from kiqdoctor.probes.keyspace.foreign import belongings
from kiqdoctor.probes.names import shared
from kiqdoctor.text import clean, decode
from kiqdoctor.wire.keys import Keys

if TYPE_CHECKING:
    from kiqdoctor.doctor.report import Finding
    from kiqdoctor.doctor.tools import Redis

MOST: Final = 5_000  # keys of one owner
SHOWN: Final = 100  # of them, in words; the export has all
SIGNS: Final = {
    "Resque": ("workers", "workers:heartbeat", "pruning_dead_workers_in_progress"),
    "RQ": ("rq:workers",),
    "Dramatiq": ("dramatiq:__heartbeats__",),
    "arq": ("arq:queue:health-check",),
    "Laravel Horizon": ("masters", "supervisors"),
}
"""Keys that its workers keep as long as they live, under its prefix; others show in CLIENT LIST only."""


def strangers(findings: Sequence["Finding"], seen: Snapshot, redis: "Redis") -> Iterator[Step]:
    """Of each owner that nothing shows to be alive."""
    keyspace = seen.get(Keyspace)
    if not isinstance(keyspace, Keyspace) or not keyspace.complete or redis.namespace:
        return
    named = {one.key: one for one in findings}
    for foreign in keyspace.foreign:
        key = f"{foreign.owner}:{foreign.prefix}" if foreign.prefix else foreign.owner
        if key in named and not foreign.live and (foreign.owner in SIGNS or _nobody_listens(seen, keyspace)):
            step = _deleted(redis, named[key], foreign)
            if step is not None:
                yield step


def _nobody_listens(seen: Snapshot, keyspace: Keyspace) -> bool:
    """Whether every client that waits in Redis may be a worker of ours: none is left for the other system."""
    clients = seen.get(Clients)
    if not isinstance(clients, Clients):
        return False
    waiting = [one for one in clients.all if one.blocked or "P" in one.flags]
    return len(waiting) <= sum(one.threads for one in keyspace.installations)


def _deleted(redis: "Redis", finding: "Finding", foreign: Foreign) -> Step | None:
    names = belongings(redis, shared(redis).all, foreign.owner, foreign.prefix)
    head = f"{foreign.prefix}:" if foreign.prefix else ""
    signs = [raw(f"{head}{one}") for one in SIGNS.get(foreign.owner, ())]
    whole = dumped(redis, sorted(names, key=lambda one: (one not in signs, one)), LARGE) if len(names) <= MOST else None
    if not whole or _sidekiqs(redis, whole):
        return None
    shown = ", ".join(clean(decode(one.key)) for one in whole[:SHOWN])
    more = f", and {len(whole) - SHOWN} more, which the export names" if len(whole) > SHOWN else ""
    return Step(
        "NSP004", finding.subject, f"Delete exactly {len(whole)} keys of {foreign.owner}: {shown}{more}",
        _risk(foreign), "each key is put back as it was, where nothing lies there by then",
        tuple(_changes(whole, signs)),
    )  # fmt: skip


def _sidekiqs(redis: "Redis", whole: Sequence[Entry]) -> bool:
    """Whether a key is one that Sidekiq uses: then nothing is deleted by machine."""
    keys = Keys(redis.namespace)
    own = {raw(one) for one in (keys.queues, keys.processes, keys.schedule, keys.retry, keys.dead, keys.paused)}
    heads = (raw(keys.queue("")), raw(keys.stat("processed")), raw(keys.stat("failed")), b"kiq:")
    return any(one.key in own or one.key.startswith(heads) for one in whole)


def _changes(whole: Sequence[Entry], signs: Sequence[bytes]) -> Iterator[Change]:
    """Signs of life first: where one came back, or was not there and is, nothing more is deleted."""
    first, rest = [one for one in whole if one.key in signs], [one for one in whole if one.key not in signs]
    there = {one.key for one in first}
    never = tuple(Guard("absent", one) for one in signs if one not in there)
    if first:
        yield Change(tuple(map(Edit, first)), (*never, WHOLE))
    gone = tuple(Guard("absent", one) for one in signs)
    for part in chunks([Edit(one) for one in rest]):
        yield Change(part, (*gone, WHOLE))


def _risk(foreign: Foreign) -> str:
    waits = f"{foreign.waiting} jobs that wait there run no more; " if foreign.waiting else ""
    told = "" if foreign.owner in SIGNS else ", which such workers show in CLIENT LIST only"
    return (
        f"{waits}a worker or a client of {foreign.owner} that is switched on again misses them (none is seen now{told})"
    )
