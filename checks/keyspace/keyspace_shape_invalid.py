"""A key that Sidekiq owns has another type, or a queue is not registered.

## Why it hurts
With a string or a list under `queues`, `schedule` or a queue's own name every push fails with `WRONGTYPE`. A queue that
is in no set `queues` is invisible: no page of the web UI and no metric shows it.

In the log: `WRONGTYPE Operation against a key holding the wrong kind of value`, from clients when they push or from
workers when they fetch.

## How it is found
Formula: fails if TYPE of queues, processes, schedule, retry, dead, paused, stat:processed, stat:failed or of the key of
a registered queue is not Sidekiq's (critical); or if a list queue:NAME holds jobs and NAME is not in queues (high)

An unregistered list counts where a payload at one of its ends is a job of Sidekiq's shape. Empty registered queues are
normal.

## When it is wrong
Exq and Verk write Sidekiq's format, register nothing, and their jids are UUIDs: their queues are shown, and no finding.

## Confirm by hand
`redis-cli type queues`, `redis-cli type queue:NAME`, `redis-cli smembers queues`.

## How to fix
Rename the application's key, or give one of the two a database of its own. `redis-cli sadd queues NAME` registers a
queue; better push by a client, which does so each time.

Risk: RENAME of a key that somebody still writes only moves the fault.

Undo: RENAME back; `SREM queues NAME`.

## Unknown when
TYPE is refused; the scan ended before all keys were seen.

## Source
lib/sidekiq/client.rb, atomic_push: SADD queues, LPUSH queue:NAME; WRONGTYPE seen on Redis 7.0.15.
"""

from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.keyspace import Keyspace, ReservedKeys, Stray
from kiqdoctor.doctor.facts.queues import Queues
from kiqdoctor.wire.keys import Keys

SHOWN = 10


@check("NSP005", severity=Severity.CRITICAL, caused_by=("NSP004",))
def keyspace_shape_invalid(reserved: ReservedKeys, keyspace: Keyspace, queues: Queues | Missing) -> Iterator[Verdict]:
    yield from _types(reserved, queues)
    mine = [one for one in keyspace.installations if one.prefix == reserved.prefix]
    registry = Keys(reserved.prefix).queues
    if all(name != registry for name, _, _ in reserved.odd):  # else nothing can be registered there
        yield from _strays([stray for one in mine for stray in one.strays])
    if unchecked := sum(one.unchecked for one in mine):
        yield Unknown(f"of {unchecked} lists it is not known whether they are registered", "+sismember")
    if not keyspace.complete:
        reason = f"{keyspace.scanned} of {keyspace.total} keys were looked at"
        yield Unknown(reason, "a smaller database, or --namespace")
    yield Evidence("reserved keys", ", ".join(f"{name} {kind}" for name, kind in reserved.found) or "none", "TYPE")


def _types(reserved: ReservedKeys, queues: Queues | Missing) -> Iterator[Verdict]:
    for name, found, wanted in reserved.odd:
        yield _odd(name, found, wanted)
    if isinstance(queues, Queues):
        for queue in queues.all:
            if queue.kind != "list":
                yield _odd(queue.subject, queue.kind, "list")
    elif not reserved.odd:
        yield Unknown(queues.reason, getattr(queues, "unlock", ""))


def _strays(strays: list[Stray]) -> Iterator[Verdict]:
    for stray in strays:
        if not stray.foreign:
            yield _stray(stray)
    for stray in [one for one in strays if one.foreign][:SHOWN]:
        yield Evidence(f"queue {stray.queue}", "not registered; its jids are Exq's or Verk's", "SCAN, LINDEX")


def _odd(name: str, found: str, wanted: str) -> Finding:
    return Finding(
        "redis",
        f"The key {name} holds a {found}, where Sidekiq keeps a {wanted}",
        "Rename the application's key, or give one of the two a database of its own.",
        (Evidence(name, found, "TYPE"), Evidence("Sidekiq's own type", wanted)),
        key=name,
    )


def _stray(stray: Stray) -> Finding:
    return Finding(
        f"queue:{stray.queue}",
        f"{counted(stray.size, 'job lies', 'jobs lie')} in {stray.queue},"
        " which is not registered: no page and no metric shows it",
        f"Push by a client, which registers the queue; until then `SADD queues {stray.queue}`.",
        (Evidence("jobs", str(stray.size), "LLEN"), Evidence("registered", "no", "SSCAN queues")),
        Severity.CRITICAL.milder,
        key="unregistered",
    )
