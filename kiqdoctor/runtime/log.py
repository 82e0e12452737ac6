"""Log lines on standard error: each whole, in order, those of short jobs gathered for a moment."""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from kiqdoctor.clock import boottime
from kiqdoctor.runtime.logformat import NO_FIELDS, Formatter, Line, json_line, text_line
from kiqdoctor.text import LONG, clean

SELDOM: Final = 10.0  # seconds between two lines that say the same
SLOW: Final = "whoever reads this log is slower than jobs end"
KEPT: Final = 100_000  # jobs whose lines wait at most, where standard error is slower than they are
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
        self.jobs: deque[tuple[float, float, str, str, str, bool | str]] = deque(maxlen=KEPT)
        self.names = threading.local()
        self.seldom: dict[str, float] = {}
        self.spell: Formatter = text_line

    def gather(self) -> None:
        """Spell the jobs that ended, under the lock."""
        offset, pid = time.time() - boottime(), os.getpid()
        add, take = self.waiting.append, self.jobs.popleft
        quick = self.spell is text_line
        second, spelt = -1, ""
        if len(self.jobs) == KEPT:
            self.waiting.append(self.spell(Line(time.time(), pid, "", "WARN", "lines of jobs were left out: " + SLOW)))
        for _ in range(len(self.jobs)):
            began, ended, tid, shown, jid, announced = take()
            since, at = began + offset, ended + offset
            whole = int(at)
            if whole != second:
                second, spelt = whole, _spelt(whole)
            took = ended - began
            said = f"{took:.3f}" if took >= SHOWN else "0.000"
            if type(announced) is str:
                if quick:  # as text_line spells it
                    told = f"pid={pid} tid={tid} class={shown} jid={jid} elapsed={took:.3f} WARN: {announced}\n"
                    add(f"{spelt}{_MILLIS[int((at - whole) * 1000)]} {told}")
                else:
                    fields = {"class": shown, "jid": jid, "elapsed": f"{took:.3f}"}
                    add(self.spell(Line(at, pid, tid, "WARN", announced, fields)))
                continue
            if not quick or announced or since < whole:
                self.jobs_lines(Line(since, pid, tid, "INFO", "start", {"class": shown, "jid": jid}),
                                Line(at, pid, tid, "INFO", "done", {"class": shown, "jid": jid, "elapsed": said}),
                                announced=bool(announced))  # fmt: skip
                continue
            # The same two lines, spelt at once: at a hundred thousand jobs a second nothing else is as dear.
            middle = f"pid={pid} tid={tid} class={shown} jid={jid}"
            start, done = spelt + _MILLIS[int((since - whole) * 1000)], spelt + _MILLIS[int((at - whole) * 1000)]
            add(f"{start} {middle} INFO: start\n{done} {middle} elapsed={said} INFO: done\n")

    def jobs_lines(self, start: Line, done: Line, *, announced: bool) -> None:
        """A job's lines in any format."""
        if not announced:
            self.waiting.append(self.spell(start))
        self.waiting.append(self.spell(done))

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

Takes when it began and ended (boot clock), the thread's name, the cleaned class and jid, whether ``started`` was told;
of one that failed, instead of that, the clean text that its only line has.
"""


def started(began: float, tid: str, shown: str, jid: str) -> None:
    """The first line of a job that still runs when lines are written."""
    line = Line(began + time.time() - boottime(), os.getpid(), tid, "INFO", "start", {"class": shown, "jid": jid})
    with _lines.lock:
        _lines.waiting.append(_lines.spell(line))


def flush() -> None:
    """Write what waits."""
    if _lines.jobs or _lines.waiting:
        with _lines.lock:
            _lines.write()


def use(name: str) -> None:
    """``text``, as Sidekiq's, or ``json``."""
    _lines.spell = json_line if name == "json" else text_line


def say(level: str, text: str, fields: Mapping[str, str]) -> None:
    """At any level; the values of ``fields`` are clean."""
    line = Line(time.time(), os.getpid(), own_thread_id(), level, clean(text, LONG, lines=True), fields)
    with _lines.lock:
        if _lines.jobs:
            _lines.gather()
        _lines.waiting.append(_lines.spell(line))
        _lines.write()


def info(text: str, fields: Mapping[str, str] = NO_FIELDS) -> None:
    """What happens; the values of ``fields`` are clean."""
    say("INFO", text, fields)


def warn(text: str, fields: Mapping[str, str] = NO_FIELDS) -> None:
    """What somebody should look at."""
    say("WARN", text, fields)


def warn_seldom(text: str) -> None:
    """What would be said again and again."""
    now = time.monotonic()
    if now - _lines.seldom.get(text, -SELDOM) >= SELDOM:
        if len(_lines.seldom) > 100:  # noqa: PLR2004 - a bound, not a quantity
            _lines.seldom.clear()
        _lines.seldom[text] = now
        warn(text)


def _in_child() -> None:
    """A child of fork must not find the lock held by a thread that it does not have."""
    _lines.lock = threading.Lock()
    _lines.waiting = []
    _lines.jobs.clear()  # the parent tells of them


os.register_at_fork(after_in_child=_in_child)
