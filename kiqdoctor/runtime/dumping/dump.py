"""What every thread of a process does: its job, its stack, the locks that it holds or waits for."""

import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from types import FrameType
from typing import Any, Final

from kiqdoctor.runtime import log
from kiqdoctor.runtime.dumping.frames import source, stack
from kiqdoctor.runtime.dumping.locks import CYCLES, HELD, Held, Locks, Wanted
from kiqdoctor.text import LONG, clean
from kiqdoctor.wire import codec

SCHEMA: Final = "kiqdoctor.dump/1"
THREADS: Final = 200
FRAMES: Final = 100  # of one thread, innermost first
POOLS: Final = 50
SIZE: Final = 1_000_000  # bytes of a dump, as JSON or as text
ENTRY: Final = LONG - 1_000  # characters of one log line, so that the log never cuts it


@dataclass(frozen=True, slots=True)
class JobNow:
    """A job that a thread runs, and for how long already."""

    job_class: str
    jid: str
    queue: str
    running_s: float


@dataclass(frozen=True, slots=True)
class PoolUse:
    """A connection pool: how many of its connections are taken, of how many at most."""

    name: str
    in_use: int
    size: int


@dataclass(frozen=True, slots=True)
class Frame:
    """One frame; ``source`` is empty where the file cannot be read or is newer than the process."""

    file: str
    line: int
    function: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class ThreadDump:
    """One thread; ``frames`` innermost first, ``more_frames`` were left out. ``ident`` is hexadecimal."""

    tid: str
    ident: str
    name: str
    frames: tuple[Frame, ...] = ()
    more_frames: int = 0
    job: JobNow | None = None
    holds: tuple[Held, ...] = ()
    waits: Wanted | None = None


@dataclass(frozen=True, slots=True)
class Dump:
    """A process at one moment (``at``, epoch seconds). ``deadlocks`` are cycles of thread ids, all of them probable."""

    identity: str
    reason: str
    at: float
    pid: int
    threads: tuple[ThreadDump, ...]
    more_threads: int = 0
    pools: tuple[PoolUse, ...] = ()
    deadlocks: tuple[tuple[str, ...], ...] = ()
    schema: str = SCHEMA


Jobs = Callable[[], Mapping[int, JobNow]]
Pools = Callable[[], Sequence[PoolUse]]


def here(jobs: Jobs, pools: Pools, *, identity: str = "", reason: str = "asked", at: float | None = None) -> Dump:
    """This process now. ``jobs`` maps thread idents to what they run."""
    frames = sys._current_frames()  # noqa: SLF001 - the one way to see other threads
    try:
        return take(frames, threading.enumerate(), jobs(), pools(), identity=identity, reason=reason, at=at)
    finally:
        frames.clear()  # it holds our own frame too: a cycle that would keep everybody's locals


def take(
    frames: Mapping[int, FrameType],
    threads: Sequence[threading.Thread],
    jobs: Mapping[int, JobNow],
    pools: Sequence[PoolUse],
    *,
    identity: str = "",
    reason: str = "asked",
    at: float | None = None,
) -> Dump:
    """The threads of ``frames``, those with jobs first, each with its locks."""
    source.cache_clear()
    names = _names(threads)
    chosen = _chosen(frames, names, jobs)
    locks = Locks({ident: frames[ident] for ident in chosen})
    found = tuple(
        ThreadDump(
            tid=log.thread_id(ident),
            ident=f"0x{ident:x}",
            name=clean(names.get(ident, "(not Python's)")),
            frames=tuple(_line(frame) for frame in islice(stack(frames[ident]), FRAMES)),
            more_frames=max(0, sum(1 for _ in stack(frames[ident])) - FRAMES),
            job=_job(jobs.get(ident)),
            holds=locks.held(ident)[:HELD],
            waits=locks.wanted(ident),
        )
        for ident in chosen
    )
    return Dump(
        identity=clean(identity),
        reason=clean(reason),
        at=time.time() if at is None else at,
        pid=os.getpid(),
        threads=found,
        more_threads=len(frames) - len(found),
        pools=tuple(replace(pool, name=clean(pool.name)) for pool in pools[:POOLS]),
        deadlocks=locks.cycles()[:CYCLES],
    )


def _names(threads: Sequence[threading.Thread]) -> dict[int | None, str]:
    """By the base class's own properties: a subclass may have made ``name`` or ``ident`` code of its own."""
    base: Any = threading.Thread
    return {base.ident.__get__(thread): base.name.__get__(thread) for thread in threads}


def _chosen(frames: Mapping[int, FrameType], names: Mapping[int | None, str], jobs: Mapping[int, JobNow]) -> list[int]:
    """Jobs first, the longest of them at the top; then by name, as ``kiq.processor 10`` follows 9."""

    def rank(ident: int) -> tuple[float, str, str]:
        job = jobs.get(ident)
        name = names.get(ident, "~")
        number = name.rpartition(" ")[2]
        return (-job.running_s if job is not None else 1.0, name.rstrip("0123456789"), number.zfill(8))

    return sorted(frames, key=rank)[:THREADS]


def _job(job: JobNow | None) -> JobNow | None:
    if job is None:
        return None
    return JobNow(clean(job.job_class), clean(job.jid), clean(job.queue), round(job.running_s, 3))


def _line(frame: FrameType) -> Frame:
    code, number = frame.f_code, frame.f_lineno or 0
    lines_of_it = source(code.co_filename)
    text = lines_of_it[number - 1].strip() if 0 < number <= len(lines_of_it) else ""
    return Frame(clean(code.co_filename), number, clean(code.co_qualname), clean(text))


def lines(dump: Dump) -> list[str]:
    """Log lines as Sidekiq's, one a thread with its stack below, the innermost frame first; a head before them."""
    jobs = sum(thread.job is not None for thread in dump.threads)
    left_out = f", {dump.more_threads} more not shown" if dump.more_threads else ""
    whose = f" of {clean(dump.identity)}" if dump.identity else ""
    told = [f"thread dump{whose} ({clean(dump.reason)}): {len(dump.threads)} threads{left_out}, {jobs} running jobs"]
    told += [_ring(ring, dump) for ring in dump.deadlocks]
    told += [f"pool {clean(pool.name)}: {pool.in_use} of {pool.size} connections in use" for pool in dump.pools]
    size = sum(map(len, told))
    for thread in dump.threads:
        entry = _entry(thread, ENTRY if size < SIZE else 0)
        size += len(entry)
        told.append(entry)
    return told


def _entry(thread: ThreadDump, room: int) -> str:
    """One thread; frames that find no room are counted."""
    head = [f"Thread TID-{clean(thread.tid)} {clean(thread.name)}{_job_words(thread.job)}"]
    head += [f"  {'' if held.sure else 'probably '}holds {lock_words(held)}, taken at {clean(held.at)}"
             for held in thread.holds]  # fmt: skip
    if thread.waits is not None:
        head.append(f"  waits for {lock_words(thread.waits)} at {clean(thread.waits.at)}, {holder_words(thread.waits)}")
    text, shown = "\n".join(head), 0
    for frame in thread.frames:
        line = f"\n  {clean(frame.file)}:{frame.line} in {clean(frame.function)}"
        line += f"\n    {clean(frame.source)}" if frame.source else ""
        if len(text) + len(line) > room:
            break
        text, shown = text + line, shown + 1
    more = thread.more_frames + len(thread.frames) - shown
    return f"{text}\n  {more} more frames" if more else text


def _job_words(job: JobNow | None) -> str:
    if job is None:
        return ""
    return f" class={clean(job.job_class)} jid={clean(job.jid)} queue={clean(job.queue)} running={job.running_s:.1f}s"


def lock_words(lock: Held | Wanted) -> str:
    """Its name, kind and address."""
    return f"{clean(lock.lock)} ({clean(lock.kind)} {clean(lock.address)})"


def holder_words(wanted: Wanted) -> str:
    """Who holds it, and how sure that is."""
    if wanted.holder is None:
        return "no holder found"
    return f"{'held' if wanted.sure else 'probably held'} by TID-{clean(wanted.holder)}"


def _ring(ring: Sequence[str], dump: Dump) -> str:
    wanted = {thread.tid: thread.waits for thread in dump.threads}
    parts = []
    for tid in ring:
        found = wanted.get(tid)
        parts.append(
            f"TID-{clean(tid)} waits for {clean(found.lock)} at {clean(found.at)}" if found else f"TID-{clean(tid)}"
        )
    return clean(f"probable deadlock: {', '.join(parts)}, held by the first" if len(parts) == 1 else
                 f"probable deadlock: {', held by '.join([*parts, f'TID-{clean(ring[0])}'])}", ENTRY)  # fmt: skip


def encode(dump: Dump) -> bytes:
    """JSON of at most ``SIZE`` bytes: where it would be more, the outer frames go first."""
    raw = codec.encode(dump)
    for most in (30, 10, 3, 0):
        if len(raw) <= SIZE:
            break
        raw = codec.encode(replace(dump, threads=tuple(_shortened(thread, most) for thread in dump.threads)))
    while len(raw) > SIZE:
        fewer = dump.threads[: len(dump.threads) // 2]
        dump = replace(dump, threads=fewer, more_threads=dump.more_threads + len(dump.threads) - len(fewer))
        raw = codec.encode(replace(dump, threads=tuple(_shortened(thread, 0) for thread in fewer)))
    return raw


def _shortened(thread: ThreadDump, most: int) -> ThreadDump:
    more = thread.more_frames + max(0, len(thread.frames) - most)
    return replace(thread, frames=thread.frames[:most], more_frames=more)


def read(raw: bytes) -> Dump:
    """A dump that another process wrote; its words are cleaned again, for anybody can write to Redis.

    Raises:
        ValueError: no JSON, no dump, or larger than any honest one.
    """
    import msgspec

    if len(raw) > SIZE:
        raise ValueError(f"the dump holds {len(raw)} bytes, more than {SIZE}")
    try:
        found = codec.typed(_washed(codec.decode(raw)), Dump)
    except msgspec.ValidationError as error:
        raise ValueError(f"no thread dump: {' '.join(str(error).split())}") from None
    if found.schema != SCHEMA:
        raise ValueError(f"a thread dump of schema {found.schema!r}, not {SCHEMA}")
    return found


def _washed(value: Any) -> Any:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, list):
        return [_washed(one) for one in value]
    if isinstance(value, dict):
        return {clean(key): _washed(one) for key, one in value.items()}
    return value
