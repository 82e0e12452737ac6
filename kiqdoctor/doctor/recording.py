"""Snapshot <-> file: a saved examination, judged again without the machine it came from."""

import re
from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any, Final

import msgspec

from kiqdoctor.doctor.contain import said
from kiqdoctor.doctor.facts.redis import Connection
from kiqdoctor.doctor.report import Cost, Target
from kiqdoctor.doctor.snapshot import Absent, Past, Reading, Refused, Snapshot
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex
from kiqdoctor.text import redact, redact_words
from kiqdoctor.wire import codec

FAMILY: Final = "kiqdoctor.recording/"
SCHEMA: Final = f"{FAMILY}2"
FIRST_SCHEMA: Final = f"{FAMILY}1"
"""Files of users have it: one further reading of a fact, its time told by the window alone, and nothing earlier."""
LATEST: Final = 1e11  # seconds: the year 5138

_SCHEMA: Final = regex(re.escape(FAMILY) + "[0-9]{1,9}")


class RecordingError(Exception):
    """The file is not a recording that this version reads; one line."""


@dataclass(frozen=True, slots=True)
class Recording:
    """A snapshot with what was examined, when (epoch seconds), at what cost."""

    snapshot: Snapshot
    target: Target
    recorded_at: float
    version: str
    cost: Cost


def dump(recording: Recording) -> bytes:
    """As JSON, without secrets: the probes mask what they know to be one, and the redactor whatever looks like one."""
    earlier = recording.snapshot.earlier
    document = {
        "schema": SCHEMA,
        "version": recording.version,
        "recorded_at": recording.recorded_at,
        "target": recording.target,
        "cost": recording.cost,
        "facts": _written(recording.snapshot.readings),
        "later": {
            kind.__name__: [_entry(kind, one) for one in readings]
            for kind, readings in recording.snapshot.later.items()
        },
        "earlier": earlier and {"recorded_at": earlier.at, "facts": _written(earlier.readings)},
    }
    return msgspec.json.encode(_redacted(msgspec.to_builtins(document, str_keys=True)))


def _redacted(value: Any) -> Any:
    """The same with every text redacted."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redact(key): _redacted(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        texts = all(isinstance(item, str) for item in value)
        return redact_words(value) if texts else [_redacted(item) for item in value]
    return value


def load(raw: bytes, kinds: Iterable[type]) -> Recording:
    """A recording; ``kinds`` are the facts that this version knows.

    Raises:
        RecordingError: not JSON, not a recording, another schema, or a fact of another shape.
    """
    by_name = {kind.__name__: kind for kind in (*kinds, Connection)}
    try:
        document = msgspec.json.decode(raw)
        schema = document.get("schema") if isinstance(document, dict) else None
        if schema not in {SCHEMA, FIRST_SCHEMA}:
            found = f"it is a {schema}" if _SCHEMA.fullmatch(str(schema)) else "it is none"
            raise RecordingError(f"{found}; this version reads {FIRST_SCHEMA} and {SCHEMA}")
        return Recording(
            snapshot=_snapshot(document, by_name, first_schema=schema == FIRST_SCHEMA),
            target=codec.typed(document["target"], Target),
            recorded_at=_time(document["recorded_at"]),
            version=str(document["version"]),
            cost=codec.typed(document["cost"], Cost),
        )
    except (msgspec.MsgspecError, RecursionError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordingError(f"it is not a recording: {' '.join(str(error).split())}") from None


def past(recording: Recording, target: Target, began: float) -> Past:
    """What it held, as the first sample of an examination of ``target`` that began then (epoch seconds).

    A trend from one installation to another, or backwards, would be a finding about nothing, so that is refused as a
    whole and not fact by fact. The address decides; the application's path does not, for CI checks it out anywhere.

    Raises:
        RecordingError: it is of another Redis or namespace, or not earlier.
    """
    then = recording.target
    if then.redis and target.redis and (then.redis, then.namespace) != (target.redis, target.namespace):
        raise RecordingError(f"it was recorded of {_named(then)}, not of {_named(target)}")
    readings = recording.snapshot.readings
    if max(recording.recorded_at, *(one.at for one in readings.values())) >= began:
        raise RecordingError("it was not recorded before this examination began; are both clocks right?")
    return Past(readings, recording.recorded_at)


def _named(target: Target) -> str:
    return f"{target.redis}, namespace {target.namespace}" if target.namespace else str(target.redis)


def _snapshot(document: dict[str, Any], by_name: Mapping[str, type], *, first_schema: bool) -> Snapshot:
    readings = _read(document["facts"], by_name)
    if first_schema:
        window_s = _time(document["window_s"])
        second = _read(document["later"], by_name)
        return Snapshot(
            readings, {kind: (replace(one, at=readings[kind].at + window_s),) for kind, one in second.items()}
        )
    later = {
        by_name[name]: tuple(_reading(entry, by_name[name]) for entry in entries)
        for name, entries in document["later"].items()
        if name in by_name
    }
    for kind, further in later.items():
        times = [one.at for one in (readings[kind], *further)]
        if times != sorted(times):
            raise ValueError(f"the readings of {kind.__name__} are not in the order of their times")
    past = document["earlier"]
    earlier = None if past is None else Past(_read(past["facts"], by_name), _time(past["recorded_at"]))
    return Snapshot(readings, later, earlier)


def _time(value: Any) -> float:
    """Seconds since the epoch, or milliseconds that something took."""
    number: float = codec.typed(value, float)
    if not abs(number) < LATEST:
        raise ValueError("no time is so far away")
    return number


def _written(readings: Mapping[type, Reading]) -> dict[str, Any]:
    return {kind.__name__: _entry(kind, reading) for kind, reading in readings.items()}


def _entry(kind: type, reading: Reading) -> dict[str, Any]:
    value = _writable(kind, reading.value)
    return {_slot(value): value, "probe": reading.probe, "at": reading.at, "took_ms": reading.took_ms}


def _writable(kind: type, value: Any) -> Any:
    """The fact, or that it is of a shape (a plug-in's) that no recording can keep."""
    try:
        codec.typed(msgspec.json.decode(msgspec.json.encode(value)), type(value), str_keys=True)
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        return Refused(f"{kind.__name__} cannot be recorded: {said(error)}", "examine the real thing")
    return value


def _slot(value: Any) -> str:
    return "refused" if isinstance(value, Refused) else "absent" if isinstance(value, Absent) else "value"


def _read(facts: dict[str, Any], by_name: Mapping[str, type]) -> dict[type, Reading]:
    return {by_name[name]: _reading(entry, by_name[name]) for name, entry in facts.items() if name in by_name}


def _reading(entry: dict[str, Any], kind: type) -> Reading:
    slots: dict[str, type] = {"refused": Refused, "absent": Absent, "value": kind}
    [slot] = [name for name in slots if name in entry]
    value: Any = codec.typed(entry[slot], slots[slot], str_keys=True)
    return Reading(value, entry["probe"], _time(entry["at"]), _time(entry["took_ms"]))
