"""The threads of one worker: each with its job and stack, or grouped by job and by what they do."""

from collections.abc import Iterator
from typing import ClassVar, Final

from textual.app import ComposeResult

from kiqdoctor.doctor.facts.fleet import Process
from kiqdoctor.doctor.facts.threads import Thread, Threads
from kiqdoctor.doctor.snapshot import Refused
from kiqdoctor.text import LONG, clean
from kiqdoctor.top import words
from kiqdoctor.top.lines import Lines
from kiqdoctor.top.paint import Line
from kiqdoctor.top.panes.busy import Busy
from kiqdoctor.top.panes.pane import Pane
from kiqdoctor.top.panes.processes import Processes
from kiqdoctor.top.scene import Scene
from kiqdoctor.top.view import View

WAYS: Final = ("by thread", "by job", "by frame")
CHOOSE: Final = f"Choose a process on tab {Processes.key}, or a job on tab {Busy.key}"
TOP_FRAMES: Final = 3  # that make two threads do the same


class ThreadsPane(Pane):
    """The last dump."""

    label: ClassVar[str] = "Threads"
    key: ClassVar[str] = "9"
    short: ClassVar[str] = "Thr"
    again_says: ClassVar[str] = "dump again"
    keys: ClassVar[tuple[tuple[str, str], ...]] = (
        ("v", "by thread, by job, by frame"),
        ("r", again_says),
    )

    def __init__(self, view: View) -> None:
        super().__init__(view)
        self.process: Process | None = None
        self.dump: Threads | Refused | None = None
        self.way = 0

    def body(self) -> ComposeResult:
        """One page."""
        yield Lines()

    def ask(self, process: Process) -> None:
        """For a dump of this process."""
        self.process, self.dump = process, None
        self.redraw()
        source = self.view.source
        if source is not None:
            self.view.background(lambda: source.threads(process), lambda dump: self.take(process, dump))

    def again(self) -> None:
        """Dump again."""
        if self.process is None:
            super().again()
        else:
            self.ask(self.process)

    def take(self, process: Process, dump: Threads | Refused) -> None:
        """What came of it."""
        if process is self.process:
            self.dump = dump
            self.redraw()

    def turn(self) -> None:
        """By thread, by job, by frame."""
        self.way = (self.way + 1) % len(WAYS)
        self.redraw()

    def draw(self, shown: Scene) -> Line:
        """The dump, or how to get one."""
        lines = list(self._lines())
        self.query_one(Lines).draw(lambda _width, _height: lines)
        dump = self.dump
        if not isinstance(dump, Threads):
            return []
        aged = max(0.0, shown.local_now - dump.at)
        number = words.plural(len(dump.threads) + dump.more_threads, "thread")
        return [
            ("", f"{clean(dump.identity)}: {number}, {WAYS[self.way]}"),
            ("dim", f"  {clean(dump.source)}, {words.age(aged)} old"),
        ]

    def _lines(self) -> Iterator[Line]:
        if self.process is None:
            yield [("", f"{CHOOSE}, and press t.")]
            yield [("dim", "A worker of kiqdoctor's runtime answers through Redis, wherever it runs; any other Python")]
            yield [("dim", "process of this host is read by py-spy, where this user may.")]
        elif self.dump is None:
            yield [
                (
                    "",
                    f"Asking {clean(self.process.identity)}; a worker answers at its next beat, within some 5 seconds.",
                )
            ]
        elif isinstance(self.dump, Refused):
            yield [("bad", "No dump: "), ("", clean(self.dump.reason, LONG))]
            if self.dump.unlock:
                yield [("good", "To get one: "), ("", clean(self.dump.unlock, LONG))]
        else:
            yield from _dumped(self.dump, self.way)

    @property
    def id_here(self) -> str:
        """The identity."""
        return self.process.identity if self.process is not None else ""


def _dumped(dump: Threads, way: int) -> Iterator[Line]:
    for cycle in dump.deadlocks:
        yield [("worst", "PROBABLE DEADLOCK"), ("", f"  {clean(' waits for '.join((*cycle, cycle[0])), LONG)}")]
    for pool in dump.pools:
        full = pool.in_use >= pool.size > 0
        yield [
            (
                "bad" if full else "dim",
                f"pool {clean(pool.name)}: {pool.in_use} of {pool.size} in use{' - FULL' if full else ''}",
            )
        ]
    if dump.note:
        yield [("warn", clean(dump.note, LONG))]
    yield []
    if way == 0:
        for thread in dump.threads:
            yield from _thread(thread)
    else:
        yield from _grouped(dump, by_job=way == 1)
    if dump.more_threads:
        yield [("warn", f"and {dump.more_threads} threads more")]


def _thread(thread: Thread) -> Iterator[Line]:
    yield _title(thread)
    if thread.waits:
        yield [("bad", f"  waits for {clean(thread.waits, LONG)}")]
    for held in thread.holds:
        yield [("warn", f"  holds {clean(held, LONG)}")]
    for frame in thread.frames:
        yield [
            ("", f"  {clean(frame.function)}"),
            ("dim", f"  {clean(frame.file)}:{frame.line}  {clean(frame.source)}"),
        ]
    if thread.more_frames:
        yield [("dim", f"  and {thread.more_frames} frames more")]
    yield []


def _title(thread: Thread) -> Line:
    running = f" for {words.age(thread.running_s)}" if thread.running_s is not None else ""
    job = f"  {clean(thread.job_class)} {clean(thread.jid)}{running}" if thread.job_class else ""
    gil = "  has the GIL" if thread.owns_gil else ""
    active = "  on a core" if thread.active else "  idle" if thread.active is False else ""
    return [("strong", f"{clean(thread.name) or clean(thread.id)}"), ("accent", job), ("dim", active + gil)]


def _grouped(dump: Threads, *, by_job: bool) -> Iterator[Line]:
    """Threads that run the same class, or stand at the same innermost frames; the largest group first."""
    groups: dict[tuple[str, ...], list[Thread]] = {}
    for thread in dump.threads:
        groups.setdefault(_job(thread) if by_job else _stand(thread), []).append(thread)
    for key, threads in sorted(groups.items(), key=lambda pair: (-len(pair[1]), pair[0])):
        yield [("strong", f"{words.plural(len(threads), 'thread')}: "), ("accent", clean(key[0], LONG))]
        for line in key[1:]:
            yield [("", f"    {clean(line, LONG)}")]
        inner = {_stand(thread)[0] for thread in threads} if by_job else set()
        for frame in sorted(inner):
            yield [("dim", f"    at {clean(frame, LONG)}")]
        yield [("dim", f"    {clean(', '.join(thread.name or thread.id for thread in threads), 400)}")]
        yield []


def _job(thread: Thread) -> tuple[str, ...]:
    return (thread.job_class or "no job",)


def _stand(thread: Thread) -> tuple[str, ...]:
    found = tuple(f"{frame.function}  {frame.file}:{frame.line}" for frame in thread.frames[:TOP_FRAMES])
    return found or ("no Python frame",)
