"""Log lines on standard error: each whole, in order, those of short jobs gathered for a moment."""

import os
import sys
import threading
import time
from collections import deque
from datetime import UTC, datetime
from typing import Final

from kiqdoctor.clock import boottime
from kiqdoctor.text import LONG, clean

SELDOM: Final = 10.0  # seconds between two lines that say the same
SHOWN: Final = 0.0005  # seconds; what is shorter is shown as 0.000
_MILLIS: Final = tuple(f".{number:03}Z" for number in range(1000))
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


def thread_id(ident: int | None = None) -> str:
    """A thread's short name in base 36, unique in its process."""
    number = (threading.get_ident() if ident is None else ident) ^ os.getpid()
    spelt = ""
    while number:
        number, digit = divmod(number, 36)
        spelt = _DIGITS[digit] + spelt
    return spelt[-9:] or "0"


def _spelt(second: int) -> str:
    return datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class _Lines:
    """What was said and not yet written."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting: list[str] = []
        self.jobs: deque[tuple[float, float, str, str, str, bool]] = deque()
        self.names = threading.local()
        self.seldom: dict[str, float] = {}
        self.level_jobs = True
        self.second = -1
        self.spelt = ""
        self.json = False

    def at(self, now: float) -> str:
        """``2026-01-02T03:04:05.678Z``; a second is spelt once."""
        second = int(now)
        if second != self.second:
            self.second, self.spelt = second, _spelt(second)
        return self.spelt + _MILLIS[int((now - second) * 1000)]

    def gather(self) -> None:
        """Spell the jobs that ended, under the lock."""
        offset = time.time() - boottime()
        pid = os.getpid()
        add, take, millis = self.waiting.append, self.jobs.popleft, _MILLIS
        second, spelt = -1, ""
        for _ in range(len(self.jobs)):
            began, ended, tid, shown, jid, announced = take()
            at = ended + offset
            whole = int(at)
            if whole != second:
                second, spelt = whole, _spelt(whole)
            done = spelt + millis[int((at - whole) * 1000)]
            took = ended - began
            middle = f"pid={pid} tid={tid} class={shown} jid={jid}"
            said = f"{took:.3f}" if took >= SHOWN else "0.000"
            if announced:
                add(f"{done} {middle} elapsed={said} INFO: done\n")
                continue
            since = began + offset
            start = spelt + millis[int((since - whole) * 1000)] if since >= whole else self.at(since)
            add(f"{start} {middle} INFO: start\n{done} {middle} elapsed={said} INFO: done\n")

    def write(self) -> None:
        """Everything, under the lock."""
        if self.jobs:
            self.gather()
        text, self.waiting = "".join(self.waiting), []
        try:
            sys.stderr.write(text)
            sys.stderr.flush()
        except (OSError, ValueError):
            return  # nobody listens any more: a job must not fail for that


_lines = _Lines()


def own_thread_id() -> str:
    """The calling thread's, spelt once."""
    name: str | None = getattr(_lines.names, "name", None)
    if name is None:
        name = _lines.names.name = thread_id()
    return name


job_done = _lines.jobs.append
"""A job's two lines, or its last one where ``started`` told the first.

Takes when it began and ended (boot clock), the thread's name, the cleaned class and jid, whether ``started`` was told.
"""


def started(began: float, tid: str, shown: str, jid: str) -> None:
    """The first line of a job that still runs when lines are written."""
    with _lines.lock:
        at = _lines.at(began + time.time() - boottime())
        _lines.waiting.append(f"{at} pid={os.getpid()} tid={tid} class={shown} jid={jid} INFO: start\n")


def flush() -> None:
    """Write what waits."""
    if _lines.jobs or _lines.waiting:
        with _lines.lock:
            _lines.write()


def _say(level: str, text: str, context: str, *, now: bool) -> None:
    with _lines.lock:
        if _lines.jobs:
            _lines.gather()
        head = f"{_lines.at(time.time())} pid={os.getpid()} tid={own_thread_id()} "
        _lines.waiting.append(f"{head}{context}{level}: {clean(text, LONG, lines=True)}\n")
        if now:
            _lines.write()


def info(text: str, context: str = "") -> None:
    """What happens."""
    _say("INFO", text, context, now=True)


def warn(text: str, context: str = "") -> None:
    """What somebody should look at."""
    _say("WARN", text, context, now=True)


def warn_seldom(text: str) -> None:
    """What would be said again and again."""
    now = time.monotonic()
    if now - _lines.seldom.get(text, -SELDOM) >= SELDOM:
        if len(_lines.seldom) > 100:  # noqa: PLR2004 - a bound, not a quantity
            _lines.seldom.clear()
        _lines.seldom[text] = now
        warn(text)
