"""Log lines in Sidekiq's format, on standard error."""

import os
import sys
import threading
from datetime import UTC, datetime

from kiqdoctor.text import LONG, clean

_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"
_lock = threading.Lock()


def thread_id(ident: int | None = None) -> str:
    """A thread's short name in base 36, unique in its process."""
    number = (threading.get_ident() if ident is None else ident) ^ os.getpid()
    spelt = ""
    while number:
        number, digit = divmod(number, 36)
        spelt = _DIGITS[digit] + spelt
    return spelt[-9:] or "0"


def write(level: str, text: str, context: str = "") -> None:
    """One line, whole."""
    at = datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
    line = f"{at} pid={os.getpid()} tid={thread_id()} {context}{level}: {clean(text, LONG, lines=True)}\n"
    with _lock:
        try:
            sys.stderr.write(line)
            sys.stderr.flush()
        except (OSError, ValueError):
            return  # nobody listens any more: a job must not fail for that


def info(text: str, context: str = "") -> None:
    """What happens."""
    write("INFO", text, context)


def warn(text: str, context: str = "") -> None:
    """What somebody should look at."""
    write("WARN", text, context)
