"""Answers GET and HEAD for a few fixed pages over HTTP; strangers neither hold nor crash it. Loopback by default."""

import io
import socket
import socketserver
import threading
import time
from collections.abc import Callable, Mapping
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any, Final

from kiqdoctor.text import clean

LOOPBACK: Final = "127.0.0.1"
PORT_LIMIT: Final = 65_535
REQUEST_LIMIT: Final = 8_192  # bytes of request line and headers together
PATIENCE: Final = 5.0  # seconds for a whole request, and for sending its answer
SLOTS: Final = 16  # requests at once; one more is closed unheard
POLL: Final = 0.2  # seconds that stop() waits at most

PLAIN: Final = "text/plain; charset=utf-8"

Answer = tuple[HTTPStatus, str, str]
"""Status, content type and body."""


class BindError(ValueError):
    """There is no listening there, in one line."""


class Httpd:
    """The server; nothing listens before ``start``.

    ``pages``: the answer of each path, asked for in the server's threads: they must not wait for anything. ``warn``
    hears of those that raised; the caller is told ``apology`` then, and nothing of the error.
    """

    def __init__(
        self,
        bind: tuple[str, int],
        pages: Mapping[str, Callable[[], Answer]],
        *,
        name: str,
        apology: str,
        warn: Callable[[str], None] = lambda _: None,
        patience: float = PATIENCE,
    ) -> None:
        """Listen on host and port; port 0 takes a free one. ``patience``: seconds that a caller has for its request."""
        self._host, self._port = bind
        self._pages, self._name, self._apology = pages, name, apology
        self._warn, self._patience = warn, patience
        self._server: _Server | None = None

    def start(self) -> None:
        """Listen, and answer in a thread of its own.

        Raises:
            OSError: the port is in use, or the address is not ours.
        """
        self._server = _Server(self._host, self._port, self._answer, self._patience)
        threading.Thread(target=self._server.serve_forever, args=(POLL,), daemon=True, name=self._name).start()

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

    def _answer(self, path: str) -> Answer:
        page = self._pages.get(path)
        if page is None:
            return HTTPStatus.NOT_FOUND, PLAIN, f"there are {', '.join(self._pages)}\n"
        try:
            return page()
        except Exception as error:  # noqa: BLE001 - what cannot be told is not fine, and why is nothing for strangers
            self._warn(f"{path}: {type(error).__name__}: {error}")
            return HTTPStatus.INTERNAL_SERVER_ERROR, PLAIN, self._apology


def parse_bind(text: str) -> tuple[str, int]:
    """Host and port of ``host:port``, ``[v6]:port``, ``:port`` or ``port``; without a host it is loopback.

    Raises:
        BindError: none of these.
    """
    host, _, port = text.strip().rpartition(":")
    if not (port.isascii() and port.isdigit() and int(port) <= PORT_LIMIT):
        raise BindError(f"host:port is needed, not {clean(text)!r}")
    return host.removeprefix("[").removesuffix("]") or LOOPBACK, int(port)


def shown(host: str, port: int) -> str:
    """As one writes it in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def told(reason: str | None) -> Answer:
    """200 where there is no reason against it, else 503 with the reason."""
    if reason is None:
        return HTTPStatus.OK, PLAIN, "ok\n"
    return HTTPStatus.SERVICE_UNAVAILABLE, PLAIN, clean(reason) + "\n"


class _Server(socketserver.ThreadingMixIn, HTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = SLOTS

    def __init__(self, host: str, port: int, answer: Callable[[str], Answer], patience: float) -> None:
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
