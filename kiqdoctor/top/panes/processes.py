"""The fleet: every process that beats."""

from collections.abc import Hashable, Iterator, Sequence
from typing import ClassVar, Final

from kiqdoctor import actions
from kiqdoctor.actions import Proposal, Verb
from kiqdoctor.doctor.facts.fleet import LIVE_FOR, Process
from kiqdoctor.doctor.facts.live import Workers
from kiqdoctor.doctor.snapshot import Snapshot
from kiqdoctor.text import clean
from kiqdoctor.top import words
from kiqdoctor.top.paint import Line, Piece
from kiqdoctor.top.panes.pane import TablePane, unread
from kiqdoctor.top.scene import Scene
from kiqdoctor.top.table import Column
from kiqdoctor.top.view import Opened
from kiqdoctor.wire.heartbeat import RUNTIME

LATE: Final = 20.0  # seconds since a beat: two of Sidekiq's are missing
VERBS: Final = frozenset({Verb.QUIET, Verb.STOP})


def beaten(process: Process, now: float) -> float | None:
    """Seconds since its beat; it was read at that beat, so what was reckoned then is old."""
    return max(0.0, now - process.beat) if process.beat is not None else process.beat_age_s


def death(process: Process, shown: Scene) -> str:
    """Why it is dead: what the last examination proved, while it has not beaten again, or a beat so old that Sidekiq
    itself forgets it; "" where it is not known to be.
    """
    known = shown.diagnosis.deaths.get(process.identity) if shown.diagnosis is not None else None
    if known is not None and known.beat == process.beat:
        return known.proof
    age = beaten(process, shown.now) or 0.0
    return f"it has not beaten for {words.age(age)}" if age >= LIVE_FOR else ""


def state(process: Process, shown: Scene) -> str:
    """``running``, ``quiet``, ``dead``."""
    return "dead" if death(process, shown) else "quiet" if process.quiet else "running"


class Processes(TablePane):
    """A row a process; quiet and stop."""

    label: ClassVar[str] = "Processes"
    key: ClassVar[str] = "2"
    short: ClassVar[str] = "Proc"
    facts: ClassVar[tuple[type, ...]] = (Workers,)
    empty: ClassVar[str] = "no process beats here: nothing runs these jobs"
    keys: ClassVar[tuple[tuple[str, str], ...]] = (
        ("Q", "quiet: take no more jobs"),
        ("T", "stop: end running jobs, then exit"),
        ("t", "what its threads do"),
        ("enter", "its record"),
    )
    columns: ClassVar[tuple[Column, ...]] = (
        Column("Process", 24, lambda one: one.identity, grow=3),
        Column("Busy", 7, lambda one: one.busy, right=True),
        Column("State", 8, lambda one: not one.quiet),
        Column("Rss", 9, lambda one: one.rss_kb, right=True),
        Column("RTT", 7, lambda one: one.rtt_us, right=True, rank=1),
        Column("Beat", 6, lambda one: -(one.beat or 0.0), right=True),
        Column("Started", 8, lambda one: -(one.started_at or 0.0), right=True, rank=1),
        Column("Version", 9, lambda one: one.version, rank=2),
        Column("Deploy", 9, lambda one: one.deploy, grow=1, rank=2),
        Column("Tag", 9, lambda one: one.tag, grow=1, rank=2),
        Column("Labels", 12, lambda one: one.labels, grow=1, rank=3),
        Column("Queues", 16, lambda one: one.queues, grow=3, rank=3),
    )

    @classmethod
    def told(cls, snapshot: Snapshot) -> Iterator[tuple[str, str]]:
        """How busy each is."""
        workers = snapshot.get(Workers)
        for process in workers.processes if isinstance(workers, Workers) else ():
            busy = f"{words.count(process.busy)} of {words.count(process.concurrency)} busy"
            yield f"process {clean(process.identity)}", f"{busy}{', quiet' if process.quiet else ''}"
        yield from unread("processes", workers)

    def draw(self, shown: Scene) -> Line:
        """The table; how many there are of which state."""
        workers = self.fact(shown, Workers)
        self.leader = workers.leader
        self.fill(workers.processes, shown)
        used = sum(one.rss_kb or 0 for one in workers.processes) * 1024
        share = f" ({workers.busy / workers.threads:.0%})" if workers.threads else ""
        ghosts = workers.members - len(workers.processes)
        number = words.plural(len(workers.processes), "process")
        dead = sum(bool(death(one, shown)) for one in workers.processes)
        return [
            ("", f"{number}, {workers.busy} of {workers.threads} threads busy{share}"),
            ("bad", f", {dead} dead" if dead else ""),
            ("", f", {words.size(used)}" if used else ""),
            ("warn", f", {ghosts:,} registered without a record" if ghosts > 0 else ""),
            ("warn", f"; {clean(workers.partial)}" if workers.partial else ""),
        ]

    def row_key(self, item: Process) -> Hashable:
        """Its identity."""
        return item.identity

    def cells(self, item: Process, shown: Scene) -> Sequence[Piece]:
        """Its record in a row."""
        said, beat = state(item, shown), beaten(item, shown.now)
        late = beat is not None and beat > LATE
        full = item.busy is not None and item.concurrency is not None and item.busy >= item.concurrency > 0
        threads = words.NOTHING if item.concurrency is None else str(item.concurrency)
        runtime = "kiq " if item.runtime == RUNTIME else ""
        return (
            ("", clean(item.identity) + (" (leader)" if item.identity == self.leader else "")),
            ("warn" if full else "", f"{words.count(item.busy)}/{threads}{'!' if full else ''}"),
            ({"running": "good", "dead": "bad"}.get(said, "warn"), said),
            ("", words.size(item.rss_kb * 1024) if item.rss_kb else words.NOTHING),
            ("", words.age(item.rtt_us / 1e6) if item.rtt_us is not None else words.NOTHING),
            ("bad" if late else "", words.age(beat) + ("!" if late else "")),
            ("", words.age(shown.now - item.started_at) if item.started_at else words.NOTHING),
            ("", clean(runtime + item.version) or words.NOTHING),
            ("", clean(item.deploy) or words.NOTHING),
            ("", clean(item.tag)),
            ("", clean(", ".join(item.labels))),
            ("", clean(", ".join(item.queues or ()))),
        )

    def propose(self, verb: Verb) -> Proposal:
        """Quiet or stop what is chosen."""
        if verb not in VERBS:
            raise ValueError(f"a process cannot be asked to {verb.value}")
        chosen: list[Process] = self.chosen
        if embedded := [one.identity for one in chosen if one.embedded and verb is Verb.STOP]:
            raise ValueError(f"{clean(embedded[0])} is embedded in another program: stop that program instead")
        namespace = self.shown.target.namespace if self.shown else None
        return actions.propose(verb, processes=[one.identity for one in chosen], namespace=namespace)

    def enter(self) -> None:
        """Its whole record."""
        here, shown = self.here, self.shown
        if here is not None and shown is not None:
            self.view.open(Opened(here.identity, details(here, shown), here.identity))

    @property
    def process_here(self) -> Process | None:
        """The row."""
        return self.here

    @property
    def id_here(self) -> str:
        """The identity."""
        return self.here.identity if self.here is not None else ""


def details(process: Process, shown: Scene) -> list[Line]:
    """All of its record."""
    rows = (
        ("identity", process.identity),
        ("host", process.hostname),
        ("pid", str(process.pid) if process.pid is not None else words.NOTHING),
        ("state", f"dead: {why}" if (why := death(process, shown)) else state(process, shown)),
        ("tag", process.tag),
        ("labels", ", ".join(process.labels)),
        ("version", process.version or "before 7.0.2, which did not say"),
        ("runtime", process.runtime or "Sidekiq"),
        ("deploy", process.deploy),
        ("started", words.moment(process.started_at)),
        ("last beat", words.moment(process.beat)),
        ("busy", f"{words.count(process.busy)} of {words.count(process.concurrency)}"),
        ("resident memory", words.size(process.rss_kb * 1024) if process.rss_kb else words.NOTHING),
        ("round trip", words.age(process.rtt_us / 1e6) if process.rtt_us is not None else words.NOTHING),
        ("queues", ", ".join(process.queues or ())),
        ("capsules", ", ".join(f"{name} {threads}" for name, threads in process.capsules)),
        ("embedded", "yes" if process.embedded else "no"),
        ("recoverable", "yes, it keeps what it took in a private list" if process.reliable else "not known to be"),
        ("trouble", process.error),
    )
    lines: list[Line] = [[("dim", f"{label:<16}"), ("", clean(text, 2_000))] for label, text in rows if text]
    lines += [[], [("strong", f"in flight: {words.plural(len(process.in_flight), 'job')}")]]
    for one in process.in_flight:
        running = words.age(shown.now - one.run_at) if one.run_at is not None else words.NOTHING
        lines.append(
            [("", f"  {running:>8}  {clean(one.job_class)} "), ("dim", f"{clean(one.jid)} {clean(one.thread)}")]
        )
    return lines
