"""Deploys that somebody marked by Sidekiq's API, of the last month."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from kiqdoctor.doctor.facts.queues import Marks
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.probe import Lane, Read, RefusalError, probe
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import number, refused
from kiqdoctor.text import clean, decode
from kiqdoctor.wire.keys import Keys

DAYS: Final = 30  # that are looked at: jobs live for 21 days of retries
MOST: Final = 1_000  # marks of one day
LONGEST: Final = 64  # characters of a time that anybody writes


@probe(
    Read("HLEN <day>-marks of 30 days", "+hlen", "O(1) each", keys=("*-marks",)),
    Read("HGETALL <day>-marks", "+hgetall", "O(deploys of a day), up to 1,000", keys=("*-marks",)),
    lane=Lane.REDIS,
)
def marks(redis: Redis, clock: ServerTime) -> Marks:
    """All of them, the oldest first; a day with more than anybody deploys is left out."""
    keys = Keys(redis.namespace)
    today = datetime.fromtimestamp(clock.now, UTC)
    names = [keys.marks((today - timedelta(days=ago)).strftime("%Y%m%d")) for ago in reversed(range(DAYS))]
    lengths = redis.ask_all([("HLEN", name) for name in names])
    if (refusal := refused(lengths)) is not None:
        raise RefusalError(refusal.reason, refusal.unlock)
    there = [name for name, length in zip(names, lengths, strict=True) if 0 < number(length) <= MOST]
    hashes = redis.ask_all([("HGETALL", name) for name in there])
    if (refusal := refused(hashes)) is not None:
        raise RefusalError(refusal.reason, refusal.unlock)
    return Marks(tuple(sorted(one for flat in hashes for one in _read(flat))), DAYS)


def _read(flat: Any) -> Iterator[tuple[float, str]]:
    for field, label in zip(flat[::2], flat[1::2], strict=True):
        try:
            at = datetime.fromisoformat(decode(field[:LONGEST]))
        except ValueError:
            continue
        if at.tzinfo is not None:
            yield at.timestamp(), clean(decode(label[:500]))
