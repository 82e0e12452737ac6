"""Healthy queues: one job, just enqueued."""

from healthy.moment import NOW
from kiqdoctor.doctor.facts.queues import JobCounts, JobSet, Queue, Queues, Sample

SAMPLE = Sample(("args", "class", "enqueued_at", "jid", "queue", "retry"), "SendMail", "a" * 24, NOW - 1)
QUEUE = Queue("default", 1, oldest_at=NOW - 1, sample=(SAMPLE,))
FACTS = (
    Queues((QUEUE,), (JobSet("schedule", 0), JobSet("retry", 0), JobSet("dead", 0)), traces=("queues", "processes")),
    JobCounts(1200, 7),
)
