"""Answers GET and HEAD for a few fixed pages over HTTP; strangers neither hold nor crash it. Loopback by default.

Waitress carries it: one thread waits for all sockets and a few threads answer, so a caller that is slow or silent holds
a socket and nothing else. What is ours is who may stay: so many connections in all and of one peer, each for a while;
where there are more, the one that has been silent longest goes.
"""

import logging
import os
import socket
import threading
import time
from collections.abc import Callable, Iterable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, Final

from kiqdoctor.text import clean
from kiqdoctor.wire.numbers import whole

if TYPE_CHECKING:
    from _typeshed.wsgi import StartResponse, WSGIEnvironment

LOOPBACK: Final = "127.0.0.1"
PORT_LIMIT: Final = 65_535
REQUEST_LIMIT: Final = 8_192  # bytes of request line and headers together
PATIENCE: Final = 5.0  # seconds that a connection may take for a whole request
THREADS: Final = 4
CONNECTIONS: Final = 512
OF_ONE_PEER: Final = 64
BACKLOG: Final = 128
ENDING: Final = 2.0  # seconds that closing is waited for

PLAIN: Final = "text/plain; charset=utf-8"

Answer = tuple[HTTPStatus, str, str]
"""Status, content type and body."""


class BindError(ValueError):
    """There is no listening there, in one line."""


class Pages:
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
        self._server: Any = None
        self._local = True
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Listen, and answer in threads of its own.

        Raises:
            OSError: the port is in use, or the address is not ours.
        """
        family = socket.AF_INET6 if ":" in self._host else socket.AF_INET
        try:
            listener = socket.create_server((self._host, self._port), family=family, backlog=BACKLOG)
        except OSError as error:
            raise OSError(error.errno, os.strerror(error.errno or 0)) from None  # its own words repeat the address
        self._local = is_loopback(str(listener.getsockname()[0]))
        self._server = _served(self._application, listener, self._patience)
        self._thread = threading.Thread(target=self._server.run, daemon=True, name=self._name)
        self._thread.start()

    def stop(self) -> None:
        """Close the port, and every connection."""
        server, self._server = self._server, None
        if server is not None and self._thread is not None:
            server.end()
            self._thread.join(ENDING)

    @property
    def address(self) -> str:
        """``host:port`` as it listens; the wanted one before that."""
        port = self._port if self._server is None else int(self._server.effective_port)
        return netloc(self._host, port)

    def _application(self, environ: "WSGIEnvironment", start_response: "StartResponse") -> Iterable[bytes]:
        status, kind, text = self._answer(environ)
        body = text.encode("utf-8", "backslashreplace")
        headers = [("Content-Type", kind), ("Content-Length", str(len(body))), ("Cache-Control", "no-store")]
        headers.append(("X-Content-Type-Options", "nosniff"))
        if status is HTTPStatus.METHOD_NOT_ALLOWED:
            headers.append(("Allow", "GET, HEAD"))
        start_response(f"{status.value} {status.phrase}", headers)
        return [] if environ["REQUEST_METHOD"] == "HEAD" else [body]

    def _answer(self, environ: "WSGIEnvironment") -> Answer:
        if environ["REQUEST_METHOD"] not in {"GET", "HEAD"}:
            return _plain(HTTPStatus.METHOD_NOT_ALLOWED)
        name = _host(environ.get("HTTP_HOST", LOOPBACK))
        if self._local and not is_loopback(name) and name != self._host:
            return _plain(HTTPStatus.MISDIRECTED_REQUEST)  # a page elsewhere whose name was made to mean this host
        path = environ["PATH_INFO"]
        page = self._pages.get(path)
        if page is None:
            return HTTPStatus.NOT_FOUND, PLAIN, f"there are {', '.join(self._pages)}\n"
        try:
            return page()
        except Exception as error:  # noqa: BLE001 - what cannot be told is not fine, and why is nothing for strangers
            self._warn(clean(f"{path}: {type(error).__name__}: {error}", REQUEST_LIMIT))
            return HTTPStatus.INTERNAL_SERVER_ERROR, PLAIN, self._apology


def parse_bind(text: str) -> tuple[str, int]:
    """Host and port of ``host:port``, ``[v6]:port``, ``:port`` or ``port``; without a host it is loopback.

    Raises:
        BindError: none of these.
    """
    host, _, port = text.strip().rpartition(":")
    number = whole(port, most=PORT_LIMIT)
    if number is None:
        raise BindError(f"host:port or a port up to {PORT_LIMIT} is needed, not {clean(text)!r}")
    return host.removeprefix("[").removesuffix("]") or LOOPBACK, number


def is_loopback(host: str) -> bool:
    """Whether only this host gets there."""
    name = host.lower()
    if name in {"localhost", "::1"}:
        return True
    parts = name.removeprefix("::ffff:").split(".")
    return len(parts) == 4 and parts[0] == "127" and all(whole(part, most=255) is not None for part in parts)  # noqa: PLR2004


def stays_here(host: str) -> bool:
    """Whether what listens under that name is reached from this host alone: ``127.1`` and a host's own name may be."""
    try:
        return all(is_loopback(str(one[4][0])) for one in socket.getaddrinfo(host, None))
    except (OSError, UnicodeError):
        return is_loopback(host)


def netloc(host: str, port: int) -> str:
    """As one writes it in a URL."""
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def reached(host: str, port: int) -> tuple[str, int]:
    """Where this host itself gets to what listens there."""
    return {"0.0.0.0": LOOPBACK, "::": "::1"}.get(host, host), port  # noqa: S104 - what it is asked to listen on


def told(reason: str | None) -> Answer:
    """200 where there is no reason against it, else 503 with the reason."""
    if reason is None:
        return HTTPStatus.OK, PLAIN, "ok\n"
    return HTTPStatus.SERVICE_UNAVAILABLE, PLAIN, clean(reason) + "\n"


def _plain(status: HTTPStatus) -> Answer:
    return status, PLAIN, f"{status.phrase}\n"


def _host(header: str) -> str:
    """The host of a Host header, without its port."""
    return header[1:].partition("]")[0] if header.startswith("[") else header.partition(":")[0]


def _served(application: Callable[..., Iterable[bytes]], listener: socket.socket, patience: float) -> Any:
    """Waitress on this socket, which costs its import only where something is served."""
    from waitress.adjustments import Adjustments
    from waitress.server import TcpWSGIServer
    from waitress.task import ThreadedTaskDispatcher

    logging.getLogger("waitress").addHandler(logging.NullHandler())  # whoever wants to hear it may say so

    base: Any = TcpWSGIServer  # its stubs tell other types than it has

    class Server(base):  # type: ignore[misc]
        """Waitress with a limit for each peer, and a time for each connection."""

        ending = False

        def handle_accept(self) -> None:
            super().handle_accept()
            channels = list(self.active_channels.values())
            if channels:
                mine = [one for one in channels if one.addr[:1] == channels[-1].addr[:1]]
                _shed(mine, OF_ONE_PEER)
                _shed(channels, CONNECTIONS)

        def maintenance(self, now: float) -> None:
            for channel in list(self.active_channels.values()):
                if not channel.requests and channel.creation_time < now - patience:
                    channel.will_close = True

        def readable(self) -> bool:
            if self.ending:
                for one in list(self._map.values()):
                    one.close()
                return False
            return bool(super().readable())

        def end(self) -> None:
            """Its sockets belong to the thread that waits for them: it is told, and woken by a caller like any other.

            Waitress' own way to wake it writes to a pipe that it may have closed meanwhile.
            """
            self.ending = True
            with suppress(OSError):
                socket.create_connection(reached(*listener.getsockname()[:2]), timeout=ENDING).close()
            self.task_dispatcher.shutdown(cancel_pending=True, timeout=ENDING)

    adjustments: Any = Adjustments(
        ident="kiqdoctor",
        threads=THREADS,
        connection_limit=CONNECTIONS + BACKLOG,  # beyond it waitress would leave callers waiting; we make room
        channel_timeout=max(1, round(patience)),
        cleanup_interval=1,
        max_request_header_size=REQUEST_LIMIT,
        max_request_body_size=REQUEST_LIMIT,
        clear_untrusted_proxy_headers=True,
        asyncore_use_poll=True,  # select ends at descriptor 1,024
    )
    adjustments.cleanup_interval = min(1.0, patience)
    dispatcher = ThreadedTaskDispatcher()
    dispatcher.set_thread_count(THREADS)
    info = (listener.family, listener.type, listener.proto, listener.getsockname())
    return Server(
        application, {}, True, listener, dispatcher=dispatcher, adj=adjustments, bind_socket=False, sockinfo=info
    )


def _shed(channels: list[Any], most: int) -> None:
    """Close the oldest of those that ask nothing, where there are more than that."""
    for channel in sorted(channels, key=_since)[: max(0, len(channels) - most)]:
        if not channel.requests:
            channel.handle_close()


def _since(channel: Any) -> float:
    since: float = channel.creation_time
    return since if since <= time.time() else 0.0
