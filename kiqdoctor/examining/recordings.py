"""Recordings as files: read, as the first sample, by halves, written."""

from dataclasses import replace
from pathlib import Path
from typing import Final

from kiqdoctor import saving
from kiqdoctor.doctor.plan import LIVE_GIVEN
from kiqdoctor.doctor.recording import Recording, RecordingError, dump, load, past
from kiqdoctor.doctor.report import Target
from kiqdoctor.doctor.snapshot import Absent, Past, Reading, Snapshot
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.errors import AskedError
from kiqdoctor.examining.parts import every_probe
from kiqdoctor.reading import whole

LIVE_LEFT_OUT: Final = Absent("the live half was not selected")
STATIC_LEFT_OUT: Final = Absent("the static half was not selected (--live)")


def loaded(file: Path) -> Recording:
    """What a file recorded.

    Raises:
        AskedError: it cannot be read, or is no recording.
    """
    try:
        return load(whole(file), [probe.fact for probe in every_probe()])
    except RecordingError as error:
        raise AskedError(f"{file}: {error}") from None
    except OSError as error:
        raise AskedError(f"cannot read {file}: {error.strerror}") from None


def remembered(asked: Asked, target: Target, began: float) -> Past | None:
    """The earlier recording that counts as the first sample, if one was given."""
    file = asked.baseline_run
    if file is None:
        return None
    try:
        return past(loaded(file), target, began)
    except RecordingError as error:
        raise AskedError(f"{file}: {error}") from None


def halved(snapshot: Snapshot, asked: Asked) -> Snapshot:
    """What ``--static`` or ``--live`` leave of a recording of both."""
    if not (asked.static or asked.live):
        return snapshot
    live = {probe.fact: probe.live for probe in every_probe()} | dict.fromkeys(LIVE_GIVEN, True)
    left_out = LIVE_LEFT_OUT if asked.static else STATIC_LEFT_OUT
    kept = {
        kind: reading if live.get(kind, True) == asked.live else Reading(left_out)
        for kind, reading in snapshot.readings.items()
    }
    return replace(snapshot, readings=kept)


def save(recording: Recording, file: Path) -> None:
    """Write a recording, readable by its owner only; an older one stays where this one cannot be written."""
    try:
        saving.save(file, dump(recording), private=True)
    except OSError as error:
        raise AskedError(f"cannot write {file}: {error.strerror}") from None
