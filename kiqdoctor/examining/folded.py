"""The threads of one process in words: those with one stack together, and very many stacks as one tree of calls."""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import field, replace
from typing import Final

from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.threads import Frame, Thread
from kiqdoctor.doctor.hanging import of_library
from kiqdoctor.records import dataclass
from kiqdoctor.text import clean

ALIKE: Final = 4  # threads with one stack that are folded to one
SHOWN: Final = 10  # names, or lines of a kind
FEW: Final = 5  # names at a call of the tree
STACKS: Final = 40  # beyond which they are told as a tree
BRANCHES: Final = 8  # of one call
DEEP: Final = 20  # branches below each other
SEEMS: Final = "probably "
TREE: Final = 300  # lines
OUTER: Final = 8  # frames of libraries beyond the program's own that are shown


def lines(threads: Sequence[Thread]) -> Iterator[str]:
    """Each thread, the innermost frame first; those that run jobs come before the others.

    Of more than ``STACKS`` stacks the tree, the outermost call first.
    """
    stacks: dict[tuple[tuple[Frame, ...], int], list[Thread]] = {}
    for one in sorted(threads, key=lambda one: not (one.jid or one.job_class)):
        stacks.setdefault((one.frames, one.more_frames), []).append(one)
    shown = sum(1 if len(group) >= ALIKE else len(group) for group in stacks.values())
    if shown > STACKS:
        yield f"{len(threads)} threads in {len(stacks)} stacks, the outermost call first; --format json has each"
        yield from _tree(threads)
        return
    for group in stacks.values():
        yield from _folded(group) if len(group) >= ALIKE else (line for one in group for line in _alone(one))


def without_guesses(threads: Sequence[Thread]) -> list[Thread]:
    """The same without the locks that they only seem to hold and nobody waits for: of source, any ``with`` is one."""
    wanted = {_lock(one.waits) for one in threads if one.waits}
    return [replace(one, holds=tuple(held for held in one.holds if not held.startswith(SEEMS)
                                     or _lock(held.removeprefix(SEEMS)) in wanted)) for one in threads]  # fmt: skip


def _lock(words: str) -> str:
    """The lock of "LOCK at FILE:LINE, ..." or of "LOCK, taken at ..."."""
    return words.partition(", taken at ")[0].partition(" at ")[0]


def some(names: Iterable[str], most: int = SHOWN) -> str:
    """The first of them, and how many more there are."""
    every = [clean(name) for name in names]
    more = f" and {len(every) - most} more" if len(every) > most else ""
    return ", ".join(every[:most]) + more


def _alone(one: Thread) -> Iterator[str]:
    now = ", ".join(filter(None, (_now(one), "has the GIL" if one.owns_gil else "")))
    named = clean(one.name) if one.id in one.name else f"{one.id} {clean(one.name)}".rstrip()
    yield f"Thread {named}{_job(one)}{f' ({now})' if now else ''}"
    yield from (f"  holds {clean(held)}" for held in one.holds)
    if one.waits:
        yield f"  waits for {clean(one.waits)}"
    yield from _frames(one)


def _now(one: Thread) -> str:
    call = one.call.name + (f" {one.call.peer}" if one.call.peer else "") if one.call is not None else ""
    return ", ".join(filter(None, (one.state, call, "on CPU" if one.active and not one.state else "")))


def _job(one: Thread) -> str:
    if not (one.jid or one.job_class):
        return ""
    running = f" running={one.running_s:.1f}s" if one.running_s is not None else ""
    return f" class={clean(one.job_class)} jid={clean(one.jid)} queue={clean(one.queue)}{running}"


def _folded(group: Sequence[Thread]) -> Iterator[str]:
    idle = [one for one in group if not (one.jid or one.job_class)]
    busy = sorted((one for one in group if one.jid or one.job_class), key=lambda one: -(one.running_s or 0.0))
    states = Counter(filter(None, (_now(one) for one in group))).most_common(3)
    now = "; ".join(state if len(states) == 1 else f"{count} {state}" for state, count in states)
    names = f": {some(_name(one) for one in idle)}" if idle else ""
    yield f"{len(group)} threads with one stack{f' ({clean(now)})' if now else ''}{names}"
    yield from (f"  {clean(_name(one))}{_job(one)}" for one in busy[:SHOWN])
    if len(busy) > SHOWN:
        classes = Counter(one.job_class for one in busy[SHOWN:]).most_common()
        yield f"  and {len(busy) - SHOWN} more jobs: {some(f'{count} of {name}' for name, count in classes)}"
    yield from (f"  {clean(_name(one))} has the GIL" for one in group if one.owns_gil)
    yield from _counted("holds", [held for one in group for held in one.holds])
    yield from _counted("waits for", [one.waits for one in group if one.waits])
    yield from _frames(group[0])


def _counted(verb: str, locks: Sequence[str]) -> Iterator[str]:
    found = Counter(locks).most_common()
    for lock, count in found[:SHOWN]:
        yield f"  {f'{count} of them: ' if len(found) > 1 or count > 1 else ''}{verb} {clean(lock)}"
    if len(found) > SHOWN:
        yield f"  and {len(found) - SHOWN} other locks ({verb})"


def _name(one: Thread) -> str:
    return one.name or one.id


def _frames(one: Thread) -> Iterator[str]:
    """Down to the program's own outermost one: what a library calls it through is alike in all its threads."""
    own = max((place for place, frame in enumerate(one.frames) if not of_library(frame)), default=0)
    shown = one.frames[: own + OUTER]
    for frame in shown:
        yield f"  {_call(frame)}"
        if frame.source:
            yield f"    {clean(frame.source)}"
    if more := len(one.frames) - len(shown) + one.more_frames:
        yield f"  {counted(more, 'more frame')}"


def _call(frame: Frame) -> str:
    return f"{clean(frame.file)}:{frame.line} in {clean(frame.function)}"


@dataclass(slots=True)
class _Node:
    """A call, by the way that led to it; ``here`` are the threads of which it is the innermost."""

    count: int = 0
    here: list[Thread] = field(default_factory=list)
    below: "dict[Frame, _Node]" = field(default_factory=dict)


def _tree(threads: Sequence[Thread]) -> Iterator[str]:
    root = _Node()
    for one in threads:
        node = root
        node.count += 1
        before = None
        for frame in reversed(one.frames):
            if frame != before:  # a call that calls itself stands there once, however deep it is
                node = node.below.setdefault(frame, _Node())
                node.count += 1
            before = frame
        node.here.append(one)
    for number, line in enumerate(_branches(root, 0)):
        if number == TREE:
            yield "the rest of the tree is left out"
            return
        yield line


def _branches(node: _Node, depth: int) -> Iterator[str]:
    """The calls below, those of most threads first; a call that branches nowhere stays on its caller's level."""
    indent = "  " * depth
    if node.here:
        yield f"{indent}<- {some((f'{_name(one)}{_job(one)}' for one in node.here), FEW)}"
    calls = sorted(node.below.items(), key=lambda item: -item[1].count)
    shown = calls[:BRANCHES] if depth < DEEP else []
    for frame, child in shown:
        yield f"{indent}{child.count:>4}  {_call(frame)}"
        while not child.here and len(child.below) == 1:
            [(frame, child)] = child.below.items()  # noqa: PLW2901 - down to where it branches
            yield f"{indent}      {_call(frame)}"
        yield from _branches(child, depth + 1)
    if rest := calls[len(shown) :]:
        yield f"{indent}{sum(child.count for _, child in rest):>4}  in {len(rest)} other calls"
