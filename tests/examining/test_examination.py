"""An examination as it is composed: what people decided is settled once, before anything is read."""

import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

import pytest
from examining import CROWDED, recorded

from kiqdoctor.doctor.report import Outcome
from kiqdoctor.examining.asked import Asked
from kiqdoctor.examining.configuration import Configuration
from kiqdoctor.examining.decisions import decided
from kiqdoctor.examining.errors import AskedError
from kiqdoctor.examining.examination import prepared
from kiqdoctor.examining.living import recorded as played
from kiqdoctor.examining.reporting import examination


@contextmanager
def counted(function: object) -> Iterator[list[None]]:
    """A mark for each call of the function."""
    calls: list[None] = []
    code = getattr(function, "__code__", None)

    def note(frame: FrameType, event: str, _: object) -> None:
        if event == "call" and frame.f_code is code:
            calls.append(None)

    before = sys.getprofile()
    sys.setprofile(note)
    try:
        yield calls
    finally:
        sys.setprofile(before)


def test_what_people_decided_is_settled_once_an_examination(tmp_path: Path) -> None:
    turned = Configuration(Path("kiqdoctor.toml"), {"checks": {"RED002": {"near": 0.99}}})
    asked = Asked(replay=recorded(CROWDED, tmp_path / "facts.json"), configuration=turned)

    with counted(decided) as calls:
        report = examination(asked)

    assert len(calls) == 1
    assert next(one.outcome.value for one in report.results if one.check.id == "RED002") == "pass"


def test_and_once_for_all_recordings_that_are_played(tmp_path: Path) -> None:
    for name in ("a.json", "b.json"):
        recorded(CROWDED, tmp_path / name)

    with counted(decided) as calls:
        looks = played(tmp_path, Asked()).looks

    assert (len(looks), len(calls)) == (2, 1)


def test_what_is_wrong_with_it_is_said_before_anything_is_read() -> None:
    with pytest.raises(AskedError, match="no check has the id, prefix, name or category 'NOPE'"):
        prepared(Asked(select=("NOPE",)))


def test_connecting_ends_with_the_examination_s_time_however_slow_the_server_is() -> None:
    """It takes the connection, and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as silent:
        url = f"redis://127.0.0.1:{silent.getsockname()[1]}"

        report = examination(Asked(redis=url, live=True, select=("RED001", "RED002"), timeout_s=0.3))

    [unreachable, exhausted] = report.results
    assert unreachable.findings[0].finding.title == (
        "Redis cannot be reached: connecting failed: it did not end within 0.3 s"
    )
    assert exhausted.outcome is Outcome.UNKNOWN
    assert report.exit_status == 3


def test_a_server_that_is_silent_after_connecting_leaves_the_rest_unknown() -> None:
    def answer(server: socket.socket) -> None:
        connection, _ = server.accept()
        with connection:
            while data := connection.recv(4096):
                if b"PING" in data:
                    connection.sendall(b"+PONG\r\n")
                elif b"CLIENT" in data:
                    connection.sendall(b"-ERR unknown command\r\n")

    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=answer, args=(server,), daemon=True).start()
        url = f"redis://127.0.0.1:{server.getsockname()[1]}"

        report = examination(Asked(redis=url, live=True, select=("RED001", "RED002"), timeout_s=0.5))

    [reached, exhausted] = report.results
    assert reached.outcome is Outcome.PASS
    assert exhausted.outcome is Outcome.UNKNOWN
    assert "--timeout SECONDS" in (exhausted.reason or "")
    assert report.exit_status == 3
