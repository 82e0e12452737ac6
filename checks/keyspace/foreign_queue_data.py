"""Another queue system's data lies in the same database.

## Why it hurts
Resque and Sidekiq use the same key names: a Sidekiq worker that takes a Resque job drops it without a retry and
without a dead entry, and no error is raised in Redis. Left-over data of any system costs memory and misleads
whoever counts.

In the log: a worker's `start` and `fail` lines without a jid, and no retry after them.

## How it is found
Formula: fails if marks of another owner >= 2, or if a payload of queue:* has class and args and no jid

Keys are read by SCAN and grouped by owner; an owner is named only by two marks of its own (a name with the type
that it gives it, or the shape of its payloads), never by a prefix alone. A live owner is told by its heartbeat or
its clients. Payloads in `queue:*` with `class` and `args` but no `jid` are Resque-shaped.

## When it is wrong
Two systems that share a Redis on purpose: where the other one's workers prove to be alive it is told as info. A
hand-written producer may leave the jid out.

## Confirm by hand
`redis-cli --scan --pattern 'resque:*'`, and `redis-cli lrange queue:NAME 0 2` for the shape of the payloads.

## How to fix
Stop what still pushes; drain the queues with the old system's own worker, or export them; then UNLINK exactly the
keys that are listed. Where the other system used no prefix, Sidekiq owns `queues`, `queue:*` and `stat:*`: leave
those.

Risk: UNLINK cannot be taken back, and some names belong to both systems: remove none that is not listed.

Undo: none after UNLINK; `DUMP KEY` beforehand keeps a copy that `RESTORE` brings back.

## Unknown when
The scan's budget ended before all keys were seen, or SCAN or TYPE is not allowed.

## Source
Resque's data_store.rb, Sidekiq's wiki (Problems and Troubleshooting), and runs of eight Python queue systems.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.keyspace import Foreign, Keyspace
from kiqdoctor.doctor.facts.queues import Queue, Queues


@check("NSP004", severity=Severity.MEDIUM)
def foreign_queue_data(keyspace: Keyspace, queues: Queues) -> Iterator[Verdict]:
    shaped = [queue for queue in queues.all if any(sample.resque_shaped for sample in queue.sample)]
    for foreign in keyspace.foreign:
        yield _foreign(foreign)
    for queue in shaped:
        yield _shaped(queue)
    if not keyspace.complete:
        yield Unknown(
            f"{keyspace.scanned} of {keyspace.total} keys were looked at", "a smaller database, or --namespace"
        )
    yield Evidence("keys looked at", f"{keyspace.scanned} of {keyspace.total}", "SCAN")


def _shaped(queue: Queue) -> Finding:
    classes = dict.fromkeys(one.job_class for one in queue.sample if one.resque_shaped)
    evidence = (
        Evidence("jobs in the queue", str(queue.size), "LLEN"),
        Evidence("classes", ", ".join(classes) or "?", "payloads without a jid"),
    )
    return Finding(
        queue.subject,
        f"Queue {queue.name} holds Resque-shaped jobs without a jid: Sidekiq drops them when they fail",
        "Export the queue, stop what pushes into it, and enqueue those jobs again through Sidekiq's client; remove"
        " single elements by LREM, for the queue itself may hold Sidekiq's own jobs too.",
        evidence,
        Severity.MEDIUM,
    )


def _foreign(foreign: Foreign) -> Finding:
    where = f" under {foreign.prefix}:" if foreign.prefix else ""
    waiting = f", {foreign.waiting} jobs waiting" if foreign.waiting else ""
    evidence = [Evidence("mark", mark, "SCAN, TYPE") for mark in foreign.marks]
    evidence += [Evidence(kind, f"{name} ({size})", "TYPE") for name, kind, size in foreign.keys]
    if foreign.job_classes:
        evidence.append(Evidence("classes", ", ".join(foreign.job_classes)))
    evidence.append(Evidence("alive", foreign.live or "nothing proves it"))
    if foreign.live:
        title = f"{foreign.owner} works in the same database: {counted(foreign.key_count, 'key')}{where}{waiting}"
        remedy = "Give each system a Redis or at least a database of its own."
    else:
        title = (
            f"{foreign.owner} left {counted(foreign.key_count, 'key')}{where}"
            f" behind{waiting}; nothing shows that it still runs"
        )
        remedy = _removal(foreign)
    severity = Severity.INFO if foreign.live else Severity.MEDIUM.milder
    key = f"{foreign.owner}:{foreign.prefix}" if foreign.prefix else foreign.owner
    return Finding("redis", title, remedy, tuple(evidence), severity, key=key)


def _removal(foreign: Foreign) -> str:
    drained = "Drain them with the old system's own worker, or export them; then" if foreign.waiting else "Export them;"
    if foreign.owner == "Resque" and not foreign.prefix:
        return (
            f"{drained} UNLINK only workers, worker:*, workers:heartbeat, failed and delayed*: queues, queue:* and"
            " stat:* belong to Sidekiq here."
        )
    return f"{drained} UNLINK exactly the keys of {foreign.owner} that are listed, one by one, and nothing else."
