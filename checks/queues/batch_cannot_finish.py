"""A batch can never finish: what it waits for cannot come.

## Why it hurts
Its callback never runs: the import is never marked done, the mail is never sent, the next step of the workflow never
begins. All its jobs seem to be done, and no error is told anywhere.

In the log: `done` lines of its jobs, and no `start` line of its callback.

## How it is found
Formula: fails if a batch is older than older-s and its count of pending jobs is negative, or it was never sealed, or
one of the jobs in its way lies among the dead alone, or lies nowhere at two readings so many beats apart

Our runtime names the jobs that are in a batch's way (`kiq:batch:BID:open` and `:pending`), Sidekiq Pro in `b-BID-jids`.
They are looked for in queues, sets, private lists and in-flight hashes, in one search for all batches.

## When it is wrong
A batch that somebody adds to later, of which the last job is not yet pushed.

## Confirm by hand
`redis-cli hgetall b-BID` and `redis-cli smembers b-BID-jids` (`kiq:batch:BID` and `kiq:batch:BID:pending` of our
runtime), then `kiqdoctor why JID` for each.

## How to fix
Retry the dead jobs from the dead set; push again what is nowhere, with its jid and batch; or run the batch's callback
by hand, and delete the batch.

Risk: a job that did run is run again; a callback that runs by hand and later by itself runs twice.

Undo: a dead job that is retried fails again into the dead set; a deleted batch cannot be brought back.

## Unknown when
Not all jobs could be looked at; the batch was looked at once only and a job of it was nowhere; it is Sidekiq Pro's, and
what it counts and what it names differ; Redis' clock and ours differ, and no beat tells which is right.

## Source
sidekiq/sidekiq#5143 and #5894, #2283 and #4818 for negative counts; our runtime's batch.lua and seal.lua. Sidekiq
Pro's layout is its users' reports.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.beats import slowest
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.beside import Batch, Batches, Sightings
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.hosts_clock import AGREE, by_hosts, untold

SHOWN = 10
OLDER = Threshold(
    name="older-s",
    default=600,
    unit="s",
    meaning="A batch is judged from this age on.",
    source="jobs of a young batch may still be on their way into it",
)
BEATS = Threshold(
    name="beats",
    default=2,
    unit="beats",
    meaning="So many beats lie between two readings.",
    source="a job that was just taken shows in its process' next beat; one beat may be late",
    least=1.0,
)


@check("QUE015", severity=Severity.HIGH, caused_by=("PRO008", "PRO014", "NSP006"), thresholds=(OLDER, BEATS))
def batch_cannot_finish(
    batches: Batches, seen: Series[Sightings], fleet: Fleet, clock: ServerTime, thresholds: Thresholds
) -> Iterator[Verdict]:
    hosts = by_hosts(clock, fleet)
    for batch in batches.all:
        age_s = None if batch.created_at is None or hosts is None else hosts.now - batch.created_at
        if batch.odd:
            yield Unknown(f"{batch.key} is of an unknown layout: {batch.odd}", "the web UI's page of this batch")
        elif batch.created_at is None:
            yield Unknown(f"{batch.key} does not say when it was created")
        elif age_s is None:
            yield Unknown(f"how old {batch.key} is: {untold(clock)}", AGREE)
        elif age_s > thresholds[OLDER]:
            yield from _judged(batch, age_s, seen, thresholds[BEATS] * slowest(fleet))
    if batches.partial:
        yield Unknown(batches.partial, "a smaller database")
    yield Evidence("batches that somebody waits for", str(len(batches.all)), "kiq:batch:*, b-*")
    yield Evidence("batches in all", str(batches.known), "SCAN")


def _judged(batch: Batch, age_s: float, seen: Series[Sightings], apart_s: float) -> Iterator[Verdict]:
    if batch.pending is not None and batch.pending < 0:
        yield _finding(batch, age_s, f"it counts {batch.pending} pending jobs", ())
        return
    if not batch.sealed:
        yield _finding(batch, age_s, "whoever made it ended before it was complete", ())
        return
    dead = [jid for jid in batch.remaining if jid in seen.last.only_dead]
    gone = [jid for jid in batch.remaining if jid in seen.last.nowhere]
    if (dead or gone) and seen.last.partial:
        yield Unknown(
            f"{counted(len(dead) + len(gone), f'job of {batch.key} was', f'jobs of {batch.key} were')}"
            f" not found, and {seen.last.partial}"
        )
    elif dead:
        yield _finding(batch, age_s, counted(len(dead), "of its jobs is dead", "of its jobs are dead"), dead)
    elif gone:
        yield from _gone(batch, age_s, gone, seen, apart_s)


def _gone(batch: Batch, age_s: float, gone: list[str], seen: Series[Sightings], apart_s: float) -> Iterator[Verdict]:
    if lacks := seen.lacks(2, apart_s):
        yield Unknown(f"{gone[0]} of {batch.key} is nowhere; {lacks.reason}", lacks.unlock)
        return
    before = [one.fact for one in seen.moments if seen.moments[-1].at - one.at >= apart_s * 0.95][-1]
    still = [jid for jid in gone if jid in before.nowhere]
    if still and before.partial:
        yield Unknown(before.partial, "a smaller database")
    elif still:
        yield _finding(batch, age_s, counted(len(still), "of its jobs is nowhere", "of its jobs are nowhere"), still)


def _finding(batch: Batch, age_s: float, why: str, jids: tuple[str, ...] | list[str]) -> Finding:
    evidence = [
        Evidence("age", f"{age_s:.0f} s", "created_at, TIME"),
        Evidence("pending", str(batch.pending), batch.key),
        Evidence("callbacks that were not called", ", ".join(batch.waits_for), batch.key),
        *(Evidence("in its way", jid, "search") for jid in jids[:SHOWN]),
    ]
    return Finding(
        f"batch:{batch.key.rpartition(':')[2].removeprefix('b-')}",
        f"Batch {batch.key} can never finish: {why}",
        "Retry its dead jobs, push again what is nowhere, or run its callback by hand and delete the batch.",
        tuple(evidence),
    )
