"""This server cannot serve the Sidekiq that uses it.

## Why it hurts
Sidekiq refuses to boot on a server that is too old for it; on a cluster its transactions fail with `CROSSSLOT` or
`MOVED`; a proxy that does not know `HELLO 3` ends every connection of Sidekiq 7 and later.

In the log: `You are connecting to Redis 6.0.16, Sidekiq requires Redis 6.2.0 or greater`, `CROSSSLOT Keys in request
don't hash to the same slot`, or `NOPROTO unsupported protocol version`.

## How it is found
Formula: fails if redis_version < what the version of Sidekiq needs (5.x 2.8, 6.x 4.0, 7.x 6.2, 8.0.0 7.2, later 7.0,
our runtime 6.2), or if it is a cluster or a Sentinel, or if HELLO 3 is refused and a Sidekiq >= 7 is there; medium
where INFO has no run_id, as behind a proxy

The versions are those of live processes and of the lock file. `redis_version` is what Valkey, Dragonfly and KeyDB
publish for compatibility, and what Sidekiq itself reads at boot.

## When it is wrong
A cluster that serves Enterprise's rate limiters alone.

## Confirm by hand
`redis-cli info server`, `redis-cli info cluster`, `redis-cli hello 3`; `redis-cli hget IDENTITY info` for the version
of a process.

## How to fix
Upgrade the server, or give jobs the address of one primary: no cluster, no proxy in between.

Risk: a new major version reads the old one's files, and not the other way round: copy them first.

Undo: the old server with the old files.

## Unknown when
INFO is refused or does not say the version; no Sidekiq is alive, no lock file names one, and the server is too old for
some of them.

## Source
lib/sidekiq/cli.rb and redis_connection.rb at the tags 5.2.10 to 8.1.7; our own runtime's boot (docs/runtime.md).
"""

from collections.abc import Iterator

from kiqdoctor.doctor import (
    Evidence,
    Finding,
    Location,
    Missing,
    NotApplicable,
    Refused,
    Severity,
    Unknown,
    Verdict,
    check,
)
from kiqdoctor.doctor.facts.config import RedisFiles
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.packages import Packages
from kiqdoctor.doctor.facts.redis import Greeting, Server
from kiqdoctor.doctor.versions import version_of

NEEDS = (((8, 0, 1), (7, 0)), ((8,), (7, 2)), ((7,), (6, 2)), ((6,), (4, 0)), ((0,), (2, 8)))
"""From which Sidekiq on it needs which Redis, the newest first."""
OURS = (6, 2)
SURE = (7, 2)  # whatever Sidekiq there is
OLDER = (6, 2)  # whatever Sidekiq there is that does not tell its version: it is older than 7.0.2
NAMES = (("valkey_version", "Valkey"), ("dragonfly_version", "Dragonfly"))
ONE_PRIMARY = "Give jobs a Redis of their own with one primary, or that primary's own address."


@check("RED008", severity=Severity.HIGH)
def server_incompatible(
    server: Server | Missing,
    fleet: Fleet | Missing,
    packages: Packages | Missing,
    greeting: Greeting | Missing,
    files: RedisFiles | Missing,
) -> Iterator[Verdict]:
    started = tuple(_started(files, packages))
    yield from started
    if not isinstance(server, Server):
        if isinstance(server, Refused):
            yield Unknown(server.reason, server.unlock)
        elif not started:
            yield NotApplicable(server.reason)
        return
    users = dict(_users(fleet, packages))
    seen = tuple(_seen(server, users))
    yield from _version(server, users, seen)
    if server.info.get("cluster_enabled") == "1" or _mode(server) == "cluster":
        title = "This Redis is a cluster: Sidekiq's transactions over several keys fail there"
        yield Finding("redis", title, ONE_PRIMARY, seen, key="cluster")
    elif _mode(server) == "sentinel":
        title = "This is a Sentinel: it watches the Redis that jobs lie in, and holds none itself"
        remedy = "Ask it for the primary (SENTINEL GET-MASTER-ADDR-BY-NAME), and examine that."
        yield Finding("redis", title, remedy, seen, key="sentinel")
    yield from _greeted(greeting, users, seen)
    if not server.run and "dragonfly_version" not in server.info:
        title = "INFO has no run_id: a proxy stands between, or something that only looks like Redis"
        yield Finding("redis", title, ONE_PRIMARY, seen, Severity.HIGH.milder, key="proxy")
    yield from seen


def _started(files: RedisFiles | Missing, packages: Packages | Missing) -> Iterator[Verdict]:
    """What the application's own files start, against what its lock file needs."""
    locked = packages.version_of("ruby", "sidekiq") if isinstance(packages, Packages) else ""
    need = _need(locked) if locked else ()
    for one in files.services if isinstance(files, RedisFiles) and need else ():
        tag = tuple(int(part) for part in one.version.split(".")) if one.version else ()
        seen = Evidence(f"{one.name} of {one.path}", one.version or "no version in its tag", f"{one.path}:{one.line}")
        if tag and tag[: len(need)] < need[: len(tag)]:
            title = f"Sidekiq {locked} needs Redis {_spelt(need)} or later, and {one.path} starts {one.version}"
            fix = f"Write an image of {_spelt(need)} or later."
            where = Location(one.path, one.line)
            yield Finding(f"file:{one.path}", title, fix, (seen,), location=where, key=f"image:{one.name}")
        else:
            yield seen


def _users(fleet: Fleet | Missing, packages: Packages | Missing) -> Iterator[tuple[str, tuple[int, ...]]]:
    """Who uses it, and the Redis that it needs; () where that is not known."""
    for one in fleet.live if isinstance(fleet, Fleet) else ():
        if one.runtime:
            yield "our runtime", OURS
        elif one.version:
            yield f"Sidekiq {one.version}", _need(one.version)
        else:
            yield "a Sidekiq before 7.0.2", ()
    if isinstance(packages, Packages) and (locked := packages.version_of("ruby", "sidekiq")):
        yield f"Sidekiq {locked}", _need(locked)


def _need(version: str) -> tuple[int, ...]:
    known = version_of(version)
    return next((need for since, need in NEEDS if known is not None and known.release >= since), ())


def _version(
    server: Server, users: dict[str, tuple[int, ...]], seen: tuple[Evidence, ...]
) -> Iterator[Finding | Unknown]:
    found = server.version
    if not found:
        yield Unknown("INFO does not say the server's version", "a server that does; Sidekiq takes it for 9.9.9 then")
        return
    told = server.info["redis_version"]
    for name, need in users.items():
        if found < need:
            title = f"{name} needs Redis {_spelt(need)} or later, and this server is {told}"
            yield Finding("redis", title, f"Upgrade the server to {_spelt(need)} or later.", seen, key="version")
            return
    if (not users and found < SURE) or (() in users.values() and found < OLDER):
        who = next((name for name, need in users.items() if not need), "no Sidekiq that is known")
        reason = f"the server is {told}, and {who} uses it: whether that is enough is not known"
        yield Unknown(reason, "a live worker, or the application's PATH with its lock file")


def _greeted(
    greeting: Greeting | Missing, users: dict[str, tuple[int, ...]], seen: tuple[Evidence, ...]
) -> Iterator[Verdict]:
    """From 7 on Sidekiq speaks RESP3, whatever else the server can."""
    modern = [name for name, need in users.items() if name.startswith("Sidekiq") and need >= OURS]
    if not modern:
        return
    if not isinstance(greeting, Greeting):
        yield Unknown(greeting.reason, getattr(greeting, "unlock", ""))
    elif greeting.refusal:
        evidence = (Evidence("HELLO 3", greeting.refusal, "HELLO"), *seen)
        title = f"HELLO 3 is refused, with which {modern[0]} begins every connection"
        yield Finding("redis", title, ONE_PRIMARY, evidence, key="hello")
    else:
        yield Evidence("HELLO 3", "answered", "HELLO")


def _mode(server: Server) -> str:
    return server.info.get("redis_mode") or server.info.get("server_mode", "")


def _spelt(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _seen(server: Server, users: dict[str, tuple[int, ...]]) -> Iterator[Evidence]:
    yield Evidence("redis_version", server.info.get("redis_version", "not told"), "INFO server")
    for field, name in NAMES:
        if field in server.info:
            yield Evidence(name, server.info[field], "INFO server")
    if mode := _mode(server):
        yield Evidence("mode", mode, "INFO server")
    for name, need in users.items():
        yield Evidence(name, f"needs {_spelt(need)}" if need else "its need is not known", "processes, lock file")
