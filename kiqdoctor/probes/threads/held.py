"""Locks that threads hold and wait for, inferred from outside: by where their frames stand in their source.

A thread is inside ``with lock:``, or past ``lock.acquire()`` without a ``release()`` since; one that the kernel shows
waiting without an end stands at such a line. Whose lock it is, is told by the address of what its expression begins
with, where that is a local variable, else by its name in that file. Source that is younger than the process is not
believed. Nothing of it is run.
"""

import ast
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import field
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Final, NamedTuple

from kiqdoctor.probes.host.files import beneath, read
from kiqdoctor.probes.threads.function import Function, Taking, around
from kiqdoctor.probes.tree.errors import UnparsedError
from kiqdoctor.probes.tree.python import parse
from kiqdoctor.records import dataclass
from kiqdoctor.text import clean, decode

LARGEST: Final = 1024 * 1024  # bytes of one source file
FILES: Final = 200
RINGS: Final = 20
BOOT: Final = 2.0  # seconds: the kernel tells when it booted in whole ones, from a clock that was set since
OWN: Final = "/threading.py"  # Python's: what a condition waits for is no lock that anybody holds


class Standing(NamedTuple):
    """A frame: where it is, and the addresses of its local variables by name."""

    file: str
    line: int
    roots: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Taken:
    """A lock in words, where it is taken, and what makes it the same as another."""

    text: str
    at: str
    same: tuple[str, ...]
    named: bool = True  # by a name, not made where it is taken, as a file that is opened


@dataclass
class Locks:
    """By thread, what it holds (the outermost first) and what it waits for; and rings of threads that wait."""

    holds: dict[str, list[Taken]] = field(default_factory=dict)
    waits: dict[str, Taken] = field(default_factory=dict)
    resting: set[str] = field(default_factory=set)  # they wait at a line that takes no lock, or one as a signal
    places: Mapping[str, int] = field(default_factory=dict)  # where in memory each waits

    def holder(self, lock: Taken) -> str | None:
        """The one thread that holds it; None where none or several seem to."""
        found = self._holders.get(lock.same, ())
        return found[0] if len(found) == 1 else None

    @cached_property
    def _holders(self) -> dict[tuple[str, ...], list[str]]:
        """Who holds each lock; a thousand threads may wait, each of which asks."""
        found: dict[tuple[str, ...], list[str]] = {}
        for name, locks in self.holds.items():
            for same in {one.same for one in locks}:
                found.setdefault(same, []).append(name)
        return found

    def rings(self) -> tuple[tuple[str, ...], ...]:
        """Threads that wait for one another in a ring, each ring once."""
        found: dict[frozenset[str], tuple[str, ...]] = {}
        for start in self.waits:
            path: list[str] = []
            at: str | None = start
            while at is not None and at not in path:
                path.append(at)
                lock = self.waits.get(at)
                holder = self.holder(lock) if lock is not None else None
                # Who waits for a signal took it once so that another gives it back: it holds nothing of its own.
                at = None if holder == at and at in self.resting else holder
            if at is not None:
                ring = tuple(path[path.index(at) :])
                found.setdefault(frozenset(ring), ring)
        closed = () if found else self._closed()
        return (closed,) if closed else tuple(found.values())[:RINGS]

    def _closed(self) -> tuple[str, ...]:
        """Threads that wait though nobody else holds a lock: whoever holds what one waits for, waits as well.

        So there is a ring among them, where names do not tell which lock is which; they wait for several ones.
        """
        holding = tuple(name for name, locks in self.holds.items() if any(one.named for one in locks))
        places = {self.places.get(name) for name in holding}
        return holding if len(places) > 1 and all(name in self.waits for name in holding) else ()


def inferred(stacks: Mapping[str, Sequence[Standing]], waiting: Mapping[str, int], sources: "Sources") -> Locks:
    """The locks of threads, their frames innermost first; ``waiting`` wait without an end, at an address in memory."""
    found = Locks(places=waiting)
    sources.learn([frame for frames in stacks.values() for frame in frames])
    for name, frames in stacks.items():
        held: list[Taken] = []
        if name in waiting and _signalled(frames, sources):
            found.resting.add(name)
        for depth, frame in enumerate(frames):
            function = sources.function(frame.file, frame.line)
            if function is None:
                continue
            wanted = [taking for taking in function.takings if taking.entered_at(frame.line)]
            if depth == 0 and name in waiting and len(wanted) == 1:
                found.waits[name] = _taken(wanted[0], frame)
            elif depth == 0 and not wanted:
                found.resting.add(name)
            given_back = function.waits_on(frame.line) if depth and frames[depth - 1].file.endswith(OWN) else ""
            inside = [one for one in function.takings if one.holds_at(frame.line, function.releases)
                      and one.lock != given_back]  # fmt: skip
            held += [_taken(one, frame) for one in reversed(inside)]
        found.holds[name] = held[::-1]
    return found


def _signalled(frames: Sequence[Standing], sources: "Sources") -> bool:
    """Whether the innermost frame that takes something for itself takes it as a signal."""
    for frame in frames:
        function = sources.function(frame.file, frame.line)
        if function is None and frame.file.endswith(OWN):
            continue
        signalled = function.signalled_at(frame.line) if function is not None else False
        if signalled is not None:
            return signalled
    return False


def _taken(taking: Taking, frame: Standing) -> Taken:
    text, name = taking.lock, taking.root
    address = frame.roots.get(name)
    same = (frame.file, text) if address is None else (f"{address:x}", text.removeprefix(name))
    return Taken(clean(text), clean(f"{frame.file}:{taking.line}"), same, named=bool(name))


class Sources:
    """Source files as the process sees them; only regular ones that are older than it. To be kept from look to look."""

    def __init__(self, folder: Path, started_at: float) -> None:
        self._root = folder / "root"
        self._started_at = started_at
        self._known: dict[tuple[str, int], Function | None] = {}

    def learn(self, frames: Iterable[Standing]) -> None:
        """Read what these stand in: each file once, whose tree is let go again, for it may be large."""
        lines: dict[str, set[int]] = {}
        for frame in frames:
            if (frame.file, frame.line) not in self._known and not frame.file.endswith(OWN):
                lines.setdefault(frame.file, set()).add(frame.line)
        for file, wanted in islice(lines.items(), FILES):
            module = self._module(file)
            for line in wanted:
                self._known[file, line] = around(module, line) if module is not None else None

    def function(self, file: str, line: int) -> Function | None:
        """The innermost function that this line is in, as far as it was learnt."""
        return self._known.get((file, line))

    def _module(self, file: str) -> ast.Module | None:
        try:
            return parse(self._source(file))
        except (OSError, UnparsedError, ValueError):
            return None

    def _source(self, file: str) -> bytes:
        """Opened without waiting, for a process may call anything its source."""
        path = beneath(self._root, file)
        if path is None:
            raise OSError(0, "no such file in its root")
        descriptor = os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
        with os.fdopen(descriptor, "rb") as raw:
            about = os.fstat(raw.fileno())
            if not stat.S_ISREG(about.st_mode) or about.st_mtime > self._started_at + BOOT or about.st_size > LARGEST:
                raise OSError(0, "not the source of what runs")
            return raw.read(LARGEST)


def started_at(folder: Path) -> float:
    """When a process began, in epoch seconds; 0 where it is not told, so that no source is believed."""
    cells = decode(read(folder / "stat") or b"").rpartition(")")[2].split()
    boot = next(_boot(decode(read(folder.parent / "stat") or b"")), 0.0)
    if len(cells) < 20 or not boot:  # noqa: PLR2004 - the start is the twentieth after the name
        return 0.0
    return boot + int(cells[19]) / os.sysconf("SC_CLK_TCK")


def _boot(text: str) -> Iterator[float]:
    for line in text.splitlines():
        if line.startswith("btime "):
            yield float(line.split()[1])
