"""Whom Sidekiq Enterprise elected to be the leader."""

from kiqdoctor.doctor.facts.fleet import Leader
from kiqdoctor.doctor.probe import Lane, Read, RefusalError, probe
from kiqdoctor.doctor.snapshot import Refused
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import word
from kiqdoctor.text import decode
from kiqdoctor.wire.keys import Keys

LONGEST = 1_000  # bytes of an identity


@probe(Read("TYPE, GETRANGE, PTTL dear-leader", "+type +getrange +pttl", "O(1)"), lane=Lane.REDIS)
def leader(redis: Redis) -> Leader:
    """The identity under ``dear-leader``, and how long it stays there."""
    key = Keys(redis.namespace).leader
    replies = redis.ask_all([("TYPE", key), ("PTTL", key)])
    if refusal := next((one for one in replies if isinstance(one, Refused)), None):
        raise RefusalError(refusal.reason, refusal.unlock)
    kind, life = replies
    if word(kind) not in {"none", "string"}:
        raise RefusalError(f"{key} holds a {word(kind)}, not the name of a leader")
    name = redis.ask("GETRANGE", key, 0, LONGEST)
    return Leader(decode(name), life // 1000 if isinstance(life, int) and life >= 0 else None)
