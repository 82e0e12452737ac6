"""What every thread of a process does: its job, its stack, the locks that it holds or waits for.

Locks are read from the real objects that the frames' names lead to: names, attributes and items of dicts, lists and
tuples. No property, no ``__getattr__`` and no other code of the user's runs for it. An RLock says itself who owns it;
a plain Lock does not, so that its holder is inferred from the source: the thread that is inside ``with lock:``, or
past ``lock.acquire()`` with no ``release()`` since, and of several such threads none. Not seen: locks entered through
ExitStack, a decorator or a generator, and source that was changed on disk since this process started.
"""

import ast
import inspect
import linecache
import os
import re
import sys
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache
from itertools import islice
from opcode import opmap
from types import CodeType, FrameType, MemberDescriptorType
from typing import Any, Final

from kiqdoctor.runtime import log
from kiqdoctor.text import LONG, clean
from kiqdoctor.wire import codec

SCHEMA: Final = "kiqdoctor.dump/1"
THREADS: Final = 200
FRAMES: Final = 100  # of one thread, innermost first
LOCK_FRAMES: Final = 1_000  # of one thread, searched for locks
HELD: Final = 10  # locks of one thread
POOLS: Final = 50
CYCLES: Final = 20
SIZE: Final = 1_000_000  # bytes of a dump, as JSON or as text
ENTRY: Final = LONG - 1_000  # characters of one log line, so that the log never cuts it
ITEMS: Final = 10_000  # of a dict that is searched for a lock
STARTED: Final = time.time()  # what is newer on disk may not be what runs

_LOCK: Final = type(threading.Lock())
_RLOCK: Final = type(threading.RLock())
_WAIT: Final = threading.Condition.wait.__code__
_JOIN: Final = getattr(getattr(threading.Thread, "_wait_for_tstate_lock", None), "__code__", None)
_OWNER: Final = re.compile(r"owner=(\d+)")
_TAKING: Final = frozenset({"acquire", "__enter__", "_acquire_restore"})
_BEFORE_WITH: Final = opmap.get("BEFORE_WITH", -1)
_HINTS: Final = ("with ", "with(", ".acquire", ".__enter__", "._acquire_restore")

Place = tuple[int, int]  # line and column, in bytes as the compiler counts them


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
class Line:
    """One frame; ``source`` is empty where the file cannot be read or is newer than the process."""

    file: str
    line: int
    function: str
    source: str = ""


@dataclass(frozen=True, slots=True)
class Held:
    """A lock of a thread's; ``sure`` where the lock itself names its owner, else inferred from the source."""

    lock: str
    kind: str
    address: str
    at: str
    sure: bool


@dataclass(frozen=True, slots=True)
class Wanted:
    """The lock that a thread waits for; ``holder`` is a thread's id, None where none was found."""

    lock: str
    kind: str
    address: str
    at: str
    holder: str | None = None
    sure: bool = False


@dataclass(frozen=True, slots=True)
class ThreadDump:
    """One thread; ``frames`` innermost first, ``more_frames`` were left out. ``ident`` is hexadecimal."""

    tid: str
    ident: str
    name: str
    frames: tuple[Line, ...] = ()
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
    _source.cache_clear()
    names = _names(threads)
    chosen = _chosen(frames, names, jobs)
    locks = _Locks({ident: frames[ident] for ident in chosen})
    found = tuple(
        ThreadDump(
            tid=log.thread_id(ident),
            ident=f"0x{ident:x}",
            name=clean(names.get(ident, "(not Python's)")),
            frames=tuple(_line(frame) for frame in islice(_stack(frames[ident]), FRAMES)),
            more_frames=max(0, sum(1 for _ in _stack(frames[ident])) - FRAMES),
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


def _stack(frame: FrameType | None) -> Iterator[FrameType]:
    while frame is not None:
        yield frame
        frame = frame.f_back


def _line(frame: FrameType) -> Line:
    code, number = frame.f_code, frame.f_lineno or 0
    source = _source(code.co_filename)
    text = source[number - 1].strip() if 0 < number <= len(source) else ""
    return Line(clean(code.co_filename), number, clean(code.co_qualname), clean(text))


@lru_cache(maxsize=4096)
def _source(file: str) -> list[str]:
    """The file's lines; none where it was written or renamed after we started: they may not be what runs."""
    try:
        about = os.stat(file)  # noqa: PTH116 - often, and no path is needed
    except (OSError, ValueError):
        return []
    return linecache.getlines(file) if max(about.st_mtime, about.st_ctime) < STARTED else []


# --- Locks: what the source of a frame says about taking them ---------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _Taking:
    """``with lock:`` or ``lock.acquire()`` in a function; ``item`` counts within one ``with`` of several."""

    lock: ast.expr
    text: str
    begin: Place
    end: Place
    statement: Place | None = None  # where ``with`` stands
    item: int = 0
    body: tuple[Place, Place] | None = None


@dataclass(frozen=True, slots=True)
class _Syntax:
    takings: tuple[_Taking, ...] = ()
    releases: tuple[tuple[str, Place], ...] = ()


@lru_cache(maxsize=512)
def _syntax(code: CodeType) -> _Syntax:
    """Where a function takes and releases locks; nothing where its source cannot be had."""
    lines = _source(code.co_filename)
    first = code.co_firstlineno
    last = max((line for _, _, line in code.co_lines() if line), default=0)
    module = code.co_name == "<module>"
    if (code.co_name.startswith("<") and not module) or not any(
        hint in line for line in lines[first - 1 : last] for hint in _HINTS
    ):
        return _Syntax()
    try:
        block = lines if module else inspect.getblock(lines[first - 1 :])
        indented = block[0][:1].isspace()
        tree = ast.parse("if 1:\n" + "".join(block) if indented else "".join(block))
    except (SyntaxError, ValueError, IndexError, RecursionError, MemoryError):
        return _Syntax()
    offset = 0 if module else first - 1 - indented
    body = tree.body
    if not module:
        outer = body[0].body[0] if indented and isinstance(body[0], ast.If) else body[0]
        body = getattr(outer, "body", [])
    return _collected(body, offset)


def _collected(body: Sequence[ast.stmt], offset: int) -> _Syntax:
    takings: list[_Taking] = []
    releases: list[tuple[str, Place]] = []
    for node in _own(body):
        if isinstance(node, ast.With):
            takings += _withs(node, offset)
        elif isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
            text, (begin, end) = ast.unparse(node.func.value), _span(node, offset)
            if node.func.attr in _TAKING:
                takings.append(_Taking(node.func.value, text, begin, end))
            elif node.func.attr == "release":
                releases.append((text, begin))
    return _Syntax(tuple(takings), tuple(releases))


def _own(body: Sequence[ast.AST]) -> Iterator[ast.AST]:
    """Everything below, without what is in functions and classes of its own."""
    left = list(body)
    while left:
        node = left.pop()
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda):
            continue
        yield node
        left.extend(ast.iter_child_nodes(node))


def _withs(node: ast.With, offset: int) -> list[_Taking]:
    statement, end = _span(node, offset)
    spans = [_span(item.context_expr, offset) for item in node.items]
    follows = [*(begin for begin, _ in spans[1:]), _span(node.body[0], offset)[0]]
    return [
        _Taking(one.context_expr, ast.unparse(one.context_expr), *spans[at], statement, at, (follows[at], end))
        for at, one in enumerate(node.items)
    ]


def _span(node: ast.stmt | ast.expr, offset: int) -> tuple[Place, Place]:
    end_line, end_column = node.end_lineno or node.lineno, node.end_col_offset or node.col_offset
    return (node.lineno + offset, node.col_offset), (end_line + offset, end_column)


def _place(code: CodeType, instruction: int) -> Place | None:
    """Where the instruction's expression begins; None where the program was compiled without columns."""
    found = next(islice(code.co_positions(), max(0, instruction) // 2, None), None)
    if found is None or found[0] is None or found[2] is None:
        return None
    return found[0], found[2]


def _item(code: CodeType, instruction: int, place: Place) -> int | None:
    """Which item of its ``with`` is entered: up to 3.12 all have the statement's own place, and are counted.

    A ``finally`` is compiled more than once, each time with the same places: what is far before does not count.
    """
    operations = code.co_code[::2]
    if operations[instruction // 2] != _BEFORE_WITH:
        return None
    count = 0
    for one, at in islice(zip(operations, code.co_positions(), strict=False), instruction // 2):
        if at[0] is not None and at[0::2] < place:
            count = 0
        count += one == _BEFORE_WITH and at[0::2] == place
    return count


# --- Locks: the objects that the names lead to ------------------------------------------------------------------------


def _resolve(expression: ast.expr, frame: FrameType) -> Any:
    """What an expression of names, attributes and items means in this frame; None for anything else."""
    if isinstance(expression, ast.Constant):
        return expression.value
    if isinstance(expression, ast.Name):
        return _named(expression.id, frame)
    if isinstance(expression, ast.Attribute):
        return _attribute(_resolve(expression.value, frame), expression.attr)
    if isinstance(expression, ast.Subscript):
        return _subscript(_resolve(expression.value, frame), _resolve(expression.slice, frame))
    return None


def _named(name: str, frame: FrameType) -> Any:
    code = frame.f_code
    if code.co_flags & inspect.CO_OPTIMIZED or type(frame.f_locals) is dict:
        found = frame.f_locals.get(name)
        if found is not None or name in code.co_varnames:
            return found
    return _from_dict(frame.f_globals, name)


def _attribute(owner: Any, name: str) -> Any:
    """As stored in the instance, its slots, its class or its module; a property is not asked."""
    if owner is None:
        return None
    try:
        found = inspect.getattr_static(owner, name)
    except AttributeError:
        return None
    if type(found) is MemberDescriptorType:
        try:
            return found.__get__(owner)
        except (AttributeError, TypeError):
            return None
    return found


def _subscript(owner: Any, key: Any) -> Any:
    if type(key) is int and type(owner) in {list, tuple} and -len(owner) <= key < len(owner):
        return owner[key]
    return _from_dict(owner, key) if issubclass(type(owner), dict) else None


def _from_dict(owner: dict[Any, Any], key: Any) -> Any:
    """Without asking a key of the user's own type whether it is equal."""
    kind = type(key)
    if kind not in {str, int, bytes} or dict.__len__(owner) > ITEMS:
        return None
    return next((value for one, value in list(dict.items(owner)) if type(one) is kind and one == key), None)


def _lock(found: Any) -> Any:
    """The lock that a taken object is made of; None where it is no lock."""
    if type(found) is threading.Condition:
        found = object.__getattribute__(found, "__dict__").get("_lock")
    return found if type(found) in {_LOCK, _RLOCK, threading._RLock} else None  # noqa: SLF001 - RLock without C


def _kind(lock: Any) -> str:
    return "Lock" if type(lock) is _LOCK else "RLock"


def _owner(lock: Any) -> int | None:
    """Who has an RLock, as it says itself."""
    if type(lock) is _LOCK:
        return None
    if type(lock) is _RLOCK:
        found = _OWNER.search(repr(lock))
        return int(found[1]) or None if found else None
    owner: int | None = object.__getattribute__(lock, "__dict__").get("_owner")
    return owner


@dataclass(frozen=True, slots=True, eq=False)
class _Claim:
    """A thread's taking of a lock, as its frames show it."""

    lock: Any
    text: str
    at: str
    inside: bool  # in the body of a with, which says more than being past an acquire()


class _Locks:
    """Who holds what and who waits for what, in all threads at once."""

    def __init__(self, frames: Mapping[int, FrameType]) -> None:
        self._claims: dict[int, list[_Claim]] = {}
        self._waits: dict[int, _Claim] = {}
        for ident, frame in frames.items():
            self._look(ident, frame)
        self._holders = self._resolved()

    def _look(self, ident: int, innermost: FrameType) -> None:
        claims: dict[int, _Claim] = {}
        released: set[int] = set()
        for depth, frame in enumerate(islice(_stack(innermost), LOCK_FRAMES)):
            if frame.f_code is _WAIT:
                released.add(id(_lock(frame.f_locals.get("self"))))
            for claim, waiting in _claims(frame, innermost=depth == 0):
                if waiting and _owner(claim.lock) != ident:
                    self._waits[ident] = claim
                elif not waiting and id(claim.lock) not in released:
                    claims.setdefault(id(claim.lock), claim)
        self._claims[ident] = list(claims.values())

    def _resolved(self) -> dict[int, int]:
        """Lock -> thread: what an RLock says; else the one thread that claims it best."""
        claimants: dict[int, list[tuple[int, _Claim]]] = {}
        for ident, claims in self._claims.items():
            for claim in claims:
                claimants.setdefault(id(claim.lock), []).append((ident, claim))
        holders: dict[int, int] = {}
        for lock in {id(claim.lock): claim.lock for claim in self._all()}.values():
            owner = _owner(lock) if type(lock) is not _LOCK else self._likely(lock, claimants.get(id(lock), []))
            if owner is not None:
                holders[id(lock)] = owner
        return holders

    def _all(self) -> Iterator[_Claim]:
        for claims in self._claims.values():
            yield from claims
        yield from self._waits.values()

    def _likely(self, lock: Any, claimants: list[tuple[int, _Claim]]) -> int | None:
        """A thread that waits for the lock holds it only where it is alone with that and inside its with."""
        others = [(ident, claim) for ident, claim in claimants if not self._awaits(ident, lock)]
        likely = others or [(ident, claim) for ident, claim in claimants if claim.inside]
        inside = [ident for ident, claim in likely if claim.inside]
        best = inside or [ident for ident, _ in likely]
        return best[0] if len(best) == 1 else None

    def _awaits(self, ident: int, lock: Any) -> bool:
        return ident in self._waits and self._waits[ident].lock is lock

    def held(self, ident: int) -> tuple[Held, ...]:
        """The outermost first, which was taken first."""
        return tuple(
            Held(clean(one.text), _kind(one.lock), f"0x{id(one.lock):x}", one.at, sure=type(one.lock) is not _LOCK)
            for one in reversed(self._claims.get(ident, []))
            if self._holders.get(id(one.lock)) == ident
        )

    def wanted(self, ident: int) -> Wanted | None:
        """What this thread waits for, by the name that its holder gave it where its own is a library's."""
        claim = self._waits.get(ident)
        if claim is None:
            return None
        holder = self._holders.get(id(claim.lock))
        others = (one.text for one in self._all() if one.lock is claim.lock and not one.text.startswith("self._"))
        return Wanted(
            lock=clean(next(others, claim.text) if claim.text.startswith("self._") else claim.text),
            kind=_kind(claim.lock),
            address=f"0x{id(claim.lock):x}",
            at=claim.at,
            holder=log.thread_id(holder) if holder is not None else None,
            sure=type(claim.lock) is not _LOCK,
        )

    def cycles(self) -> tuple[tuple[str, ...], ...]:
        """Threads that wait for one another in a ring, each ring once."""
        found: dict[frozenset[int], tuple[str, ...]] = {}
        for start in self._waits:
            path: list[int] = []
            at: int | None = start
            while at is not None and at not in path:
                path.append(at)
                claim = self._waits.get(at)
                at = self._holders.get(id(claim.lock)) if claim is not None else None
            if at is not None:
                ring = path[path.index(at) :]
                found.setdefault(frozenset(ring), tuple(log.thread_id(ident) for ident in ring))
        return tuple(found.values())


def _claims(frame: FrameType, *, innermost: bool) -> Iterator[tuple[_Claim, bool]]:
    """Each taking that matters where the frame is now, and whether it is being waited for."""
    code, instruction = frame.f_code, frame.f_lasti
    syntax = _syntax(code)
    place = _place(code, instruction) if syntax.takings else None
    if place is None:
        return
    for taking in syntax.takings:
        if code is _JOIN or (code is _WAIT and taking.text == "waiter"):
            continue  # not a lock that anybody holds: a condition, or another thread's end
        entering = _item(code, instruction, place) if taking.statement == place else None
        waiting = innermost and (taking.begin <= place < taking.end or entering == taking.item)
        inside = taking.body is not None and taking.body[0] <= place < taking.body[1]
        inside = inside or (entering is not None and entering > taking.item)
        if not (waiting or inside or _past(taking, syntax, place)):
            continue
        lock = _lock(_resolve(taking.lock, frame))
        if lock is not None and (_owner(lock) is not None if type(lock) is not _LOCK else lock.locked()):
            at = f"{clean(code.co_filename)}:{taking.begin[0]}"
            yield _Claim(lock, taking.text, at, inside), waiting


def _past(taking: _Taking, syntax: _Syntax, place: Place) -> bool:
    """After an ``acquire()``, with no ``release()`` in between."""
    if taking.statement is not None or place < taking.end:
        return False
    return not any(text == taking.text and taking.end <= at <= place for text, at in syntax.releases)


# --- Shown ------------------------------------------------------------------------------------------------------------


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
    head += [f"  {'' if held.sure else 'probably '}holds {_lock_words(held)}, taken at {clean(held.at)}"
             for held in thread.holds]  # fmt: skip
    if thread.waits is not None:
        head.append(
            f"  waits for {_lock_words(thread.waits)} at {clean(thread.waits.at)}, {_holder_words(thread.waits)}"
        )
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


def _lock_words(lock: Held | Wanted) -> str:
    return f"{clean(lock.lock)} ({clean(lock.kind)} {clean(lock.address)})"


def _holder_words(wanted: Wanted) -> str:
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
        found = msgspec.convert(_washed(codec.decode(raw)), Dump)
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
