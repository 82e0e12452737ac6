"""The types of the keys that Sidekiq owns."""

from typing import Final

from kiqdoctor.doctor.facts.keyspace import ReservedKeys
from kiqdoctor.doctor.probe import Lane, Read, RefusalError, probe
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import refused, word
from kiqdoctor.wire.keys import RESERVED, Keys

PAUSED: Final = Keys().paused
TYPES: Final = {**RESERVED, PAUSED: "set"}


@probe(Read(f"TYPE {', '.join(TYPES)}", "+type", "O(1) each", keys=tuple(TYPES)), lane=Lane.REDIS)
def reserved_keys(redis: Redis) -> ReservedKeys:
    """What is there under each reserved name of the examined namespace."""
    keys = Keys(redis.namespace)
    replies = redis.ask_all([("TYPE", keys.name(name)) for name in TYPES])
    if (refusal := refused(replies)) is not None:
        raise RefusalError(refusal.reason, refusal.unlock)
    kinds = dict(zip(TYPES, map(word, replies), strict=True))
    return ReservedKeys(
        prefix=redis.namespace or "",
        found=tuple((name, kind) for name, kind in kinds.items() if kind not in {"none", ""}),
        odd=tuple(
            (keys.name(name), kind, TYPES[name]) for name, kind in kinds.items() if kind not in {"none", TYPES[name]}
        ),
    )
