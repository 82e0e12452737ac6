"""Answers an orchestrator's probes and a scraper over HTTP, where somebody asked for it; on loopback by default."""

import threading
from collections.abc import Callable, Iterable
from http import HTTPStatus

from kiqdoctor import answering
from kiqdoctor.answering import PATIENCE, REQUEST_LIMIT, BindError, Pages, told
from kiqdoctor.runtime.openmetrics import OPENMETRICS, Metric, exposition

__all__ = ["REQUEST_LIMIT", "Health", "HealthError", "Reason", "parse_bind"]

LOOK = 0.5  # seconds between two tries at a port that somebody has
Reason = Callable[[], str | None]


class HealthError(ValueError):
    """The health server cannot be had as asked, in one line."""


class Health:
    """The server; nothing listens before ``start``.

    ``live`` and ``ready`` answer None, or the reason why not; they and ``metrics`` are called in the server's threads
    and must not wait for anything. ``warn`` hears of those that raised.
    """

    def __init__(
        self,
        bind: str,
        *,
        live: Reason,
        ready: Reason,
        metrics: Callable[[], Iterable[Metric]],
        warn: Callable[[str], None] = lambda _: None,
        patience: float = PATIENCE,
    ) -> None:
        """Listen on ``host:port`` or ``port``; without a host on loopback; port 0 takes a free one.

        ``patience``: seconds that a caller has for its whole request.

        Raises:
            HealthError: neither of these.
        """
        self._pages = Pages(
            parse_bind(bind),
            {
                "/livez": lambda: told(live()),
                "/readyz": lambda: told(ready()),
                "/metrics": lambda: (HTTPStatus.OK, OPENMETRICS, exposition(metrics())),
            },
            name="kiq.health",
            apology="this could not be found out; the worker's log says why\n",
            warn=lambda text: warn(f"health: {text}"),
            patience=patience,
        )

    def start(self) -> None:
        """Listen, and answer in a thread of its own.

        Raises:
            HealthError: the port is in use, or the address is not ours.
        """
        try:
            self._pages.start()
        except OSError as error:
            why = error.strerror or error
            raise HealthError(f"cannot answer health checks on {self.address}: {why}") from None

    def listen(self, stop: threading.Event, *, again: bool) -> None:
        """Start; ``again``: in a thread, as soon as whoever had the port before has left it.

        Raises:
            HealthError: as ``start``, where it is not ``again``.
        """
        if again:
            threading.Thread(target=self._patiently, args=(stop,), daemon=True, name="kiq.health").start()
        else:
            self.start()

    def _patiently(self, stop: threading.Event) -> None:
        while not stop.is_set():
            try:
                self.start()
            except HealthError:
                stop.wait(LOOK)
            else:
                return

    def stop(self) -> None:
        """Close the port."""
        self._pages.stop()

    @property
    def address(self) -> str:
        """``host:port`` as it listens; the wanted one before that."""
        return self._pages.address


def parse_bind(text: str) -> tuple[str, int]:
    """Host and port of ``host:port``, ``[v6]:port``, ``:port`` or ``port``.

    Raises:
        HealthError: none of these.
    """
    try:
        return answering.parse_bind(text)
    except BindError as error:
        raise HealthError(f"health checks: {error}") from None
