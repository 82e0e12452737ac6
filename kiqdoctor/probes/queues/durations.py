"""How long jobs of each class took within the last hour, where Sidekiq 7 or later counts that."""

from typing import Any, Final

from kiqdoctor.doctor.facts.queues import Durations
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.probe import Lane, Read, RefusalError, probe
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import batched, items, number, refused
from kiqdoctor.text import clean, decode
from kiqdoctor.wire.keys import Keys

MINUTES: Final = 60
MOST_FIELDS: Final = 3_000  # of one minute: a thousand classes
MOST_READ: Final = 60_000  # fields in all
NAMED: Final = 200  # characters of a class


@probe(
    Read("HLEN j|<day>|<minute> of the last hour", "+hlen", "O(1) each", keys=("j|*",)),
    Read("HGETALL j|<day>|<minute>", "+hgetall", "O(classes) each, 60,000 fields in all", keys=("j|*",)),
    lane=Lane.REDIS,
)
def durations(redis: Redis, clock: ServerTime) -> Durations:
    """Means over what succeeded; the minutes' keys are those of 7 and of 8, for a fleet may write both."""
    keys = Keys(redis.namespace)
    names = [name for ago in range(MINUTES) for name in keys.metrics(clock.now - 60 * ago)]
    lengths = batched(redis, [("HLEN", name) for name in names])
    if (refusal := refused(lengths)) is not None:
        raise RefusalError(refusal.reason, refusal.unlock)
    there, fields = [], 0
    for name, length in zip(names, map(number, lengths), strict=True):
        if 0 < length <= MOST_FIELDS and fields + length <= MOST_READ:
            there.append(name)
            fields += length
    sums: dict[str, list[int]] = {}
    for flat in batched(redis, [("HGETALL", name) for name in there]):
        _add(sums, items(flat))
    good = {name: (ms, runs - failed) for name, (runs, failed, ms) in sums.items() if runs > failed}
    means = {name: ms / count / 1000 for name, (ms, count) in good.items()}
    return Durations(means, {name: one[0] for name, one in sums.items()})


def _add(sums: dict[str, list[int]], flat: list[Any]) -> None:
    """Runs, failures and milliseconds of each class, on top of what was there."""
    for field, value in zip(flat[::2], flat[1::2], strict=True):
        name, _, what = decode(field).rpartition("|")
        slot = {"p": 0, "f": 1, "ms": 2}.get(what)
        if slot is not None:
            sums.setdefault(clean(name, NAMED), [0, 0, 0])[slot] += number(value)
