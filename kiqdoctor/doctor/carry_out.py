"""Runs a plan's probes, each under its deadline, into a snapshot. The lanes go side by side."""

import threading
import weakref
from collections.abc import Callable, Iterator, Mapping
from dataclasses import field, replace
from math import inf
from typing import Any, Final

from kiqdoctor.clock import Clock
from kiqdoctor.doctor.check import Need
from kiqdoctor.doctor.contain import said
from kiqdoctor.doctor.plan import Plan
from kiqdoctor.doctor.probe import AbsenceError, Lane, Probe, RefusalError
from kiqdoctor.doctor.snapshot import Absent, Missing, Reading, Refused, Snapshot
from kiqdoctor.records import dataclass

STEPS: Final = 10
"""Readings of a window after its first: enough to tell growth that holds from one jump. More would cost the server more
and decide nothing else."""
SHORTEST_STEP: Final = 1.0
"""Seconds: what the doctor reads moves by heartbeats of 5 s and more, and a doctor must not be the load."""

Watching = Callable[[frozenset[type], float], None]
"""Told which facts are sampled, and until when at least (epoch seconds)."""

_LEFT_BEHIND: "weakref.WeakKeyDictionary[Callable[..., Any], threading.Thread]" = weakref.WeakKeyDictionary()


@dataclass
class _Readings:
    """Every reading of each fact in turn; a probe that needs another lane's fact waits for the first."""

    taken: dict[type, list[Reading]]
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def put(self, kind: type, reading: Reading) -> None:
        with self.arrived:
            self.taken.setdefault(kind, []).append(reading)
            self.arrived.notify_all()

    def wait_for(self, kind: type, seconds: float) -> Any:
        with self.arrived:
            self.arrived.wait_for(lambda: kind in self.taken, seconds)
            readings = self.taken.get(kind)
        return readings[-1].value if readings else Refused(f"{kind.__name__} was not read in time")


@dataclass(frozen=True, slots=True)
class _Time:
    """What is left for the examination as a whole."""

    ends: float
    clock: Clock

    @property
    def left_s(self) -> float:
        return self.ends - self.clock.monotonic()

    def up(self, probe: Probe) -> Refused:
        why = f"{probe.name} was not read: the time for the examination was up"
        return Refused(why, "--timeout SECONDS", crashed=True)


@dataclass(frozen=True, slots=True)
class _Lane:
    """The probes of one lane, one after the other; ``again`` are those that read over a window, ``ending`` at last."""

    probes: tuple[Probe, ...]
    again: tuple[Probe, ...]
    ending: tuple[Probe, ...]
    tools: Mapping[type, Any]
    readings: _Readings
    clock: Clock
    time: _Time

    def run(self, window_s: float) -> None:
        for probe in self.probes:
            self._read(probe)
        # What was refused at first would be refused again: its series is missing as a whole.
        moving, ending = self._came(self.again), self._came(self.ending)
        if ending:
            for last in rounds(max(self._first(probe).at for probe in moving or ending), window_s, self.clock):
                for probe in ending if last else moving:
                    self._read(probe)

    def _came(self, probes: tuple[Probe, ...]) -> list[Probe]:
        return [probe for probe in probes if not isinstance(self._first(probe).value, Refused | Absent)]

    def _first(self, probe: Probe) -> Reading:
        return self.readings.taken[probe.fact][0]

    def _read(self, probe: Probe) -> None:
        began, at = self.clock.monotonic(), self.clock.now()
        value = _within_deadline(probe, self.tools, self.readings, self.time)
        self.readings.put(probe.fact, Reading(value, probe.name, at, (self.clock.monotonic() - began) * 1000))


def carry_out(
    plan: Plan,
    tools: Mapping[type, Any],
    given: Mapping[type, Any],
    window_s: float,
    clock: Clock,
    watching: Watching | None = None,
    *,
    within_s: float = inf,
) -> Snapshot:
    """Read everything that the plan names.

    ``tools`` are what probes look with; an ``Absent`` or ``Refused`` in a tool's place makes its facts that.
    ``given`` are facts that no probe reads. What the plan samples is read again and again for ``window_s`` seconds,
    each lane in its own rhythm, and what is judged beside it once more at the end; ``watching`` is told of it before
    anything is read.
    All that takes ``within_s`` seconds beside the window at most: what was not read by then is refused.
    """
    again, ending = (plan.again, plan.ending) if window_s > 0 else ((), ())
    if again and watching is not None:
        watching(plan.sampled, clock.now() + window_s)
    steady = _steady(clock)
    time = _Time(clock.monotonic() + within_s + (window_s if again else 0.0), clock)
    readings = _Readings({kind: [Reading(fact, at=steady.now())] for kind, fact in given.items()})
    lanes = [
        _Lane(_of(lane, plan.probes), _of(lane, again), _of(lane, ending), tools, readings, steady, time)
        for lane in Lane
        if _of(lane, plan.probes)
    ]
    threads = [threading.Thread(target=lane.run, args=(window_s,), daemon=True) for lane in lanes]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    first = {kind: taken[0] for kind, taken in readings.taken.items()}
    kept = plan.sampled | plan.closing
    later = {kind: tuple(taken[1:]) for kind, taken in readings.taken.items() if kind in kept and taken[1:]}
    return Snapshot(first, later)


def rounds(start: float, window_s: float, clock: Clock) -> Iterator[bool]:
    """Wait for each time at which to read again, on a grid from ``start``; the last one is the window's end or later.

    Told with each whether it is the last.

    Before the end a lane rests for at least as long as it read: a slow server is not asked without a pause.
    """
    step, end = max(SHORTEST_STEP, window_s / STEPS), start + window_s
    number, began = 0, start
    while True:
        ended = clock.now()
        rested = ended + (ended - began)
        number = max(number, int((rested - start) / step)) + 1
        due = min(start + number * step, end)
        clock.sleep(max(0.0, due - ended))
        began = clock.now()
        yield due >= end
        if due >= end:
            return


def _of(lane: Lane, probes: tuple[Probe, ...]) -> tuple[Probe, ...]:
    return tuple(probe for probe in probes if probe.lane is lane)


def _steady(clock: Clock) -> Clock:
    """Its wall time as it is now, carried on by a time that never jumps: rates are reckoned from these stamps."""
    wall, began = clock.now(), clock.boottime()
    return replace(clock, now=lambda: wall + clock.boottime() - began)


def _within_deadline(probe: Probe, tools: Mapping[type, Any], readings: _Readings, time: _Time) -> Any:
    """The probe's fact; a probe that does not end in its time, or the examination's, is left behind in its thread.

    One that still hangs from an earlier reading of this process is not started again beside it.
    """
    if (stuck := _LEFT_BEHIND.get(probe.read)) is not None and stuck.is_alive():
        return Refused(f"{probe.name} crashed: it hangs since an earlier reading", "restart the doctor", crashed=True)
    seconds = min(probe.deadline_s, time.left_s)
    if seconds <= 0:
        return time.up(probe)
    box: list[Any] = []
    thread = threading.Thread(target=lambda: box.append(_run(probe, tools, readings)), daemon=True)
    thread.start()
    thread.join(seconds)
    if box:
        return box[0]
    _LEFT_BEHIND[probe.read] = thread
    if seconds < probe.deadline_s:
        return time.up(probe)
    return Refused(
        f"{probe.name} crashed: it did not finish within {probe.deadline_s:g} s", "run it again", crashed=True
    )


def _run(probe: Probe, tools: Mapping[type, Any], readings: _Readings) -> Any:
    arguments = {}
    for need in probe.needs:
        value = _argument(need, tools, readings, probe.deadline_s)
        if isinstance(value, Refused | Absent) and not need.optional:
            return value
        arguments[need.name] = value
    try:
        value = probe.read(**arguments)
    except RefusalError as error:
        return error.refused
    except AbsenceError as error:
        return Absent(str(error))
    except BaseException as error:  # noqa: BLE001 - the seam where a crash becomes a refusal with its reason
        return _crashed(probe, said(error))
    if not isinstance(value, probe.fact):
        return _crashed(probe, f"it read a {type(value).__name__}, not a {probe.fact.__name__}")
    return value


def _crashed(probe: Probe, why: str) -> Refused:
    whose = probe.read.__module__.partition(".")[0]
    return Refused(f"{probe.name} crashed: {why}", f"report it as a fault of {whose}", crashed=True)


def _argument(need: Need, tools: Mapping[type, Any], readings: _Readings, seconds: float) -> Any | Missing:
    return tools[need.kind] if need.kind in tools else readings.wait_for(need.kind, seconds)
