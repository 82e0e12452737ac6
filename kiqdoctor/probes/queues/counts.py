"""How many jobs there ever were."""

from kiqdoctor.doctor.facts.queues import JobCounts
from kiqdoctor.doctor.probe import Lane, Read, RefusalError, probe
from kiqdoctor.doctor.tools import Redis
from kiqdoctor.probes.asking import refused
from kiqdoctor.wire.keys import FAILED, PROCESSED, Keys
from kiqdoctor.wire.numbers import whole


@probe(Read(f"GET {PROCESSED}, {FAILED}", "+get", "O(1)", keys=(PROCESSED, FAILED)), lane=Lane.REDIS)
def job_counts(redis: Redis) -> JobCounts:
    """Sidekiq's counters of the examined namespace; one that is not there, or no number, is None."""
    keys = Keys(redis.namespace)
    replies = redis.ask_all([("GET", keys.name(name)) for name in (PROCESSED, FAILED)])
    if (refusal := refused(replies)) is not None:
        raise RefusalError(refusal.reason, refusal.unlock)
    processed, failed = map(whole, replies)
    return JobCounts(processed, failed)
