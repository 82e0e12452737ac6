"""Batches whose end somebody waits for: our runtime's, and Sidekiq Pro's as far as its layout is known."""

import re
from collections.abc import Iterator, Sequence
from typing import Any, Final

from kiqdoctor.doctor.facts.beside import Batch, Batches
from kiqdoctor.doctor.probe import Lane, Read, RefusalError, probe
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import batched, number, refused, word
from kiqdoctor.probes.names import Names, shared
from kiqdoctor.regex import regex
from kiqdoctor.text import clean, decode
from kiqdoctor.wire.batch import CREATED_AT, EVENTS, OPEN, PENDING, SEALED, told
from kiqdoctor.wire.keys import BATCHES, Keys
from kiqdoctor.wire.numbers import LARGEST, real, whole
from kiqdoctor.wire.stamps import seconds

MOST_BATCHES: Final = 5_000  # of each kind
MOST_JIDS: Final = 10_000  # of one batch
MOST_IN_ALL: Final = 100_000
PRO: Final = "Sidekiq Pro"
OURS: Final = "kiqdoctor"
_PARTS: Final = "jids|failinfo|failed|died|death|notify|complete|success|cbsucc|cbcomp|cbdeath|kids|pkids|tags|pending"
_PRO: Final = regex(rf"b-(?P<bid>[\w-]{{1,40}}?)(?:-(?:{_PARTS}))?", re.ASCII)


@probe(
    Read("SCAN", "+scan", "shared with Keyspace"),
    Read("TYPE, HMGET of batches", "+type +hmget", "O(1) each, up to 10,000"),
    Read("SCARD, SMEMBERS of their jids", "+scard +smembers", "up to 10,000 of one, 100,000 in all"),
    lane=Lane.REDIS,
    deadline_s=20.0,
)
def batches(redis: Redis) -> Batches:
    """Each batch that is not done, with the jobs that are in its way."""
    keys, names = Keys(redis.namespace), shared(redis)
    ours = [one for one in names.under(keys.name(BATCHES)) if ":" not in one]
    pro = _of_pro(names, keys)
    found = [*_ours(redis, keys, ours[:MOST_BATCHES]), *_pro(redis, keys, pro[:MOST_BATCHES])]
    read, short = _with_jids(redis, found)
    parts = [names.shortfall] if names.shortfall else []
    if ours[MOST_BATCHES:] or pro[MOST_BATCHES:]:
        parts.append(f"more than {MOST_BATCHES} batches")
    if short:
        parts.append(f"the jobs of {short} batches are too many to be read")
    return Batches(tuple(read), len(ours) + len(pro), "; ".join(parts))


def _of_pro(names: Names, keys: Keys) -> list[str]:
    found = (_PRO.fullmatch(name) for name in names.under(keys.name("")) if name.startswith("b-"))
    return list(dict.fromkeys(match["bid"] for match in found if match))


Waiting = tuple[Batch, str, int]  # the set with its jids, and how many there are


def _ours(redis: Redis, keys: Keys, bids: Sequence[str]) -> Iterator[Waiting]:
    fields = (CREATED_AT, SEALED, *EVENTS, *map(told, EVENTS))
    replies = _insisted(batched(redis, [("HMGET", keys.batch(bid), *fields) for bid in bids]))
    sets = {"complete": OPEN, "success": PENDING}
    for bid, reply in zip(bids, replies, strict=True):
        if not isinstance(reply, list) or reply[0] is None:
            continue  # another thing's key, or gone by now
        created, sealed, *rest = reply
        waits = tuple(
            event for event, callback, done in zip(EVENTS, rest[:2], rest[2:], strict=True) if callback and not done
        )
        if waits:
            name = keys.batch(bid, sets[waits[-1]])
            [count] = map(number, redis.ask_all([("SCARD", name)]))
            made = seconds(real(created))
            yield Batch(clean(BATCHES + bid), OURS, made, count, waits, sealed=sealed == b"1"), name, count


def _pro(redis: Redis, keys: Keys, bids: Sequence[str]) -> Iterator[Waiting]:
    kinds = _insisted(batched(redis, [("TYPE", keys.name(f"b-{bid}")) for bid in bids]))
    hashes = [bid for bid, kind in zip(bids, kinds, strict=True) if word(kind) == "hash"]
    replies = _insisted(batched(redis, [("HMGET", keys.name(f"b-{bid}"), "created_at", "pending") for bid in hashes]))
    sizes = _insisted(batched(redis, [("SCARD", keys.name(f"b-{bid}-jids")) for bid in hashes]))
    for bid, reply, size in zip(hashes, replies, sizes, strict=True):
        created, raw = reply if isinstance(reply, list) else (None, None)
        pending = whole(raw, least=-LARGEST)
        if pending == 0 or (created is raw is None and not number(size)):
            continue  # done, or another thing's key
        odd = ""
        if created is None or pending is None:
            odd = "it has no created_at or no pending"
        elif pending > 0 and number(size) != pending:
            odd = f"it counts {pending} pending jobs and names {number(size)}"
        made = seconds(real(created))
        found = Batch(clean(f"b-{bid}"), PRO, made, pending, ("success",), odd=odd)
        yield found, keys.name(f"b-{bid}-jids"), 0 if odd else number(size)


def _with_jids(redis: Redis, found: Sequence[Waiting]) -> tuple[list[Batch], int]:
    """The same with their jobs, as far as the budget goes; and of how many they were too many."""
    left, short, wanted = MOST_IN_ALL, 0, []
    for _, name, count in found:
        fits = count <= min(MOST_JIDS, left)
        left -= count if fits else 0
        short += not fits
        wanted.append(("SMEMBERS", name) if fits and count else ("SCARD", name))
    replies = _insisted(batched(redis, wanted))
    return [_named(batch, reply) for (batch, _, _), reply in zip(found, replies, strict=True)], short


def _named(batch: Batch, reply: Any) -> Batch:
    jids = tuple(clean(decode(one)) for one in reply if len(one) <= 100) if isinstance(reply, list) else ()  # noqa: PLR2004 - a jid is short
    return Batch(
        key=batch.key,
        kind=batch.kind,
        created_at=batch.created_at,
        pending=batch.pending,
        waits_for=batch.waits_for,
        remaining=tuple(sorted(jids)),
        sealed=batch.sealed,
        odd=batch.odd,
    )


def _insisted(replies: list[Any]) -> list[Any]:
    if (refusal := refused(replies)) is not None:
        raise RefusalError(refusal.reason, refusal.unlock)
    return replies
