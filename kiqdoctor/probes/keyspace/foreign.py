"""Other queue systems' keys: an owner is named only by two marks of its own, live only by proof."""

import re
from collections import defaultdict
from collections.abc import Iterable, Sequence
from datetime import datetime
from functools import cache
from typing import Final

from kiqdoctor.doctor.facts.keyspace import Foreign
from kiqdoctor.doctor.facts.queues import Sample
from kiqdoctor.doctor.facts.redis import Clients
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import average_sizes, batched, granted, items, number, word
from kiqdoctor.probes.queues.payloads import sample
from kiqdoctor.records import dataclass
from kiqdoctor.regex import regex
from kiqdoctor.text import decode
from kiqdoctor.wire.numbers import real

MARKS_NEEDED: Final = 2
LOOKED_AT: Final = 50  # keys of one mark whose type is asked
SHOWN: Final = 12  # keys of one owner that are named
MOST_BEATS: Final = 5_000  # of Resque's workers, in one reading
RESQUE_LIVE_FOR: Final = 300.0  # seconds; Resque's own prune interval
DRAMATIQ_LIVE_FOR: Final = 60.0  # seconds


@dataclass(frozen=True, slots=True)
class Mark:
    """A key's name (a pattern with an optional group ``prefix``) and the Redis type that its owner gives it."""

    owner: str
    label: str
    pattern: str
    kinds: tuple[str, ...]
    waiting: bool = False  # its elements are jobs that wait


def _mark(owner: str, label: str, pattern: str, *kinds: str, waiting: bool = False) -> Mark:
    return Mark(owner, label, pattern, kinds, waiting)


@cache
def _compiled(pattern: str) -> re.Pattern[str]:
    """Sixty of them are 8 ms of a command's start, and few Redis hold a name that is like any."""
    return re.compile(pattern, re.DOTALL)


_PREFIX: Final = r"(?:(?P<prefix>.+?):)?"
# A name has the first mark that it fits: those of a fixed head stand before those of any prefix.
MARKS: Final = (
    _mark("Resque", "resque:queues", r"(?P<prefix>resque):queues", "set"),
    _mark("Resque", "resque:stat:*", r"(?P<prefix>resque):stat:(?:processed|failed)(?::.+)?", "string"),
    _mark("Resque", "workers", _PREFIX + r"workers", "set"),
    _mark("Resque", "failed", _PREFIX + r"failed", "list"),
    _mark("Resque", "workers:heartbeat", _PREFIX + r"workers:heartbeat", "hash"),
    _mark("Resque", "worker:*", _PREFIX + r"worker:[^:]+:\d+:.+", "string"),
    _mark("Resque", "delayed_queue_schedule", _PREFIX + r"delayed_queue_schedule", "zset"),
    _mark("Resque", "delayed:*", _PREFIX + r"delayed:\d+", "list", waiting=True),
    _mark("Resque", "queue:* with Resque's payloads", _PREFIX + r"queue:.+", "list", waiting=True),
    _mark("RQ", "rq:queues", r"rq:queues", "set"),
    _mark("RQ", "rq:queue:*", r"rq:queue:.+", "list", waiting=True),
    _mark("RQ", "rq:job:*", r"rq:job:.+", "hash"),
    _mark("RQ", "rq:workers", r"rq:workers(?::.+)?", "set"),
    _mark("RQ", "rq:worker:*", r"rq:worker:[^:]+", "hash"),
    _mark("RQ", "rq:failed, finished, scheduled, wip", r"rq:(?:failed|finished|scheduled|wip|deferred):.+", "zset"),
    _mark("Celery", "_kombu.binding.*", r"_kombu\.binding(?:_permanent)?\..+", "set"),
    _mark("Celery", "unacked", r"unacked", "hash"),
    _mark("Celery", "unacked_index", r"unacked_index", "zset"),
    _mark("Celery", "celery", r"celery(?:\x06\x16\d)?", "list", waiting=True),
    _mark("Celery", "celery-task-meta-*", r"celery-task-meta-.+", "string"),
    _mark("Dramatiq", "dramatiq:*", r"dramatiq:(?!__)[^:]+(?<!\.msgs)(?<!\.XQ)", "list", waiting=True),
    _mark("Dramatiq", "dramatiq:*.msgs", r"dramatiq:.+\.msgs", "hash"),
    _mark("Dramatiq", "dramatiq:*.XQ", r"dramatiq:.+\.XQ", "zset"),
    _mark("Dramatiq", "dramatiq:__heartbeats__", r"dramatiq:__heartbeats__", "zset"),
    _mark("Dramatiq", "dramatiq:__acks__", r"dramatiq:__acks__\..+", "set"),
    _mark("Huey", "huey.redis.*", r"huey\.redis\..+", "list", waiting=True),
    _mark("Huey", "huey.schedule.*", r"huey\.schedule\..+", "zset"),
    _mark("Huey", "huey.results.*", r"huey\.results\..+", "hash"),
    _mark("arq", "arq:queue", r"arq:queue", "zset", waiting=True),
    _mark("arq", "arq:job:*", r"arq:job:.+", "string"),
    _mark("arq", "arq:result, retry, in-progress", r"arq:(?:result|retry|in-progress):.+", "string"),
    _mark("arq", "arq:queue:health-check", r"arq:.+:health-check", "string"),
    _mark("SAQ", "saq:*:queued", r"saq:.+:(?:queued|active)", "list", waiting=True),
    _mark("SAQ", "saq:*:incomplete", r"saq:.+:(?:incomplete|stats)", "zset"),
    _mark("SAQ", "saq:job:*", r"saq:job:.+", "string"),
    _mark("SAQ", "saq:*:worker_info:*", r"saq:.+:worker_info:.+", "string"),
    _mark("taskiq", "taskiq", r"taskiq", "list", "stream", waiting=True),
    _mark("taskiq", "schedule:data:*", r"schedule:data:[0-9a-f]{32}", "string"),
    _mark("taskiq", "schedule:cron, schedule:time:*", r"schedule:(?:cron|time:.+)", "list"),
    _mark("streaq", "streaq:*:queues:*", r"streaq:.+:queues:[^:]+", "stream", waiting=True),
    _mark("streaq", "streaq:*:task:*", r"streaq:.+:task:.+", "string", "hash"),
    _mark("streaq", "streaq:*:health:*", r"streaq:.+:health:.+", "string"),
    _mark("BullMQ", "bull:*:meta", r"bull:[^:]+:meta", "hash"),
    _mark("BullMQ", "bull:*:id", r"bull:[^:]+:id", "string"),
    _mark("BullMQ", "bull:*:wait", r"bull:[^:]+:(?:wait|active|paused)", "list", waiting=True),
    _mark("BullMQ", "bull:*:completed", r"bull:[^:]+:(?:completed|failed|delayed|prioritized|repeat)", "zset"),
    _mark("BullMQ", "bull:*:events", r"bull:[^:]+:events", "stream"),
    _mark("BullMQ", "bull:*:<id>", r"bull:[^:]+:\d+", "hash"),
    _mark("Laravel", "queues:*", r"(?:(?P<prefix>.+-database)-)?queues:[^:]+", "list", waiting=True),
    _mark("Laravel", "queues:*:reserved", r"(?:(?P<prefix>.+-database)-)?queues:[^:]+:(?:delayed|reserved)", "zset"),
    _mark("Laravel", "queues:*:notify", r"(?:(?P<prefix>.+-database)-)?queues:[^:]+:notify", "list"),
    _mark("Laravel Horizon", "masters, supervisors", r"(?P<prefix>.+_horizon):(?:masters|supervisors)", "zset"),
    _mark("Laravel Horizon", "recent_jobs", r"(?P<prefix>.+_horizon):(?:recent|failed|pending|completed)_jobs", "zset"),
    _mark("Laravel Horizon", "measured_*", r"(?P<prefix>.+_horizon):measured_(?:jobs|queues)", "set"),
    _mark("Laravel Horizon", "master:*", r"(?P<prefix>.+_horizon):(?:master|supervisor):.+", "hash"),
)
_COUNTING: Final = {"list": "LLEN", "set": "SCARD", "zset": "ZCARD", "hash": "HLEN"}


_OWN_HEADS: Final = (
    "rq",
    "_kombu",
    "unacked",
    "celery",
    "dramatiq",
    "huey",
    "arq",
    "saq",
    "taskiq",
    "schedule",
    "streaq",
    "bull",
)
_ANYWHERE: Final = regex("worker|failed|delayed|queue|stat:|_horizon")
_BY_HEAD: Final = {head: tuple(mark for mark in MARKS if mark.pattern.startswith(head)) for head in _OWN_HEADS}
_HEADLESS: Final = tuple(mark for mark in MARKS if not any(mark in marks for marks in _BY_HEAD.values()))


def _likely(name: str) -> tuple[Mark, ...]:
    """The marks that a key of this name may be: 200,000 names meet 60 patterns, so the head decides first."""
    own = next((marks for head, marks in _BY_HEAD.items() if name.startswith(head)), ())
    return own + _HEADLESS if _ANYWHERE.search(name) else own


def owner_of(name: str) -> str:
    """The queue system whose mark a key of this name would be; "" for none. One mark proves nothing."""
    return next((mark.owner for mark in _likely(name) if _compiled(mark.pattern).fullmatch(name)), "")


@dataclass(slots=True)
class Found:
    """Keys of one owner under one prefix, by mark."""

    by_mark: dict[Mark, list[bytes]]
    samples: tuple[Sample, ...] = ()


def strangers(
    redis: Redis, names: Iterable[bytes], clients: Clients | None, now: float, database: int
) -> tuple[Foreign, ...]:
    """Every owner with two marks."""
    grouped = _grouped(names)
    found = []
    for (owner, prefix), by_mark in sorted(grouped.items()):
        proven = _proven(redis, owner, by_mark)
        if len(proven.by_mark) >= MARKS_NEEDED:
            found.append(_foreign(redis, owner, prefix, proven, clients, now, database))
    return tuple(found)


def belongings(redis: Redis, names: Iterable[bytes], owner: str, prefix: str) -> tuple[bytes, ...]:
    """Every key of an owner under one prefix that has the type that it gives it; no queue named as Sidekiq names it."""
    by_mark = _grouped(names).get((owner, prefix), {})
    shared = owner == "Resque" and not prefix  # its queues are named as Sidekiq's are
    found: list[bytes] = []
    for mark, keys in by_mark.items():
        if not (shared and mark.label.startswith("queue:")):
            kinds = batched(redis, [("TYPE", key) for key in keys])
            found += [key for key, kind in zip(keys, kinds, strict=True) if word(kind) in mark.kinds]
    return tuple(found)


def _grouped(names: Iterable[bytes]) -> dict[tuple[str, str], dict[Mark, list[bytes]]]:
    grouped: dict[tuple[str, str], dict[Mark, list[bytes]]] = defaultdict(lambda: defaultdict(list))
    for raw in names:
        name = decode(raw)
        for mark in _likely(name):
            if match := _compiled(mark.pattern).fullmatch(name):
                grouped[mark.owner, match.groupdict().get("prefix") or ""][mark].append(raw)
                break
    return grouped


def _proven(redis: Redis, owner: str, by_mark: dict[Mark, list[bytes]]) -> Found:
    """The marks whose keys have the owner's type; Resque's queues also need its payloads, for Sidekiq names them so."""
    proven: dict[Mark, list[bytes]] = {}
    samples: tuple[Sample, ...] = ()
    for mark, keys in by_mark.items():
        kinds = batched(redis, [("TYPE", key) for key in keys[:LOOKED_AT]])
        fitting = [key for key, kind in zip(keys, kinds, strict=False) if word(kind) in mark.kinds]
        if owner == "Resque" and mark.waiting:
            shaped = {key: _samples(redis, key) for key in fitting}
            fitting = [key for key, found in shaped.items() if any(one.resque_shaped for one in found)]
            samples += tuple(one for key in fitting for one in shaped[key])
        if fitting:
            proven[mark] = fitting + (keys[LOOKED_AT:] if owner != "Resque" else [])
    return Found(proven, samples)


def _samples(redis: Redis, key: bytes) -> list[Sample]:
    """The elements at both ends of a list whose elements are small."""
    [length] = redis.ask_all([("LLEN", key)])
    [average] = average_sizes(redis, [key], [number(length)])
    if average is not None and average > 64 * 1024:
        return []
    ends = redis.ask_all([("LINDEX", key, 0), ("LINDEX", key, -1)])
    return [sample(one) for one in ends if isinstance(granted(one), bytes)]


def _foreign(
    redis: Redis, owner: str, prefix: str, found: Found, clients: Clients | None, now: float, database: int
) -> Foreign:
    sized = _sized(redis, found.by_mark)
    waiting = sum(size for mark, _, _, size in sized if mark.waiting)
    shown = sorted(sized, key=lambda one: (-one[3], one[1]))[:SHOWN]
    return Foreign(
        owner=owner,
        prefix=prefix,
        marks=tuple(sorted(mark.label for mark in found.by_mark)),
        keys=tuple((decode(key), kind, size) for _, key, kind, size in shown),
        key_count=sum(map(len, found.by_mark.values())),
        waiting=waiting,
        job_classes=tuple(dict.fromkeys(one.job_class for one in found.samples if one.job_class))[:20],
        live=_live(redis, owner, prefix, found, clients, now),
        database=database,
    )


def _sized(redis: Redis, by_mark: dict[Mark, list[bytes]]) -> list[tuple[Mark, bytes, str, int]]:
    flat = [(mark, key) for mark, keys in by_mark.items() for key in keys[:LOOKED_AT]]
    kinds = [word(reply) for reply in batched(redis, [("TYPE", key) for _, key in flat])]
    counted = [(key, kind) for (_, key), kind in zip(flat, kinds, strict=True) if kind in _COUNTING]
    sizes = dict(
        zip(
            [key for key, _ in counted],
            map(number, batched(redis, [(_COUNTING[kind], key) for key, kind in counted])),
            strict=True,
        )
    )
    return [(mark, key, kind, sizes.get(key, 1)) for (mark, key), kind in zip(flat, kinds, strict=True)]


def _live(redis: Redis, owner: str, prefix: str, found: Found, clients: Clients | None, now: float) -> str:
    """What proves that the owner's workers are alive; "" where nothing does."""
    labels = {mark.label: keys for mark, keys in found.by_mark.items()}
    if owner == "Resque":
        return _resque_live(redis, f"{prefix}:" if prefix else "", now)
    if owner == "RQ" and "rq:worker:*" in labels:
        return f"{decode(labels['rq:worker:*'][0])} exists, which expires without heartbeats"
    if owner == "Dramatiq" and "dramatiq:__heartbeats__" in labels:
        return _dramatiq_live(redis, now)
    for label in ("arq:queue:health-check", "saq:*:worker_info:*", "streaq:*:health:*", "master:*"):
        if label in labels:
            return f"{decode(labels[label][0])} exists, which expires without heartbeats"
    return _client_live(owner, clients)


def _resque_live(redis: Redis, prefix: str, now: float) -> str:
    key = f"{prefix}workers:heartbeat"
    pruning, count = redis.ask_all([("TYPE", f"{prefix}pruning_dead_workers_in_progress"), ("HLEN", key)])
    if word(pruning) == "string":
        return f"{prefix}pruning_dead_workers_in_progress: a worker started in the last minute"
    beats = items(redis.ask_all([("HGETALL", key)])[0]) if 0 < number(count) <= MOST_BEATS else []
    pairs = zip(beats[::2], beats[1::2], strict=True)
    fresh = [decode(worker) for worker, beat in pairs if _age(beat, now) < RESQUE_LIVE_FOR]
    return f"{fresh[0]} beat less than {RESQUE_LIVE_FOR:.0f} s ago" if fresh else ""


def _age(beat: bytes, now: float) -> float:
    try:
        return now - datetime.fromisoformat(decode(beat)).timestamp()
    except (ValueError, OverflowError):
        return float("inf")


def _dramatiq_live(redis: Redis, now: float) -> str:
    [newest] = redis.ask_all([("ZRANGE", "dramatiq:__heartbeats__", -1, -1, "WITHSCORES")])
    if len(items(newest)) == 2:  # noqa: PLR2004 - a member and its score
        beat_ms = real(newest[1])
        if beat_ms is not None and (age := now - beat_ms / 1000) < DRAMATIQ_LIVE_FOR:
            return f"{decode(newest[0])} beat {age:.0f} s ago"
    return ""


def _client_live(owner: str, clients: Clients | None) -> str:
    everyone: Sequence[str] = ()
    if clients is not None and owner == "Celery":
        patterns = [one for one in clients.all if "P" in one.flags and one.command.startswith("psubscribe")]
        everyone = [one.address for one in patterns]
    elif clients is not None and owner == "BullMQ":
        everyone = [one.address for one in clients.all if one.name.startswith("bull:")]
    elif clients is not None and owner == "Huey":
        everyone = [one.address for one in clients.all if one.blocked and one.command == "brpop"]
    return f"the client at {everyone[0]} listens for it" if everyone else ""
