"""Unique locks that jobs hold: those of sidekiq-unique-jobs, and our runtime's."""

from collections.abc import Iterator, Sequence
from typing import Any, Final

from kiqdoctor.doctor.facts.beside import Lock, Locks
from kiqdoctor.doctor.probe import Lane, Read, RefusalError, probe
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import PAGE, batched, granted, kind, number, refused, seconds_left
from kiqdoctor.probes.names import shared
from kiqdoctor.regex import regex
from kiqdoctor.text import clean, decode
from kiqdoctor.wire import codec
from kiqdoctor.wire.keys import LOCKS, Keys
from kiqdoctor.wire.numbers import real
from kiqdoctor.wire.stamps import seconds

MOST_LOCKS: Final = 100_000  # of each kind
HOLDERS: Final = 100  # jobs that hold one lock; more are left out
JID_BYTES: Final = 100
INFO_BYTES: Final = 2_000
DIGESTS: Final = "uniquejobs:digests"  # a sorted set, of versions 7 and later
SIX: Final = "unique:keys"  # a set, of version 6
_WALKS: Final = {"zset": ("ZSCAN", 2), "set": ("SSCAN", 1)}  # by type: its command, and words a member
UNIQUE_JOBS: Final = "sidekiq-unique-jobs"
OURS: Final = "kiqdoctor"
_TYPE: Final = regex(rb'"type": ?"([a-z_]{1,40})"')


@probe(
    Read("TYPE, ZSCAN uniquejobs:digests, SSCAN unique:keys", "+type +zscan +sscan", "O(locks), up to 100,000"),
    Read("HLEN, HGETALL, PTTL of <digest>:LOCKED", "+hlen +hgetall +pttl", "O(1) each"),
    Read("GETRANGE of <digest>:INFO, <digest>:EXISTS, kiq:unique:*", "+getrange", "O(1) each"),
    Read("SCAN", "+scan", "shared with Keyspace"),
    lane=Lane.REDIS,
    deadline_s=20.0,
)
def locks(redis: Redis) -> Locks:
    """Which job holds which lock, since when and for how long; never what it was called with."""
    keys, names = Keys(redis.namespace), shared(redis)
    digests, cut = _digests(redis, keys.name(DIGESTS), "zset")
    older, short = _digests(redis, keys.name(SIX), "set")
    ours = list(names.under(keys.name(LOCKS)))
    parts = [one for one in (cut, short) if one]
    if ours[MOST_LOCKS:]:
        parts.append(f"more than {MOST_LOCKS} locks of our runtime")
    if names.shortfall:
        parts.append(names.shortfall)
    found = [
        *_unique_jobs(redis, keys, digests),
        *_of_six(redis, keys, older),
        *_ours(redis, keys, ours[:MOST_LOCKS]),
    ]
    return Locks(tuple(found), "; ".join(parts))


def _digests(redis: Redis, key: str, wanted: str) -> tuple[list[str], str]:
    """The members of this key, where it is of that type; and why not all."""
    found: dict[str, None] = {}
    if kind(redis, key) != wanted:
        return [], ""
    walk, words = _WALKS[wanted]
    cursor: Any = 0
    while True:
        cursor, flat = redis.ask(walk, key, cursor, "COUNT", PAGE)
        found.update(dict.fromkeys(map(decode, flat[::words])))
        if len(found) > MOST_LOCKS:
            return list(found)[:MOST_LOCKS], f"more than {MOST_LOCKS} members of {key}"
        if cursor in {b"0", 0}:
            return list(found), ""


def _unique_jobs(redis: Redis, keys: Keys, digests: Sequence[str]) -> Iterator[Lock]:
    names = [f"{digest}:LOCKED" for digest in digests]
    sizes = _insisted(batched(redis, [("HLEN", keys.name(name)) for name in names]))
    held = [name for name, size in zip(names, sizes, strict=True) if 0 < number(size) <= HOLDERS]
    replies = _insisted(batched(redis, [("HGETALL", keys.name(name)) for name in held]))
    lives = batched(redis, [("PTTL", keys.name(name)) for name in held])
    types = _told_types(redis, keys, held)
    for name, fields, life in zip(held, replies, lives, strict=True):
        flat = fields if isinstance(fields, list) else []
        for jid, said in zip(flat[::2], flat[1::2], strict=True):
            since, told = _said(said)
            yield Lock(
                key=clean(name),
                kind=UNIQUE_JOBS,
                jid=clean(decode(jid)),
                type=told or types.get(name, ""),
                since=since,
                ttl_s=seconds_left(life),
            )


def _said(raw: bytes) -> tuple[float | None, str]:
    """Since when, and the lock's type: versions 7 and 8 write the time alone, 9 an object."""
    if raw[:1] != b"{":
        return seconds(real(raw)), ""
    told = _TYPE.search(raw)
    try:
        found = codec.decode(raw)
    except codec.NotJsonError:
        found = {}
    return seconds(found.get("time")) if isinstance(found, dict) else None, told[1].decode() if told else ""


def _told_types(redis: Redis, keys: Keys, names: Sequence[str]) -> dict[str, str]:
    """What version 8 says beside a lock, where its information is kept."""
    infos = [f"{name.removesuffix('LOCKED')}INFO" for name in names]
    replies = batched(redis, [("GETRANGE", keys.name(info), 0, INFO_BYTES) for info in infos])
    told = (_TYPE.search(reply) if isinstance(granted(reply), bytes) else None for reply in replies)
    return {name: match[1].decode() for name, match in zip(names, told, strict=True) if match}


def _of_six(redis: Redis, keys: Keys, digests: Sequence[str]) -> Iterator[Lock]:
    """Version 6 keeps the jid alone; one that is meant to outlive its job (until_expired) is not in its set."""
    names = [f"{digest}:EXISTS" for digest in digests]
    for name, jid, ttl in _strings(redis, [(name, keys.name(name)) for name in names]):
        yield Lock(clean(name), UNIQUE_JOBS, jid, ttl_s=ttl)


def _ours(redis: Redis, keys: Keys, fingerprints: Sequence[str]) -> Iterator[Lock]:
    for name, jid, ttl in _strings(redis, [(LOCKS + one, keys.unique(one)) for one in fingerprints]):
        yield Lock(clean(name), OURS, jid, "until_done", ttl_s=ttl)


def _strings(redis: Redis, keyed: Sequence[tuple[str, str]]) -> Iterator[tuple[str, str, int | None]]:
    """Of each key that holds a jid: its bare name, that, and in how many seconds it ends by itself."""
    holders = _insisted(batched(redis, [("GETRANGE", key, 0, JID_BYTES) for _, key in keyed]))
    lives = batched(redis, [("PTTL", key) for _, key in keyed])
    for (name, _), jid, life in zip(keyed, holders, lives, strict=True):
        if isinstance(jid, bytes) and jid:
            yield name, clean(decode(jid)), seconds_left(life)


def _insisted(replies: list[Any]) -> list[Any]:
    if (refusal := refused(replies)) is not None:
        raise RefusalError(refusal.reason, refusal.unlock)
    return replies
