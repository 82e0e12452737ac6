"""The live view under test: a source that says what it is told to, a clock that stands, and Pilot's steps."""

import asyncio
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from healthy import HEALTHY
from textual.events import Key
from textual.keys import _character_to_key
from textual.pilot import Pilot
from textual.widget import Widget

from kiqdoctor.actions import Actions, Done, Proposal, Reversal
from kiqdoctor.clock import Clock
from kiqdoctor.connection import resolve_url
from kiqdoctor.doctor.diagnose import diagnose
from kiqdoctor.doctor.facts.beside import Batch, Batches, Lock, Locks, PeriodicJob, PeriodicJobs, Sightings
from kiqdoctor.doctor.facts.fleet import InFlight, Process
from kiqdoctor.doctor.facts.live import (
    ClassMetrics,
    Counters,
    Depths,
    ErrorGroup,
    Errors,
    Failure,
    JobPage,
    JobRow,
    Looked,
    Metrics,
    Search,
    SlowCall,
    SlowLog,
    Sought,
    Workers,
)
from kiqdoctor.doctor.facts.queues import JobSet, Marks, Queue
from kiqdoctor.doctor.facts.redis import Client, Clients, Server
from kiqdoctor.doctor.facts.threads import Frame, Pool, Thread, Threads
from kiqdoctor.doctor.report import Report, Target
from kiqdoctor.doctor.snapshot import Reading, Refused, Snapshot
from kiqdoctor.probes.live.follower import rhythms
from kiqdoctor.top.app import Top
from kiqdoctor.top.feed import Look, LostError, Watched, WholeExamination, Writing
from kiqdoctor.top.lines import Lines, OneLine
from kiqdoctor.top.table import Table

NOW = 1_800_000_000.0
TARGET = Watched("redis://redis-1:6379/0")


class Standing:
    """A clock that a test turns."""

    def __init__(self, now: float = NOW) -> None:
        self.now = now
        self.clock = Clock(now=lambda: self.now, monotonic=lambda: self.now, sleep=lambda _: None)


def process(number: int, **changes: Any) -> Process:
    """A worker, five of its ten threads busy."""
    jobs = tuple(
        InFlight(f"t{thread}", "mail", f"{number:012x}{thread:012x}", f"Mailer{thread}", NOW - 30 * (thread + 1))
        for thread in range(5)
    )
    made = Process(
        identity=f"web-{number}:471{number}:{number:012x}",
        hostname=f"web-{number}",
        pid=4710 + number,
        tag="shop",
        version="7.3.9",
        started_at=NOW - 7200,
        beat=NOW - 2,
        busy=5,
        concurrency=10,
        queues=("default", "mail"),
        in_flight=jobs,
        beat_age_s=2.0,
        rss_kb=98_000 + number,
        rtt_us=400 + number,
    )
    return replace(made, **changes)


def row(place: str, number: int, **changes: Any) -> JobRow:
    """A job in a set or queue."""
    made = JobRow(
        place=place,
        member=f'{{"jid":"{number:024x}"}}'.encode(),
        score=None if place.startswith("queue:") else NOW + number - 3,
        queue="mail",
        job_class=f"Pay{number % 5}",
        jid=f"{number:024x}",
        created_at=NOW - 500,
        enqueued_at=NOW - number,
        failed_at=NOW - 100,
        retry_count=number % 20,
        error_class="Net::ReadTimeout",
        error_message=f"no answer {number}",
        arity=2,
    )
    return replace(made, **changes)


def look(at: float = NOW, *, processed: int = 123_456, size: int = 5_000, **facts: Any) -> Look:
    """One refresh; ``facts`` by the type's name replace its own."""
    values: list[Any] = [
        Server(
            {
                "redis_version": "7.2.4",
                "uptime_in_seconds": "86400",
                "used_memory": "9000000",
                "maxmemory": "0",
                "used_memory_peak": "12000000",
                "connected_clients": "9",
                "maxclients": "100",
                "role": "master",
            }
        ),
        Counters(at, processed, 77, 1_000, 7),
        Depths(
            at,
            (
                Queue("default", size, oldest_at=at - 75),
                Queue("low", 0),
                Queue("mail", 3, oldest_at=at - 2, paused=True),
            ),
            (JobSet("schedule", 30), JobSet("retry", 4_000), JobSet("dead", 20)),
        ),
        Workers(at, (process(0), process(1, quiet=True), process(2, busy=10)), 3),
        Clients((Client(7, "10.0.0.1:5000", name="sidekiq", flags="b"), Client(8, "10.0.0.2:5001", name="web"))),
        SlowLog((SlowCall(1, at - 60, 25_000, "LRANGE queue:default", 4, "10.0.0.1:5000", "sidekiq"),), 1),
        Errors(
            at,
            (
                ErrorGroup(Failure("Pay0", "Net::ReadTimeout", "mail"), 300, 4, at - 12, at + 90),
                ErrorGroup(Failure("Mailer1", "ArgumentError", "default"), 0, 16, at - 7_000),
            ),
            Looked(400, 4_000),
            Looked(20, 20),
            1,
        ),
        Marks(((at - 4_000, "too old"), (at - 200, "abc123 Pay faster"), (at - 60, "[/x] v2")), 30),
        PeriodicJobs(
            (
                PeriodicJob("digest", "sidekiq-cron", "0 * * * *", "UTC", last=at - at % 3600, job_class="Digest"),
                PeriodicJob("report", "sidekiq-cron", "0 1 * * *", "UTC", last=at - 100_000, job_class="Report"),
                PeriodicJob("sweep", "sidekiq-scheduler", last=at - 30, next=at + 30, job_class="Sweep"),
                PeriodicJob("odd", "sidekiq-scheduler", odd="its line is no cron line that we read: now and then"),
                PeriodicJob("app.old", "kiqdoctor", "*/5 * * * *", "Europe/Berlin", last=at - 9_000, wanted=False),
            )
        ),
        Locks(
            (
                Lock("uniquejobs:1234:LOCKED", "sidekiq-unique-jobs", "a" * 24, "until_executed", at - 900),
                Lock("uniquejobs:5678:LOCKED", "sidekiq-unique-jobs", "b" * 24, "until_executed", at - 7_200),
                Lock("kiq:unique:9abc", "kiqdoctor", "c" * 24, "until_done", ttl_s=55),
            )
        ),
        Batches(
            (
                Batch("kiq:batch:0123", "kiqdoctor", at - 900, 1, ("success",), ("a" * 24,)),
                Batch("b-4567890abc", "Sidekiq Pro", at - 4_000, 2, ("success",), ("d" * 24, "a" * 24)),
            ),
            2,
        ),
        Sightings(4, frozenset({"b" * 24}), frozenset({"d" * 24}), 4_000),
        Metrics(60, (ClassMetrics("Mailer0", 500, 3, 60_000, tuple(range(60))), ClassMetrics("Pay1", 20, 0, 9_000))),
    ]
    by_name = {type(value).__name__: (type(value), value) for value in values}
    for name, value in facts.items():
        by_name[name] = (by_name[name][0], value)
    return Look(Snapshot({kind: Reading(value, "test", at) for kind, value in by_name.values()}), at, 11, 8.0)


def report(*checks: str, snapshot: Snapshot = HEALTHY) -> Report:
    """What these checks make of a snapshot."""
    results = tuple(diagnose(check, snapshot) for check in checks)
    return Report("0.1.0", NOW, 0.1, Target(TARGET.redis, None, None), results)


SICK = HEALTHY.with_(Server({"maxclients": "100", "connected_clients": "99", "rejected_connections": "0"}))
BLIND = HEALTHY.without(Server, Refused("no permission", "+info"))


class Scripted:
    """A source whose answers are given beforehand; the last look stands for all that follow."""

    def __init__(self, *looks: Look | LostError, reports: Sequence[Report] = (), target: Watched = TARGET) -> None:
        self.target = target
        self.rhythms = rhythms()
        self.looks = list(looks) or [look()]
        self.facts = HEALTHY  # that the examinations find
        self.reports = list(reports) or [report("RED001", "RED002")]
        self.pages: list[tuple[str, int, bool]] = []
        self.saved: list[Look] = []
        self.asked: list[frozenset[type]] = []
        self.dump: Threads | Refused = THREADS

    def look(self, also: frozenset[type]) -> Look:
        self.asked.append(also)
        found = self.looks.pop(0) if len(self.looks) > 1 else self.looks[0]
        if isinstance(found, LostError):
            raise found
        return found

    def examine(self) -> WholeExamination:
        return WholeExamination(self.reports.pop(0) if len(self.reports) > 1 else self.reports[0], self.facts)

    def page(self, place: str, start: int, count: int, *, backwards: bool) -> JobPage | Refused:
        self.pages.append((place, start, backwards))
        total = 5_000 if place.startswith("queue:") else {"retry": 4_000, "schedule": 30, "dead": 20}[place]
        numbers = range(start, min(start + count, total))
        rows = [row(place, total - 1 - number if backwards else number) for number in numbers]
        return JobPage(place, start, total, tuple(rows))

    def search(self, place: str, sought: Sought) -> Iterator[Search | Refused]:
        wanted = (sought.failure.job_class if sought.failure is not None else "", sought.text)
        every = (row(place, number) for number in range(300))
        rows = tuple(one for one in every if wanted[0] in one.job_class and wanted[1] in one.error_message)
        yield Search(place, sought, rows[:5], 100, 4_000)
        yield Search(place, sought, rows, 4_000, 4_000, done=True)

    def whole(self, found: JobRow) -> JobRow:
        return replace(found, backtrace=("app/jobs/pay.rb:12:in `perform'",), others=(("retry", "true"),))

    def why(self, jid: str) -> list[str]:
        return [f"{jid} waits in queue mail, 3 of 9 before it"]

    def threads(self, process: Process) -> Threads | Refused:
        del process
        return self.dump

    def explain(self, check: str) -> str:
        return f"the page of {check}"

    def save(self, look: Look, examined: WholeExamination | None, folder: Path) -> Path:
        del examined
        self.saved.append(look)
        return folder / "saved.json"


THREADS = Threads(
    "web-0:4710:0",
    NOW,
    "its own dump, through Redis",
    (
        Thread("a1", "kiq.processor 0", (Frame("send", "mail.py", 7, "smtp.send()"),), job_class="Mailer0", jid="j0"),
        Thread("a2", "kiq.processor 1", (Frame("send", "mail.py", 7),), job_class="Mailer1", jid="j1", waits="L"),
        Thread("a3", "kiq.heartbeat", (Frame("wait", "threading.py", 320),), holds=("L",)),
    ),
    pools=(Pool("worker", 5, 5),),
    deadlocks=(("a1", "a2"),),
)


class Willing(Actions):
    """Carries everything out, on nothing."""

    def __init__(self) -> None:
        super().__init__(resolve_url("redis://127.0.0.1:1/0", {}), None)
        self.carried: list[Proposal] = []
        self.undone: list[Done] = []

    def carry_out(self, proposal: Proposal) -> Done:
        self.carried.append(proposal)
        return Done(proposal, max(1, len(proposal.jobs)), 0, (), Reversal())

    def undo(self, done: Done) -> Done:
        self.undone.append(done)
        return replace(done, reversal=None)


class Hand(Pilot[int]):
    """Presses keys, each when all that the one before set off was done; Textual's own waits until the CPU is idle."""

    async def press(self, *keys: str) -> None:
        for key in keys:
            name = key if len(key) > 1 or key.isalnum() else _character_to_key(key)
            self.app.post_message(Key(name, key if len(key) == 1 else None))
            await self.settle()

    async def settle(self) -> None:
        """Until nothing is queued or to be painted, twice."""
        quiet = 0
        while quiet < 2 and self.app._running:
            await self._wait_for_screen()
            quiet = 0 if self._busy() else quiet + 1
            if self.app._running:
                self.app.screen._on_timer_update()

    def _busy(self) -> bool:
        pumps = [self.app, *self.app.screen.walk_children(with_self=True)] if self.app._running else []
        waiting = any(pump.message_queue_size or pump._next_callbacks for pump in pumps)
        return waiting or bool(pumps and self.app.screen._callbacks)


Steps = Callable[[Pilot[int], Top], Awaitable[None]]


def perform(
    steps: Steps,
    source: Any = None,
    *,
    size: tuple[int, int] = (120, 40),
    actions: Actions | None = None,
    reason: str = "--read-only",
    interval: float = 0.1,
    clock: Clock | None = None,
    asked: Callable[[], Writing] | None = None,
    **options: Any,
) -> Top:
    """Run the view without a terminal, and the steps on it; interval in seconds. ``asked`` says what may be written."""
    app = Top(
        source if source is not None else Scripted(),
        interval=interval,
        writing=asked or (lambda: Writing(actions) if actions is not None else Writing(reason=reason)),
        clock=clock or Standing().clock,
        **options,
    )

    async def run() -> None:
        async with app.run_test(size=size):
            pilot = Hand(app)
            await until(pilot, lambda: app.recorded is not None or app.changing.writing.reason != "not known yet")
            if source is None or isinstance(source, Scripted):
                await until(pilot, lambda: bool(app.state.history.samples))
            await steps(pilot, app)

    asyncio.run(run())
    return app


async def until(pilot: Pilot[int], holds: Callable[[], Any], seconds: float = 120.0) -> None:
    """Let the view go on until it is so. A pause may take a second where the machine is busy, so none are counted."""
    deadline = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < deadline, screen(pilot.app)
        await pilot.pause(0.02)


def screen(app: Any) -> str:
    """All that is visible, as text: over the tab whatever lies over it."""
    if len(app.screen_stack) > 1:
        return "\n".join(
            widget.text for widget in app.screen.query("OneLine, Lines") if isinstance(widget, OneLine | Lines)
        )
    head = "\n".join(pane.head.text for pane in app.pane.walk_children() if hasattr(pane, "head") and pane.head.display)
    body = "\n".join(lines_of(app))
    lines = (app.numbers.text, app.tabs.text, app.pane.head.text, head, body, app.where.text, app.keys.text)
    return "\n".join(lines)


def lines_of(app: Top) -> Iterator[str]:
    """What the tab in front shows, without styles."""
    for widget in app.pane.query(Lines):
        if widget.display:
            yield widget.text
    for table in app.pane.query(Table):
        if table.display and isinstance(table.parent, Widget) and table.parent.display:
            yield table.text
