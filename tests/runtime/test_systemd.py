"""What reaches the socket of a service manager, and that nothing happens without one."""

import secrets
import socket
from collections.abc import Iterator
from pathlib import Path

import pytest

from kiqdoctor.runtime.systemd import Notifier

PID = 4711


@pytest.fixture(params=["path", "abstract"])
def manager(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, socket.socket]]:
    name = str(tmp_path / "notify") if request.param == "path" else f"@kiqdoctor-test-{secrets.token_hex(8)}"
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as listening:
        listening.bind("\0" + name[1:] if name.startswith("@") else name)
        listening.settimeout(10)
        yield name, listening


def test_each_state_is_one_datagram(manager: tuple[str, socket.socket]) -> None:
    name, listening = manager
    notifier = Notifier({"NOTIFY_SOCKET": name}, PID)

    assert notifier.ready("5 threads on default")
    assert notifier.status("quiet")
    assert notifier.alive()
    assert notifier.alive("threads ended")
    assert notifier.stopping()
    assert [listening.recv(1000) for _ in range(5)] == [
        b"READY=1\nSTATUS=5 threads on default",
        b"STATUS=quiet",
        b"WATCHDOG=1",
        b"STATUS=threads ended",
        b"STOPPING=1",
    ]


def test_a_status_cannot_speak_for_us(manager: tuple[str, socket.socket]) -> None:
    name, listening = manager

    Notifier({"NOTIFY_SOCKET": name}, PID).status("fine\nMAINPID=1\ud800")

    assert listening.recv(1000) == "STATUS=fine␊MAINPID=1\\ud800".encode()


@pytest.mark.parametrize(
    "name", ["", "relative", "vsock:2:1", "/nowhere/at/all", "@nobody-listens", "/" + "x" * 200, "/a\0b"]
)
def test_without_a_manager_nothing_happens(name: str) -> None:
    notifier = Notifier({"NOTIFY_SOCKET": name, "WATCHDOG_USEC": "x"}, PID)

    told = [notifier.ready(), notifier.stopping(), notifier.status("x"), notifier.alive()]

    assert told == [False] * 4
    assert notifier.interval is None


def test_a_service_of_no_manager() -> None:
    notifier = Notifier({"WATCHDOG_USEC": "1000000"}, PID)

    assert notifier.interval is None
    assert not notifier.ready()


@pytest.mark.parametrize(
    ("more", "interval"),
    [
        ({}, None),
        ({"WATCHDOG_USEC": "30000000"}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(PID)}, 15.0),
        ({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}, None),
        ({"WATCHDOG_USEC": "0"}, None),
        ({"WATCHDOG_USEC": "-5"}, None),
        ({"WATCHDOG_USEC": "soon"}, None),
    ],
)
def test_the_watchdog_is_fed_at_half_of_its_time_if_it_waits_for_us(
    more: dict[str, str], interval: float | None
) -> None:
    assert Notifier({"NOTIFY_SOCKET": "@x", **more}, PID).interval == interval


def test_no_socket_stays_open(manager: tuple[str, socket.socket]) -> None:
    name, listening = manager
    notifier = Notifier({"NOTIFY_SOCKET": name}, PID)
    before = len(list(Path("/proc/self/fd").iterdir()))
    for _ in range(20):
        notifier.alive()
        listening.recv(100)

    assert len(list(Path("/proc/self/fd").iterdir())) == before
