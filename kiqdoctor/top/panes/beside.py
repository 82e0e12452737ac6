"""Unique locks and batches: who holds them or what they wait for, and which will never end by themselves."""

from collections.abc import Callable, Hashable, Iterator, Sequence
from typing import ClassVar, Final

import msgspec

from kiqdoctor.doctor.beats import slowest
from kiqdoctor.doctor.facts.beside import Batch, Batches, Lock, Locks, Sightings
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.live import Workers
from kiqdoctor.doctor.series import PUNCTUAL
from kiqdoctor.text import clean
from kiqdoctor.top import words
from kiqdoctor.top.paint import Line, Piece
from kiqdoctor.top.panes.pane import TablePane
from kiqdoctor.top.scene import Scene
from kiqdoctor.top.table import Column
from kiqdoctor.top.view import View

BEATS: Final = 2  # between two readings that prove a job gone, as QUE014 and QUE015 have it
YOUNG: Final = 600.0  # seconds for which a batch is not judged, as QUE015 has it
OUTLIVES: Final = "until_expired"
MOST: Final = 5_000  # rows, the worst first
ILL, UNTOLD, WELL = "bad", "warn", "good"
RANKS: Final = (ILL, UNTOLD, WELL)


class Row(msgspec.Struct, frozen=True):
    """A lock or a batch; ``style`` says how it stands, ``state`` the same in words."""

    what: str
    key: str
    keeper: str
    holder: str
    since: float | None
    ttl_s: int | None
    pending: int | None
    style: str
    state: str

    @property
    def rank(self) -> int:
        """The worst first."""
        return RANKS.index(self.style)


class Seen(msgspec.Struct, frozen=True):
    """Where jobs were sought last; ``before``: the same at least two beats earlier, None where nobody looked then."""

    last: Sightings
    before: Sightings | None = None

    def gone(self, jid: str) -> bool | None:
        """Nowhere twice; None: nowhere now, and that alone proves nothing."""
        if jid not in self.last.nowhere:
            return False
        if self.last.partial or self.before is None or (jid in self.before.nowhere and self.before.partial):
            return None
        return True if jid in self.before.nowhere else None


class Beside(TablePane):
    """A row a lock or batch, those that are ill first."""

    label: ClassVar[str] = "Locks"
    key: ClassVar[str] = "b"
    short: ClassVar[str] = "Lock"
    facts: ClassVar[tuple[type, ...]] = (Locks, Batches, Sightings)
    empty: ClassVar[str] = "no unique lock is held, and nobody waits for a batch"
    columns: ClassVar[tuple[Column, ...]] = (
        Column("What", 5, lambda one: one.what),
        Column("Key", 16, lambda one: one.key, grow=3),
        Column("Held by, or waits for", 12, lambda one: one.holder, grow=1),
        Column("Pending", 7, lambda one: -(one.pending or 0), right=True),
        Column("Age", 6, lambda one: one.since, right=True),
        Column("Ends", 9, lambda one: one.ttl_s, right=True, rank=1),
        Column("State", 13, lambda one: one.rank, grow=2),
        Column("Keeper", 19, lambda one: one.keeper, rank=3),
    )

    def __init__(self, view: View) -> None:
        super().__init__(view)
        self.title_here = "Locks and batches"
        self._of: tuple[object, ...] = ()
        self._rows: list[Row] = []

    def draw(self, shown: Scene) -> Line:
        """The table; how many of each are ill."""
        locks, batches = self.fact(shown, Locks), self.fact(shown, Batches)
        seen = _seen(shown, self.fact(shown, Sightings))
        of = (shown.reading(Sightings), seen.before is None)
        if self._of != of:  # as many as a hundred thousand are not gone through at every look
            self._of, self._rows = of, rows(locks, batches, seen, shown.now)
        self.fill(self._rows[:MOST], shown)
        orphans, stuck = (
            sum(one.style == ILL and one.what == what for one in self._rows) for what in ("lock", "batch")
        )
        partial = "; ".join(filter(None, (locks.partial, batches.partial, seen.last.partial)))
        left_out = len(self._rows) - MOST
        return [
            ("", words.plural(len(locks.all), "lock")),
            ("bad" if orphans else "", f", {orphans:,} orphaned"),
            ("", f"; {words.plural(len(batches.all), 'batch')}"),
            ("bad" if stuck else "", f", {stuck:,} stuck"),
            ("warn", f"; {left_out:,} rows are left out" if left_out > 0 else ""),
            ("warn", f"; {clean(partial)}" if partial else ""),
        ]

    def row_key(self, item: Row) -> Hashable:
        """A lock may have several holders."""
        return item.key, item.holder

    def cells(self, item: Row, shown: Scene) -> Sequence[Piece]:
        """One in a row."""
        return (
            ("", item.what),
            ("strong", clean(item.key)),
            ("", clean(item.holder)),
            ("", words.count(item.pending)),
            ("", words.age(shown.now - item.since) if item.since is not None else words.NOTHING),
            ("dim", words.age(item.ttl_s) if item.ttl_s is not None else "never" if item.what == "lock" else ""),
            (item.style, clean(item.state)),
            ("dim", clean(item.keeper)),
        )

    @property
    def id_here(self) -> str:
        """The job that holds the lock, or the batch."""
        here = self.here
        return "" if here is None else here.holder if here.what == "lock" else here.key


def rows(locks: Locks, batches: Batches, seen: Seen, now: float) -> list[Row]:
    """Each with how it stands, the worst first and batches before locks."""
    found = [*_batches(batches, seen, now), *_locks(locks, seen)]
    return sorted(found, key=lambda one: (one.rank, one.since or now))


def _seen(shown: Scene, last: Sightings) -> Seen:
    """What was seen last, and at least two beats before it."""
    reading, workers = shown.reading(Sightings), shown.reading(Workers)
    value = workers.value if workers is not None else None
    apart = BEATS * slowest(Fleet(value.processes if isinstance(value, Workers) else ()))
    latest = reading.at if reading is not None else shown.now
    for one in shown.readings(Sightings):
        if latest - one.at >= apart * PUNCTUAL and isinstance(one.value, Sightings):
            return Seen(last, one.value)
    return Seen(last)


def _locks(locks: Locks, seen: Seen) -> Iterator[Row]:
    for one in locks.all:
        style, state = _held(one, seen)
        yield Row("lock", one.key, one.kind, one.jid, one.since, one.ttl_s, None, style, state)


def _held(lock: Lock, seen: Seen) -> tuple[str, str]:
    gone = seen.gone(lock.jid)
    if gone is False:
        return WELL, "its job is there"
    if lock.type == OUTLIVES:
        return WELL, "outlives its job"
    if not lock.type and lock.ttl_s is not None:
        return UNTOLD, "unknown: its job is gone, and it may be meant to outlive it"
    return (ILL, "orphaned") if gone else (UNTOLD, _why(seen))


def _why(seen: Seen) -> str:
    """Why a job that was not found is not called gone."""
    if seen.last.partial:
        return f"unknown: its job was not found; {seen.last.partial}"
    return "unknown: its job was not found, and a second look will tell"


def _batches(batches: Batches, seen: Seen, now: float) -> Iterator[Row]:
    for one in batches.all:
        style, state = _waiting(one, seen, now)
        waits = ", ".join(one.waits_for)
        yield Row("batch", one.key, one.kind, waits, one.created_at, None, one.pending, style, state)


def _waiting(batch: Batch, seen: Seen, now: float) -> tuple[str, str]:
    if batch.odd or batch.created_at is None:
        return UNTOLD, f"unknown: {batch.odd or 'it does not say when it was created'}"
    if now - batch.created_at <= YOUNG:
        return WELL, "under way"
    if batch.pending is not None and batch.pending < 0:
        return ILL, f"stuck: it counts {batch.pending} pending"
    if not batch.sealed:
        return ILL, "stuck: it was never told complete"
    return _in_its_way(batch, seen)


def _in_its_way(batch: Batch, seen: Seen) -> tuple[str, str]:
    """By the jobs that it waits for."""
    if batch.pending and not batch.remaining:
        return UNTOLD, "unknown: which jobs it waits for was not read"
    dead, gone, odd = (
        _count(batch, test)
        for test in (
            lambda jid: jid in seen.last.only_dead,
            lambda jid: seen.gone(jid) is True,
            lambda jid: seen.gone(jid) is None,
        )
    )
    if (dead or odd) and seen.last.partial:
        return UNTOLD, _why(seen)
    if dead:
        return ILL, f"stuck: {words.plural(dead, 'dead job')}"
    if gone:
        return ILL, f"stuck: {words.plural(gone, 'job')} nowhere"
    return (UNTOLD, _why(seen)) if odd else (WELL, "under way")


def _count(batch: Batch, test: Callable[[str], bool]) -> int:
    return sum(map(test, batch.remaining))
