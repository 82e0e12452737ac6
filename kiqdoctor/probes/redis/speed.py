"""How fast the server answers, and what it was slow at."""

import socket
import time
from collections.abc import Callable
from functools import partial
from typing import Any, Final

from kiqdoctor.doctor.facts.redis import Greeting, Pings, SlowCommand, SlowCommands
from kiqdoctor.doctor.probe import Lane, Read, RefusalError, probe
from kiqdoctor.doctor.snapshot import Refused
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import refused, word
from kiqdoctor.text import clean
from kiqdoctor.wire.numbers import whole

PINGS: Final = 20
LONGEST: Final = 2.0  # seconds of pinging: over a slow line fewer are sent
ENOUGH: Final = 5
ENTRIES: Final = 128
FOR_NOW: Final = ("OOM", "MISCONF", "READONLY", "NOREPLICAS", "TRYAGAIN", "MOVED", "ASK", "WRONGTYPE")
"""How refusals begin that are of the server's state and not of what it speaks."""
KEYLESS: Final = frozenset({"AUTH", "HELLO", "EVAL", "EVALSHA", "ACL", "CONFIG", "MIGRATE", "SCRIPT"})
"""Commands whose first word is no key: a secret, a script, or another command's name."""


@probe(Read("PING", "+ping", f"O(1), {PINGS} times one after the other, {LONGEST:g} s at most"), lane=Lane.REDIS)
def pings(redis: Redis) -> Pings:
    """Each round trip, and beside it the same system calls without a server: threads of ours may hold us up."""
    if (refusal := refused(redis.ask_all([("PING",)]))) is not None:
        raise RefusalError(refusal.reason, refusal.unlock)
    one, other = socket.socketpair()
    with one, other:
        trips: list[float] = []
        own: list[float] = []
        ends = time.monotonic() + LONGEST
        while len(trips) < PINGS and (len(trips) < ENOUGH or time.monotonic() < ends):
            trips.append(_took(partial(redis.ask_all, [("PING",)])))
            own.append(_took(partial(_through, one, other)))
    return Pings(tuple(trips), tuple(own))


def _through(one: socket.socket, other: socket.socket) -> None:
    one.sendall(b"+")
    other.recv(1)


def _took(ask: Callable[[], object]) -> float:
    began = time.perf_counter()
    ask()
    return round((time.perf_counter() - began) * 1000, 3)


@probe(Read(f"SLOWLOG GET {ENTRIES}", "+slowlog|get", f"O({ENTRIES})"), lane=Lane.REDIS)
def slow_commands(redis: Redis) -> SlowCommands:
    """The newest slow commands, without the values that they carried."""
    entries = redis.ask("SLOWLOG", "GET", ENTRIES)
    if not isinstance(entries, list):
        raise RefusalError("SLOWLOG was answered in a shape that is not Redis'")
    return SlowCommands(tuple(call for entry in entries if (call := _call(entry)) is not None))


def _call(entry: Any) -> SlowCommand | None:
    if not isinstance(entry, list) or len(entry) < 4 or not isinstance(entry[3], list):  # noqa: PLR2004 - Redis 3's
        return None
    at, took = whole(entry[1]), whole(entry[2])
    words = [word(one) for one in entry[3]]
    if at is None or took is None or not words:
        return None
    named = [word(one) for one in entry[4:6]]
    return SlowCommand(_shown(words), float(at), took, clean(" ".join(filter(None, named))))


def _shown(words: list[str]) -> str:
    """The command, its key and its numbers: other words may be anybody's data."""
    name = clean(words[0].upper(), 40)
    key = [] if name in KEYLESS else [clean(one, 100) for one in words[1:2]]
    numbers = [one for one in words[2:6] if whole(one, least=-(2**63)) is not None]
    return " ".join([name, *key, *numbers])


@probe(
    Read("HELLO 3, HELLO 2", "", "O(1), and back: what is read after it is read as before"),
    lane=Lane.REDIS,
)
def greeting(redis: Redis) -> Greeting:
    """Whether the server speaks RESP3."""
    reply, _ = redis.ask_all([("HELLO", 3), ("HELLO", 2)])
    if isinstance(reply, Refused) and reply.reason.partition(": ")[2].startswith(FOR_NOW):
        raise RefusalError(reply.reason, reply.unlock)
    return Greeting(reply.reason if isinstance(reply, Refused) else "")
