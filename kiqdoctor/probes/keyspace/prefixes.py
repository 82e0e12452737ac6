"""Keys by what stands before the first id in their names: how many, how many of a sample never expire, whose."""

import re
from collections import defaultdict
from collections.abc import Iterator, Sequence
from typing import Any, Final

from kiqdoctor.doctor.facts.keyspace import Prefix
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import batched, granted, number, word
from kiqdoctor.probes.keyspace.foreign import owner_of
from kiqdoctor.regex import regex
from kiqdoctor.text import clean, decode
from kiqdoctor.wire.numbers import whole

MOST_GROUPS: Final = 40
SAMPLED: Final = 20  # keys of one group whose TTL is asked, spread over all of them
EVER: Final = -1  # PTTL's answer for a key without one
MOST_NAME: Final = 300  # characters: a longer name is told by its beginning

_ID: Final = regex(  # a word that tells one key from the next: digits, or a long word with digits in it
    r"(?<![A-Za-z0-9])(?=[A-Za-z0-9]*[0-9])(?:[0-9]+(?![A-Za-z0-9])|[A-Za-z0-9]{8,}|[A-Za-z]*[0-9]{3,}[A-Za-z0-9]*)"
)
_OWN: Final = regex(
    r"(?:.+?:)?(?:queues|processes|schedule|retry|dead|paused|super_processes|process_cleanup|dear-leader"
    r"|queue:.+|stat:.+|kiq:.+|it-.+|[jh]\|.+|b-.+|[0-9]{8}-marks|working:queue:.+|reliable-fetcher.*"
    r"|batches|profiles|deploylock-.+|periodic|cron|loop-.+"
    r"|[^:]+:[0-9]+:[0-9a-f]{12}(?::work|:workers|:super_queues|-signals)?)"
    r"|.*[\w:.#]-[0-9]{2}-[0-9]{2}:[0-9]{1,2}",  # Class-DD-HH:M, durations of Sidekiq 7: one a class and minute
    re.DOTALL,
)
_PLUG_IN: Final = regex(
    r"(?:.+?:)?(?:uniquejobs:.+|unique:.+|(?:sidekiq|SIDEKIQ)[-:_].+|cron_jobs?.*|schedules(?:_changed)?|throttled:.+"
    r"|lmtr.*|limit_fetch:.+|limit:(?:processes|heartbeat:.+)|gush\..+)",
    re.DOTALL,
)
PLUG_IN: Final = "a plug-in of Sidekiq"


def prefixes(redis: Redis, names: Sequence[bytes]) -> tuple[Prefix, ...]:
    """The largest groups of keys, with a sample of their TTLs; and streams, whatever their number."""
    grouped: dict[str, list[bytes]] = defaultdict(list)
    for raw in names:
        grouped[group(decode(raw[:MOST_NAME]))].append(raw)
    largest = sorted(grouped, key=lambda name: (-len(grouped[name]), name))[:MOST_GROUPS]
    samples = {name: _spread(grouped[name]) for name in largest}
    flat = [key for name in largest for key in samples[name]]
    answers = iter(batched(redis, [("PTTL", key) for key in flat]))
    kinds = batched(redis, [("TYPE", samples[name][0]) for name in largest])
    found = []
    for name, kind in zip(largest, map(word, kinds), strict=True):
        lives = [granted(reply) for _, reply in zip(samples[name], answers, strict=False)]
        length, pending = (
            _stream(redis, samples[name][0]) if kind == "stream" and len(grouped[name]) == 1 else (None, 0)
        )
        found.append(_prefix(name, grouped[name], lives, kind, length, pending))
    return tuple(found)


def group(name: str) -> str:
    """What stands before its first id; of a name without one, what stands before its last part."""
    if (match := _ID.search(name)) is not None and match.start() > 0:
        return name[: match.start()]
    head, colon, _ = name.rpartition(":")
    return head + colon if colon else name


def _spread(keys: list[bytes]) -> list[bytes]:
    step = max(1, len(keys) // SAMPLED)
    return keys[::step][:SAMPLED]


def _prefix(
    name: str, keys: list[bytes], lives: list[Any], kind: str, length: int | None, pending: int | None
) -> Prefix:
    told = [life for life in lives if whole(life, least=EVER) is not None]  # -2: it is gone meanwhile
    first = decode(keys[0])
    own = _OWN.fullmatch(first) is not None
    owner = "" if own else owner_of(first) or (PLUG_IN if _PLUG_IN.fullmatch(first) else "")
    return Prefix(
        name=clean(name, 100),
        keys=len(keys),
        sampled=len(told),
        lasting=sum(life == EVER for life in told),
        own=own,
        owner=owner,
        kind=kind,
        length=length,
        pending=pending,
    )


def _stream(redis: Redis, key: bytes) -> tuple[int | None, int | None]:
    """How long it is, and how much of it some group has not acknowledged; None where that is not told."""
    length, groups = redis.ask_all([("XLEN", key), ("XINFO", "GROUPS", key)])
    pending = sum(_pending(groups)) if isinstance(granted(groups), list) else None
    return (number(length) if isinstance(granted(length), int) else None), pending


def _pending(groups: list[Any]) -> Iterator[int]:
    for one in groups:
        if isinstance(one, list):
            told = dict(zip(map(word, one[::2]), one[1::2], strict=False))
            yield number(told.get("pending"))
