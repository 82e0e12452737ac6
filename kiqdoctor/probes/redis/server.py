"""The Redis server's own words: INFO, the client limit, the client list, its clock."""

import time
from collections.abc import Sequence

from kiqdoctor.doctor.facts.redis import Client, ClientLimit, Clients, Server, ServerTime
from kiqdoctor.doctor.probe import AbsenceError, Lane, Read, RefusalError, probe
from kiqdoctor.doctor.snapshot import Absent, Missing, Refused
from kiqdoctor.doctor.tools import Redis, Settings
from kiqdoctor.text import decode
from kiqdoctor.wire.numbers import whole
from kiqdoctor.wire.stamps import plain

MOST_CLIENTS = 5_000  # CLIENT LIST is built while Redis waits
MOST_LINES = 20_000  # of a list whose length INFO did not tell, or told wrongly
COUNTED = ("cmdstat_info", "cmdstat_flushall", "cmdstat_flushdb", "cmdstat_config|resetstat")
LIMIT_FIELDS = ("maxclients", "max_clients")  # Redis from 6.2 on and Valkey; Dragonfly


@probe(Read("INFO, INFO commandstats", "+info", "O(1), about 15 KB"), lane=Lane.REDIS)
def server(redis: Redis) -> Server:
    """INFO's default sections, and how often what destroys was called; a field that the server leaves out is absent."""
    told, counted = redis.ask_all([("INFO",), ("INFO", "commandstats")])
    if isinstance(told, Refused):
        raise RefusalError(told.reason, told.unlock)
    found = read_info(decode(_bytes(told)))
    counts = read_info(decode(_bytes(counted))).info
    return Server(found.info | {name: counts[name] for name in COUNTED if name in counts})


def read_info(text: str) -> Server:
    """INFO's text as a fact."""
    lines = (line.partition(":") for line in text.splitlines() if line and not line.startswith("#"))
    return Server({name: value for name, separator, value in lines if separator})


@probe(
    Read("INFO", "+info", "shared with Server"),
    Read("CONFIG GET maxclients", "+config|get", "O(1), only where INFO has no maxclients", fallback=True),
    lane=Lane.REDIS,
)
def client_limit(settings: Settings, redis: Redis | Absent, server: Server | Missing) -> ClientLimit:
    """The smallest of what the plan allows (--redis-limit) and what the server accepts."""
    found = []
    if settings.redis_limit is not None:
        found.append(ClientLimit(settings.redis_limit, "--redis-limit"))
    told = redis if isinstance(redis, Absent) else _told(redis, server)
    if isinstance(told, ClientLimit):
        found.append(told)
    if not found:
        if isinstance(told, Absent):
            raise AbsenceError(told.reason)
        reason = told.reason if isinstance(told, Refused) else "the server does not say its client limit"
        raise RefusalError(reason, "--redis-limit N, or +info (Redis 6.2 and later), or +config|get")
    return min(found, key=lambda one: one.limit)


def _told(redis: Redis, server: Server | Missing) -> ClientLimit | Refused:
    if isinstance(server, Server):
        for name in LIMIT_FIELDS:
            if (number := server.number(name)) is not None and number > 0:
                return ClientLimit(number, "INFO clients")
    [reply] = redis.ask_all([("CONFIG", "GET", "maxclients")])
    if isinstance(reply, Refused):
        return reply
    text = decode(reply[1]) if isinstance(reply, list) and len(reply) > 1 and isinstance(reply[1], bytes) else ""
    if limit := whole(text):
        return ClientLimit(limit, "CONFIG GET maxclients")
    return Refused("the server does not say its client limit")


@probe(Read("CLIENT LIST", "+client|list", "O(clients), not asked above 5,000 clients"), lane=Lane.REDIS)
def clients(redis: Redis, server: Server | Refused | Absent) -> Clients:
    """Every connection but ours."""
    connected = server.number("connected_clients") if isinstance(server, Server) else None
    if connected is not None and connected > MOST_CLIENTS:
        raise RefusalError(f"{connected} clients are connected; their list is not asked for above {MOST_CLIENTS}")
    text = decode(_bytes(redis.ask("CLIENT", "LIST")))
    if (lines := text.count("\n")) > MOST_LINES:
        raise RefusalError(f"the list of clients has {lines} lines; it is not read above {MOST_LINES}")
    found = [_client(line) for line in text.splitlines() if line.startswith("id=")]
    own = redis.client_id if redis.client_id is not None else _asking(found)
    return Clients(tuple(client for client in found if client.id != own))


def _asking(found: Sequence[Client]) -> int | None:
    """Who asks for this list, where CLIENT ID is refused: the newest of those whose command it is right now."""
    return max((one.id for one in found if one.command in {"client|list", "client"} and not one.idle_s), default=None)


def _client(line: str) -> Client:
    words = dict(part.split("=", 1) for part in line.split(" ") if "=" in part)
    return Client(
        id=_number(words.get("id")),
        address=words.get("addr", ""),
        name=words.get("name", ""),
        age_s=_number(words.get("age")),
        idle_s=_number(words.get("idle")),
        flags=words.get("flags", ""),
        database=_number(words.get("db")),
        command=words.get("cmd", ""),
        user=words.get("user", ""),
        library=words.get("lib-name", ""),
        server=words.get("laddr", ""),
        argument_bytes=_number(words.get("argv-mem")),
    )


@probe(Read("TIME", "+time", "O(1)"), lane=Lane.REDIS)
def server_time(redis: Redis) -> ServerTime:
    """Redis' clock against ours at the middle of the round trip."""
    before = time.time()
    began = time.monotonic()
    reply = redis.ask("TIME")
    took = time.monotonic() - began
    if (now := clock_of(reply)) is None:
        raise RefusalError("TIME was answered in a shape that is not Redis'")
    return ServerTime(now, before + took / 2, took)


def clock_of(reply: object) -> float | None:
    """Epoch seconds of a reply to TIME; None where it is none."""
    if not isinstance(reply, list) or len(reply) != 2:  # noqa: PLR2004 - seconds and microseconds
        return None
    seconds, micros = plain(reply[0]), whole(reply[1], most=999_999)
    return None if seconds is None or micros is None else seconds + micros / 1_000_000


def _bytes(reply: object) -> bytes:
    return reply if isinstance(reply, bytes) else b""


def _number(text: str | None) -> int:
    return whole(text) or 0
