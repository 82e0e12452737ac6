"""Log lines on standard error: each whole, in order, those of short jobs gathered for a moment."""

import os
import sys
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Final

from kiqdoctor.clock import boottime
from kiqdoctor.runtime.logformat import NO_FIELDS, Formatter, Line, json_line, text_line
from kiqdoctor.text import LONG, clean

SELDOM: Final = 10.0  # seconds between two lines that say the same
SLOW: Final = "whoever reads this log is slower than jobs end"
KEPT: Final = 100_000  # jobs whose lines wait at most, where standard error is slower than they are
SHOWN: Final = 0.0005  # seconds; what is shorter is shown as 0.000
OWN_JID: Final = 24  # characters of one that is like ours
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


def _stamp(millisecond: int) -> str:
    return _spelt(millisecond // 1000) + _MILLIS[millisecond % 1000]


class _Lines:
    """What was said and not yet written."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting: list[str] = []
        self.jobs: deque[tuple[float, float, str, str, str, str | None]] = deque(maxlen=KEPT)
        self.announced: dict[str, float] = {}  # thread -> the beginning of its last job of which ``started`` told
        self.names = threading.local()
        self.seldom: dict[str, float] = {}
        self.spell: Formatter = text_line

    def gather(self) -> None:
        """Spell the jobs that ended, under the lock."""
        if len(self.jobs) == KEPT:
            words = "lines of jobs were left out: " + SLOW
            self.waiting.append(self.spell(Line(time.time(), os.getpid(), "", "WARN", words)))
        if self.spell is text_line:
            self._as_text()
        else:
            self._as_spelt()

    def _as_text(self) -> None:
        """As ``text_line`` spells them, both lines at once, and what is alike in many of them once.

        At a hundred thousand jobs a second nothing else is as dear.
        """
        offset, pid, announced = time.time() - boottime(), os.getpid(), self.announced
        add, take = self.waiting.append, self.jobs.popleft
        second, millisecond, next_one = -1, -1, -1.0
        spelt = stamp = middle = head = thread = name = ""
        for began, ended, tid, shown, jid, failure in [take() for _ in range(len(self.jobs))]:
            if not (len(jid) == OWN_JID and jid.isascii() and jid.encode().isalnum()):
                jid = clean(jid)  # noqa: PLW2901 - it is meant from here on
            at, took = (ended + offset) * 1000, ended - began
            if not millisecond <= at < next_one:
                millisecond = int(at)
                next_one = millisecond + 1.0
                if millisecond // 1000 != second:
                    second = millisecond // 1000
                    spelt = _spelt(second)
                stamp = spelt + _MILLIS[millisecond % 1000]
                head = stamp + middle
            if tid is not thread or shown is not name:
                thread, name, middle = tid, shown, f" pid={pid} tid={tid} class={shown} jid="
                head = stamp + middle
            elapsed = "0.000" if took < SHOWN else f"{took:.3f}"
            if failure is not None:
                add(f"{head}{jid} elapsed={elapsed} WARN: {failure}\n")
            elif announced and announced.get(tid) == began:
                add(f"{head}{jid} elapsed={elapsed} INFO: done\n")
            elif (since := int((began + offset) * 1000)) >= millisecond:
                add(f"{head}{jid} INFO: start\n{head}{jid} elapsed={elapsed} INFO: done\n")
            else:
                first = spelt + _MILLIS[since % 1000] if since // 1000 == second else _stamp(since)
                add(f"{first}{middle}{jid} INFO: start\n{head}{jid} elapsed={elapsed} INFO: done\n")

    def _as_spelt(self) -> None:
        """In any format."""
        offset, pid = time.time() - boottime(), os.getpid()
        for _ in range(len(self.jobs)):
            began, ended, tid, shown, jid, failure = self.jobs.popleft()
            words = {"class": shown, "jid": clean(jid)}
            if failure is None and self.announced.get(tid) != began:
                self.waiting.append(self.spell(Line(began + offset, pid, tid, "INFO", "start", words)))
            level, said = ("INFO", "done") if failure is None else ("WARN", failure)
            more = {**words, "elapsed": f"{ended - began:.3f}"}
            self.waiting.append(self.spell(Line(ended + offset, pid, tid, level, said, more)))

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

Takes when it began and ended (boot clock), the thread's name, the cleaned class, the jid; of one that failed the clean
text that its only line has, else None.
"""


def started(began: float, tid: str, shown: str, jid: str, runs: Callable[[], bool]) -> None:
    """The first line of a job that still runs when lines are written, once.

    ``runs``, under the lock: it has not been handed to ``job_done``, so that nobody can have spelt its lines.
    """
    if _lines.announced.get(tid) == began:
        return
    words = {"class": shown, "jid": clean(jid)}
    line = Line(began + time.time() - boottime(), os.getpid(), tid, "INFO", "start", words)
    with _lines.lock:
        if runs():
            _lines.announced[tid] = began
            _lines.waiting.append(_lines.spell(line))


def spell() -> None:
    """The lines of jobs that ended, where nobody writes just now."""
    if _lines.jobs and _lines.lock.acquire(blocking=False):
        try:
            _lines.gather()
        finally:
            _lines.lock.release()


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
    _lines.announced = {}


os.register_at_fork(after_in_child=_in_child)
