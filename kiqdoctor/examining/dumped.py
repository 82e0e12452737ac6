"""A look at a process's threads in words and as JSON, schema ``kiqdoctor.dump/2`` of CONTRACT.md."""

from collections.abc import Iterator
from typing import Any, Final

from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.threads import Thread
from kiqdoctor.doctor.hanging import Diagnosis
from kiqdoctor.examining import folded
from kiqdoctor.examining.looking import Looked
from kiqdoctor.text import LONG, clean

SCHEMA: Final = "kiqdoctor.dump/2"
NOTE: Final = 1_000  # characters


def document(target: str, looked: Looked) -> dict[str, Any]:
    """As plain values."""
    found = looked.threads
    return {
        "schema": SCHEMA,
        "target": clean(target),
        "identity": clean(found.identity),
        "at": found.at,
        "source": looked.source,
        "note": clean("; ".join(filter(None, (looked.partial, looked.doubt, found.note))), LONG),
        "state": found.state,
        "diagnosis": [
            {
                "kind": one.kind.value,
                "threads": [clean(name) for name in one.threads],
                "title": clean(one.title, NOTE),
                "basis": "measured" if one.measured else "inferred",
                "evidence": [clean(line, NOTE) for line in one.evidence],
            }
            for one in looked.diagnosis
        ],
        "threads": [_thread(one) for one in folded.without_guesses(found.threads)],
        "more_threads": found.more_threads,
        "pools": [{"name": clean(one.name), "in_use": one.in_use, "size": one.size} for one in found.pools],
    }


def _thread(one: Thread) -> dict[str, Any]:
    job = {"jid": clean(one.jid), "class": clean(one.job_class), "queue": clean(one.queue), "since_s": one.running_s}
    return {
        "id": one.id,
        "name": clean(one.name),
        "state": one.state or ("running" if one.active else "sleeping" if one.active is not None else ""),
        "job": job if one.jid or one.job_class else None,
        "frames": [{"function": clean(frame.function), "file": clean(frame.file), "line": frame.line}
                   for frame in one.frames],
        "more_frames": one.more_frames,
        "holds": [clean(held) for held in one.holds],
        "waits_for": clean(one.waits) or (one.call.peer if one.call is not None else "") or None,
        "owns_gil": one.owns_gil,
    }  # fmt: skip


def lines(target: str, looked: Looked) -> list[str]:
    """What is wrong first; then each thread, the innermost frame first, those with one stack together."""
    found = looked.threads
    jobs = sum(bool(one.jid) for one in found.threads)
    left_out = f", {found.more_threads} more not shown" if found.more_threads else ""
    running = f", {jobs} running jobs" if jobs else ""
    state = f" ({found.state})" if found.state else ""
    head = f"process {clean(found.identity or target)}{state}, by {clean(found.source)}"
    told = [f"{head}: {counted(len(found.threads), 'thread')}{left_out}{running}"]
    told += [line for one in looked.diagnosis for line in wrong(one)]
    if not looked.diagnosis and found.threads:
        told.append(_nothing(looked))
    told += [f"pool {clean(one.name)}: {one.in_use} of {one.size} connections in use" for one in found.pools]
    if found.note:
        told.append(f"note: {clean(found.note, NOTE)}")
    return [*told, *folded.lines(folded.without_guesses(found.threads))]


def _nothing(looked: Looked) -> str:
    """What no diagnosis means: of stacks alone, as Ruby writes them, less than of what the kernel told too."""
    if looked.doubt:
        return f"no cause was proven: {clean(looked.doubt, NOTE)}"
    if looked.source == "ttin":
        return "nothing wrong was seen in the stacks, which do not tell who holds a lock or Ruby's GVL"
    if looked.once:
        return "nothing wrong was seen in one look, which tells a ring of locks and not what else stands still"
    if waiting := [one.name or one.id for one in looked.threads.threads if one.waits]:
        number = counted(len(waiting), "thread waits", "threads wait")
        return f"no cause was seen; {number} for a lock: {folded.some(waiting)}"
    return "nothing wrong was seen: no thread waits for another, for the GIL, or for a socket without an end"


def wrong(one: Diagnosis, since: float | None = None) -> Iterator[str]:
    """One fault with its evidence; of one that was told ``since`` seconds ago (0: it is new) only that it lasts."""
    lasting = "" if since is None else f", for {since:.1f} s" if since else ", new"
    basis = "measured" if one.measured else "inferred"
    yield f"{one.kind.value.upper()}: {clean(one.title, NOTE)} ({basis}{lasting})"
    if not since:
        yield from (f"  {clean(line, NOTE)}" for line in one.evidence)
