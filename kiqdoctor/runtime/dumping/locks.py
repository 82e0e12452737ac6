"""The locks that threads hold and wait for.

Locks are read from the real objects that the frames' names lead to: names, attributes and items of dicts, lists and
tuples. No property, no ``__getattr__`` and no other code of the user's runs for it. An RLock says itself who owns it;
a plain Lock does not, so that its holder is inferred from the source: the thread that is inside ``with lock:``, or
past ``lock.acquire()`` with no ``release()`` since, and of several such threads none. Not seen: locks entered through
ExitStack, a decorator or a generator, and source that was changed on disk since this process started.
"""

import ast
import inspect
import re
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import FrameType, MemberDescriptorType
from typing import Any, Final

from kiqdoctor.runtime import log
from kiqdoctor.runtime.dumping.frames import stack
from kiqdoctor.runtime.dumping.lock_syntax import Place, Syntax, Taking, item_of, place_of, syntax
from kiqdoctor.text import clean

LOCK_FRAMES: Final = 1_000  # of one thread, searched for locks
HELD: Final = 10  # locks of one thread
CYCLES: Final = 20
ITEMS: Final = 10_000  # of a dict that is searched for a lock

_LOCK: Final = type(threading.Lock())
_RLOCK: Final = type(threading.RLock())
_WAIT: Final = threading.Condition.wait.__code__
_JOIN: Final = getattr(getattr(threading.Thread, "_wait_for_tstate_lock", None), "__code__", None)
_OURS: Final = str(Path(__file__).parents[1])
_OWNER: Final = re.compile(r"owner=(\d+)")


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
class Claim:
    """A thread's taking of a lock, as its frames show it."""

    lock: Any
    text: str
    at: str
    inside: bool  # in the body of a with, which says more than being past an acquire()


class Locks:
    """Who holds what and who waits for what, in all threads at once."""

    def __init__(self, frames: Mapping[int, FrameType]) -> None:
        self._claims: dict[int, list[Claim]] = {}
        self._waits: dict[int, Claim] = {}
        for ident, frame in frames.items():
            self._look(ident, frame)
        self._holders = self._resolved()

    def _look(self, ident: int, innermost: FrameType) -> None:
        claims: dict[int, Claim] = {}
        released: set[int] = set()
        for depth, frame in enumerate(islice(stack(innermost), LOCK_FRAMES)):
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
        claimants: dict[int, list[tuple[int, Claim]]] = {}
        for ident, claims in self._claims.items():
            for claim in claims:
                claimants.setdefault(id(claim.lock), []).append((ident, claim))
        holders: dict[int, int] = {}
        for lock in {id(claim.lock): claim.lock for claim in self._all()}.values():
            owner = _owner(lock) if type(lock) is not _LOCK else self._likely(lock, claimants.get(id(lock), []))
            if owner is not None:
                holders[id(lock)] = owner
        return holders

    def _all(self) -> Iterator[Claim]:
        for claims in self._claims.values():
            yield from claims
        yield from self._waits.values()

    def _likely(self, lock: Any, claimants: list[tuple[int, Claim]]) -> int | None:
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


def _claims(frame: FrameType, *, innermost: bool) -> Iterator[tuple[Claim, bool]]:
    """Each taking that matters where the frame is now, and whether it is being waited for."""
    code, instruction = frame.f_code, frame.f_lasti
    if code.co_filename.startswith(_OURS):
        return  # a thread of the runtime that rests is no contention
    found = syntax(code)
    place = place_of(code, instruction) if found.takings else None
    if place is None:
        return
    for taking in found.takings:
        if code is _JOIN or (code is _WAIT and taking.text == "waiter"):
            continue  # not a lock that anybody holds: a condition, or another thread's end
        entering = item_of(code, instruction, place) if taking.statement == place else None
        waiting = innermost and (taking.begin <= place < taking.end or entering == taking.item)
        inside = taking.body is not None and taking.body[0] <= place < taking.body[1]
        inside = inside or (entering is not None and entering > taking.item)
        if not (waiting or inside or _past(taking, found, place)):
            continue
        lock = _lock(_resolve(taking.lock, frame))
        if lock is not None and (_owner(lock) is not None if type(lock) is not _LOCK else lock.locked()):
            at = f"{clean(code.co_filename)}:{taking.begin[0]}"
            yield Claim(lock, taking.text, at, inside), waiting


def _past(taking: Taking, syntax: Syntax, place: Place) -> bool:
    """After an ``acquire()``, with no ``release()`` in between."""
    if taking.statement is not None or place < taking.end:
        return False
    return not any(text == taking.text and taking.end <= at <= place for text, at in syntax.releases)
