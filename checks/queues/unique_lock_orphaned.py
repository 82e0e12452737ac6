"""A unique lock is held by a job that is gone.

## Why it hurts
Whoever pushes such a job again is told that it is there already, and nothing is pushed: the job never runs any more,
until somebody deletes the lock. Nothing complains.

In the log: at most `already locked` of the gem, and no `start` line of that class and arguments.

## How it is found
Formula: fails if the jid that holds a lock lies in no queue, set, private list or in-flight hash at two readings at
least so many beats apart

Locks are read where their keepers write them: `DIGEST:LOCKED`, a hash of jids, for each member of `uniquejobs:digests`
(sidekiq-unique-jobs 7 to 9), `DIGEST:EXISTS` for each of `unique:keys` (6), and `kiq:unique:*` (our runtime). One
search through all jobs answers for all locks. A job that was just taken from its queue stands in no in-flight hash
before its process' next beat: so two readings.

## When it is wrong
A lock that is meant to outlive its job (`until_expired`): left out where its type is told. A job that lies in another
database than its lock.

## Confirm by hand
`redis-cli hgetall 'DIGEST:LOCKED'` for the jid, then look for it: `redis-cli lrange queue:NAME 0 -1 | grep JID`, and
the same in `schedule`, `retry`, `dead` and the in-flight hashes. `kiqdoctor why JID` does that.

## How to fix
Delete this one lock: `redis-cli unlink 'DIGEST:LOCKED'` and `redis-cli zrem uniquejobs:digests 'DIGEST'`, or the lock's
page of the web UI; `redis-cli unlink 'DIGEST:EXISTS' 'DIGEST:GRABBED' 'DIGEST:AVAILABLE'` and `redis-cli srem
unique:keys 'DIGEST'` of version 6; `redis-cli unlink kiq:unique:...` of our runtime. Then set `lock_ttl`
(`unique_for`), so that the next one ends by itself, and let the gem's reaper run.

Risk: if the job still runs somewhere after all, a second one may run beside it.

Undo: `redis-cli hset 'DIGEST:LOCKED' JID TIME` and `redis-cli zadd uniquejobs:digests TIME 'DIGEST'`.

## Unknown when
Not all jobs, keys or in-flight hashes could be looked at; it was looked at once only; a lock that ends by itself does
not say its type.

## Source
mhenrixon/sidekiq-unique-jobs#861; its redis/lock.lua of 6.0, lua/lock.lua and unlock.lua of 7.1, 8.1
and 9.0.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.beats import slowest
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.beside import Lock, Locks, Sightings
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet

SHOWN = 20
OUTLIVES = "until_expired"
BEATS = Threshold(
    name="beats",
    default=2,
    unit="beats",
    meaning="So many beats lie between two readings.",
    source="a job that was just taken shows in its process' next beat; one beat may be late",
    least=1.0,
)


@check("QUE014", severity=Severity.HIGH, caused_by=("PRO008", "PRO014", "NSP006"), thresholds=(BEATS,))
def unique_lock_orphaned(
    locks: Locks, seen: Series[Sightings], fleet: Fleet, thresholds: Thresholds
) -> Iterator[Verdict]:
    suspects = [one for one in locks.all if one.jid in seen.last.nowhere and one.type != OUTLIVES]
    told = [one for one in suspects if one.type or one.ttl_s is None]
    if len(told) < len(suspects):
        odd = next(one for one in suspects if one not in told)
        why = f"{odd.key} ends in {odd.ttl_s} s and may be meant to outlive its job {odd.jid}, which is nowhere"
        yield Unknown(why, "the gem's lock_info, which tells its type")
    if told and seen.last.partial:
        yield Unknown(
            f"the jobs of {counted(len(told), 'lock')} were not found, and {seen.last.partial}", "a smaller database"
        )
    elif told:
        yield from _judged(told, seen, thresholds[BEATS] * slowest(fleet))
    if locks.partial:
        yield Unknown(locks.partial, "a smaller database")
    yield Evidence(
        "locks, each of a job that was found", str(len(locks.all)), "uniquejobs:digests, unique:keys, kiq:unique:*"
    )
    yield Evidence("jobs that were searched for them", str(seen.last.looked_at), "LRANGE, ZSCAN")


def _judged(suspects: list[Lock], seen: Series[Sightings], apart_s: float) -> Iterator[Verdict]:
    before = [one for one in seen.moments if seen.moments[-1].at - one.at >= apart_s * 0.95]
    if lacks := seen.lacks(2, apart_s):
        one = suspects[0]
        yield Unknown(f"{one.jid}, which holds {one.key}, is nowhere; {lacks.reason}", lacks.unlock)
        return
    orphans = [one for one in suspects if before and one.jid in before[-1].fact.nowhere]
    if orphans and before[-1].fact.partial:
        yield Unknown(before[-1].fact.partial, "a smaller database")
        return
    for one in orphans[:SHOWN]:
        yield _finding(one, len(orphans), apart_s)


def _kept(digest: str) -> str:
    """What the lock keeps from being done: sidekiq-unique-jobs marks one that is held while a job runs."""
    return "run" if digest.endswith(":RUN") else "be pushed"


def _finding(one: Lock, count: int, apart_s: float) -> Finding:
    digest = one.key.removesuffix(":LOCKED").removesuffix(":EXISTS")
    evidence = [
        Evidence("held by", one.jid, one.key),
        Evidence("its job", f"in no queue, set, private list or in-flight hash, twice within {apart_s:g} s", "search"),
        Evidence("it ends by itself", "never" if one.ttl_s is None else f"in {one.ttl_s} s", "PTTL"),
        Evidence("such locks in all", str(count), one.kind),
    ]
    if one.type:
        evidence.append(Evidence("type", one.type, one.kind))
    return Finding(
        f"lock:{digest}",
        f"{digest} is locked by {one.jid}, a job that is gone: no such job can {_kept(digest)}",
        f"Delete this one lock ({one.key}), and set a time after which such locks end by themselves.",
        tuple(evidence),
    )
