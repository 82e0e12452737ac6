"""One connection that speaks RESP2: hiredis packs and parses, the socket is the standard library's.

The doctor's alone. Importing redis-py cost half of a whole examination (see docs/architecture.md); the runtime, which
lives long and needs pools, Sentinel and reconnecting, stands on redis-py.
"""

import socket
import ssl
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis

CHUNK: Final = 65_536  # bytes asked of the socket at once
DEFAULT_PORT: Final = 6379

Word = str | bytes | float


class StepError(Exception):
    """A step failed: dns, tcp, tls, ping; with one line that says how."""

    def __init__(self, step: str, text: str) -> None:
        super().__init__(text)
        self.step = step


class Wire:
    """A connected socket; no retry, no pool, nothing sent that was not asked for."""

    def __init__(self, url: str, *, connect_timeout: float, read_timeout: float) -> None:
        self._parts = urlsplit(url)
        self._query = {name: values[0] for name, values in parse_qs(self._parts.query).items()}
        self._read_timeout = read_timeout
        self._socket = self._connected(connect_timeout)
        self._reader: Any = hiredis.Reader()

    @property
    def credentials(self) -> tuple[str, ...]:
        """What AUTH takes: nothing, a password, or a user and a password."""
        user, password = self._parts.username, self._parts.password
        user, password = user or self._query.get("username"), password or self._query.get("password")
        if password is None:
            return ()
        return (unquote(user), unquote(password)) if user else (unquote(password),)

    def _connected(self, timeout: float) -> Any:
        try:
            plain = self._opened(timeout)
        except socket.gaierror as error:
            raise StepError("dns", f"{self._parts.hostname}: {error.strerror}") from None
        except OSError as error:
            raise StepError("tcp", f"{self._where}: {error.strerror or error}") from None
        if self._parts.scheme != "rediss":
            return plain
        try:
            return self._context().wrap_socket(plain, server_hostname=self._parts.hostname)
        except (OSError, ValueError) as error:
            plain.close()
            raise StepError("tls", f"{self._where}: {' '.join(str(error).split())}") from None

    @property
    def _where(self) -> str:
        if self._parts.scheme == "unix":
            return self._parts.path
        return f"{self._parts.hostname or 'localhost'}:{self._parts.port or DEFAULT_PORT}"

    def _opened(self, timeout: float) -> socket.socket:
        if self._parts.scheme == "unix":
            found = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            found.settimeout(timeout)
            found.connect(unquote(self._parts.path))
            return found
        return socket.create_connection(
            (self._parts.hostname or "localhost", self._parts.port or DEFAULT_PORT), timeout
        )

    def _context(self) -> ssl.SSLContext:
        context = ssl.create_default_context(
            cafile=self._query.get("ssl_ca_certs"), capath=self._query.get("ssl_ca_path")
        )
        wanted = self._query.get("ssl_cert_reqs", "required")
        if wanted == "none" or self._query.get("ssl_check_hostname", "").lower() in {"false", "0", "no"}:
            context.check_hostname = False
        if wanted in {"none", "optional"}:
            context.verify_mode = ssl.CERT_NONE if wanted == "none" else ssl.CERT_OPTIONAL
        if "ssl_certfile" in self._query:
            context.load_cert_chain(self._query["ssl_certfile"], self._query.get("ssl_keyfile"))
        return context

    def exchange(self, commands: Sequence[Sequence[Word]], timeout: float | None = None) -> tuple[list[Any], int, int]:
        """Send all, read all: the replies (an error the server answered in its place), bytes sent, bytes received.

        Raises:
            StepError: silence, an end, or something that is no RESP.
        """
        packed = b"".join(_pack(tuple(map(_word, command))) for command in commands)
        received = 0
        replies: list[Any] = []
        try:
            self._socket.settimeout(timeout or self._read_timeout)
            with suppress(BrokenPipeError, ConnectionResetError):  # a refusal may be waiting to be read
                self._socket.sendall(packed)
            while len(replies) < len(commands):
                reply = self._reader.gets()
                if reply is not False:
                    replies.append(reply)
                    continue
                data = self._socket.recv(CHUNK)
                if not data:
                    raise StepError("ping", "the server closed the connection")
                received += len(data)
                self._reader.feed(data)
        except TimeoutError:
            raise StepError("ping", f"no answer within {timeout or self._read_timeout:g} s") from None
        except hiredis.ProtocolError as error:
            raise StepError("ping", f"what answers there does not speak Redis' protocol: {error}") from None
        except OSError as error:
            raise StepError("ping", f"the connection broke: {error.strerror or error}") from None
        return replies, len(packed), received

    def close(self) -> None:
        """Leave."""
        self._socket.close()


_pack: Any = hiredis.pack_command  # its stub knows tuples of one word only


def _word(value: Word) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
