"""Log lines in Sidekiq's format, on standard error, gathered for a moment where jobs are short."""

import os
import sys
import threading
import time
from datetime import UTC, datetime
from typing import Final

from kiqdoctor.text import LONG, clean

GATHER: Final = 0.05  # seconds that a line of a job may wait; a warning never does
_DIGITS: Final = "0123456789abcdefghijklmnopqrstuvwxyz"


def thread_id(ident: int | None = None) -> str:
    """A thread's short name in base 36, unique in its process."""
    number = (threading.get_ident() if ident is None else ident) ^ os.getpid()
    spelt = ""
    while number:
        number, digit = divmod(number, 36)
        spelt = _DIGITS[digit] + spelt
    return spelt[-9:] or "0"


class _Lines:
    """What was said and not yet written; whole lines only, in order."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.waiting: list[str] = []
        self.flushed = 0.0
        self.second = -1
        self.spelt = ""
        self.names = threading.local()

    def head(self) -> str:
        """``<time> pid=<pid> tid=<tid>``; a second and a thread are spelt once."""
        now = time.time()
        second = int(now)
        if second != self.second:
            self.spelt = datetime.fromtimestamp(second, UTC).strftime("%Y-%m-%dT%H:%M:%S")
            self.second = second
        return f"{self.spelt}.{int((now - second) * 1000):03}Z pid={os.getpid()} tid={own_thread_id()} "

    def add(self, line: str, *, now: bool) -> None:
        """One line; written at once, or with the next ones."""
        with self.lock:
            self.waiting.append(line)
            at = time.monotonic()
            if now or at - self.flushed > GATHER:
                self.flushed = at
                self.write()

    def write(self) -> None:
        """Everything, under the lock."""
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


def job(text: str, context: str) -> None:
    """One of a job's own lines, whose context was cleaned already."""
    _lines.add(f"{_lines.head()}{context}INFO: {text}\n", now=False)


def flush() -> None:
    """Write what waits."""
    if _lines.waiting:
        with _lines.lock:
            _lines.write()


def info(text: str, context: str = "") -> None:
    """What happens."""
    _lines.add(f"{_lines.head()}{context}INFO: {clean(text, LONG, lines=True)}\n", now=False)


def warn(text: str, context: str = "") -> None:
    """What somebody should look at."""
    _lines.add(f"{_lines.head()}{context}WARN: {clean(text, LONG, lines=True)}\n", now=True)
