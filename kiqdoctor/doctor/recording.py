"""Snapshot <-> file: a saved examination, judged again without the machine it came from."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final

import msgspec

from kiqdoctor.doctor.contain import said
from kiqdoctor.doctor.facts.redis import Connection
from kiqdoctor.doctor.report import Cost, Target
from kiqdoctor.doctor.snapshot import Absent, Reading, Refused, Snapshot

SCHEMA: Final = "kiqdoctor.recording/1"


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
    """As JSON. Facts carry no secrets: the probes mask them before they are facts."""
    document = {
        "schema": SCHEMA,
        "version": recording.version,
        "recorded_at": recording.recorded_at,
        "target": recording.target,
        "cost": recording.cost,
        "window_s": recording.snapshot.window_s,
        "facts": _written(recording.snapshot.readings),
        "later": _written(recording.snapshot.later),
    }
    return msgspec.json.encode(document)


def load(raw: bytes, kinds: Iterable[type]) -> Recording:
    """A recording; ``kinds`` are the facts that this version knows.

    Raises:
        RecordingError: not JSON, not a recording, another schema, or a fact of another shape.
    """
    by_name = {kind.__name__: kind for kind in (*kinds, Connection)}
    try:
        document = msgspec.json.decode(raw)
        if not isinstance(document, dict) or document.get("schema") != SCHEMA:
            raise RecordingError(f"its schema is not {SCHEMA}")
        return Recording(
            snapshot=Snapshot(
                _read(document["facts"], by_name), _read(document["later"], by_name), float(document["window_s"])
            ),
            target=msgspec.convert(document["target"], Target),
            recorded_at=float(document["recorded_at"]),
            version=str(document["version"]),
            cost=msgspec.convert(document["cost"], Cost),
        )
    except (msgspec.MsgspecError, RecursionError, KeyError, TypeError, ValueError, AttributeError) as error:
        raise RecordingError(f"it is not a recording: {' '.join(str(error).split())}") from None


def _written(readings: Mapping[type, Reading]) -> dict[str, Any]:
    return {
        kind.__name__: {
            _slot(value): value,
            "probe": reading.probe,
            "at": reading.at,
            "took_ms": reading.took_ms,
        }
        for kind, reading in readings.items()
        for value in (_writable(kind, reading.value),)
    }


def _writable(kind: type, value: Any) -> Any:
    """The fact, or that it is of a shape (a plug-in's) that no recording can keep."""
    try:
        msgspec.convert(msgspec.json.decode(msgspec.json.encode(value)), type(value), str_keys=True)
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
    value: Any = msgspec.convert(entry[slot], slots[slot], str_keys=True)
    return Reading(value, entry["probe"], float(entry["at"]), float(entry["took_ms"]))
