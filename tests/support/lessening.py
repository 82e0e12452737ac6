"""Snapshots with one reading of a fact taken away: what the engine must never take for a pass."""

from dataclasses import replace

from kiqdoctor.doctor.snapshot import Refused, Snapshot


def less(snapshot: Snapshot, kind: type, place: int) -> Snapshot:
    """Without one of all readings in the order of their times, of which the first is the earlier recording's."""
    assert snapshot.earlier is not None
    readings = [snapshot.earlier.readings[kind], snapshot.readings[kind], *snapshot.later.get(kind, ())]
    readings[place] = replace(readings[place], value=Refused("NOPERM", "+key"))
    before, first, *later = readings
    return Snapshot(
        {**snapshot.readings, kind: first},
        {**snapshot.later, kind: tuple(later)},
        replace(snapshot.earlier, readings={**snapshot.earlier.readings, kind: before}),
    )
