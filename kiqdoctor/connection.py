"""Opens, names and counts the doctor's connection to Redis, which refuses whatever is not read-only.

No pool, no hidden retry, no handshake beyond AUTH: what was sent is what was planned.
"""

import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import field, replace
from typing import Any, ClassVar, Final
from urllib.parse import urlsplit, urlunsplit

from kiqdoctor import sentinels
from kiqdoctor.records import dataclass
from kiqdoctor.replies import fits
from kiqdoctor.text import MASK, decode, redact
from kiqdoctor.wire.numbers import whole

DEFAULT_URL: Final = "redis://localhost:6379/0"
CONNECT_TIMEOUT: Final = 3.0  # seconds
READ_TIMEOUT: Final = 5.0  # seconds of silence
TRIES: Final = 3
BETWEEN_TRIES: Final = 1.0  # seconds: a restart is not an outage

UNREADABLE: Final = (
    "its host, port or database number cannot be read, as in redis://host:6379/0"
    " (in a password / ? # [ ] @ and % are written as %2F, %3F...)"
)

Command = Sequence[str | bytes | float]

READ_ONLY: Final = frozenset(
    {
        "PING",
        "INFO",
        "TIME",
        "TYPE",
        "TTL",
        "PTTL",
        "EXISTS",
        "SCAN",
        "DBSIZE",
        "SELECT",
        "LLEN",
        "LINDEX",
        "LRANGE",
        "SCARD",
        "SISMEMBER",
        "SMISMEMBER",
        "SMEMBERS",
        "SRANDMEMBER",
        "SSCAN",
        "HLEN",
        "HGET",
        "HMGET",
        "HGETALL",
        "HEXISTS",
        "HSTRLEN",
        "HSCAN",
        "HKEYS",
        "ZCARD",
        "ZCOUNT",
        "ZRANGE",
        "ZRANGEBYSCORE",
        "ZREVRANGE",
        "ZRANDMEMBER",
        "ZSCORE",
        "ZSCAN",
        "GET",
        "MGET",
        "STRLEN",
        "GETRANGE",
        "XLEN",
        "ROLE",
        "LASTSAVE",
        "CLIENT|LIST",
        "CLIENT|ID",
        "CLIENT|INFO",
        "CLIENT|SETNAME",
        "CONFIG|GET",
        "SLOWLOG|GET",
        "SLOWLOG|LEN",
        "LATENCY|LATEST",
        "MEMORY|USAGE",
        "ACL|WHOAMI",
        "PUBSUB|CHANNELS",
        "PUBSUB|NUMPAT",
        "OBJECT|ENCODING",
        "COMMAND|COUNT",
        "HELLO",
        "XINFO|GROUPS",
    }
)
_CONTAINERS: Final = frozenset(
    {"CLIENT", "CONFIG", "SLOWLOG", "LATENCY", "MEMORY", "ACL", "PUBSUB", "OBJECT", "COMMAND", "XINFO"}
)


class WriteRefusedError(Exception):
    """The doctor never writes: this command is not on its list."""


class UrlError(Exception):
    """The address is not a Redis URL."""


class ConnectError(Exception):
    """``step`` failed: sentinel, dns, tcp, tls, auth, ping, limit, loading, select, or size: a reply was too large.

    ``loading_s``: for how long the server has been loading its data, where it is that.
    """

    def __init__(self, step: str, text: str, loading_s: int | None = None) -> None:
        super().__init__(text)
        self.step = step
        self.loading_s = loading_s


@dataclass(frozen=True, slots=True)
class Address:
    """A Redis URL, its display form without secrets, where it came from, whether somebody named it."""

    url: str
    shown: str
    source: str
    named: bool
    database: int = 0


def resolve_url(option: str | None, environ: Mapping[str, str], said: str = "--redis") -> Address:
    """The address: option, KIQDOCTOR_REDIS_URL, REDIS_PROVIDER's variable, REDIS_URL, the default, in that order.

    ``said``: where the option was given, for an error's words.
    """
    provider = environ.get("REDIS_PROVIDER", "")
    sources = (
        (said, option),
        ("KIQDOCTOR_REDIS_URL", environ.get("KIQDOCTOR_REDIS_URL")),
        (f"{provider} (named by REDIS_PROVIDER)", environ.get(provider) if provider else None),
        ("REDIS_URL", environ.get("REDIS_URL")),
    )
    source, url = next(((name, value) for name, value in sources if value), ("the default", DEFAULT_URL))
    return Address(url, shown_url(url, source), source, source != "the default", _checked(url, source))


def shown_url(url: str, source: str = "") -> str:
    """The URL without user, password and query; ``unix:///path?db=0`` for sockets."""
    database = _checked(url, source)
    if sentinels.is_one(url):
        return sentinels.shown(url)
    parts = urlsplit(url)
    if parts.scheme == "unix":
        return f"unix://{parts.path}?db={database}"
    host = parts.hostname or "localhost"
    host = f"[{host}]" if ":" in host else host
    return urlunsplit((parts.scheme, f"{host}:{parts.port or 6379}", f"/{database}", "", ""))


def _checked(url: str, source: str) -> int:
    """The number of its database."""
    at = f" (from {source})" if source else ""
    try:
        if sentinels.is_one(url):
            return sentinels.read(url).database
        parts = urlsplit(url)
        _ = parts.port
        if parts.scheme not in {"redis", "rediss", "unix"}:
            raise UrlError(f"not a Redis URL{at}: it must start with redis://, rediss://, unix:// or redis+sentinel://")
        database = _database(parts.path if parts.scheme != "unix" else "", parts.query)
    except sentinels.SentinelError as error:
        raise UrlError(f"{error}{at}") from None
    except ValueError:  # whose words may hold a part of the password
        raise UrlError(f"not a Redis URL{at}: {UNREADABLE}") from None
    if parts.scheme == "unix" and not parts.path:
        raise UrlError(f"not a Redis URL{at}: unix:// needs the socket's path")
    return database


def _database(path: str, query: str) -> int:
    from urllib.parse import parse_qs

    text = parse_qs(query).get("db", [path.strip("/")])[0]
    if (number := whole(text or 0)) is None:
        raise ValueError
    return number


@dataclass
class Bill:
    """What an examination cost the server: requests by command, bytes both ways, the slowest round trip in ms."""

    commands: dict[str, int] = field(default_factory=dict)
    bytes_sent: int = 0
    bytes_received: int = 0
    slowest: str = ""
    slowest_ms: float = 0.0
    round_trips: int = 0

    def add(self, names: Sequence[str], sent: int, received: int, took_ms: float) -> None:
        """One round trip."""
        for name in names:
            self.commands[name] = self.commands.get(name, 0) + 1
        self.bytes_sent += sent
        self.bytes_received += received
        self.round_trips += 1
        if took_ms > self.slowest_ms:
            self.slowest_ms = took_ms
            self.slowest = names[0] if len(names) == 1 else f"{names[0]} and {len(names) - 1} more"


def command_name(command: Command) -> str:
    """``client|list`` style: the name that ACL rules use, upper case."""
    first = _word(command[0])
    return f"{first}|{_word(command[1])}" if first in _CONTAINERS and len(command) > 1 else first


def _word(value: str | bytes | float) -> str:
    return value.decode("ascii", "replace").upper() if isinstance(value, bytes) else str(value).upper()


class ReadOnlyConnection:
    """One connection that only reads. Not for use by several threads at once without the caller's lock."""

    allowed: ClassVar[frozenset[str]] = READ_ONLY
    """Commands that it sends; whatever else is refused before anything is sent."""

    def __init__(self, address: Address, *, name: str | None = None, timeout: float = READ_TIMEOUT) -> None:
        self.address = address
        self._told = address  # one of sentinels stays one, and they are asked anew each time
        self.bill = Bill()
        self.client_id: int | None = None
        self.database = address.database
        self.user = _user(address.url)
        self.notes: list[str] = []
        self._name = name
        self._timeout = timeout
        self._wire: Any = None

    def open(self) -> None:
        """Connect, authenticate, PING, choose the database.

        Raises:
            ConnectError: with the step that failed, in one line without secrets.
        """
        from kiqdoctor.resp import StepError, Wire

        self._find()
        try:
            self._wire = Wire(self.address.url, connect_timeout=CONNECT_TIMEOUT, read_timeout=self._timeout)
        except StepError as error:
            raise ConnectError(error.step, str(error)) from None
        try:
            if self._wire.credentials:
                self._must("AUTH", *self._wire.credentials, step="auth")
            self._answered()
        except ConnectError:
            self.close()
            raise
        if self.database:
            self._must("SELECT", self.database, step="select")
        if self._name:
            self._try("CLIENT", "SETNAME", self._name)
        number = self._try("CLIENT", "ID")
        self.client_id = number if isinstance(number, int) else None

    def _find(self) -> None:
        """The primary, where the address is one of sentinels."""
        if not sentinels.is_one(self._told.url):
            return
        try:
            url = sentinels.primary(self._told.url, CONNECT_TIMEOUT)
        except sentinels.SentinelError as error:
            raise ConnectError("sentinel", str(error)) from None
        self.address = replace(self._told, url=url, shown=shown_url(url))
        self.user = _user(url)

    def exchange(self, commands: Sequence[Command], timeout: float | None = None) -> list[Any]:
        """Send all, read all; an error that the server answers comes back in its place.

        Raises:
            WriteRefusedError: a command that is not read-only; nothing was sent.
            ConnectError: the server went away or fell silent.
        """
        names = [command_name(command) for command in commands]
        for name in names:
            if name not in self.allowed:
                raise WriteRefusedError(f"{name} is not a command that the doctor sends")
        return self._exchange(commands, names, timeout or self._timeout)

    def _exchange(self, commands: Sequence[Command], names: Sequence[str], timeout: float) -> list[Any]:
        from kiqdoctor.resp import StepError

        began = time.monotonic()
        try:
            replies: list[Any]
            replies, sent, received = self._wire.exchange(commands, timeout)
        except StepError as error:
            raise ConnectError(error.step, str(error)) from None
        self.bill.add(names, sent, received, (time.monotonic() - began) * 1000)
        for name, command, reply in zip(names, commands, replies, strict=True):
            if not fits(name, command, reply):
                raise ConnectError("ping", f"{name.replace('|', ' ')} was answered with what no Redis says")
        return replies

    def _must(self, *command: str | int, step: str) -> None:
        [reply] = self._exchange([command], [command_name(command)], self._timeout)
        if isinstance(reply, Exception):
            raise _classified(self._unsaid(str(reply)), step)

    def _answered(self) -> None:
        """PING. A server that cannot save refuses even that one, as it refuses writes: it answers all the same.

        So does one that knows us and does not allow us this command, which read permissions alone do not.
        """
        [reply] = self._exchange([("PING",)], ["PING"], self._timeout)
        if isinstance(reply, Exception) and not _alive(reply) and not str(reply).startswith(_REFUSED):
            error = _classified(self._unsaid(str(reply)), "ping")
            error.loading_s = loading_s(self._try("INFO")) if error.step == "loading" else None
            raise error

    def _unsaid(self, text: str) -> str:
        """What the server says without what we said: some echo the words of a command that they do not know."""
        for secret in self._wire.credentials:
            text = text.replace(secret, MASK)
        return text

    def _try(self, *command: str | int) -> Any:
        with suppress(ConnectError):
            [reply] = self.exchange([command])
            if not isinstance(reply, Exception):
                return reply
            self.notes.append(f"{command_name(command)}: {self._unsaid(str(reply))}")
        return None

    @property
    def peer(self) -> str:
        """The server's IP address as it is connected, "" over a unix socket."""
        return str(self._wire.peer) if self._wire is not None else ""

    @property
    def encrypted(self) -> bool:
        """Whether TLS stands between."""
        return urlsplit(self.address.url).scheme == "rediss"

    def knock(self) -> tuple[bool | None, str]:
        """Whether PING is answered without a password; None where that could not be tried. And what was answered.

        Who gave none is such a one himself; else a connection of its own is opened, and goes.
        """
        from kiqdoctor.resp import StepError, Wire

        if self._wire is None:
            return None, "not connected"
        if not self._wire.credentials:
            return True, "PONG"
        try:
            other = Wire(self.address.url, connect_timeout=CONNECT_TIMEOUT, read_timeout=self._timeout)
        except StepError as error:
            return None, f"{error.step}: {error}"
        try:
            [reply], sent, received = other.exchange([("PING",)])
        except StepError as error:
            return None, f"{error.step}: {error}"
        finally:
            other.close()
        self.bill.add(["PING"], sent, received, 0.0)
        if _alive(reply):
            return True, "PONG"
        return False, redact(" ".join(str(reply).split()))

    def reopen(self) -> None:
        """Leave, and connect anew; the bill goes on.

        Raises:
            ConnectError: as ``open``.
        """
        self.close()
        self.open()

    def close(self) -> None:
        """Leave."""
        if self._wire is not None:
            self._wire.close()


def _alive(reply: Any) -> bool:
    """Whether PING was answered, be it that the server cannot save."""
    return not isinstance(reply, Exception) or str(reply).startswith("MISCONF")


def loading_s(info: Any) -> int | None:
    """Seconds since loading began, by INFO, which answers meanwhile; a replica loads at each full resync."""
    lines = decode(info).splitlines() if isinstance(info, bytes) else ()
    told = {name: whole(value) for name, _, value in (line.partition(":") for line in lines)}
    since, now_us = told.get("loading_start_time"), told.get("server_time_usec")
    return told.get("uptime_in_seconds") if since is None or now_us is None else max(0, now_us // 1_000_000 - since)


def _user(url: str) -> str:
    return urlsplit(url).username or "default"


def _classified(said: str, step: str) -> ConnectError:
    """What the server answered, as the step that it means."""
    text = redact(" ".join(said.split()))
    return ConnectError(next((name for words, name in _MEANINGS if words in text), step), text)


_REFUSED: Final = ("NOPERM", "ERR unknown command", "unknown command")
_MEANINGS: Final = (
    ("max number of clients", "limit"),
    ("LOADING", "loading"),
    ("WRONGPASS", "auth"),
    ("NOAUTH", "auth"),
)
