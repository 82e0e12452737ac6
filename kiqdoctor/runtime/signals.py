"""Signals as Sidekiq's: TSTP quiet, TERM and INT stop, a second one at once; TTIN is the watchdog's.

What our parent forwards has its number below zero. The same signal may come to us directly, too: a terminal and systemd
send it to all processes. Only a second one that came directly, or the parent's word, makes us hurry.
"""

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
    while abs(number := _next(arrived)) not in STOP:
        if abs(number) == signal.SIGTSTP:
            log.info("quiet: taking no more jobs")
            launcher.quiet()
    direct = [number] if number in STOP else []

    def again(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the handler's shape
        direct.append(number)
        if len(direct) > 1:
            launcher.hurry()

    for handled in STOP:
        signal.signal(handled, again)
    direct += _came(arrived)
    if len(direct) > 1:
        launcher.hurry()
    log.info("shutting down")  # once the second signal is listened for: whoever reads this may send it
    launcher.stop()
    log.info("Bye!")


def _came(arrived: Arrived) -> list[int]:
    """Signals to stop that came to us, and not by our parent, before they were listened for."""
    found = []
    with suppress(queue.Empty):
        while True:
            if (number := arrived.get_nowait()) in STOP:
                found.append(number)
    return found


def _next(arrived: Arrived) -> int:
    while True:
        try:
            return arrived.get(timeout=LOOK)
        except queue.Empty:
            continue
