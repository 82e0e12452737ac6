"""Runs a plan's probes, each under its deadline, into a snapshot. The lanes go side by side."""

import threading
import weakref
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

from kiqdoctor.clock import Clock
from kiqdoctor.doctor.check import Need
from kiqdoctor.doctor.contain import said
from kiqdoctor.doctor.plan import Plan
from kiqdoctor.doctor.probe import AbsenceError, Lane, Probe, RefusalError
from kiqdoctor.doctor.snapshot import Absent, Missing, Reading, Refused, Snapshot

_LEFT_BEHIND: "weakref.WeakKeyDictionary[Callable[..., Any], threading.Thread]" = weakref.WeakKeyDictionary()


@dataclass
class _Readings:
    """What is known so far; a probe that needs another lane's fact waits for it."""

    known: dict[type, Reading]
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def put(self, kind: type, reading: Reading) -> None:
        with self.arrived:
            self.known[kind] = reading
            self.arrived.notify_all()

    def wait_for(self, kind: type, seconds: float) -> Any:
        with self.arrived:
            self.arrived.wait_for(lambda: kind in self.known, seconds)
            reading = self.known.get(kind)
        return reading.value if reading else Refused(f"{kind.__name__} was not read in time")


def carry_out(
    plan: Plan, tools: Mapping[type, Any], given: Mapping[type, Any], window_s: float, clock: Clock
) -> Snapshot:
    """Read everything that the plan names.

    ``tools`` are what probes look with; an ``Absent`` or ``Refused`` in a tool's place makes its facts that.
    ``given`` are facts that no probe reads. After ``window_s`` seconds the facts needed twice are read again.
    """
    began = clock.monotonic()
    first = _read(plan.probes, tools, {kind: Reading(fact) for kind, fact in given.items()}, clock)
    if window_s <= 0:
        return Snapshot(first)
    clock.sleep(max(0.0, window_s - (clock.monotonic() - began)))
    again = tuple(probe for probe in plan.probes if probe.fact in plan.twice)
    rest = {kind: reading for kind, reading in first.items() if kind not in plan.twice}
    later = _read(again, tools, rest, clock)
    return Snapshot(first, {probe.fact: later[probe.fact] for probe in again}, clock.monotonic() - began)


def _read(
    probes: tuple[Probe, ...], tools: Mapping[type, Any], known: dict[type, Reading], clock: Clock
) -> dict[type, Reading]:
    readings = _Readings(dict(known))
    lanes = [[probe for probe in probes if probe.lane is lane] for lane in Lane]
    threads = [
        threading.Thread(target=_lane, args=(lane, tools, readings, clock), daemon=True) for lane in lanes if lane
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return readings.known


def _lane(probes: list[Probe], tools: Mapping[type, Any], readings: _Readings, clock: Clock) -> None:
    for probe in probes:
        began, at = clock.monotonic(), clock.now()
        value = _within_deadline(probe, tools, readings)
        readings.put(probe.fact, Reading(value, probe.name, at, (clock.monotonic() - began) * 1000))


def _within_deadline(probe: Probe, tools: Mapping[type, Any], readings: _Readings) -> Any:
    """The probe's fact; a probe that does not end in time is left behind in its daemon thread.

    One that still hangs from an earlier examination of this process is not started again beside it.
    """
    if (stuck := _LEFT_BEHIND.get(probe.read)) is not None and stuck.is_alive():
        return Refused(
            f"{probe.name} crashed: it hangs since an earlier examination", "restart the doctor", crashed=True
        )
    box: list[Any] = []
    thread = threading.Thread(target=lambda: box.append(_run(probe, tools, readings)), daemon=True)
    thread.start()
    thread.join(probe.deadline_s)
    if box:
        return box[0]
    _LEFT_BEHIND[probe.read] = thread
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
