"""Sidekiq-format data by prefix, told from look-alikes by payloads, processes and types."""

import re
import time
from collections.abc import Iterable, Sequence
from dataclasses import field
from typing import Final

from kiqdoctor.doctor.facts.fleet import Process
from kiqdoctor.doctor.facts.keyspace import Installation, Stray
from kiqdoctor.doctor.facts.queues import Sample
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.probe import RefusalError
from kiqdoctor.doctor.snapshot import Absent, Refused
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import batched, members, number, word
from kiqdoctor.probes.fleet import private_lists
from kiqdoctor.probes.fleet.fleet import by_right_clock, records, sorted_out
from kiqdoctor.probes.queues.queues import read_queues
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex
from kiqdoctor.text import decode, undecoded
from kiqdoctor.wire.fields import JID
from kiqdoctor.wire.keys import PROCESSED, PROCESSES, QUEUE_PREFIX, QUEUES, SETS, Keys

MOST_PREFIXES: Final = 100
MOST_QUEUES: Final = 500
MOST_PROCESSES: Final = 500
MOST_MEMBERS: Final = 20_000
MOST_LISTS: Final = 20_000  # of which it is asked whether they are registered
MOST_STRAYS: Final = 50
_UUID: Final = regex(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
_PRIVATE: Final = ("|", "backup::")  # in names of lists that hold what a worker took: super_fetch's, Exq's
_OPENS: Final = {"queue", "working", "uniquejobs", "kiq"}  # the first words of their names
MARKS: Final = (QUEUES, PROCESSES, *SETS, PROCESSED)  # reserved names that tell of an installation
_NAMED: Final = regex(rf"(?:(?P<prefix>.+):)?(?P<name>{'|'.join(map(re.escape, MARKS))})", re.DOTALL)
# The first queue: counts, for a queue may itself be called shop:queue:mail.
_QUEUE: Final = regex(rf"(?:(?P<prefix>.+?):)??{QUEUE_PREFIX}(?P<name>.+)", re.DOTALL)


@dataclass
class Candidate:
    """A prefix under which something looks like Sidekiq's: the reserved names seen, and the queues' lists."""

    prefix: str
    names: set[str] = field(default_factory=set)
    lists: list[str] = field(default_factory=list)


def candidates(names: Iterable[bytes]) -> list[Candidate]:
    """Prefixes by the names of keys alone."""
    found: dict[str, Candidate] = {}
    for raw in names:
        name = decode(raw)
        if (match := _NAMED.fullmatch(name)) and not _inside_queue(match["prefix"]):
            _at(found, match["prefix"]).names.add(match["name"])
        elif (match := _QUEUE.fullmatch(name)) and not _is_private(name):
            _at(found, match["prefix"]).lists.append(match["name"])
    return [found[prefix] for prefix in sorted(found)][:MOST_PREFIXES]


def _inside_queue(prefix: str | None) -> bool:
    """A queue may be called ``x:queues``: its list's key is no mark of a namespace."""
    return prefix is not None and f"{prefix}:".startswith(QUEUE_PREFIX)


def _is_private(name: str) -> bool:
    """``working:queue:default:host:1:ab`` is no queue of a namespace ``working``, whatever stands before."""
    parts = name.split(":")
    return any(private_lists.read(":".join(parts[at:])) is not None for at in range(len(parts)) if parts[at] in _OPENS)


def _at(found: dict[str, Candidate], prefix: str | None) -> Candidate:
    return found.setdefault(prefix or "", Candidate(prefix or ""))


Clock = ServerTime | Refused | Absent


def time_of(clock: Clock) -> float:
    """Redis' time; ours where it does not tell."""
    return clock.now if isinstance(clock, ServerTime) else time.time()


def installations(redis: Redis, names: Iterable[bytes], clock: Clock, database: int) -> tuple[Installation, ...]:
    """Every prefix that holds Sidekiq's data."""
    read = (_read(redis, candidate, clock, database) for candidate in candidates(names))
    return tuple(one for one in read if one is not None)


def _read(redis: Redis, candidate: Candidate, clock: Clock, database: int) -> Installation | None:
    keys = Keys(undecoded(candidate.prefix))
    kinds = dict(zip(MARKS, map(word, batched(redis, [("TYPE", keys.name(one)) for one in MARKS])), strict=True))
    registered = _members(redis, keys.queues, MOST_QUEUES) if kinds[QUEUES] == "set" else []
    known = list(dict.fromkeys([*registered, *candidate.lists]))[:MOST_QUEUES]
    queues = read_queues(redis, keys, [name for name in known if "|" not in name])
    samples = [sample for queue in queues for sample in queue.sample]
    processes = _processes(redis, keys, clock) if kinds[PROCESSES] == "set" else []
    if not _is_sidekiq(kinds, samples, processes):
        return None
    strays, unchecked = _strays(redis, keys, candidate.lists, set(registered))
    sizes = batched(redis, [("ZCARD", keys.schedule), ("ZCARD", keys.retry), ("SCARD", keys.processes)])
    live = [one for one in processes if one.live]
    lengths = sorted(((queue.name, queue.size) for queue in queues), key=lambda one: (-one[1], one[0]))
    return Installation(
        prefix=candidate.prefix,
        database=database,
        queues=tuple(lengths),
        waiting=sum(size for _, size in lengths),
        processes=number(sizes[2]),
        live=len(live),
        scheduled=number(sizes[0]),
        retries=number(sizes[1]),
        job_classes=tuple(dict.fromkeys(one.job_class for one in samples if one.job_class))[:20],
        process_queues=tuple(dict.fromkeys(name for one in live for name in one.queues or ())),
        threads=sum(one.concurrency or 0 for one in live if not one.quiet),
        identities=tuple(one.identity for one in processes if one.exists),  # late ones are registered too
        processed=kinds[PROCESSED] == "string",
        strays=strays,
        unchecked=unchecked,
    )


def _strays(redis: Redis, keys: Keys, lists: list[str], registered: set[str]) -> tuple[tuple[Stray, ...], int]:
    """Lists of jobs that nobody registered, and of how many lists that was not asked."""
    doubtful = [name for name in lists if name not in registered and not any(one in name for one in _PRIVATE)]
    asked = doubtful[:MOST_LISTS]
    replies = batched(redis, [("SISMEMBER", keys.queues, undecoded(name)) for name in asked])
    missing = [name for name, reply in zip(asked, replies, strict=True) if not number(reply)]
    queues = read_queues(redis, keys, missing[:MOST_STRAYS])
    strays = tuple(
        Stray(queue.name, queue.size, all(_UUID.fullmatch(one.jid) for one in queue.sample), queue.oldest_at)
        for queue in queues
        if queue.size and any(one.job_class and JID in one.keys for one in queue.sample)
    )
    refused_ones = sum(not isinstance(reply, int) for reply in replies)
    return strays, len(doubtful) - len(asked) + refused_ones + max(0, len(missing) - MOST_STRAYS)


def _is_sidekiq(kinds: dict[str, str], samples: Sequence[Sample], processes: Sequence[Process]) -> bool:
    """A payload with a jid, a registered process, or the sets and counters of an idle one; never the names alone."""
    if any(JID in one.keys for one in samples) or processes:
        return True
    if any(one.resque_shaped for one in samples):
        return False
    sets = [name for name in SETS if kinds[name] == "zset"]
    return kinds[QUEUES] == "set" and (kinds[PROCESSED] == "string" or bool(sets))


def _members(redis: Redis, key: str, limit: int) -> list[str]:
    try:
        return [decode(one) for one in sorted(members(redis, key, limit)[0])]
    except RefusalError as error:
        if error.refused.unlock:
            raise  # else it is no set, or one of giants: no installation's
        return []


def _processes(redis: Redis, keys: Keys, clock: Clock) -> list[Process]:
    raw = [one.encode("utf-8", "surrogateescape") for one in _members(redis, keys.processes, MOST_MEMBERS)]
    existing, ghosts = sorted_out(redis, keys, raw)
    alive, _ = by_right_clock(records(redis, keys, existing[:MOST_PROCESSES], time_of(clock)), clock)
    return [*alive, *(Process(decode(one), exists=False) for one in ghosts)]
