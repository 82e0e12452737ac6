"""One connection to Redis with requests that we pack ourselves: redis-py connects, authenticates and parses."""

import hashlib
import socket
from collections.abc import Sequence
from contextlib import suppress
from typing import TYPE_CHECKING, Any, Final

from kiqdoctor.runtime import lua

if TYPE_CHECKING:
    from redis import Redis


Word = bytes | str | int | float
_KNOWN: Final = 1024
_SIZES: Final = tuple(b"$%d" % size for size in range(_KNOWN))


def bulk(word: Word) -> bytes:
    """One argument as RESP has it."""
    raw = word if isinstance(word, bytes) else str(word).encode()
    return b"$%d\r\n%b\r\n" % (len(raw), raw)


def bulks(words: Sequence[bytes]) -> bytes:
    """Arguments as RESP has them: of many, spelling each by itself would take twice as long."""
    ends = 2 * len(words)
    lines = [b""] * (ends + 1)
    lines[0:ends:2] = [_SIZES[size] if size < _KNOWN else b"$%d" % size for size in map(len, words)]
    lines[1:ends:2] = words
    return b"\r\n".join(lines)


def command(*words: Word) -> bytes:
    """A whole command as RESP has it."""
    return b"*%d\r\n" % len(words) + b"".join([bulk(word) for word in words])


class Script:
    """A script by its digest."""

    def __init__(self, name: str) -> None:
        self.source = lua.source(name)
        self.digest = hashlib.sha1(self.source.encode(), usedforsecurity=False).hexdigest()

    def head(self, keys: Sequence[str]) -> tuple[bytes, int]:
        """The command up to its arguments, without the count of words; and how many words that is."""
        words: tuple[Word, ...] = ("EVALSHA", self.digest, len(keys), *keys)
        return b"".join([bulk(word) for word in words]), len(words)


class Channel:
    """Opened at its first use and after each loss. For one thread at a time; nothing is sent twice by itself.

    redis-py's own retry would: whoever sends knows whether a request may be repeated, and under which number.
    """

    def __init__(self, client: "Redis") -> None:
        self._pool: Any = client.connection_pool
        self._connection: Any = None

    def send(self, request: bytes) -> None:
        """Write a request.

        Raises:
            redis.exceptions.ConnectionError: the connection is gone.
        """
        if not self.open:
            self.connect()
        self._connection.send_packed_command([request], check_health=False)

    def connect(self) -> None:
        """Open it, where it is not.

        Raises:
            redis.exceptions.ConnectionError: it cannot be.
        """
        if self._connection is None:
            self._connection = self._pool.make_connection()
        self._connection.connect()

    def read(self) -> Any:
        """The next reply.

        Raises:
            redis.exceptions.RedisError: what the server answered, or the connection is gone.
        """
        import redis

        try:
            return self._connection.read_response(disable_decoding=True)
        except redis.ReadOnlyError:
            self.close()  # a replica now: the next connection may find the primary
            raise
        except redis.ResponseError as error:
            if "-READONLY" not in str(error):
                raise
            self.close()
            raise redis.ReadOnlyError(str(error)) from None  # so Redis 6.2 spells it, from within a script

    def call(self, request: bytes, script: Script | None = None) -> Any:
        """Send and read; a script that the server does not know is loaded, and the request repeated: it did not run."""
        self.send(request)
        return self.hear(request, script)

    def hear(self, request: bytes, script: Script | None = None) -> Any:
        """The reply to what was sent, likewise."""
        import redis

        try:
            return self.read()
        except redis.exceptions.NoScriptError:
            if script is None:
                raise
        self.send(command("SCRIPT", "LOAD", script.source))
        self.read()
        self.send(request)
        return self.read()

    def exchange(self, requests: bytes, count: int) -> list[Any]:
        """Send several and read all their replies; a refusal stands in its place.

        Raises:
            redis.exceptions.ReadOnlyError: this is no primary.
            redis.exceptions.ConnectionError: the connection is gone.
        """
        import redis

        self.send(requests)
        replies: list[Any] = []
        for _ in range(count):
            try:
                replies.append(self.read())
            except redis.ReadOnlyError:
                raise
            except redis.ResponseError as error:
                replies.append(error)
        return replies

    def fileno(self) -> int:
        """For poll()."""
        number: int = self._connection._sock.fileno()  # noqa: SLF001 - redis-py has no other way to poll several
        return number

    def ready(self) -> bool:
        """Whether a reply, or the end of the connection, can be read now."""
        import redis

        if not self.open:
            return True  # redis-py would connect anew, and wait for a reply that nobody asked for
        try:
            return bool(self._connection.can_read(0))
        except redis.ConnectionError:
            return True

    @property
    def open(self) -> bool:
        """Whether it is connected, as far as we know."""
        return self._connection is not None and self._connection._sock is not None  # noqa: SLF001

    def cut(self) -> None:
        """End it while another thread may read there: that finds it ended. Closed here, its number could be reused."""
        held = self._connection._sock if self._connection is not None else None  # noqa: SLF001
        if held is not None:
            with suppress(OSError):
                held.shutdown(socket.SHUT_RDWR)

    def close(self) -> None:
        """Disconnect."""
        if self._connection is not None:
            self._connection.disconnect()
