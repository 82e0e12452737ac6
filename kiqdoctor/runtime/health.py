"""Answers an orchestrator's probes and a scraper over HTTP, where somebody asked for it; on loopback by default."""

import io
import math
import re
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Final, Literal

from kiqdoctor.text import clean

LOOPBACK: Final = "127.0.0.1"
PORT_LIMIT: Final = 65_535
REQUEST_LIMIT: Final = 8_192  # bytes of request line and headers together
PATIENCE: Final = 5.0  # seconds for a whole request, and for sending its answer
SLOTS: Final = 16  # requests at once; one more is closed unheard
POLL: Final = 0.2  # seconds that stop() waits at most
FETCH_STALE: Final = 30.0  # seconds; a blocking fetch answers well within
REDIS_STALE: Final = 15.0  # seconds; a lease lasts as long

PLAIN: Final = "text/plain; charset=utf-8"
OPENMETRICS: Final = "application/openmetrics-text; version=1.0.0; charset=utf-8"

_NAME: Final = re.compile(r"[a-zA-Z_:][a-zA-Z0-9_:]*")
_LABEL: Final = re.compile(r"(?!__)[a-zA-Z_][a-zA-Z0-9_]*")
_OF_ONE_JOB: Final = frozenset({"jid", "bid", "args", "payload", "error_message"})  # a series for each job ever run

Reason = Callable[[], str | None]


class HealthError(ValueError):
    """The health server cannot be had as asked, in one line."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One value of a family, with label names and values."""

    value: float
    labels: tuple[tuple[str, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Metric:
    """One OpenMetrics family; zero where no samples are given. A counter's name goes without ``_total``.

    Raises:
        ValueError: a name that OpenMetrics does not allow, or a label that would make a series of each job.
    """

    name: str
    kind: Literal["counter", "gauge"]
    help: str
    samples: tuple[Sample, ...] = (Sample(0),)

    def __post_init__(self) -> None:
        """Refuse what would spoil the whole exposition."""
        if not _NAME.fullmatch(self.name) or self.name.endswith("_total"):
            raise ValueError(f"no name for a metric: {self.name!r}")
        for label in {name for sample in self.samples for name, _ in sample.labels}:
            if not _LABEL.fullmatch(label) or label in _OF_ONE_JOB:
                raise ValueError(f"no label for {self.name}: {label!r}")


def by_label(metric: Metric, label: str, counts: Mapping[str, float], every: Iterable[str]) -> Metric:
    """The family with one sample for each name in ``every`` and in ``counts``; zero where nothing was counted."""
    names = dict.fromkeys((*every, *counts))
    samples = tuple(Sample(counts.get(name, 0), ((label, name),)) for name in names)
    return Metric(metric.name, metric.kind, metric.help, samples)


def exposition(metrics: Iterable[Metric]) -> str:
    """OpenMetrics text, ended by ``# EOF``."""
    return "\n".join([*(line for metric in metrics for line in _family(metric)), "# EOF", ""])


def _family(metric: Metric) -> Iterator[str]:
    yield f"# TYPE {metric.name} {metric.kind}"
    yield f"# HELP {metric.name} {_escaped(metric.help)}"
    name = f"{metric.name}_total" if metric.kind == "counter" else metric.name
    for sample in metric.samples:
        labels = ",".join(f'{label}="{_escaped(value)}"' for label, value in sample.labels)
        yield f"{name}{{{labels}}} {_number(sample.value)}" if labels else f"{name} {_number(sample.value)}"


def _escaped(text: str) -> str:
    sound = text.encode("utf-8", "backslashreplace").decode()
    return sound.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n")


def _number(value: float) -> str:
    if math.isfinite(value):
        return repr(int(value)) if value == int(value) else repr(float(value))
    return "NaN" if math.isnan(value) else "+Inf" if value > 0 else "-Inf"


@dataclass(frozen=True, slots=True)
class State:
    """What a worker knows of itself. Ages are seconds.

    ``fetch_age``: since a fetching thread last came back, with a reply or an error; None while none should be fetching,
    for all are busy or it is quiet. A Redis that is away is no reason to restart every worker, so it is not one here.
    ``lease_held``: True as well where the fetch needs no lease.
    """

    dead_threads: tuple[str, ...] = ()
    fetch_age: float | None = None
    redis_age: float = 0.0
    lease_held: bool = True
    quiet: bool = False
    stopping: bool = False

    def not_live(self) -> str | None:
        """Why only a restart helps; never while it stops, when threads end as they should."""
        if self.stopping:
            return None
        if self.dead_threads:
            return f"threads ended: {', '.join(self.dead_threads)}"
        if self.fetch_age is not None and self.fetch_age > FETCH_STALE:
            return f"no fetch came back for {self.fetch_age:.0f} s"
        return None

    def not_ready(self) -> str | None:
        """Why it takes no jobs now."""
        if self.stopping or self.quiet:
            return "stopping" if self.stopping else "quiet"
        if self.redis_age > REDIS_STALE:
            return f"Redis has not answered for {self.redis_age:.0f} s"
        return None if self.lease_held else "the lease is not held"


@dataclass(frozen=True, slots=True)
class Figures:
    """A worker's numbers: counters since its start, what its threads do now, seconds and bytes."""

    processed: int
    failed: int
    threads: Mapping[str, int]
    prefetched: int
    rtt_s: float
    rss_bytes: int
    started_at: float
    quiet: bool


def worker_metrics(found: Figures, states: Iterable[str] = ("running", "waiting", "idle")) -> tuple[Metric, ...]:
    """The families of one worker; none grows with jobs, classes or queues."""
    threads = Metric("kiqdoctor_worker_threads", "gauge", "Processor threads by what they do.")

    def gauge(name: str, text: str, value: float) -> Metric:
        return Metric(f"kiqdoctor_worker_{name}", "gauge", text, (Sample(value),))

    return (
        Metric("kiqdoctor_worker_jobs", "counter", "Jobs that ended, failures among them.", (Sample(found.processed),)),
        Metric("kiqdoctor_worker_jobs_failed", "counter", "Jobs that failed.", (Sample(found.failed),)),
        by_label(threads, "state", found.threads, states),
        gauge("prefetched_jobs", "Jobs taken from their queues and not started.", found.prefetched),
        gauge("quiet", "1 when it takes no more jobs.", found.quiet),
        gauge("redis_rtt_seconds", "Redis' last answer to a PING.", found.rtt_s),
        gauge("resident_memory_bytes", "Memory of the process.", found.rss_bytes),
        gauge("start_time_seconds", "When it started, since the epoch.", found.started_at),
    )


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
        self._host, self._port = parse_bind(bind)
        self._pages: dict[str, Callable[[], tuple[HTTPStatus, str, str]]] = {
            "/livez": lambda: _told(live()),
            "/readyz": lambda: _told(ready()),
            "/metrics": lambda: (HTTPStatus.OK, OPENMETRICS, exposition(metrics())),
        }
        self._warn, self._patience = warn, patience
        self._server: _Server | None = None

    def start(self) -> None:
        """Listen, and answer in a thread of its own.

        Raises:
            HealthError: the port is in use, or the address is not ours.
        """
        try:
            self._server = _Server(self._host, self._port, self._answer, self._patience)
        except OSError as error:
            where = shown(self._host, self._port)
            raise HealthError(f"cannot answer health checks on {where}: {error.strerror or error}") from None
        threading.Thread(target=self._server.serve_forever, args=(POLL,), daemon=True, name="kiq.health").start()

    def stop(self) -> None:
        """Close the port."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    @property
    def address(self) -> str:
        """``host:port`` as it listens; the wanted one before that."""
        port = self._port if self._server is None else int(self._server.server_address[1])
        return shown(self._host, port)

    def _answer(self, path: str) -> tuple[HTTPStatus, str, str]:
        page = self._pages.get(path)
        if page is None:
            return HTTPStatus.NOT_FOUND, PLAIN, f"there are {', '.join(self._pages)}\n"
        try:
            return page()
        except Exception as error:  # noqa: BLE001 - what cannot be told is not fine, and why is nothing for strangers
            self._warn(f"health: {path}: {type(error).__name__}: {error}")
            return HTTPStatus.INTERNAL_SERVER_ERROR, PLAIN, "this could not be found out; the worker's log says why\n"


def parse_bind(text: str) -> tuple[str, int]:
    """Host and port of ``host:port``, ``[v6]:port``, ``:port`` or ``port``.

    Raises:
        HealthError: none of these.
    """
    host, _, port = text.strip().rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) <= PORT_LIMIT):
        raise HealthError(f"health checks need host:port, not {clean(text)!r}")
    return host.removeprefix("[").removesuffix("]") or LOOPBACK, int(port)


def shown(host: str, port: int) -> str:
    """As one writes it in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _told(reason: str | None) -> tuple[HTTPStatus, str, str]:
    if reason is None:
        return HTTPStatus.OK, PLAIN, "ok\n"
    return HTTPStatus.SERVICE_UNAVAILABLE, PLAIN, clean(reason) + "\n"


class _Server(socketserver.ThreadingMixIn, HTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = SLOTS

    def __init__(
        self, host: str, port: int, answer: Callable[[str], tuple[HTTPStatus, str, str]], patience: float
    ) -> None:
        self.answer, self.patience = answer, patience
        self._slots = threading.BoundedSemaphore(SLOTS)
        if ":" in host:
            self.address_family = socket.AF_INET6
        super().__init__((host, port), _Handler)

    def server_bind(self) -> None:
        """Bind alone: HTTPServer's own would look its name up, and wait for a DNS server that may be away."""
        socketserver.TCPServer.server_bind(self)

    def process_request(self, request: Any, client_address: Any) -> None:
        """In a thread, if one is free: slow callers must not cost more than ``SLOTS`` of them."""
        if not self._slots.acquire(blocking=False):
            self.shutdown_request(request)
            return
        try:
            super().process_request(request, client_address)
        except BaseException:
            self._slots.release()
            raise

    def process_request_thread(self, request: Any, client_address: Any) -> None:
        """One request."""
        try:
            super().process_request_thread(request, client_address)
        finally:
            self._slots.release()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Callers that hang up are their own affair; the standard library would print a traceback."""


class _Handler(BaseHTTPRequestHandler):
    server: _Server

    def handle(self) -> None:
        """One request, one answer, the end."""
        self.requestline, self.command, self.request_version = "", "GET", self.protocol_version
        head = self._head()
        self.connection.settimeout(self.server.patience)
        if len(head) > REQUEST_LIMIT:
            self.send_error(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE)
            return
        self.rfile = io.BytesIO(head)
        self.raw_requestline = self.rfile.readline()
        if not self.raw_requestline.strip() or not self.parse_request():
            return
        if self.command in {"GET", "HEAD"}:
            self._send(*self.server.answer(self.path.partition("?")[0]))
        else:
            self.send_error(HTTPStatus.METHOD_NOT_ALLOWED)

    def _head(self) -> bytes:
        """Up to the empty line: one deadline for all of it, so that no byte a second holds a thread for long."""
        deadline = time.monotonic() + self.server.patience
        found = b""
        while len(found) <= REQUEST_LIMIT and b"\r\n\r\n" not in found and b"\n\n" not in found:
            self.connection.settimeout(max(deadline - time.monotonic(), 0.001))
            data = self.connection.recv(REQUEST_LIMIT)
            if not data:
                break
            found += data
        return found

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """As text, with nothing of what was sent to us."""
        del message, explain
        status = HTTPStatus(code)
        self._send(status, PLAIN, f"{status.phrase}\n")

    def _send(self, status: HTTPStatus, kind: str, text: str) -> None:
        body = text.encode("utf-8", "backslashreplace")
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(body)))
        self.send_header("Cache-Control", "no-store")
        self.send_header("X-Content-Type-Options", "nosniff")
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            self.send_header("Allow", "GET, HEAD")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def version_string(self) -> str:
        """Not which Python runs here."""
        return "kiqdoctor"

    def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - its name in the standard library
        """Probes come every few seconds: not a line of the log."""
