"""Signals as Sidekiq's: TSTP quiet, TERM and INT stop, a second one at once, TTIN a dump of every thread."""

import queue
import signal
import sys
import threading
import traceback
from types import FrameType

from kiqdoctor.runtime import log
from kiqdoctor.runtime.launcher import Launcher

HANDLED = (signal.SIGTSTP, signal.SIGTERM, signal.SIGINT, signal.SIGTTIN)


def run(launcher: Launcher) -> None:
    """Wait for signals in the main thread until one says stop; then stop."""
    arrived: queue.SimpleQueue[int] = queue.SimpleQueue()

    def note(number: int, frame: FrameType | None) -> None:  # noqa: ARG001 - the handler's shape
        arrived.put(number)

    for handled in HANDLED:
        signal.signal(handled, note)
    while (number := _next(arrived)) not in {signal.SIGTERM, signal.SIGINT}:
        if number == signal.SIGTSTP:
            log.info("quiet: taking no more jobs")
            log.flush()
            launcher.quiet()
        elif number == signal.SIGTTIN:
            dump(launcher)
    log.info("shutting down")
    for again in (signal.SIGTERM, signal.SIGINT):
        signal.signal(again, lambda *_: launcher.hurry.set())
    launcher.stop()
    log.info("Bye!")
    log.flush()


def _next(arrived: "queue.SimpleQueue[int]") -> int:
    """The next signal; a short wait each time lets Python run the handlers."""
    while True:
        try:
            return arrived.get(timeout=0.2)
        except queue.Empty:
            continue


def dump(launcher: Launcher) -> None:
    """Every thread's stack, and the job that it runs."""
    frames = sys._current_frames()  # noqa: SLF001 - the one way to see other threads
    jobs = {one.thread: one.job for one in launcher.board.in_flight}
    for thread in threading.enumerate():
        frame = frames.get(thread.ident or 0)
        name = log.thread_id(thread.ident)
        job = jobs.get(name)
        running = f" class={job.shown_class} jid={job.jid}" if job is not None else ""
        stack = "".join(traceback.format_stack(frame)) if frame is not None else "<no backtrace>"
        log.warn(f"Thread TID-{name} {thread.name}{running}\n{stack}")
