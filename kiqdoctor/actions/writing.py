"""The connection that writes, and the permission that would allow what Redis refused it."""

import threading
from collections.abc import Iterable, Sequence
from functools import cache
from importlib.resources import files
from typing import Any, ClassVar, Final
from urllib.parse import unquote

from kiqdoctor.actions.proposals import Proposal, Verb
from kiqdoctor.connection import Address, Command, ConnectError, ReadOnlyConnection
from kiqdoctor.regex import regex
from kiqdoctor.text import clean
from kiqdoctor.wire.keys import Keys

NAME: Final = "kiqdoctor-top"

_NAMED: Final = regex(r"to run the '([a-z|]+)' command")
_KEY: Final = regex(r"access (a key|one of the keys|at least one of the keys)")
_DENIED: Final = regex(r"NOPERM|ACL failure|can't run this command|can't access")
_MOVING: Final = "+eval +type +zscore +llen +lpos +zadd +lpush +rpush +sadd +zrem +lrem"
_COMMANDS: Final = {
    Verb.RETRY: _MOVING,
    Verb.ENQUEUE: _MOVING,
    Verb.KILL: f"{_MOVING} +zremrangebyscore +zremrangebyrank",
    Verb.DELETE: "+zrem +llen +lrem +zadd +rpush +sadd",
    Verb.PAUSE: "+sadd +srem",
    Verb.RESUME: "+sadd +srem",
    Verb.CLEAR: "+eval +type +llen +rename +expire +persist +lmove +srem +sadd",
    Verb.QUIET: "+multi +exec +lpush +expire",
    Verb.STOP: "+multi +exec +lpush +expire",
}
"""Of an action and its undo."""
_BARE: Final = Keys()
_EVERY_QUEUE: Final = _BARE.queue("*")
_PLACES: Final = {
    Verb.RETRY: (_EVERY_QUEUE, _BARE.queues),
    Verb.ENQUEUE: (_EVERY_QUEUE, _BARE.queues),
    Verb.KILL: (_BARE.dead,),
    Verb.PAUSE: (_BARE.paused,),
    Verb.RESUME: (_BARE.paused,),
    Verb.CLEAR: (_EVERY_QUEUE, _BARE.queues, _BARE.cleared("*", "*")),
    Verb.QUIET: (_BARE.signals("*"),),
    Verb.STOP: (_BARE.signals("*"),),
}


class WritingConnection(ReadOnlyConnection):
    """A connection for what actions send, and for nothing else."""

    allowed: ClassVar[frozenset[str]] = frozenset(
        (
            *("PING", "CLIENT|SETNAME", "CLIENT|ID", "SELECT", "EVAL", "LLEN", "ZREM", "LREM", "ZADD"),
            *("RPUSH", "LPUSH", "SADD", "SREM", "EXPIRE", "MULTI", "EXEC", "ZREMRANGEBYSCORE", "ZREMRANGEBYRANK"),
        )
    )


class Writer:
    """One connection, opened when it is needed, again after it broke; threads take turns, a request each."""

    def __init__(self, address: Address, name: str = NAME) -> None:
        self._address, self._name = address, name
        self._turn = threading.Lock()
        self._connection: WritingConnection | None = None
        self.user = unquote(WritingConnection(address).user)

    def send(self, commands: Sequence[Command]) -> list[Any]:
        """The replies; an error that the server answers comes back in its place.

        Raises:
            ConnectError: Redis is away, or went; what was under way may have arrived.
        """
        with self._turn:
            if self._connection is None:
                connection = WritingConnection(self._address, name=self._name)
                connection.open()
                self._connection = connection
            try:
                return self._connection.exchange(commands)
            except ConnectError:
                self.close()
                raise

    def close(self) -> None:
        """Leave."""
        if self._connection is not None:
            self._connection.close()
        self._connection = None


def refused(error: Exception, user: str, proposal: Proposal, keys: Keys) -> str:
    """What the server answered, in a line, with what would allow it where that was not."""
    said = " ".join(str(error).split())
    if not _DENIED.search(said):
        return f"Redis refuses: {clean(said)}"
    return f"Redis refuses: {clean(said)}; to allow it: {allowing(said, user, proposal, keys)}"


def allowing(said: str, user: str, proposal: Proposal, keys: Keys) -> str:
    """``ACL SETUSER ops +zrem ~retry``: what is missing, where the server says that; else all that the action needs.

    Queues are meant by ``~queue:*``: a name from outside would be a rule to whoever pastes this.
    """
    named = _NAMED.search(said)
    if _KEY.search(said):
        commands = ""
    elif named and named[1] != "eval":
        commands = f"+{named[1]}"
    else:
        commands = _COMMANDS[proposal.verb]
    return " ".join(
        ["ACL SETUSER", clean(user), *commands.split(), *(f"~{keys.name(one)}" for one in _touched(proposal))]
    )


def _touched(proposal: Proposal) -> Iterable[str]:
    """Patterns of the keys, without the namespace."""
    sources = [_EVERY_QUEUE if job.in_queue else job.place for job in proposal.jobs]
    back = [_BARE.queues] if _EVERY_QUEUE in sources else []
    return dict.fromkeys([*sources, *back, *_PLACES.get(proposal.verb, ())])


@cache
def script(name: str) -> str:
    """The text of ``lua/<name>.lua``."""
    return files(__package__).joinpath("lua", f"{name}.lua").read_text("utf-8")
