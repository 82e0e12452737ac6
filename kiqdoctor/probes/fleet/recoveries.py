"""What our runtime took back from dead processes."""

from typing import Any, Final

from kiqdoctor.doctor.facts.fleet import Recoveries
from kiqdoctor.doctor.probe import Lane, Read, RefusalError, probe
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import kind, number
from kiqdoctor.wire.keys import Keys
from kiqdoctor.wire.recovery import REMEMBERED, RecoveryEntry, read

BARE: Final = Keys()
ENTRY_LIMIT: Final = 4_096  # bytes of one entry that anybody honest writes


@probe(
    Read(f"TYPE, GET {BARE.recovered}", "+type +get", "O(1)"),
    Read(f"LRANGE {BARE.recoveries} 0 {REMEMBERED - 1}", "+lrange", f"O({REMEMBERED})"),
    lane=Lane.REDIS,
)
def recoveries(redis: Redis) -> Recoveries:
    """The counter, and the last of them, newest first."""
    keys = Keys(redis.namespace)
    kinds = kind(redis, keys.recovered), kind(redis, keys.recoveries)
    if not {kinds[0]} <= {"none", "string"} or not {kinds[1]} <= {"none", "list"}:
        raise RefusalError(f"{keys.recovered} or {keys.recoveries} is not ours: a {kinds[0]} and a {kinds[1]}")
    if kinds == ("none", "none"):
        return Recoveries()
    raws: Any = redis.ask("LRANGE", keys.recoveries, 0, REMEMBERED - 1)
    found = [_read(raw) for raw in raws if len(raw) <= ENTRY_LIMIT]
    return Recoveries(number(redis.ask("GET", keys.recovered)), tuple(one for one in found if one is not None))


def _read(raw: bytes) -> RecoveryEntry | None:
    try:
        return read(raw)
    except ValueError:
        return None
