"""Replaying a recording gives the same report, apart from times; what is no recording is said in one line."""

import json
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest
from healthy import HEALTHY, WATCHED
from hypothesis import given
from hypothesis import strategies as st

from kiqdoctor import probes
from kiqdoctor.clock import SYSTEM
from kiqdoctor.doctor.examine import examine
from kiqdoctor.doctor.facts.redis import Server, ServerTime
from kiqdoctor.doctor.pack import load as every_check
from kiqdoctor.doctor.recording import Recording, RecordingError, dump, load
from kiqdoctor.doctor.report import Cost, Result, Target
from kiqdoctor.doctor.series import Earlier, Twice
from kiqdoctor.doctor.snapshot import Absent, Refused, Snapshot

TARGET = Target(redis="redis://localhost:6379/0", namespace=None, path=None)
KINDS = [probe.fact for probe in probes.every()]


def recorded(snapshot: Snapshot) -> Recording:
    return Recording(snapshot, TARGET, 1.0, "0.1.0", Cost({"INFO": 1}, 1, 2, "INFO", 0.5))


def counts(rejected: int) -> Server:
    return Server({"rejected_connections": str(rejected)})


def judged(snapshot: Snapshot) -> list[tuple[str, str, str | None, tuple[object, ...], tuple[object, ...]]]:
    def row(one: Result) -> tuple[str, str, str | None, tuple[object, ...], tuple[object, ...]]:
        return (one.check.id, one.outcome.value, one.reason, one.evidence, one.findings)

    return [row(one) for one in examine(every_check(), snapshot, SYSTEM)]


def known(snapshot: Snapshot) -> Snapshot:
    readings = {kind: reading for kind, reading in snapshot.readings.items() if kind in KINDS}
    later = {kind: further for kind, further in snapshot.later.items() if kind in KINDS}
    return Snapshot(readings, later, snapshot.earlier)


@pytest.mark.parametrize(
    "snapshot",
    [
        known(HEALTHY),
        known(HEALTHY).without(Server, Refused("NOPERM", "+info")),
        known(HEALTHY).without(Server, Absent("--static")),
        known(WATCHED),
    ],
    ids=["whole", "refused", "absent", "watched"],
)
def test_a_replay_is_judged_the_same(snapshot: Snapshot) -> None:
    again = load(dump(recorded(snapshot)), KINDS)

    assert again.snapshot.readings.keys() == snapshot.readings.keys()
    assert judged(again.snapshot) == judged(snapshot)
    assert (again.target, again.cost) == (TARGET, recorded(snapshot).cost)


def test_every_reading_of_a_window_comes_back_with_its_time() -> None:
    window = known(HEALTHY).over(5, counts(1), Refused("Redis went away"), counts(3))

    again = load(dump(recorded(window)), KINDS).snapshot

    assert again.series(Server) == window.series(Server)
    assert again.later == window.later


def test_what_an_earlier_recording_held_comes_back() -> None:
    since = known(HEALTHY).after(3600, counts(1)).without(ServerTime, Refused("NOPERM", "+time"))

    again = load(dump(recorded(since)), KINDS).snapshot

    assert again.earlier == since.earlier
    assert again.recalled(Server) == Earlier(-3600.0, counts(1))
    assert again.twice(Server) == Twice(counts(1), HEALTHY.get(Server), 3600.0)


FIRST = b"""{"schema":"kiqdoctor.recording/1","version":"0.1.0","recorded_at":1795500011.0,
"target":{"redis":"redis://redis-1:6379/0","namespace":null,"path":null,"replayed_from":null},
"cost":{"commands":{"INFO":2},"bytes_sent":1,"bytes_received":2,"slowest":"INFO","slowest_ms":0.5},"window_s":10.25,
"facts":{"Server":{"value":{"info":{"rejected_connections":"1"}},"probe":"server","at":1795500000.5,"took_ms":0.4},
"ServerTime":{"refused":{"reason":"NOPERM","unlock":"+time"},"probe":"server_time","at":1795500000.6,"took_ms":0.1}},
"later":{"Server":{"value":{"info":{"rejected_connections":"3"}},"probe":"server","at":1795500010.7,"took_ms":0.3}}}"""
"""As the first schema was written."""


def test_a_recording_of_the_first_schema_is_read() -> None:
    again = load(FIRST, KINDS)

    assert again.snapshot.twice(Server) == Twice(counts(1), counts(3), 10.25)
    assert again.snapshot.get(ServerTime) == Refused("NOPERM", "+time")
    assert load(dump(again), KINDS) == again


def test_a_schema_to_come_is_named() -> None:
    raw = FIRST.replace(b"recording/1", b"recording/3")

    with pytest.raises(RecordingError, match=r"it is a kiqdoctor\.recording/3; this version reads .*/1 and .*/2"):
        load(raw, KINDS)


@pytest.mark.parametrize("at", [b'"nan"', b"null", b"1e999", b"true", b"[]"])
def test_a_time_that_is_none_is_refused(at: bytes) -> None:
    for place in (b"1795500000.5", b"1795500011.0", b"10.25"):
        with pytest.raises(RecordingError):
            load(FIRST.replace(place, at), KINDS)


def test_readings_that_go_back_in_time_are_refused() -> None:
    document = json.loads(dump(recorded(known(HEALTHY).over(5, counts(1), counts(2), counts(3)))))
    document["later"]["Server"].reverse()

    with pytest.raises(RecordingError, match="the readings of Server are not in the order of their times"):
        load(json.dumps(document).encode(), KINDS)


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


JUNK: tuple[Any, ...] = (None, True, -1, 10**400, 0.5, "", "x" * 50, [], {}, [[]], {"value": 1}, {"at": 1})


def places(document: Any) -> Iterator[tuple[Any, Any]]:
    """Every container of a JSON document with each of its keys."""
    keys = list(document) if isinstance(document, dict) else range(len(document)) if isinstance(document, list) else ()
    for key in keys:
        yield document, key
        yield from places(document[key])


@pytest.mark.parametrize("junk", JUNK, ids=lambda one: str(one)[:12])
def test_junk_in_any_place_is_read_or_refused_in_one_line(junk: Any) -> None:
    few = Snapshot.of(counts(1)).without(ServerTime, Refused("NOPERM", "+time"))
    document = json.loads(dump(recorded(few.over(5, counts(1), counts(2)).after(60, counts(0)))))
    for container, key in list(places(document)):
        kept, container[key] = container[key], junk
        with suppress(RecordingError):
            load(json.dumps(document).encode(), KINDS)
        container[key] = kept
