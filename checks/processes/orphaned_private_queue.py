"""Jobs lie in the private list of a process that is gone.

## Why it hurts
Reliable fetch moves a job from its queue into a list of its process, so that a kill loses nothing. But somebody must
move it back: where nobody does, it is in no queue, runs never, and no page of the web UI shows it. Two thousand such
jobs, up to ten months old, were found in one Redis.

In the log: the last lines of the process that is gone end in the middle of these jobs.

## How it is found
Formula: fails if a private list holds jobs, the key that proves its owner alive is gone, no live process has its
identity, and either no live process of its kind could take them back, or the same jobs are still there after one
recovery period

Private lists are told by name: `queue:sq|IDENTITY|QUEUE` (Sidekiq Pro's super_fetch), `queue:backup::NODE::QUEUE`
(Exq), `working:queue:QUEUE:IDENTITY` (gitlab-sidekiq-fetcher), `uniquejobs:working:IDENTITY` (sidekiq-unique-jobs 9),
`kiq:taken:IDENTITY:LANE:QUEUE` (our runtime), `queue:QUEUE:ID:inprogress` (go-workers). What proves an owner alive is
its record, its heartbeat's key or its lease.

## When it is wrong
The owner's heartbeat ran out though it works, as under a starved CPU: its own beat would then have run out too. A
process that starts at this moment and takes the jobs back.

## Confirm by hand
`redis-cli llen 'KEY'`, `redis-cli exists SIGN` for the key of the evidence, and `redis-cli lindex 'KEY' -1`.

## How to fix
Start a process of the same kind, which takes back what the dead left. Where there is no such process any more: export
the list, then move its jobs back: `redis-cli lmove 'KEY' queue:NAME left right`, as often as there are jobs, puts them
where they are taken next, the oldest first.

Risk: a job that was nearly done runs a second time.

Undo: the exported payloads tell which jobs went where; LREM takes one out of its queue again.

## Unknown when
Not all keys could be looked at; a list is of go-workers, whose processes sign nowhere; a list looks private and is of a
layout that nobody published; a process that may take the jobs back is alive and its recovery period has not passed
between two readings.

## Source
sidekiq/sidekiq#5540 and #5719; gitlab-sidekiq-fetcher's base_reliable_fetch.rb; sidekiq-unique-jobs'
fetch/reliable.rb; our runtime's recover.py. Sidekiq Pro's layout is its users' reports.

- OURS: the kind of our own lists, which have a recovery period of their own.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet, PrivateList, PrivateLists
from kiqdoctor.doctor.facts.redis import ServerTime

OURS = "kiqdoctor"
SHOWN = 10
OWN_PERIOD = Threshold(
    name="own-recovery-s",
    default=30,
    unit="s",
    meaning="Our runtime's live processes take back what the dead left within this time.",
    source="a lease of 15 s, a look every 3 s, and time for an outage of Redis to settle",
)
PERIOD = Threshold(
    name="recovery-s",
    default=3600,
    unit="s",
    meaning="Live processes of other kinds take back what the dead left within this time.",
    source="Sidekiq Pro and gitlab-sidekiq-fetcher look hourly",
)


@check("PRO014", severity=Severity.CRITICAL, caused_by=("PRO009", "PRO011", "NAT004"), thresholds=(OWN_PERIOD, PERIOD))
def orphaned_private_queue(
    lists: Series[PrivateLists], fleet: Fleet, clock: ServerTime, thresholds: Thresholds
) -> Iterator[Verdict]:
    living = {one.identity for one in fleet.live}
    orphans = [one for one in lists.last.all if one.sign and not one.signed and not _lives(one.owner, living)]
    for one in orphans:
        keepers = lists.last.kept_by(one.kind)
        period_s = thresholds[OWN_PERIOD if one.kind == OURS else PERIOD]
        if not keepers:
            yield _finding(one, clock, "no live process could take them back")
        elif _stayed(lists, one, period_s):
            yield _finding(
                one,
                clock,
                f"{counted(keepers, 'live process left', 'live processes left')} them there for {period_s:g} s",
            )
        else:
            yield Unknown(
                f"{one.key} holds {counted(one.size, 'job')} of {one.owner}, which is"
                f" gone; {counted(keepers, 'live process may', 'live processes may')} take"
                f" them back within {period_s:g} s",
                _later(one.kind, period_s),
            )
    for one in lists.last.all:
        if not one.kind:
            yield Unknown(f"{one.key} holds {one.size} jobs and is a private list of an unknown layout", "its writer")
        elif not one.sign:
            held = f"{one.key} holds {counted(one.size, 'job')} that {one.kind} took as {one.owner}"
            yield Unknown(f"{held}, which leaves no sign of life", "its log, or its next start, which runs them again")
    if fleet.partial and not orphans:
        yield Unknown(fleet.partial, "fewer members in processes")
    if lists.last.partial:
        yield Unknown(lists.last.partial, "a smaller database")
    yield Evidence("private lists that hold jobs", str(len(lists.last.all)), "SCAN, LLEN")
    yield Evidence("of live processes", str(len(lists.last.all) - len(orphans)), "EXISTS, processes, beat")


def _lives(owner: str, living: set[str]) -> bool:
    """Whether a process beats that is this owner; gitlab-sidekiq-fetcher named only host and pid once."""
    return owner in living or (":" in owner and any(one.startswith(f"{owner}:") for one in living))


def _stayed(lists: Series[PrivateLists], now: PrivateList, period_s: float) -> bool:
    """Whether these jobs lay there, without an owner, at a reading that is a whole period ago."""
    for moment in lists.moments:
        if lists.moments[-1].at - moment.at < period_s * 0.95:
            return False
        before = next((one for one in moment.fact.all if one.key == now.key), None)
        if before and not before.signed and now.jids and set(now.jids) & set(before.jids):
            return True
    return False


def _later(kind: str, period_s: float) -> str:
    return f"--for {period_s:g}" if kind == OURS else f"--baseline-run FILE, recorded {period_s:g} s before"


def _finding(one: PrivateList, clock: ServerTime, why: str) -> Finding:
    evidence = [
        Evidence("jobs in the list", str(one.size), f"LLEN {one.key}"),
        Evidence("its owner shows no sign of life", one.owner, f"EXISTS {one.sign}"),
        Evidence("who takes them back", why, "heartbeats and leases"),
        *(Evidence("job", jid, "payload") for jid in one.jids[:SHOWN]),
    ]
    if one.oldest_at is not None:
        evidence.append(
            Evidence("its oldest job was enqueued", f"{clock.now - one.oldest_at:.0f} s ago", "enqueued_at")
        )
    return Finding(
        f"queue:{one.queue}" if one.queue else f"process:{one.owner}",
        f"{counted(one.size, 'job lies', 'jobs lie')} in a private list of {one.owner}, which is gone: {why}",
        f"Start a process of the same kind ({one.kind}), which takes them back; else export {one.key} and move its jobs"
        " back to their queue, the oldest first.",
        tuple(evidence),
        key=one.kind,
        lasting=f"queue:{one.queue}:{one.owner.rpartition(':')[0].rpartition(':')[0]}",
    )
