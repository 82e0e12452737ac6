"""Composes the answer about one job: what is looked for, the reading, the checks that may explain it."""

import os
from collections.abc import Iterator
from contextlib import ExitStack
from typing import Final

import msgspec

from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.doctor.causes import link
from kiqdoctor.doctor.examine import examine
from kiqdoctor.doctor.facts.beside import Batches, Locks
from kiqdoctor.doctor.facts.fleet import Fleet, LongJobs, PrivateLists
from kiqdoctor.doctor.facts.queues import Durations, Queues
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.facts.tracing import IN_FLIGHT, Hit, Sought, Trace
from kiqdoctor.doctor.plan import plan
from kiqdoctor.doctor.why import CHECKS, Answer, answer, known
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.examination import looked, resolved
from kiqdoctor.examining.parts import every_check, every_probe
from kiqdoctor.text import clean

ALSO: Final = (Trace, Fleet, Queues, PrivateLists, Locks, Batches, ServerTime, Durations, LongJobs)
LOOKED_SHOWN: Final = 8  # places
EVIDENCE_SHOWN: Final = 5
FRAMES_SHOWN: Final = 8
ANSWER: Final = 15.0  # seconds that a worker has for its dump, as `kiqdoctor dump` has it
MOST_BYTES: Final = 1536 * 1024 * 1024  # that Redis may send: a million jobs, read once


def why(sought: Sought, asked: Asked, clock: Clock = SYSTEM) -> Answer:
    """Where it is, why it has not run, when it will; the address and the namespace are those asked for.

    ``deep``: a worker of our runtime is asked for the stack of the thread that runs it.
    """
    checks = [one for one in every_check(()) if one.id in CHECKS and not one.origin]
    chosen = plan(checks, every_probe(), ALSO)
    with ExitStack() as stack:
        seen = stack.enter_context(looked(asked, chosen, clock, {Sought: sought}, MOST_BYTES))
    snapshot = seen.recording.snapshot
    found = answer(sought, known(snapshot, clock.now()), link(examine(checks, snapshot, clock)))
    running = [hit for hit in found.hits if hit.place == IN_FLIGHT and not (hit.namespace or hit.database)]
    fleet = snapshot.get(Fleet)
    if len(running) != 1 or not isinstance(fleet, Fleet):
        return found
    return msgspec.structs.replace(found, told=(*found.told, *_stack(running[0], fleet, asked)))


def _stack(hit: Hit, fleet: Fleet, asked: Asked) -> Iterator[str]:
    """Where its thread stands, as `dump` tells it; else how it can be told."""
    process = next((one for one in fleet.live if one.identity == hit.process), None)
    if process is None:
        return
    if not process.runtime:
        yield f"where its thread stands is told on {process.hostname}: kiqdoctor dump {process.pid}"
    elif not asked.deep:
        yield f"where its thread stands: --deep, or kiqdoctor dump {hit.process}"
    else:
        yield from _asked_for(hit, asked)


def _asked_for(hit: Hit, asked: Asked) -> Iterator[str]:
    from kiqdoctor.examining.dumps import UnansweredError, of_identity
    from kiqdoctor.runtime import config

    config.configure(redis=resolved(asked.redis, os.environ, None).url, namespace=asked.namespace)
    try:
        threads = of_identity(hit.process, config.current(), min(ANSWER, asked.timeout_s)).threads.threads
    except UnansweredError as error:
        yield f"where its thread stands is not known: {error}"
        return
    own = next((one for one in threads if one.jid == hit.jid), None)
    if own is None:
        yield f"where its thread stands is not known: no thread of {hit.process} runs it any more"
        return
    for frame in own.frames[:FRAMES_SHOWN]:
        yield f"its thread stands in {frame.function}, {frame.file}:{frame.line}"
    if own.waits:
        yield f"its thread waits for {own.waits}"


def lines(found: Answer) -> Iterator[str]:
    """For people: where it is, why it has not run, when it will, what else is known, what was looked at."""
    sought = found.sought
    words = (sought.jid, sought.job_class, sought.queue and f"queue {sought.queue}", sought.text and "those arguments")
    name = clean(", ".join(word for word in words if word))
    if not found.hits:
        yield f"{name}: not found" + ("" if not found.unknown else ", and not all could be looked at")
    for hit in found.hits:
        yield _where(hit, found.now)
    if found.matching > len(found.hits):
        yield f"... and {found.matching - len(found.hits)} more"
    for reason in found.reasons:
        yield f"  why: {clean(reason.title)}" + (f" ({reason.check}; kiqdoctor explain it)" if reason.check else "")
        yield from (f"    {clean(one.label)}: {clean(one.value)}" for one in reason.evidence[:EVIDENCE_SHOWN])
    if found.starts_in_s is not None:
        yield f"  starts in {found.starts_in_s.low:.1f} to {found.starts_in_s.high:.1f} s: {clean(found.basis)}"
    elif len(found.hits) == 1:
        yield f"  when it starts is not known: {clean(found.basis)}"
    yield from (f"  {clean(one)}" for one in found.told)
    yield from (f"  not looked at: {clean(one)}" for one in found.unknown)
    shown = ", ".join(f"{name} ({count})" for name, count in found.looked_at[:LOOKED_SHOWN])
    more = f" and {len(found.looked_at) - LOOKED_SHOWN} more" if len(found.looked_at) > LOOKED_SHOWN else ""
    yield f"  looked at: {shown or 'nothing'}{more}"


def _where(hit: Hit, now: float) -> str:
    """One line: the job, and where it lies."""
    turn = f"{hit.position} of {hit.of} before it" if hit.position else "the next to be taken"
    said = {
        "queue": f"waits in queue {hit.queue}, {turn}",
        "in-flight": f"runs in {hit.process}, thread {hit.thread}",
        "private-list": f"is in the private list of {hit.process}, from queue {hit.queue}",
    }
    where = said.get(hit.place, f"is in {hit.place}")
    if hit.namespace or hit.database is not None:
        where += f" ({hit.namespace or 'no namespace'}{'' if hit.database is None else f', database {hit.database}'})"
    if hit.due_at is not None:
        wait = hit.due_at - now
        where += f", due in {wait:.0f} s" if wait > 0 else f", overdue by {-wait:.0f} s"
    elif hit.since is not None:
        where += f", since {max(0.0, now - hit.since):.0f} s"
    if hit.attempt is not None:
        where += f", try {hit.attempt} comes next" if hit.place != "dead" else f", after {hit.attempt - 1} tries"
    return f"{hit.job_class or '?'} {hit.jid} {where}" + (f"; {hit.error}" if hit.error else "")
