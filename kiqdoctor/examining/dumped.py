"""A look at a process's threads in words and as JSON, schema ``kiqdoctor.dump/2`` of CONTRACT.md."""

from collections import Counter
from collections.abc import Iterator
from typing import Any, Final

from kiqdoctor.doctor.facts.threads import Thread
from kiqdoctor.examining.looking import Looked
from kiqdoctor.text import LONG, clean

SCHEMA: Final = "kiqdoctor.dump/2"
ALIKE: Final = 4  # threads with one stack that are folded to one
SHOWN: Final = 10
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
        "note": clean("; ".join(filter(None, (looked.partial, found.note))), LONG),
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
        "threads": [_thread(one) for one in found.threads],
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
    told = [f"{head}: {len(found.threads)} threads{left_out}{running}"]
    told += [line for one in looked.diagnosis for line in _wrong(one.kind.value, one.title, one.measured, one.evidence)]
    if not looked.diagnosis and found.threads:
        waiting = [clean(one.name or one.id) for one in found.threads if one.waits]
        told.append(
            f"no cause was seen; {len(waiting)} threads wait for a lock: {', '.join(waiting[:SHOWN])}"
            if waiting
            else "nothing wrong was seen: no thread waits for another, for the GIL, or without an end"
        )
    told += [f"pool {clean(one.name)}: {one.in_use} of {one.size} connections in use" for one in found.pools]
    if found.note:
        told.append(f"note: {clean(found.note, NOTE)}")
    return told + list(_threads(found.threads))


def _wrong(kind: str, title: str, measured: bool, evidence: tuple[str, ...]) -> Iterator[str]:
    yield f"{kind.upper()}: {clean(title, NOTE)} ({'measured' if measured else 'inferred'})"
    yield from (f"  {clean(line, NOTE)}" for line in evidence)


def _threads(threads: tuple[Thread, ...]) -> Iterator[str]:
    alike = Counter(one.frames for one in threads if not one.jid)
    folded = set()
    for one in threads:
        same = alike[one.frames] if not one.jid else 1
        if same >= ALIKE:
            if one.frames not in folded:
                names = ", ".join(
                    some.name or some.id for some in threads if some.frames == one.frames and not some.jid
                )
                yield f"{same} threads with one stack: {clean(names, NOTE)}"
                yield from _frames(one)
            folded.add(one.frames)
            continue
        yield _head(one)
        yield from (f"  holds {clean(held)}" for held in one.holds)
        if one.waits:
            yield f"  waits for {clean(one.waits)}"
        yield from _frames(one)


def _head(one: Thread) -> str:
    job = ""
    if one.jid or one.job_class:
        running = f" running={one.running_s:.1f}s" if one.running_s is not None else ""
        job = f" class={clean(one.job_class)} jid={clean(one.jid)} queue={clean(one.queue)}{running}"
    call = one.call.name + (f" {one.call.peer}" if one.call.peer else "") if one.call is not None else ""
    words = (one.state, call, "on CPU" if one.active and not one.state else "", "has the GIL" if one.owns_gil else "")
    now = ", ".join(filter(None, words))
    return f"Thread {one.id} {clean(one.name)}{job}{f' ({now})' if now else ''}"


def _frames(one: Thread) -> Iterator[str]:
    for frame in one.frames:
        yield f"  {clean(frame.file)}:{frame.line} in {clean(frame.function)}"
        if frame.source:
            yield f"    {clean(frame.source)}"
    if one.more_frames:
        yield f"  {one.more_frames} more frames"
