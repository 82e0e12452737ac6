"""One connection that speaks RESP2: hiredis packs and parses, the socket is the standard library's.

The doctor's, and of the runtime only the small parent's. Importing redis-py cost half of a whole examination (see
docs/architecture.md); the workers, who live long and need pools, Sentinel and reconnecting, stand on redis-py.
"""

import socket
import time
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import parse_qs, unquote, urlsplit

import hiredis

from kiqdoctor.regex import regex

if TYPE_CHECKING:
    import ssl

EXCHANGE: Final = 15.0  # seconds from a request's first byte to the last of its replies
CHUNK: Final = 65_536  # bytes asked of the socket at once
DEFAULT_PORT: Final = 6379

MOST_BYTES: Final = 16 * 1024 * 1024  # of all replies of one exchange: several times what the largest needs
MOST_MEMBERS: Final = 1_000_000  # of all replies of one exchange
HONEST_BYTES: Final = 512 * 1024 * 1024  # the longest string that a Redis holds
HONEST_MEMBERS: Final = 1 << 27  # which would take as many bytes at least
_MEMBERS: Final = b"*~%>"  # headers that announce replies...
_BYTES: Final = b"$=!"  # ...and those that announce bytes, of RESP2 and RESP3
_TAIL: Final = 32  # bytes in which a header that was cut in two begins

Word = str | bytes | float


class StepError(Exception):
    """A step failed: dns, tcp, tls, ping; with one line that says how."""

    def __init__(self, step: str, text: str) -> None:
        super().__init__(text)
        self.step = step


class OversizeError(StepError):
    """A reply is, or says that it will be, larger than whatever was asked for; its connection is of no more use."""

    def __init__(self, text: str, step: str = "size") -> None:
        super().__init__(step, text)


def _oversize(count: int, what: str, honest: int) -> OversizeError:
    """Of more than any Redis sends whatever its keys hold: what answers there is none."""
    return OversizeError(f"{what}, more than any Redis sends", "ping") if count > honest else OversizeError(what)


class Guard:
    """Looks at the replies of one exchange before they are parsed: hiredis allocates whatever a header announces.

    What looks like a header is added up at the speed of a search. Only where that is too much are they walked over one
    by one, which tells headers from the bytes of somebody's payload.
    """

    _HEADER: Final = regex(rb"\r\n([*~%>$=!])([0-9]+)")

    def __init__(self, most_bytes: int = MOST_BYTES, most_members: int = MOST_MEMBERS) -> None:
        self._most_bytes, self._most_members = most_bytes, most_members
        self._unwalked = bytearray()
        self._payload = 0  # bytes of one that are still to come
        self._members = 0  # that were announced, as far as was walked
        self._apparent = 0
        self._tail = b"\r\n"
        self.received = 0

    def admit(self, data: bytes) -> None:
        """These bytes may be parsed.

        Raises:
            OversizeError: they, or what they announce, are too many.
        """
        self.received += len(data)
        if self.received > self._most_bytes:
            raise OversizeError(f"more than {self._most_bytes} bytes came in reply")
        self._unwalked += data
        joined = self._tail + data
        for kind, digits in self._HEADER.findall(joined):
            count = _count(digits)
            self._apparent += count if kind in _MEMBERS else self._most_members * (count > self._most_bytes)
        self._tail = joined[-_TAIL:]
        if self._apparent >= self._most_members:
            self._walk()

    def _walk(self) -> None:
        """From header to header, over payloads, as far as there are bytes."""
        seen, at = self._unwalked, self._payload
        while at < len(seen) and (end := seen.find(b"\r\n", at)) >= 0:
            kind, digits = bytes(seen[at : at + 1]), bytes(seen[at + 1 : end])
            count = _count(digits) if digits.isdigit() else 0
            if kind in _BYTES and count > self._most_bytes:
                raise _oversize(count, f"a reply announces {count} bytes", HONEST_BYTES)
            if kind in _MEMBERS:
                self._members += count
            if self._members > self._most_members:
                raise _oversize(self._members, f"replies announce {self._members} members", HONEST_MEMBERS)
            at = end + 2 + (count + 2 if kind in _BYTES and digits.isdigit() else 0)
        self._payload = max(at - len(seen), 0)
        del seen[:at]


def _count(digits: bytes) -> int:
    """Of so many digits as 64 bits have; more are as good as infinity."""
    return int(digits[:20])


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

    @property
    def peer(self) -> str:
        """The other end's IP address; "" of a unix socket, or one that is gone."""
        with suppress(OSError):
            name = self._socket.getpeername()
            return str(name[0]) if isinstance(name, tuple) else ""
        return ""

    def _connected(self, timeout: float) -> Any:
        try:
            plain = self._opened(timeout)
        except socket.gaierror as error:
            raise StepError("dns", f"{self._parts.hostname}: {error.strerror}") from None
        except UnicodeError:
            raise StepError("dns", "the host's name has letters that no host name has") from None
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

    def _context(self) -> "ssl.SSLContext":
        import ssl  # 6 ms, for rediss:// only

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
        guard = Guard()
        replies: list[Any] = []
        seconds = timeout or self._read_timeout
        ends = time.monotonic() + max(seconds, EXCHANGE)  # a byte now and then is no answer
        try:
            self._socket.settimeout(seconds)
            with suppress(BrokenPipeError, ConnectionResetError):  # a refusal may be waiting to be read
                self._socket.sendall(packed)
            while len(replies) < len(commands):
                reply = self._reader.gets()
                if reply is not False:
                    replies.append(reply)
                    continue
                self._socket.settimeout(min(seconds, _left(ends)))
                data = self._socket.recv(CHUNK)
                if not data:
                    raise StepError("ping", "the server closed the connection")
                guard.admit(data)
                self._reader.feed(data)
        except TimeoutError:
            raise StepError(
                "ping", f"no answer within {max(seconds, EXCHANGE) if guard.received else seconds:g} s"
            ) from None
        except hiredis.ProtocolError as error:
            raise StepError("ping", f"what answers there does not speak Redis' protocol: {error}") from None
        except OSError as error:
            raise StepError("ping", f"the connection broke: {error.strerror or error}") from None
        return replies, len(packed), guard.received

    def close(self) -> None:
        """Leave."""
        self._socket.close()


def _left(ends: float) -> float:
    """Seconds until then.

    Raises:
        TimeoutError: there are none.
    """
    if (left := ends - time.monotonic()) <= 0:
        raise TimeoutError
    return left


_pack: Any = hiredis.pack_command  # its stub knows tuples of one word only


def _word(value: Word) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "surrogateescape")
