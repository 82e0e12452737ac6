"""A healthy fleet: one process."""

from healthy.moment import NOW
from kiqdoctor.doctor.facts.fleet import Fleet, Leader, LongJobs, PrivateLists, Process, Recoveries

WORKER = Process(
    identity="web-1:4711:aabbccddeeff",
    hostname="web-1",
    pid=4711,
    version="7.3.9",
    started_at=NOW - 3600,
    beat=NOW - 3,
    busy=0,
    concurrency=5,
    queues=("default",),
    ttl_s=57,
    beat_age_s=3.0,
    reliable=True,
)
FACTS = (Fleet((WORKER,), 1), Recoveries(), LongJobs(), PrivateLists(), Leader(WORKER.identity, 18))
