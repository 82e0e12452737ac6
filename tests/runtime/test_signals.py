"""What signals do to a worker, told to one that only notes it."""

import queue
import signal
from collections.abc import Iterator

import pytest

from kiqdoctor.runtime import signals


class Noting:
    """In place of a launcher."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def quiet(self) -> None:
        self.heard.append("quiet")

    def hurry(self) -> None:
        self.heard.append("hurry")

    def stop(self) -> None:
        self.heard.append("stop")


@pytest.fixture(autouse=True)
def handlers() -> Iterator[None]:
    before = {number: signal.getsignal(number) for number in signals.HANDLED}
    yield
    for number, handler in before.items():
        signal.signal(number, handler)


@pytest.mark.parametrize(
    ("came", "heard"),
    [
        ([signal.SIGTERM], ["stop"]),
        ([signal.SIGTSTP, signal.SIGINT], ["quiet", "stop"]),
        ([signal.SIGTERM, signal.SIGTERM], ["hurry", "stop"]),  # the second before anybody listens for a second one
        ([signal.SIGINT, signal.SIGTSTP, signal.SIGTERM], ["hurry", "stop"]),
        ([signal.SIGTERM, signal.SIGTSTP], ["stop"]),
    ],
)
def test_a_second_signal_to_stop_is_never_missed(came: list[int], heard: list[str]) -> None:
    arrived: signals.Arrived = queue.SimpleQueue()
    for number in came:
        arrived.put(number)
    launcher = Noting()

    signals.serve(launcher, arrived)  # type: ignore[arg-type]

    assert launcher.heard == heard


def test_once_it_stops_each_further_one_hurries() -> None:
    arrived = signals.listen()
    launcher = Noting()
    arrived.put(signal.SIGTERM)
    signals.serve(launcher, arrived)  # type: ignore[arg-type]
    signal.raise_signal(signal.SIGTERM)

    assert launcher.heard == ["stop", "hurry"]
