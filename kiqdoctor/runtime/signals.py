"""Signals as Sidekiq's: TSTP quiet, TERM and INT stop, a second one at once; TTIN is the watchdog's."""

import queue
import signal
from contextlib import suppress
from types import FrameType
from typing import Final

from kiqdoctor.runtime import log
from kiqdoctor.runtime.launcher import Launcher

HANDLED: Final = (signal.SIGTSTP, signal.SIGTERM, signal.SIGINT)
STOP: Final = frozenset({signal.SIGTERM, signal.SIGINT})
LOOK: Final = 0.2  # seconds; a short wait each time lets Python run the handlers

Arrived = queue.SimpleQueue[int]


def listen() -> Arrived:
    """Take the signals, before anything is started that must be stopped."""
    arrived: Arrived = queue.SimpleQueue()

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the handler's shape
        arrived.put(number)

    for handled in HANDLED:
        signal.signal(handled, note)
    return arrived


def serve(launcher: Launcher, arrived: Arrived) -> None:
    """Wait in the main thread until a signal says stop; then stop."""
    while (number := _next(arrived)) not in STOP:
        if number == signal.SIGTSTP:
            log.info("quiet: taking no more jobs")
            launcher.quiet()
    for again in STOP:
        signal.signal(again, lambda *_: launcher.hurry())
    if _came(arrived):
        launcher.hurry()
    log.info("shutting down")  # once the second signal is listened for: whoever reads this may send it
    launcher.stop()
    log.info("Bye!")


def _came(arrived: Arrived) -> bool:
    """Whether a second signal to stop came before it was listened for."""
    with suppress(queue.Empty):
        while True:
            if arrived.get_nowait() in STOP:
                return True
    return False


def _next(arrived: Arrived) -> int:
    while True:
        try:
            return arrived.get(timeout=LOOK)
        except queue.Empty:
            continue
