"""The memory of the Redis server: which keys hold most of it, and how much the server's host lets it have."""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from kiqdoctor.doctor.facts.host import LocalProcesses
from kiqdoctor.doctor.facts.queues import Queues
from kiqdoctor.doctor.facts.redis import KeySize, LargestKeys, MemoryCeiling, Server
from kiqdoctor.doctor.probe import AbsenceError, Lane, Read, RefusalError, probe
from kiqdoctor.doctor.tools import Host, Redis
from kiqdoctor.probes.asking import number, refused
from kiqdoctor.probes.host.files import read
from kiqdoctor.text import undecoded
from kiqdoctor.wire.keys import QUEUE_PREFIX, SETS, Keys
from kiqdoctor.wire.numbers import whole

MOST_KEYS: Final = 20
SAMPLES: Final = 5  # members that Redis weighs of each key
SERVERS: Final = frozenset({"redis-server", "valkey-server", "keydb-server", "dragonfly"})
SAME_START: Final = 10.0  # seconds: INFO counts whole ones, and was read a little earlier than /proc
LIMITS: Final = ("memory.max", "memory.limit_in_bytes")  # of cgroup v2 and v1

KEYS: Final = (f"{QUEUE_PREFIX}*", *SETS)


@probe(Read("MEMORY USAGE of 20 keys", "+memory|usage", "O(5 samples) each", keys=KEYS), lane=Lane.REDIS)
def largest_keys(redis: Redis, queues: Queues) -> LargestKeys:
    """The sets and the longest queues of the examined namespace, by the bytes that Redis says they take."""
    keys = Keys(redis.namespace)
    counts = {keys.name(one.name): one.size for one in queues.sets}
    counts |= {keys.queue(one.name): one.size for one in queues.all}
    asked = sorted((name for name, count in counts.items() if count), key=lambda name: -counts[name])[:MOST_KEYS]
    replies = redis.ask_all([("MEMORY", "USAGE", undecoded(name), "SAMPLES", SAMPLES) for name in asked])
    if (refusal := refused(replies)) is not None:
        raise RefusalError(refusal.reason, refusal.unlock)
    found = [KeySize(name, number(reply), counts[name]) for name, reply in zip(asked, replies, strict=True)]
    return LargestKeys(tuple(sorted(found, key=lambda one: -one.size_bytes)))


@probe(
    Read("/proc/*/comm, of the server status, cgroup, and /proc/meminfo", "", "one small read a process"),
    Read("memory.max of the server's cgroup and of those above it", "", "one small read each"),
    lane=Lane.HOST,
)
def memory_ceiling(host: Host, server: Server, local: LocalProcesses) -> MemoryCeiling:
    """The smallest limit that stands over the server's process, where it is one of this host."""
    found = [folder for pid, at in local.start_times.items() if _is(server, folder := host.proc / str(pid), at)]
    if not found and local.partial:
        raise RefusalError(local.partial, "root, or a /proc mounted without hidepid")
    if not found:
        raise AbsenceError("the server is no process that can be seen on this host")
    if len(found) > 1:
        raise RefusalError(f"{len(found)} processes of this host may be the server")
    total = whole(next(iter(_words(host.proc / "meminfo", "MemTotal:")), ""))
    if total is None:
        raise RefusalError(f"{host.proc}/meminfo cannot be read", "a Linux host with /proc mounted")
    limits = {"MemTotal": 1024 * total, **_cgroups(host.proc, found[0])}
    source = min(limits, key=lambda name: limits[name])
    return MemoryCeiling(limits[source], source)


def _is(server: Server, process: Path, started_at: float) -> bool:
    """Whether it has the server's pid, which is that within its container perhaps, and its start."""
    own, uptime = server.info.get("process_id"), server.number("uptime_in_seconds")
    named = bool(set(_lines(process / "comm")) & SERVERS)
    same_start = uptime is not None and abs(time.time() - started_at - uptime) < SAME_START
    return named and same_start and _words(process / "status", "NSpid:")[-1:] == [own]


def _cgroups(proc: Path, process: Path) -> dict[str, int]:
    """The limits that stand over a process. A cgroup without one says `max`, or more than any host has."""
    mounts = dict(_mounts(proc))
    limits: dict[str, int] = {}
    for line in _lines(process / "cgroup"):
        _, _, rest = line.partition(":")
        controllers, _, path = rest.partition(":")
        kind = "memory" if "memory" in controllers.split(",") else controllers
        if kind in {"memory", ""} and (path != "/" or kind in mounts):
            limits |= _limits(path, *mounts.get(kind, ("", Path())))
    return limits


def _mounts(proc: Path) -> Iterator[tuple[str, tuple[str, Path]]]:
    """Where this process sees cgroups that limit memory: v1's controller or v2 (""), which of them is at the mount."""
    for line in _lines(proc / "self/mountinfo"):
        place, _, about = (part.split() for part in line.partition(" - "))
        if len(place) > 4 and about and about[0] in {"cgroup", "cgroup2"}:  # noqa: PLR2004 - root and mount point
            kind = "" if about[0] == "cgroup2" else "memory"
            if not kind or kind in about[-1].split(","):
                yield kind, (place[3], Path(place[4]))


def _limits(path: str, root: str, mount: Path) -> dict[str, int]:
    """Those of a cgroup and of all above it, as far up as the mount goes."""
    if not root or not Path(path).is_relative_to(root):
        raise RefusalError(
            f"the limits of the server's cgroup {path} cannot be seen from here", "the doctor on its host"
        )
    folder = mount / Path(path).relative_to(root)
    files = [one / name for one in (folder, *folder.parents) if one.is_relative_to(mount) for name in LIMITS]
    return {str(file): limit for file in files if (limit := whole((read(file) or b"").strip())) is not None}


def _lines(file: Path) -> list[str]:
    return (read(file) or b"").decode(errors="replace").splitlines()


def _words(file: Path, label: str) -> list[str]:
    """What follows a label in a file of lines."""
    return next((line.split()[1:] for line in _lines(file) if line.startswith(label)), [])
