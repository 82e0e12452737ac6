"""Replaying a recording gives the same report, apart from times; what is no recording is said in one line."""

import json

import pytest
from healthy import HEALTHY
from hypothesis import given
from hypothesis import strategies as st

from kiqdoctor import probes
from kiqdoctor.clock import SYSTEM
from kiqdoctor.doctor.examine import examine
from kiqdoctor.doctor.facts.redis import Server
from kiqdoctor.doctor.pack import load as every_check
from kiqdoctor.doctor.recording import Recording, RecordingError, dump, load
from kiqdoctor.doctor.report import Cost, Result, Target
from kiqdoctor.doctor.snapshot import Absent, Reading, Refused, Snapshot

TARGET = Target(redis="redis://localhost:6379/0", namespace=None, path=None)
KINDS = [probe.fact for probe in probes.every()]


def recorded(snapshot: Snapshot) -> Recording:
    return Recording(snapshot, TARGET, 1.0, "0.1.0", Cost({"INFO": 1}, 1, 2, "INFO", 0.5))


def judged(snapshot: Snapshot) -> list[tuple[str, str, str | None, tuple[object, ...], tuple[object, ...]]]:
    def row(one: Result) -> tuple[str, str, str | None, tuple[object, ...], tuple[object, ...]]:
        return (one.check.id, one.outcome.value, one.reason, one.evidence, one.findings)

    return [row(one) for one in examine(every_check(), snapshot, SYSTEM)]


def known(snapshot: Snapshot) -> Snapshot:
    return Snapshot({kind: reading for kind, reading in snapshot.readings.items() if kind in KINDS})


@pytest.mark.parametrize(
    "snapshot",
    [
        known(HEALTHY),
        known(HEALTHY).without(Server, Refused("NOPERM", "+info")),
        known(HEALTHY).without(Server, Absent("--static")),
    ],
    ids=["whole", "refused", "absent"],
)
def test_a_replay_is_judged_the_same(snapshot: Snapshot) -> None:
    again = load(dump(recorded(snapshot)), KINDS)

    assert again.snapshot.readings.keys() == snapshot.readings.keys()
    assert judged(again.snapshot) == judged(snapshot)
    assert (again.target, again.cost) == (TARGET, recorded(snapshot).cost)


def test_a_window_s_second_reading_comes_back() -> None:
    window = Snapshot(HEALTHY.readings, {Server: Reading(Server({"rejected_connections": "3"}))}, 10.0)

    again = load(dump(recorded(window)), KINDS)

    assert again.snapshot.last(Server) == Server({"rejected_connections": "3"})
    assert again.snapshot.window_s == 10.0


@given(
    st.binary(max_size=200) | st.recursive(st.integers() | st.text(), st.lists).map(lambda x: json.dumps(x).encode())
)
def test_anything_else_is_refused_in_one_line(raw: bytes) -> None:
    with pytest.raises(RecordingError) as caught:
        load(raw, KINDS)

    assert "\n" not in str(caught.value)


def test_a_fact_of_another_shape_is_refused() -> None:
    document = json.loads(dump(recorded(known(HEALTHY))))
    document["facts"]["Server"]["value"] = {"info": 7}

    with pytest.raises(RecordingError, match="not a recording"):
        load(json.dumps(document).encode(), KINDS)
