"""What is wrong with a process's threads, judged from two or more looks at them; pure.

A thread that stood in the same frames in every look is another finding than one that was passing. What the process or
the kernel said is ``measured``; what is concluded from frames and source is ``inferred``.
"""

import re
from collections import Counter
from collections.abc import Iterator, Sequence
from enum import StrEnum
from pathlib import PurePosixPath
from typing import Final

from kiqdoctor.doctor.facts.threads import FROZEN, Frame, Thread, Threads
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex

TOP: Final = 3  # innermost frames that make two stacks the same
MANY: Final = 3  # threads from which on it is a pile
RESTING: Final = 0.1  # of one core: a thread that used less stood still
SHOWN: Final = 10
SYSTEM_CALL: Final = "system call "
WAYS: Final = 5.0  # a second of its own time, that even a native call may wait for something
ENOUGH: Final = 0.05  # seconds on a core, in which whoever is asked for the GIL gives it up ten times
ASKS: Final = 10  # times that who waits for the GIL must have asked: on a host without a core for it, it cannot
HALTED: Final = {
    "stopped": ("somebody sent STOP, TSTP or TTIN", "it is sent CONT"),
    "tracing stop": ("a debugger or tracer holds it", "the tracer lets it go"),
    FROZEN: ("its control group is frozen, as a paused container's", "that is thawed (docker unpause)"),
}
"""States in which nothing of a process runs: who did that, and what ends it."""
NEVER_SEEN: Final = 1e-9  # seconds between looks whose times are the same

_LIBRARY: Final = regex(
    r"/lib(?:64)?/python3[^/]*/|/(?:site|dist)-packages/|^<(?!string>|stdin>)|/kiqdoctor/(?:(?:runtime|cli|examining)/|__main__\.py$)|/bin/[^/]+$"
    r"|/gems/|/lib/ruby/|/vendor_ruby/|/rubygems/"
)
_PYTHON_S: Final = regex(
    r"/lib(?:c|m|dl|rt|pthread|util|python[\d.]+t?)[.-]|/ld-linux|/python[\d.]*t?$|/lib-dynload/|linux-vdso|\[vdso\]"
)
_QUEUES: Final = ("/multiprocessing/queues.py", "/billiard/queues.py", "/multiprocess/queues.py")
_CONDITIONS: Final = "/threading.py"
_BETWEEN: Final = ("/multiprocessing/synchronize.py", "/billiard/synchronize.py", "/multiprocess/synchronize.py")
"""Locks that several processes share: whoever has one may be in another, and nobody tells which."""
_LOOP: Final = "/asyncio/base_events.py"
_LOCKS: Final = frozenset({"flock", "fcntl", "open", "openat"})
"""Calls that wait for another process: for a file's lock, or for who opens a FIFO's other end."""
_SLEEPS: Final = frozenset({"nanosleep", "clock_nanosleep", "restart_syscall"})
_LOCKING: Final = frozenset({"wait", "acquire", "lock", "synchronize", "sleep_forever", "pop"})
_POOLS: Final = {
    ("redis/connection.py", "get_connection"): "redis-py's",
    ("redis/asyncio/connection.py", "get_connection"): "redis-py's",
    ("sqlalchemy/pool/impl.py", "_do_get"): "SQLAlchemy's",
    ("psycopg_pool/pool.py", "getconn"): "psycopg_pool's",
    ("urllib3/connectionpool.py", "_get_conn"): "urllib3's",
    ("dbutils/pooled_db.py", "connection"): "DBUtils'",
    ("pymongo/pool.py", "_get_conn"): "PyMongo's",
    ("pymongo/synchronous/pool.py", "_get_conn"): "PyMongo's",
}  # fmt: skip
_RESTS: Final = frozenset({
    "brpop", "blpop", "blmove", "brpoplpush", "bzpopmin", "bzpopmax", "xread", "xreadgroup",
})  # fmt: skip
"""Calls that wait for work."""
_SERVES: Final = frozenset({
    "listen", "get_message", "accept", "drain_events", "serve_forever", "run_forever", "start_consuming",
})  # fmt: skip
"""Calls that wait for work, and call the program's own code when it comes."""


class Kind(StrEnum):
    """What a diagnosis is about; the words of ``kiqdoctor.dump/2``."""

    DEADLOCK = "deadlock"
    PILE_UP = "pile-up"
    GIL_HOG = "gil-hog"
    NATIVE_BLOCK = "native-block"
    SOCKET_WAIT = "socket-wait"
    IMPORT_LOCK = "import-lock"
    POOL_EXHAUSTED = "pool-exhausted"
    STOPPED = "stopped"


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """One thing that is wrong; ``threads`` by name, ``evidence`` a line each."""

    kind: Kind
    threads: tuple[str, ...]
    title: str
    measured: bool
    evidence: tuple[str, ...] = ()


def diagnosed(looks: Sequence[Threads]) -> tuple[Diagnosis, ...]:
    """Everything that is wrong, what explains the others first; nothing of a single look but what cannot pass."""
    if not looks:
        return ()
    if stopped := _stopped(looks):
        return (stopped,)
    still = standing(looks)
    found: list[Diagnosis] = [*_deadlocks(looks), *_deadlocks_of_ruby(looks, still)]
    found += _gil(looks)
    if len(looks) > 1:
        found += _imports(still)
        found += _pools(looks[-1], still)
        found += _pile(looks[-1], still, found)
        found += _sockets(still)
        found += _native(still, found)
    return tuple(found)


def computing(looks: Sequence[Threads]) -> tuple[str, ...]:
    """Threads that ran at one line in every look, as far as they got a core: a long call, or one without an end."""
    if len(looks) < 2:  # noqa: PLR2004
        return ()
    seconds = max(looks[-1].at - looks[0].at, NEVER_SEEN)
    before = [{one.id: one for one in look.threads} for look in looks[:-1]]
    return tuple(
        f"{_said(one)} stood there in {len(looks)} looks and used {min(share, 1):.0%} of a core"
        for one in looks[-1].threads
        if all(one.id in look and _top(look[one.id]) == _top(one) for look in before)
        and all(some.state == "running" for some in (one, *(look[one.id] for look in before)))
        and ((share := _used(before[0][one.id], one) / seconds) >= RESTING or _never_slept(before[0][one.id], one))
    )


def _never_slept(before: Thread, after: Thread) -> bool:
    """Whether it got on as far as it got a core, and left that by no will of its own."""
    return before.yields is not None and before.yields == after.yields and _used(before, after) > 0


def in_doubt(looks: Sequence[Threads]) -> tuple[str, ...]:
    """Working threads that waited for a lock in every look, where nobody tells who holds which (Ruby), a line each."""
    if len(looks) < 2 or not _stacks_alone(looks):  # noqa: PLR2004
        return ()
    return tuple(_said(one) for one in standing(looks) if _works(one) and _waits(one))


def unexplained(looks: Sequence[Threads], found: Sequence[Diagnosis]) -> tuple[str, ...]:
    """Working threads that got no further from look to look, and that no diagnosis names, a line each.

    A job that sleeps, and one that waits for a file's lock, a child, a coroutine or a lock of native code, look alike
    from outside: that is no fault, and no proof that there is none.
    """
    if len(looks) < 2 or _stacks_alone(looks):  # noqa: PLR2004
        return ()
    told = {name for one in found for name in one.threads}
    stood = tuple(
        f"{_said(one)} ({one.call.name})" if one.call is not None else _said(one)
        for one in standing(looks)
        if _name(one) not in told and one.state != "running" and (one.jid or (_works(one) and _stuck(one)))
    )
    return (*stood, *(computing(looks) if not told else ()))


def _stuck(one: Thread) -> bool:
    """Where nobody waits who has nothing to do."""
    if one.call is None:
        return False
    if one.call.name in _SLEEPS:  # which holds up everything else that its loop runs
        return any(frame.file.endswith(_LOOP) for frame in one.frames)
    between = bool(one.frames) and one.frames[0].file.endswith(_BETWEEN)
    return one.call.name in _LOCKS or (one.call.name == "futex" and not one.call.gil and (between or _waits(one)))


def _stacks_alone(looks: Sequence[Threads]) -> bool:
    """Whether frames are all that is known of the threads, as of a Ruby's own dump."""
    return not any(one.state or one.waits or one.holds for look in looks for one in look.threads)


def _stopped(looks: Sequence[Threads]) -> Diagnosis | None:
    states = {one.state for one in looks}
    if len(states) > 1 or not states & set(HALTED):
        return None
    halted = states.pop()
    by, until = HALTED[halted]
    names = tuple(_name(one) for one in looks[-1].threads)
    return Diagnosis(
        Kind.STOPPED, names, f"the process is stopped: none of its threads runs until {until}", measured=True,
        evidence=(f"state {halted} in /proc; {by}",),
    )  # fmt: skip


def standing(looks: Sequence[Threads]) -> list[Thread]:
    """The last look's threads that stood in the same frames in every look, without using a core."""
    first, last = looks[0], looks[-1]
    seconds = max(last.at - first.at, NEVER_SEEN)
    before = [{one.id: one for one in look.threads} for look in looks[:-1]]
    return [
        one
        for one in last.threads
        if all(one.id in look and _top(look[one.id]) == _top(one) for look in before)
        and not (len(looks) > 1 and _used(before[0][one.id], one) > RESTING * seconds)
    ]


def _used(before: Thread, after: Thread) -> float:
    """CPU seconds between two looks; 0 where nobody looked."""
    return after.cpu_s - before.cpu_s if after.cpu_s is not None and before.cpu_s is not None else 0.0


def _top(one: Thread) -> tuple[tuple[str, str, int], ...]:
    return tuple((frame.file, frame.function, frame.line) for frame in one.frames[:TOP])


def _name(one: Thread) -> str:
    return one.name or one.id


def of_library(frame: Frame) -> bool:
    """Whether it is code that the program uses, and not its own."""
    return bool(_LIBRARY.search(frame.file))


def place(one: Thread) -> str:
    """The innermost line of the program's own code, else the innermost at all."""
    frame = next((frame for frame in one.frames if not of_library(frame)), None)
    frame = frame or next(iter(one.frames), None)
    return f"{frame.file}:{frame.line} in {frame.function}" if frame is not None else "no Python frame"


def _works(one: Thread) -> bool:
    """Whether it runs a job, or anything of the program's own code where jobs are not known; none that rests."""
    if one.jid:
        return True
    own = next((number for number, frame in enumerate(one.frames) if not of_library(frame)), None)
    if own is None or any(_called(frame.function) in _RESTS or _takes_from_a_queue(frame) for frame in one.frames):
        return False
    return not any(_called(frame.function) in _SERVES for frame in one.frames[: own + 1])


def _takes_from_a_queue(frame: Frame) -> bool:
    """Of multiprocessing's queues one thread reads, and the others wait for its lock: nothing to do, all of them."""
    return frame.file.endswith(_QUEUES) and _called(frame.function) == "get"


def _called(function: str) -> str:
    """The last name of a qualified one: Python's ``A.b``, Ruby's ``A#b``."""
    return re.split(r"[.#]", function)[-1]


def _said(one: Thread) -> str:
    job = f" ({one.job_class} {one.jid})" if one.jid else ""
    return f"{_name(one)}{job}: {place(one)}"


def _deadlocks(looks: Sequence[Threads]) -> Iterator[Diagnosis]:
    """A ring that was there in every look at locks."""
    told = [look for look in looks if look.deadlocks or any(one.holds or one.waits for one in look.threads)]
    rings = [{frozenset(ring) for ring in look.deadlocks} for look in told]
    for ring in told[-1].deadlocks if told else ():
        if not all(frozenset(ring) in one for one in rings):
            continue
        threads = {one.id: one for one in told[-1].threads}
        members = [threads[name] for name in ring if name in threads]
        names = tuple(_name(one) for one in members)
        what = "waits for a lock that it holds itself" if len(ring) == 1 else "wait for each other's locks"
        lines = tuple(f"{_said(one)} waits for {one.waits or 'a lock'}" for one in members[:SHOWN])
        more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
        yield Diagnosis(Kind.DEADLOCK, names, f"{' and '.join(names[:SHOWN])}{more} {what}", told[-1].sure, lines)


def _deadlocks_of_ruby(looks: Sequence[Threads], standing: Sequence[Thread]) -> Iterator[Diagnosis]:
    """Each thread that is within a lock of the program's own waits for one in every look: so for one of the others'."""
    if len(looks) < 2 or not _stacks_alone(looks) or any(one.more_frames for one in looks[-1].threads):  # noqa: PLR2004
        return
    within = {one.id for one in looks[-1].threads if any(map(_locks, one.frames[1:]))}
    members = [one for one in standing if one.id in within and _locks(one.frames[0])]
    if len(members) < 2 or len(members) < len(within):  # noqa: PLR2004 - alone it would be an error of Ruby's
        return
    names = tuple(_name(one) for one in members)
    yield Diagnosis(
        Kind.DEADLOCK, names, f"{' and '.join(names[:SHOWN])} wait for each other's locks", measured=False,
        evidence=(*(f"{_said(one)} waits for a lock, within another" for one in members[:SHOWN]),
                  "no other thread is within a lock of this program"),
    )  # fmt: skip


def _locks(frame: Frame) -> bool:
    """Ruby's Mutex or Monitor, called by the program's own code: its frame has the caller's file."""
    return _called(frame.function) in {"synchronize", "mon_synchronize"} and not of_library(frame)


def _gil(looks: Sequence[Threads]) -> Iterator[Diagnosis]:
    """One thread has Python's lock in every look, and another waits for it in every look without getting on."""
    seen = _owner(looks)
    if not seen or held_up(looks):
        return
    owner, first = seen[-1], seen[0]
    starved = _starved(looks, RESTING if owner.yields is not None else RESTING * RESTING)
    seconds = max(looks[-1].at - looks[0].at, NEVER_SEEN)
    used = _used(first, owner)
    share = used / seconds
    if (share >= RESTING or _runs(seen)) and _gave_way(first, owner) > WAYS * used:
        return  # whoever is asked for it gives it up, as Python code does
    asleep = share < RESTING and all(_sleeps(one) and _top(one) == _top(first) for one in seen)
    if not asleep and (not starved or (share < RESTING and not _runs(seen))):
        return
    how = "while it sleeps in native code" if share < RESTING else f"and uses {min(share, 1):.0%} of a core"
    yield Diagnosis(
        Kind.GIL_HOG,
        (_name(owner),),
        f"{_name(owner)} holds the GIL {how}: no other thread of the process gets on",
        measured=True,
        evidence=(
            f"it owned the GIL in each of {len(looks)} looks in {seconds:.1f} s, at {place(owner)}",
            *([f"waiting for it all the while: {', '.join(starved[:SHOWN])}"] if starved else []),
            *(f"in the native library {library}" for library in _foreign(owner)[:1]),
        ),
    )


def _owner(looks: Sequence[Threads]) -> Sequence[Thread]:
    """The one thread that had the GIL in every look, as it was in each; nothing where it changed hands."""
    owners = [{one.id: one for one in look.threads if one.owns_gil} for look in looks]
    always = set.intersection(*(set(one) for one in owners)) if owners else set()
    if len(looks) == 1 or len(always) != 1:
        return ()
    [name] = always
    return [look[name] for look in owners]


def _sleeps(one: Thread) -> bool:
    """Asleep in another way than who waits for the GIL, which it then has no more."""
    return one.state == "sleeping" and not (one.call and one.call.gil)


def _runs(seen: Sequence[Thread]) -> bool:
    return any(one.state == "running" for one in seen)


def held_up(looks: Sequence[Threads]) -> str:
    """Who kept others from the GIL in every look, and would have run, had the machine had a core for it."""
    seen = _owner(looks)
    if not seen or not _runs(seen) or _gave_way(seen[0], seen[-1]) or not (starved := _starved(looks, RESTING)):
        return ""
    scarce = _used(seen[0], seen[-1]) < ENOUGH or not any(_asked(looks, name) for name in starved)
    return _name(seen[-1]) if scarce else ""


def _asked(looks: Sequence[Threads], name: str) -> bool:
    """Whether the thread of this name had a core often enough to ask for the GIL."""
    first, last = ([one for one in look.threads if _name(one) == name] for look in (looks[0], looks[-1]))
    told = [(one.yields, other.yields) for one, other in zip(first, last, strict=False)]
    return any(one is None or other is None or other - one >= ASKS for one, other in told)


def _gave_way(before: Thread, after: Thread) -> int:
    """How often it waited in between, as it does where it gives the GIL to another; 0 where nobody looked."""
    return after.yields - before.yields if after.yields is not None and before.yields is not None else 0


def _starved(looks: Sequence[Threads], most: float) -> list[str]:
    """Who waits asks again every 5 ms, and may be met in between: who is in one place all the while, waits.

    ``most``: of a core, that the asking may take.
    """
    threads = [{one.id: one for one in look.threads} for look in looks]
    always = set.intersection(*(set(one) for one in threads))
    seconds = max(looks[-1].at - looks[0].at, NEVER_SEEN)
    found = []
    for key in sorted(always):
        seen = [look[key] for look in threads]
        waiting = sum(one.call is not None and one.call.gil for one in seen)
        stands = all(_top(one) == _top(seen[0]) and (one.call is None or one.call.gil) for one in seen)
        rests = _used(seen[0], seen[-1]) < most * seconds
        if rests and (waiting == len(seen) or (stands and 2 * waiting >= len(seen))):
            found.append(_name(seen[-1]))
    return found


def _imports(standing: Sequence[Thread]) -> Iterator[Diagnosis]:
    waiting = [one for one in standing if _waits_for_an_import(one)]
    if not waiting:
        return
    loading = [one for one in standing if one not in waiting
               and any(frame.file.startswith("<frozen importlib") for frame in one.frames)]  # fmt: skip
    whose = f", which {_name(loading[0])} has not finished" if len(loading) == 1 else ""
    names = tuple(_name(one) for one in waiting)
    count = f"{len(names)} threads wait" if len(names) > 1 else f"{names[0]} waits"
    yield Diagnosis(
        Kind.IMPORT_LOCK, names, f"{count} for the import of a module{whose}", measured=False,
        evidence=tuple(_said(one) for one in (*waiting[:SHOWN], *loading[:SHOWN])),
    )  # fmt: skip


def _waits_for_an_import(one: Thread) -> bool:
    return any(
        frame.file.startswith("<frozen importlib")
        and ("ModuleLock" in frame.function or frame.function in {"acquire", "__enter__"})
        for frame in one.frames[:TOP]
    )


def _pools(last: Threads, standing: Sequence[Thread]) -> Iterator[Diagnosis]:
    waiting: dict[str, list[Thread]] = {}
    for one in standing:
        for frame in one.frames:
            whose = next((words for (file, function), words in _POOLS.items()
                          if frame.file.endswith(file) and _called(frame.function) == function), "")  # fmt: skip
            if whose and one.frames[0] is not frame:
                waiting.setdefault(whose, []).append(one)
                break
    for whose, threads in waiting.items():
        full = [pool for pool in last.pools if pool.size and pool.in_use >= pool.size]
        names = tuple(_name(one) for one in threads)
        count = f"{len(names)} threads wait" if len(names) > 1 else f"{names[0]} waits"
        taken = "".join(f"; {pool.name}: {pool.in_use} of {pool.size} in use" for pool in full[:1])
        yield Diagnosis(
            Kind.POOL_EXHAUSTED, names, f"{count} for a connection of {whose} pool{taken}", measured=bool(full),
            evidence=tuple(_said(one) for one in threads[:SHOWN]),
        )  # fmt: skip


def _pile(last: Threads, standing: Sequence[Thread], found: Sequence[Diagnosis]) -> Iterator[Diagnosis]:
    """Half of the working threads, in the same frames, which wait for a lock or a socket."""
    explained = {Kind.DEADLOCK, Kind.POOL_EXHAUSTED, Kind.IMPORT_LOCK}
    told = {name for one in found if one.kind in explained for name in one.threads}
    working = [one for one in last.threads if _works(one)]
    waiting = [one for one in standing if _works(one) and _waits(one) and _name(one) not in told]
    for top, count in Counter(_top(one) for one in waiting).most_common(1):
        if count < MANY or 2 * count < len(working):
            return
        threads = [one for one in waiting if _top(one) == top]
        what = threads[0].waits or (f"a reply from {threads[0].call.peer}" if threads[0].call and threads[0].call.peer
                                    else "a lock")  # fmt: skip
        yield Diagnosis(
            Kind.PILE_UP,
            tuple(_name(one) for one in threads),
            f"{count} of {len(working)} working threads wait at {place(threads[0])}",
            measured=False,
            evidence=(f"they wait for {what}", *(_said(one) for one in threads[:SHOWN])),
        )


def _waits(one: Thread) -> bool:
    if one.waits and not one.rests:
        return True
    if one.call is None:
        return one.state == "" and bool(one.frames) and _called(one.frames[0].function) in _LOCKING
    if one.call.peer:
        return True
    # Whoever takes from a queue, or waits for an event, may just have nothing to do; who runs a job has.
    told = (
        bool(one.jid)
        or (_for_a_place(one) and not one.rests)
        or not (one.rests or not one.frames or of_library(one.frames[0]))
    )
    return one.call.name == "futex" and not one.call.gil and told


def _for_a_place(one: Thread) -> bool:
    """Whether it waits for a semaphore, which Python makes of a condition."""
    calls = [frame.function for frame in one.frames[:TOP] if frame.file.endswith(_CONDITIONS)]
    return bool(calls) and _called(calls[0]) == "wait" and _called(calls[-1]) in {"acquire", "__enter__"}


def _sockets(standing: Sequence[Thread]) -> Iterator[Diagnosis]:
    peers: dict[str, list[Thread]] = {}
    for one in standing:
        if one.call is not None and one.call.endless and one.call.peer and _works(one):
            peers.setdefault(one.call.peer, []).append(one)
    for peer, threads in peers.items():
        names = tuple(_name(one) for one in threads)
        count = f"{len(names)} threads wait" if len(names) > 1 else f"{names[0]} waits"
        yield Diagnosis(
            Kind.SOCKET_WAIT, names, f"{count} for {peer} without a time-out", measured=True,
            evidence=tuple(f"{_said(one)} ({one.call.name if one.call else ''})" for one in threads[:SHOWN]),
        )  # fmt: skip


def _foreign(one: Thread) -> list[str]:
    """Native libraries on its stack that are neither Python's nor the system's own."""
    return [library for library in one.libraries if not _PYTHON_S.search(library)]


def _native(standing: Sequence[Thread], found: Sequence[Diagnosis]) -> Iterator[Diagnosis]:
    """In a native library that is not Python's own, not getting on; or stuck in the kernel."""
    told = {name for one in found for name in one.threads}
    for one in standing:
        if _name(one) in told:
            continue
        library = next(iter(_foreign(one)), "")
        if one.state == "disk sleep":
            title = f"{_name(one)} is stuck in the kernel, where no signal reaches it"
        elif library and _works(one) and one.state == "sleeping":
            title = f"{_name(one)} is blocked in {PurePosixPath(library).name}"
        else:
            continue
        call = f"{SYSTEM_CALL}{one.call.name.removeprefix(SYSTEM_CALL)}" if one.call is not None else ""
        lines = (_said(one), *filter(None, (call, library and f"library {library}")))
        yield Diagnosis(Kind.NATIVE_BLOCK, (_name(one),), title, measured=True, evidence=lines)
