"""A job is enqueued while a database transaction is open.

## Why it hurts
The worker may run the job before the commit: the row that it asks for is not there yet, and after a rollback it never
will be. Retries hide the first and repeat the second until the job is dead.

In the log: `Couldn't find User with 'id'=42`, `User matching query does not exist`, on the first try only.

## How it is found
Formula: fails if an enqueue stands, or is called up to 3 calls away, inside a transaction or an ORM's save hook, and
not inside a commit hook; medium in `m2m_changed` and SQLAlchemy's events; low in hooks of a deletion, after which no
job finds the row, in Django's `post_save` and a model's own `save`, where there is a transaction only if the caller
has opened one, and in a request under ATOMIC_REQUESTS that is not seen to write; info where it is delayed, or where
Active Job may be told to wait by itself

Transactions are `atomic` of Django (`with` and decorator), views under ATOMIC_REQUESTS, `begin` and `begin_nested` of
SQLAlchemy, `transaction` and `with_lock` of Active Record. Hooks are Active Record's callbacks, Django's signals and
`save`, and SQLAlchemy's events.

## When it is wrong
Where Active Job's queue is a row of the same database (GoodJob, Delayed Job, Que) the transaction writes it too, and
nothing is said. A job that does not read what the transaction writes is told, and so is one whose argument says that
the row may not be there. Transactions that a framework opens elsewhere, and calls through names that only run time
knows are not seen, nor is `with_lock` where the application has a method of that name that is no record's.

## Confirm by hand
Follow the functions that the evidence names, from the transaction to the enqueue.

## How to fix
Django: `transaction.on_commit(lambda: job.perform_async(id))`. kiqdoctor's runtime: `enqueue_on_commit(job, id)`.
Celery: `task.delay_on_commit(id)`. Rails: `after_commit`, or `Sidekiq.transactional_push!` for all of `perform_async`.

Risk: what is enqueued after the commit is lost if the process dies between the two; a sweeper of rows without a job
finds it.

Undo: the enqueue in its old place.

## Unknown when
A queue library is locked and no job was recognised; or nothing was found and files could not be parsed.

## Source
Sidekiq wiki, Problems and Troubleshooting ("Cannot find X with ID"); Sidekiq 6.5 and 7 (`transactional_push!`); Celery,
First steps with Django; Django, `transaction.on_commit`; Rails, `enqueue_after_transaction_commit`.
"""

from collections.abc import Iterator
from functools import partial

from kiqdoctor.doctor import (
    Evidence,
    Finding,
    Location,
    Missing,
    Severity,
    Verdict,
    check,
    covers,
)
from kiqdoctor.doctor.facts.code import Calls, Code, Enqueue, Enqueues, Inside, Transaction, Transactions, When, Writes
from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.doctor.rules import settled

PUSHES = "Sidekiq.transactional_push!"
BULK = {"perform_bulk", "push_bulk"}  # which it leaves alone
ROWS = {"good_job", "delayed_job", "que"}
OTHERS = {"sidekiq", "resque", "solid_queue", "shoryuken", "sneakers", "sucker_punch"}
"""Ruby's queues that are rows of the same database, which the transaction itself writes; and those that are not."""
WAITS = "enqueue_after_transaction_commit"
BY_ACTIVE_JOB = {"perform_later", "deliver_later"}
NEVER, ALWAYS = {"false", ":never"}, {"true", ":always"}
AFTERWARDS = ("post_save", "pre_save", ".save", ".delete")
"""Hooks that Django calls outside a transaction of its own: there is one only where the caller has opened it."""
DELETIONS = ("_destroy", "_delete", ".delete")
"""Hooks after which the row is gone: what the job may see too early is only that it is still there."""


@check("COD001", severity=Severity.HIGH, preview=True)
def enqueue_before_commit(
    code: Code,
    enqueues: Enqueues,
    transactions: Transactions,
    calls: Calls,
    writes: Writes,
    packages: Packages | Missing,
) -> Iterator[Verdict]:
    known = packages.all if isinstance(packages, Packages) else ()
    pushes = any(call.name == PUSHES for call in calls.sites)
    said = {write.made_by for write in writes.sites if write.name.endswith(f".{WAITS}")}
    newer = any(one.name == "activejob" and covers(">=7.2", one.version) for one in known)
    locked = {one.name for one in known if one.ecosystem == "ruby"}
    rows = bool(locked & ROWS) and not locked & OTHERS
    perhaps = (bool(said) or newer) and not (said and said <= NEVER)
    told: set[int] = set()
    for inside in sorted(transactions.inside, key=partial(_plainest, transactions)):
        enqueue = enqueues.sites[inside.enqueue]
        waits = pushes and code.language(enqueue) == "ruby" and enqueue.verb not in BULK
        waits |= (rows or (bool(said) and said <= ALWAYS)) and enqueue.verb in BY_ACTIVE_JOB
        if not waits and inside.enqueue not in told:
            told.add(inside.enqueue)
            asked = enqueue.verb in BY_ACTIVE_JOB and perhaps
            yield _finding(code, inside, enqueue, transactions.sites[inside.transaction], perhaps=asked)
    yield from settled(code, enqueues, transactions, found=bool(told))
    yield Evidence("enqueues", str(len(enqueues.sites)), f"{len(transactions.sites)} transactions and hooks")


def _plainest(transactions: Transactions, inside: Inside) -> tuple[int, bool, bool, bool, int, int]:
    """Of several transactions around one enqueue: what is seen to write, a block, no deletion, the shortest way."""
    one = transactions.sites[inside.transaction]
    mild = not one.writes, one.hook, one.opens.endswith(DELETIONS)
    return inside.enqueue, *mild, len(inside.through), inside.transaction


def _finding(code: Code, inside: Inside, enqueue: Enqueue, transaction: Transaction, *, perhaps: bool) -> Finding:
    python = code.language(enqueue) == "python"
    severity = Severity.HIGH
    if transaction.hook and python:
        severity = Severity.LOW if transaction.opens.endswith(AFTERWARDS) else Severity.MEDIUM
    tail = ""
    if transaction.hook and transaction.opens.endswith(DELETIONS):
        severity = Severity.LOW
    if not transaction.writes:
        severity, tail = Severity.LOW, ", in which nothing is seen to be written"
    if perhaps:
        severity, tail = Severity.INFO, ", unless Active Job is told to wait for the commit"
    elif enqueue.when is When.LATER:
        severity, tail = Severity.INFO, "; that it is delayed makes the race rare, and is no guarantee"
    opened, at = code.place(transaction), code.place(enqueue)
    where = code.functions[enqueue.function].name
    job = enqueue.job or "a job"
    return Finding(
        f"code:{where}",
        f"{job} is enqueued inside {transaction.opens}{tail}",
        _remedy(enqueue, transaction, python=python),
        (
            Evidence("transaction", transaction.opens, f"{opened.path}:{opened.line}"),
            *(Evidence("leads to", one.name, f"{one.place.path}:{one.place.line}")
              for one in (code.functions[step] for step in inside.through)),
            Evidence("enqueue", f"{job}.{enqueue.verb}", f"{at.path}:{at.line}"),
        ),
        severity,
        location=Location(at.path, at.line, at.column),
        key=enqueue.job,
    )  # fmt: skip


def _remedy(enqueue: Enqueue, transaction: Transaction, *, python: bool) -> str:
    call = f"{enqueue.job.rpartition('.')[2]}.{enqueue.verb}".strip(".")
    if not python and transaction.hook:
        return f"Write after_commit in place of {transaction.opens}."
    if not python:
        return f"Move {call} below the block, or write {PUSHES} in an initializer."
    if transaction.opens.startswith("django") or transaction.opens.endswith((".save", ".delete", ".atomic")):
        return f"Write transaction.on_commit(lambda: {call}(...))."
    return f"Move {call} below the transaction, or into the session's after_commit event."
