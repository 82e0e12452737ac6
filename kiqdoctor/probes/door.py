"""The probes' door to Redis: each probe may send what it declared, and a refusal comes back with its key."""

import shlex
import threading
from collections.abc import Sequence
from typing import Final, NoReturn

from kiqdoctor.connection import Command, ConnectError, ReadOnlyConnection, command_name
from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.doctor.snapshot import Refused
from kiqdoctor.doctor.tools import Reply
from kiqdoctor.text import clean, decode

TOO_LARGE: Final = "size"
LONGEST_KEY: Final = 100  # characters of one that is shown
AWAY: Final = ("LOADING", "MASTERDOWN", "CLUSTERDOWN", "BUSY", "NOAUTH")
"""What a server says of itself and of no key: it answers nobody now, or not us any more."""
OF_THE_KEY: Final = ("WRONGTYPE", "NOGROUP", "NOPROTO", "ERR no such key", "ERR value", "ERR syntax")
"""What is answered to our very question: of what a key holds, or of what a version knows. Any other refusal tells
nothing of either, as those of proxies that pass on some commands.
"""
OF_ANY_TYPE: Final = frozenset(
    {"exists", "type", "ttl", "pttl", "scan", "dbsize", "time", "info", "memory|usage", "mget"}
)
"""Commands to which no key is of the wrong type."""
ELSEWHERE: Final = ("MOVED", "ASK", "TRYAGAIN", "CROSSSLOT")
"""What a node of a cluster says of keys that it does not hold."""


class Door:
    """``tools.Redis`` over one connection, for one namespace. A reply that is too large costs the connection, and only
    the probe that asked for it its fact.
    """

    def __init__(self, connection: ReadOnlyConnection, namespace: str | None, budget: int | None = None) -> None:
        self._connection = connection
        self._budget = budget  # bytes that may be received; None where it is used for long
        self._lock = threading.Lock()
        self.namespace = namespace
        self.database = connection.database
        self.client_id = connection.client_id
        self.lost = ""  # why the connection broke and at which command, once it did

    def ask(self, *command: str | bytes | float) -> Reply:
        """One command; raises ``RefusalError`` where the server refuses it."""
        [reply] = self.ask_all([command])
        if isinstance(reply, Refused):
            raise RefusalError(reply.reason, reply.unlock)
        return reply

    def ask_all(self, commands: Sequence[Command]) -> list[Reply]:
        """Many commands in one round trip; a refused one comes back as a ``Refused`` in its place."""
        if not commands:
            return []
        with self._lock:
            replies = self._replies(commands)
        return [self._judged(command, reply) for command, reply in zip(commands, replies, strict=True)]

    def _replies(self, commands: Sequence[Command]) -> list[Reply]:
        name = command_name(commands[0]).replace("|", " ")
        if self.lost:
            raise RefusalError(f"Redis went away while it was read: {self.lost}", "run it again")
        if self._budget is not None and self._connection.bill.bytes_received > self._budget:
            raise RefusalError(f"{self._budget} bytes were read already; {name} was not sent")
        try:
            replies = self._connection.exchange(commands)
        except ConnectError as error:
            if error.step != TOO_LARGE:
                self._lose(str(error), name)
            why = f"{name}: {error}; it was not read"
        else:
            self._insist(commands, replies)
            return replies
        try:
            self._connection.reopen()  # the rest of that reply would still come
        except ConnectError as error:
            self.lost = f"{error} (connecting again, after {why})"
        raise RefusalError(why)

    def _lose(self, why: str, name: str) -> NoReturn:
        self.lost = f"{why} (at {name})"
        raise RefusalError(f"Redis went away while it was read: {self.lost}", "run it again") from None

    def _insist(self, commands: Sequence[Command], replies: Sequence[Reply]) -> None:
        """One that loads its data, or whose script runs, has answered none of what it was asked: it broke off."""
        for command, reply in zip(commands, replies, strict=True):
            if isinstance(reply, Exception) and str(reply).startswith(AWAY):
                self._lose(" ".join(str(reply).split()), command_name(command).replace("|", " "))

    def _judged(self, command: Command, reply: Reply) -> Reply:
        if not isinstance(reply, Exception):
            return reply
        name = command_name(command).lower()
        text = " ".join(str(reply).split())
        return Refused(f"Redis refuses {name.upper().replace('|', ' ')}: {text}", self._unlock(command, name, text))

    def _unlock(self, command: Command, name: str, text: str) -> str:
        if "permission" in text and "keys" in text:
            return f"ACL SETUSER {self._connection.user} ~{_key(command, name)}"
        if "permission" in text:
            return f"ACL SETUSER {self._connection.user} +{name}"
        if text.startswith(ELSEWHERE):
            return "one Redis that holds every key, no node of a cluster"
        if "unknown command" in text or "unknown subcommand" in text:
            return f"a server that offers {name.upper().replace('|', ' ')} (here it is renamed or left out)"
        own = text.startswith(OF_THE_KEY) and not (name in OF_ANY_TYPE and text.startswith("WRONGTYPE"))
        return "" if own else f"a server that answers {name.upper().replace('|', ' ')}"


def _key(command: Command, name: str) -> str:
    """The key that a command names first, after its own one or two words; a name with blanks in quotes."""
    key = command[1 + name.count("|")]
    return shlex.quote(clean(decode(key) if isinstance(key, bytes) else str(key), LONGEST_KEY))


class ClosedDoor:
    """``tools.Redis`` where there is no Redis: every question is refused with the reason."""

    database = 0
    client_id = None

    def __init__(self, reason: str, unlock: str, namespace: str | None) -> None:
        self.namespace = namespace
        self._refusal = (reason, unlock)

    def ask(self, *command: str | bytes | float) -> Reply:  # noqa: ARG002 - the protocol's shape
        """Refused."""
        raise RefusalError(*self._refusal)

    def ask_all(self, commands: Sequence[Command]) -> list[Reply]:  # noqa: ARG002
        """Refused."""
        raise RefusalError(*self._refusal)
