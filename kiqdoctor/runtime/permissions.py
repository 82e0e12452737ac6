"""What the user of our connection may do, found out by trying each command on nothing."""

import secrets
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kiqdoctor.wire.keys import Keys

OF_KEYS: Final = "permissions to access"  # in the refusal of a key; that of a command says "permissions to run"

Command = tuple[str | int | float, ...]

DIGEST: Final = "e0e1f9fabfc9d4800c877a703b823ac0578ff8db"  # of a script that does nothing: return 1

TRIED: Final[tuple[Command, ...]] = (
    ("GET", "K"), ("DEL", "K"), ("EXISTS", "K"), ("EXPIRE", "K", 1), ("PERSIST", "K"),
    ("LLEN", "K"), ("LPOS", "K", "x"), ("LRANGE", "K", 0, -1), ("LREM", "K", 1, "x"),
    ("LMOVE", "K", "K", "LEFT", "LEFT"),
    ("LPUSH", "K", "x"), ("DEL", "K"), ("RPUSH", "K", "x"), ("DEL", "K"), ("SET", "K", "x", "EX", 1), ("DEL", "K"),
    ("HSET", "K", "x", "x"), ("HGET", "K", "x"), ("HEXISTS", "K", "x"), ("HGETALL", "K"), ("HDEL", "K", "x"),
    ("SADD", "K", "x"), ("SREM", "K", "x"), ("ZADD", "K", 1, "x"), ("ZREM", "K", "x"),
    ("ZREMRANGEBYSCORE", "K", 0, 1), ("ZREMRANGEBYRANK", "K", 0, -1), ("TIME",), ("INFO", "server"),
    ("EXPIRE", "K", 1), ("SCRIPT", "LOAD", "return 1"), ("EVALSHA", DIGEST, 1, "K"),
)  # fmt: skip
"""Without one of these a job is lost, stays where it is, or runs again and again. ``K`` stands for a key of ours."""

ALSO: Final[tuple[Command, ...]] = (
    ("UNLINK", "K"), ("PEXPIRE", "K", 1), ("INCRBY", "K", 1), ("DEL", "K"), ("RPOP", "K"), ("LTRIM", "K", 0, 1),
    ("BLMOVE", "K", "K", "LEFT", "LEFT", 0.01), ("HMGET", "K", "x"), ("HINCRBY", "K", "x", 1), ("DEL", "K"),
    ("SCARD", "K"), ("SMEMBERS", "K"), ("ZCARD", "K"), ("ZSCORE", "K", "x"), ("ZRANGE", "K", 0, 1),
    ("ZRANGEBYSCORE", "K", 0, 1), ("CLIENT", "ID"), ("CLIENT", "UNBLOCK", 0),
)  # fmt: skip
"""Without one of these a feature, the process list or a quick stop is missing."""


@dataclass(frozen=True, slots=True)
class Lacking:
    """Permissions as ACL rules spell them: those that no worker can do without, and others."""

    needed: tuple[str, ...] = ()
    other: tuple[str, ...] = ()


def missing(client: Any, keys: Keys, queues: Sequence[str], identity: str) -> Lacking:
    """In a few round trips. The commands on keys of the wire find nothing there, and change nothing."""
    trial = keys.name(f"kiq:trial-{secrets.token_hex(8)}")
    needed = [f"~{keys.name('kiq:*')}"] if _closed(client, [("EXISTS", trial)]) else []
    needed += _refused(client, [_on(trial, one) for one in TRIED])
    needed += _refused(client, [("MULTI",), ("EXEC",)])
    needed += [f"~{key}" for key in _closed(client, _wire(keys, queues, identity))]
    other = [one for one in _refused(client, [_on(trial, one) for one in ALSO]) if one not in needed]
    if "+exec" in needed:
        client.connection_pool.disconnect()  # one of its connections is within a transaction that has no end
    return Lacking(tuple(dict.fromkeys(needed)), tuple(dict.fromkeys(other)))


def _on(key: str, command: Command) -> Command:
    return tuple(key if word == "K" else word for word in command)


def _refused(client: Any, commands: Sequence[Command]) -> list[str]:
    return [
        _spelt(command) for command, reply in _sent(client, commands) if _denied(reply) and OF_KEYS not in str(reply)
    ]


def _closed(client: Any, commands: Sequence[Command]) -> list[str]:
    """Keys that the user may not touch, of commands that were allowed on ours."""
    return [str(command[1]) for command, reply in _sent(client, commands) if _denied(reply) and OF_KEYS in str(reply)]


def _sent(client: Any, commands: Sequence[Command]) -> Iterator[tuple[Command, Any]]:
    with client.pipeline(transaction=False) as pipe:
        for command in commands:
            pipe.execute_command(*command)
        yield from zip(commands, pipe.execute(raise_on_error=False), strict=True)


def _denied(reply: Any) -> bool:
    import redis

    return isinstance(reply, redis.exceptions.NoPermissionError) or "NOPERM" in str(reply)[:100]


def _wire(keys: Keys, queues: Sequence[str], identity: str) -> list[Command]:
    nobody = secrets.token_hex(12)
    lists = [keys.queue(name) for name in queues]
    sets = [keys.queues, keys.processes]
    return [
        *(("LREM", key, 1, nobody) for key in lists),
        *(("SREM", key, nobody) for key in sets),
        *(("ZREM", key, nobody) for key in (keys.schedule, keys.retry, keys.dead)),
        ("HDEL", keys.process(identity), nobody),
        ("HDEL", keys.iteration(nobody), nobody),
    ]


def _spelt(command: Command) -> str:
    name = str(command[0]).lower()
    return f"+{name}|{str(command[1]).lower()}" if name in {"client", "script"} else f"+{name}"
