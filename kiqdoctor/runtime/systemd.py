"""Tells systemd how the worker fares, where systemd asked for it; elsewhere nothing happens."""

import socket
from collections.abc import Mapping
from typing import Final

from kiqdoctor.text import clean

PATIENCE: Final = 1.0  # seconds that a manager whose queue is full may hold us
MICROSECONDS: Final = 1_000_000


class Notifier:
    """Speaks sd_notify's protocol to ``NOTIFY_SOCKET``. Its methods never raise; they say whether systemd was told."""

    def __init__(self, environ: Mapping[str, str], pid: int) -> None:
        self._address = _address(environ.get("NOTIFY_SOCKET", ""))
        self.interval = _interval(environ, pid) if self._address else None
        """Seconds between two ``alive``; None where no watchdog waits for this process."""

    def ready(self, status: str = "") -> bool:
        """It runs jobs now."""
        return self._send("READY=1", status)

    def stopping(self, status: str = "") -> bool:
        """It ends; jobs may still run."""
        return self._send("STOPPING=1", status)

    def status(self, text: str) -> bool:
        """One line for ``systemctl status``."""
        return self._send("", text)

    def alive(self, reason: str | None = None) -> bool:
        """Feed the watchdog; with a reason why it should not live, tell that instead and let the dog bite."""
        return self._send("WATCHDOG=1", "") if reason is None else self._send("", reason)

    def _send(self, state: str, status: str) -> bool:
        if not self._address:
            return False
        lines = [*([state] if state else []), *([f"STATUS={clean(status)}"] if status else [])]
        try:
            with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as out:
                out.settimeout(PATIENCE)
                out.sendto("\n".join(lines).encode(), self._address)
        except (OSError, ValueError):
            return False  # a worker must not fail because its manager does not listen
        return True


def _address(text: str) -> str:
    """A path, or an abstract name, which begins with @ in the environment and with NUL in the kernel."""
    if text.startswith("@"):
        return "\0" + text[1:]
    return text if text.startswith("/") else ""


def _interval(environ: Mapping[str, str], pid: int) -> float | None:
    """Half of what the watchdog allows, as sd_watchdog_enabled(3) advises; inherited settings are not for us."""
    allowed, owner = environ.get("WATCHDOG_USEC", ""), environ.get("WATCHDOG_PID", str(pid))
    if not (allowed.isascii() and allowed.isdigit()) or owner.strip() != str(pid):
        return None
    return int(allowed) / MICROSECONDS / 2 or None
