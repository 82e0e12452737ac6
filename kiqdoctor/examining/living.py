"""What the live view reads one installation with: connections that come back, readers, the examination, recordings."""

import os
import socket
import threading
from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from kiqdoctor.actions import Actions
from kiqdoctor.clock import SYSTEM, Clock
from kiqdoctor.connection import Address, ConnectError, ReadOnlyConnection
from kiqdoctor.doctor.facts.fleet import Fleet, Process
from kiqdoctor.doctor.facts.live import Counters, Depths, JobPage, JobRow, Search, Sought, Workers
from kiqdoctor.doctor.facts.queues import Queues
from kiqdoctor.doctor.facts.threads import Threads
from kiqdoctor.doctor.page import page as page_of
from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.doctor.recording import Recording, RecordingError, load
from kiqdoctor.doctor.report import Cost, Report, Target
from kiqdoctor.doctor.snapshot import Reading, Refused, Snapshot
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.embedded import addressed
from kiqdoctor.examining.errors import AskedError
from kiqdoctor.examining.examination import Prepared, judged, prepared, resolved
from kiqdoctor.examining.parts import every_check, every_probe
from kiqdoctor.examining.recordings import save
from kiqdoctor.examining.reporting import examined
from kiqdoctor.probes.door import Door
from kiqdoctor.probes.live import jobs
from kiqdoctor.probes.live.follower import Follower, rhythms
from kiqdoctor.probes.live.workers import settled
from kiqdoctor.reading import whole
from kiqdoctor.text import clean
from kiqdoctor.top.feed import Look, LostError, Recorded, Watched, WholeExamination, Writing
from kiqdoctor.version import __version__

NAME: Final = "kiqdoctor-top"
LONGEST: Final = 64 * 1024 * 1024  # bytes of a recording
PAGE_WIDTH: Final = 96  # cells that a check's page is wrapped to


class LastingConnection:
    """One connection that is opened when it is needed, and again after it broke. For one thread at a time."""

    def __init__(self, address: Address, namespace: str | None) -> None:
        self._address, self._namespace = address, namespace
        self._connection: ReadOnlyConnection | None = None
        self._door: Door | None = None
        self._ended = False

    def door(self) -> Door:
        """An open one.

        Raises:
            LostError: it cannot be opened now.
        """
        if self._ended:
            raise LostError("this view has ended")
        if self._door is None or self._door.lost:
            self.close()
            connection = ReadOnlyConnection(self._address, name=NAME)
            try:
                connection.open()
            except ConnectError as error:
                raise LostError(f"{error.step}: {error}") from None
            self._connection, self._door = connection, Door(connection, self._namespace)
        return self._door

    @property
    def round_trips(self) -> int:
        """Since it was opened."""
        return self._connection.bill.round_trips if self._connection is not None else 0

    def close(self) -> None:
        """Leave."""
        if self._connection is not None:
            self._connection.close()
        self._connection = self._door = None

    def end(self) -> None:
        """Leave, for good."""
        self._ended = True
        self.close()


class Live:
    """``top.feed.Feed`` of one Redis."""

    def __init__(
        self,
        asked: Asked,
        address: Address,
        *,
        read_only: bool = False,
        from_outside: bool = True,
        clock: Clock = SYSTEM,
    ) -> None:
        """``from_outside``: whether py-spy may be started on a process of this host."""
        self.target = Watched(address.shown, asked.namespace, show_args=asked.show_args)
        self.rhythms = rhythms()
        self._options, self._address, self._clock, self._read_only = asked, address, clock, read_only
        self._from_outside = from_outside
        self._looking, self._asking = (LastingConnection(address, asked.namespace) for _ in range(2))
        self._follower: Follower | None = None
        self._followed: Door | None = None
        self._asked = threading.Lock()
        self._actions: Actions | None = None

    def look(self, also: frozenset[type]) -> Look:
        """One refresh over a connection of its own."""
        door = self._looking.door()
        if self._follower is None or door is not self._followed:
            self._follower, self._followed = Follower(door, self._clock), door
        before, began = self._looking.round_trips, self._clock.monotonic()
        try:
            snapshot = self._follower.look(also)
        except RefusalError as error:
            raise LostError(error.refused.reason) from None
        if door.lost:
            raise LostError(door.lost)
        at = next(
            (value.at for kind in (Counters, Depths, Workers) if isinstance(value := snapshot.get(kind), kind)), None
        )
        took_ms = (self._clock.monotonic() - began) * 1000
        return Look(snapshot, self._clock.now() if at is None else at, self._looking.round_trips - before, took_ms)

    def examine(self) -> WholeExamination:
        """As ``check`` does."""
        return WholeExamination(*examined(self._options, self._clock))

    def page(self, place: str, start: int, count: int, *, backwards: bool) -> JobPage | Refused:
        """Over the connection for what is asked."""
        with self._asked:
            try:
                door = self._asking.door()
                return jobs.page(door, place, start, count, backwards=backwards, show_args=self._options.show_args)
            except LostError as error:
                return Refused(f"Redis cannot be reached: {error}")
            except RefusalError as error:
                return error.refused

    def search(self, place: str, sought: Sought) -> Iterator[Search | Refused]:
        """Over a connection of its own: a search may be long."""
        line = LastingConnection(self._address, self._options.namespace)
        try:
            yield from jobs.search(line.door(), place, sought, show_args=self._options.show_args)
        except LostError as error:
            yield Refused(f"Redis cannot be reached: {error}")
        except RefusalError as error:
            yield error.refused
        finally:
            line.close()

    def whole(self, row: JobRow) -> JobRow:
        """From the bytes that were read."""
        return jobs.whole(row, show_args=self._options.show_args)

    def why(self, jid: str) -> list[str]:
        """As ``kiqdoctor why`` says it."""
        from kiqdoctor.doctor.facts.tracing import Sought as Traced
        from kiqdoctor.examining.why import lines, why

        return list(lines(why(Traced(jid=jid), replace(self._options, live=True, static=False), self._clock)))

    def threads(self, process: Process) -> Threads | Refused:
        """Through Redis, or by py-spy."""
        from kiqdoctor.examining.threads import threads_of

        return threads_of(
            process.identity,
            process.runtime,
            process.pid,
            here=self._from_outside and process.hostname in {socket.gethostname(), os.environ.get("DYNO", "")},
            address=self._address,
            namespace=self._options.namespace,
            may_ask=not self._read_only,
        )

    def explain(self, check: str) -> str:
        """The page that ``explain`` prints."""
        from kiqdoctor.render.page import plain

        found = every_check(self._options.checks)
        chosen = next(one for one in found if one.id == check)
        return plain(page_of(chosen, found, every_probe()), PAGE_WIDTH)

    def save(self, look: Look, examined: WholeExamination | None, folder: Path) -> Path:
        """A recording that ``check --replay`` judges as this examination did, with what the view shows beside it."""
        readings = dict(look.snapshot.readings)
        if examined is not None:
            readings |= examined.snapshot.readings
        workers = look.snapshot.get(Workers)
        if isinstance(workers, Workers):
            readings[Workers] = Reading(settled(workers, look.at), "follower", look.at)
        path = self._options.path
        whose = Target(self.target.redis, self.target.namespace, str(path.resolve()) if path else None)
        cost = examined.report.cost if examined is not None else Cost()
        name = f"kiqdoctor-{datetime.fromtimestamp(look.at, UTC):%Y%m%dT%H%M%S}.json"
        save(Recording(Snapshot(readings), whose, look.at, __version__, cost), folder / name)
        return folder / name

    def writing(self) -> Writing:
        """Whether anything may be changed: asked of Redis, with a command that changes nothing."""
        if self._read_only:
            return Writing(reason="--read-only")
        actions = Actions(self._address, self._options.namespace, self._clock)
        try:
            reason = actions.may_not_write()
        except ConnectError as error:
            return Writing(reason=f"Redis cannot be reached: {error.step}: {error}", ask_again=True)
        finally:
            self._actions = actions
        return Writing(reason=reason) if reason else Writing(actions)

    def close(self) -> None:
        """Leave; whatever is still under way in a thread ends with an error that nobody hears."""
        self._looking.end()
        self._asking.end()
        if self._actions is not None:
            self._actions.close()


def opened(
    asked: Asked, stack: ExitStack, *, recordings: Path | None, read_only: bool, from_outside: bool = True
) -> Live | Recorded:
    """What the view shows: recordings, or a Redis until the stack ends.

    Raises:
        AskedError: what was asked for is wrong, or nothing there is a recording.
    """
    if recordings is not None:
        return recorded(recordings, asked)
    prepared(asked)
    asked, _ = addressed(asked, stack)
    address = resolved(asked.redis, os.environ, asked.configured_redis)
    source = Live(asked, address, read_only=read_only, from_outside=from_outside)
    stack.callback(source.close)
    return source


def recorded(place: Path, asked: Asked, clock: Clock = SYSTEM) -> Recorded:
    """The recordings of a folder, or one file, in the order of their time, each judged as it is.

    Raises:
        AskedError: nothing there is a recording.
    """
    ready = prepared(asked)
    files = sorted(place.iterdir()) if place.is_dir() else [place]
    looks: list[Look] = []
    left_out: list[str] = []
    target = Watched("", recorded=clean(str(place)), show_args=asked.show_args)
    for file in files:
        if not file.is_file() or (place.is_dir() and file.suffix != ".json"):
            continue
        try:
            recording = _read(file)
        except (RecordingError, OSError) as error:
            left_out.append(f"{clean(file.name)} is left out: {clean(str(error), 400)}")
            continue
        target = replace(target, redis=recording.target.redis or "", namespace=recording.target.namespace)
        looks.append(Look(_completed(recording), recording.recorded_at, report=_report(recording, ready, clock)))
    if not looks:
        why = f": {left_out[0]}" if left_out else ""
        raise AskedError(f"{clean(str(place))} holds no recording{why}")
    return Recorded(target, sorted(looks, key=lambda look: look.at), tuple(left_out))


def _read(file: Path) -> Recording:
    if file.stat().st_size > LONGEST:
        raise RecordingError(f"it is larger than {LONGEST // 1024 // 1024} MiB")
    return load(whole(file), [*(probe.fact for probe in every_probe()), *rhythms()])


def _completed(recording: Recording) -> Snapshot:
    """What ``record`` and ``check --record`` save has no facts of the view's own: the examination's serve."""
    snapshot, at = recording.snapshot, recording.recorded_at
    readings = dict(snapshot.readings)
    fleet, queues = snapshot.get(Fleet), snapshot.get(Queues)
    if Workers not in readings and Fleet in readings:
        value: Any = fleet
        if isinstance(fleet, Fleet):
            there = tuple(one for one in fleet.processes if one.exists)
            value = Workers(at, there, fleet.members, fleet.partial)
        readings[Workers] = replace(readings[Fleet], value=value)
    if Depths not in readings and Queues in readings:
        value = Depths(at, queues.all, queues.sets, queues.partial) if isinstance(queues, Queues) else queues
        readings[Depths] = replace(readings[Queues], value=value)
    return replace(snapshot, readings=readings)


def _report(recording: Recording, ready: Prepared, clock: Clock) -> Report:
    """What the checks make of it now."""
    began = clock.monotonic()
    results = judged(ready, recording.snapshot, clock)
    return Report(
        __version__, recording.recorded_at, clock.monotonic() - began, recording.target, results, cost=recording.cost
    )
