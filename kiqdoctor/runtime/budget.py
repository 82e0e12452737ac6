"""How many connections a worker may open, against what its Redis server allows; said once, at boot."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from kiqdoctor.text import clean

if TYPE_CHECKING:
    from redis import Redis

LIMIT_FIELDS: Final = ("maxclients", "max_clients")  # Redis from 6.2 on and Valkey; Dragonfly


@dataclass(frozen=True, slots=True)
class Room:
    """``limit`` and ``used`` connections, None where the server does not say, with ``why`` in a few words.

    ``ours``: how many of the used ones are ours already.
    """

    limit: int | None
    used: int | None
    ours: int = 1
    why: str = ""


@dataclass(frozen=True, slots=True)
class Budget:
    """The line for the log; ``short`` when the server has not so many left."""

    line: str
    short: bool


def budget(pools: Sequence[tuple[str, int]], server: Room) -> Budget:
    """What the pools may open together, of what the server has."""
    wanted = sum(size for _, size in pools)
    parts = ", ".join(f"{name} {size}" for name, size in pools)
    opens = f"opens at most {wanted} Redis connections" + (f" ({parts})" if parts else "")
    if server.limit is None:
        return Budget(f"{opens}; the server's limit is unknown: {server.why or 'it does not say'}", short=False)
    opens += f" of the server's {server.limit}"
    if server.used is None:
        return Budget(
            f"{opens}; how many are in use is unknown: {server.why or 'it does not say'}", wanted > server.limit
        )
    left = max(server.limit - server.used + server.ours, 0)
    if wanted <= left:
        return Budget(f"{opens}; {server.used} are in use", short=False)
    return Budget(f"{opens}, but only {left} are left: lower the concurrency, or raise maxclients", short=True)


def read(client: "Redis", ours: int = 1) -> Room:
    """Ask the server; whatever it refuses is told in ``why``. ``ours``: connections that we have open, this one too."""
    import redis

    try:
        found: dict[str, Any] = client.info("clients")
    except (redis.RedisError, ValueError) as error:
        return _asked(client, None, ours, _refused("INFO", error))
    used = _whole(found.get("connected_clients"))
    limit = next((number for name in LIMIT_FIELDS if (number := _whole(found.get(name))) is not None), None)
    return _asked(client, used, ours, "") if limit is None else Room(limit, used, ours)


def _asked(client: "Redis", used: int | None, ours: int, why: str) -> Room:
    """Servers before 6.2 tell their limit in their configuration alone."""
    import redis

    try:
        found: dict[Any, Any] = client.config_get("maxclients")
    except (redis.RedisError, ValueError) as error:
        return Room(None, used, ours, _refused("CONFIG GET", error))
    texts = {_text(name): _text(value) for name, value in found.items()}
    return Room(_whole(texts.get("maxclients")), used, ours, why)


def _refused(command: str, error: Exception) -> str:
    return f"{command} was refused ({clean(' '.join(str(error).split()))})"


def _text(value: Any) -> str:
    return value.decode("utf-8", "replace") if isinstance(value, bytes) else str(value)


def _whole(value: Any) -> int | None:
    text = _text(value)
    return int(text) if text.isascii() and text.isdigit() else None
