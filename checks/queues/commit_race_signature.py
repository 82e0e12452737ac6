"""Jobs fail at their first try, at once, because a record is not there.

## Why it hurts
They were enqueued before the transaction that makes the record was committed, and the worker was faster. The second
try works, so nobody mends it; each one costs a failure, an alarm, and up to half a minute.

In the log: `Couldn't find User with 'id'=42`, `matching query does not exist`, and the same jid done half a minute on.

## How it is found
Formula: fails if at least three jobs of a class in retry (or 1 % of the sampled ones) have a missing record's error,
retry_count 0, and failed within within-s of being enqueued, and second tries of that class and error are at most
second-share as many

The error classes are those of Active Record, Active Job, Mongoid, Django and SQLAlchemy. A record that was deleted
fails at the second try as well, and so those jobs are there with a higher count.

## When it is wrong
Records that are deleted at once after enqueueing, seen before their second try. Within the first half minute of such a
burst nothing tells the two apart.

## Confirm by hand
`redis-cli zrandmember retry 20`: `retry_count`, `error_class`, `failed_at`, `enqueued_at`; then COD001 of the class.

## How to fix
Enqueue after the commit: `after_commit`, `Sidekiq.transactional_push!`, `transaction.on_commit`, kiqdoctor's
`enqueue_on_commit`.

Risk: what is enqueued after the commit is lost if the process dies between the two.

Undo: the enqueue in its old place.

## Unknown when
The retry set may not be read, is empty, or holds no readable entry; the failures do not say when they were enqueued. An
empty set proves nothing: a job that lost the race stays in it for half a minute at most.

## Source
Sidekiq wiki, Problems and Troubleshooting ("Cannot find X with ID"); Sidekiq 6.5 (`transactional_push!`).

- LEAST: failures of a class that make a signature; the catalogue's.
- LEAST_SHARE: or this share of the sample; the catalogue's.
- APART: what the clocks of two hosts, or stamps in whole milliseconds, may make of "at once"; ours.
"""

import re
from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.code import Code, Enqueues, Transactions
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.queues import Place, Sample, Samples
from kiqdoctor.regex import regex

WITHIN = Threshold(
    name="within-s",
    default=2,
    unit="s",
    meaning="A job that lost the race fails within this time after it was enqueued.",
    source="ours: transactions are shorter",
)
SECOND = Threshold(
    name="second-share",
    default=0.2,
    unit="of the first tries",
    meaning="More failed second tries than this mean records that are gone for good.",
    source="ours",
)
MISSING_RECORD = regex(
    r"(?:.*::)?(?:Record|Document)NotFound|(?:.*[.:])?DoesNotExist|(?:.*\.)?NoResultFound"
    r"|(?:.*\.)?ObjectDeletedError|ActiveJob::DeserializationError|GlobalID.*DeserializationError"
)
LEAST = 3
LEAST_SHARE = 0.01
APART = 1.0  # seconds
SHOWN = 5


@check("QUE005", severity=Severity.HIGH, caused_by=("COD001",), thresholds=(WITHIN, SECOND))
def commit_race_signature(
    samples: Samples,
    code: Code | Missing,
    enqueues: Enqueues | Missing,
    transactions: Transactions | Missing,
    thresholds: Thresholds,
) -> Iterator[Verdict]:
    place = samples.place("retry")
    if place.unread or (place.size and not place.sample):
        yield Unknown(f"what fails in retry is not known: {place.unread or 'no entry was read'}")
        return
    groups: dict[str, list[Sample]] = {}
    dead = samples.place("dead")
    for one in (*place.sample, *dead.sample):
        if MISSING_RECORD.fullmatch(one.error_class):
            groups.setdefault(one.job_class, []).append(one)
    for name, found in sorted(groups.items()):
        sites = _sites(name, code, enqueues, transactions)
        yield from _judged(name, found, place, thresholds, sites)
    if not place.size and not any(groups.values()):
        wait = "a look while jobs fail: --replay of a recording, or kiqdoctor serve"
        yield Unknown("the retry set is empty: no job that failed is there to tell", wait)
    read = f"{len(place.sample)} of {place.size} in retry, {len(dead.sample)} of {dead.size} in dead"
    yield Evidence("jobs that miss a record", str(sum(map(len, groups.values()))), read)


def _judged(
    name: str, found: list[Sample], place: Place, thresholds: Thresholds, sites: tuple[Evidence, ...]
) -> Iterator[Verdict]:
    first = [one for one in found if one.retry_count == 0]
    waits = {one.jid: one.failed_at - one.enqueued_at for one in first if one.failed_at and one.enqueued_at}
    fast = [one for one in first if -APART < waits.get(one.jid, -APART) < thresholds[WITHIN]]
    least = min(LEAST, max(1, round(LEAST_SHARE * len(place.sample)))) if place.size > LEAST / LEAST_SHARE else LEAST
    again = len(found) - len(first)
    if len(first) >= least and not waits:
        yield Unknown(f"{len(first)} jobs of {name} missed a record, and do not say when they were enqueued")
    if len(fast) < least or again > thresholds[SECOND] * len(fast):
        return
    spread = ", ".join(
        f"{max(0.0, waits[one.jid]) * 1000:.0f} ms" for one in sorted(fast, key=lambda one: waits[one.jid])[:SHOWN]
    )
    evidence = (
        Evidence("failed at once", place.share(len(fast)).text, ", ".join(one.jid for one in fast[:SHOWN])),
        Evidence("after being enqueued", spread, "failed_at, enqueued_at"),
        Evidence("second tries that failed so", str(again), "retry_count"),
        Evidence("error", fast[0].error_class, fast[0].message),
        *sites,
    )
    within = f"within {thresholds[WITHIN]:g} s, at the first try only"
    title = f"{len(fast)} sampled jobs of {name} failed {within}, for want of a record"
    yield Finding(
        f"job:{name}",
        title,
        f"Enqueue {name} after the commit (after_commit, on_commit, enqueue_on_commit).",
        evidence,
        Severity.HIGH.milder,
        related=("COD001",) if sites else (),
    )


def _sites(
    name: str, code: Code | Missing, enqueues: Enqueues | Missing, transactions: Transactions | Missing
) -> tuple[Evidence, ...]:
    """Where the source enqueues that class inside a transaction."""
    if not isinstance(code, Code) or not isinstance(enqueues, Enqueues) or not isinstance(transactions, Transactions):
        return ()
    last = re.split(r"::|\.", name)[-1]
    inside = [enqueues.sites[one.enqueue] for one in transactions.inside]
    places = [code.place(one) for one in inside if re.split(r"::|\.", one.job)[-1] == last]
    return tuple(
        Evidence("enqueued inside a transaction", f"{one.path}:{one.line}", "source") for one in places[:SHOWN]
    )
