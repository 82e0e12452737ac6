"""Renews the leases of all children, in a thread and over a connection of its own; no job's GIL is in its way."""

import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Final
from urllib.parse import parse_qs, unquote, urlsplit

from kiqdoctor import sentinels
from kiqdoctor.clock import boottime
from kiqdoctor.resp import StepError, Wire
from kiqdoctor.runtime import log

LEASE: Final = 15  # seconds, as fetching/lease.py has it
RENEW: Final = 5.0  # seconds
AGAIN: Final = 1.0  # seconds until the next try where one failed
PATIENCE: Final = 1.5  # seconds for connecting, and for an answer

Told = Callable[[Sequence[str], float], None]


class Renewal:
    """``told`` hears which leases were renewed, and when that was asked for."""

    def __init__(self, told: Told) -> None:
        self._told = told
        self._lock = threading.Lock()
        self._held: dict[int, tuple[str, str]] = {}  # by child: its lease and its Redis
        self._wires: dict[str, Wire] = {}
        self._stop = threading.Event()
        self.thread = threading.Thread(target=self._run, daemon=True, name="kiq.renewal")

    def hold(self, child: int, lease: str, url: str) -> None:
        """This child's lease from now on."""
        with self._lock:
            self._held[child] = (lease, url)

    def drop(self, child: int) -> None:
        """It is gone."""
        with self._lock:
            self._held.pop(child, None)

    def stop(self) -> None:
        """No more."""
        self._stop.set()

    def _run(self) -> None:
        wait = AGAIN
        while not self._stop.wait(wait):
            wait = RENEW if self.renew() else AGAIN

    def renew(self) -> bool:
        """Whether Redis took all that it was asked."""
        with self._lock:
            held = list(self._held.values())
        by_url = {url: [lease for lease, where in held if where == url] for _, url in held}
        done = [self._renewed(url, leases) for url, leases in by_url.items()]
        return all(done)

    def _renewed(self, url: str, leases: Sequence[str]) -> bool:
        """Once more over a fresh connection where the one that there was does not answer."""
        error: Exception | None = None
        for _ in range(2):
            sent = boottime()
            try:
                replies = self._wire(url).exchange([("EXPIRE", lease, LEASE) for lease in leases])[0]
            except (StepError, sentinels.SentinelError, OSError, ValueError) as found:
                error = found
            else:
                refused = next((one for one in replies if isinstance(one, Exception)), None)
                renewed = [lease for lease, reply in zip(leases, replies, strict=True) if reply == 1]
                if renewed:
                    self._told(renewed, sent)
                if refused is None:
                    return True
                error = refused
            self._hang_up(url)
        log.warn_seldom(f"leases: {type(error).__name__}: {error}")
        return False

    def _wire(self, url: str) -> Wire:
        if url not in self._wires:
            self._wires[url] = connected(url)
        return self._wires[url]

    def _hang_up(self, url: str) -> None:
        if (wire := self._wires.pop(url, None)) is not None:
            with suppress(OSError):
                wire.close()


def connected(url: str) -> Wire:
    """A connection, past AUTH and SELECT.

    Raises:
        StepError: it cannot be had.
        SentinelError: no sentinel knows the primary.
    """
    if sentinels.is_one(url):
        url = sentinels.primary(url, PATIENCE)
    wire = Wire(url, connect_timeout=PATIENCE, read_timeout=PATIENCE)
    words: list[tuple[str, ...]] = [("AUTH", *wire.credentials)] if wire.credentials else []
    if (database := _database(url)) != "0":
        words.append(("SELECT", database))
    try:
        refused = next((one for one in wire.exchange(words)[0] if isinstance(one, Exception)), None) if words else None
    except StepError:
        wire.close()
        raise
    if refused is not None:
        wire.close()
        raise StepError("auth", str(refused))
    return wire


def _database(url: str) -> str:
    parts = urlsplit(url)
    return parse_qs(parts.query).get("db", [unquote(parts.path).strip("/") if parts.scheme != "unix" else ""])[0] or "0"
