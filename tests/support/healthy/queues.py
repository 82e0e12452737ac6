"""Healthy queues: one job, just enqueued."""

from healthy.moment import NOW
from kiqdoctor.doctor.facts.queues import (
    Durations,
    JobCounts,
    JobSet,
    Marks,
    Place,
    Queue,
    Queues,
    Sample,
    Samples,
    Stamps,
)

SAMPLE = Sample(
    ("args", "class", "enqueued_at", "jid", "queue", "retry"),
    "SendMail",
    "a" * 24,
    NOW - 1,
    size_bytes=180,
    created_at=NOW - 1,
    place=0,
    stamps=Stamps.SECONDS,
    retries=25,
    digest="00ff",
    given=1,
)
QUEUE = Queue("default", 1, oldest_at=NOW - 1, sample=(SAMPLE,), average_bytes=180.0)
SETS = (JobSet("schedule", 0), JobSet("retry", 0), JobSet("dead", 0))
FACTS = (
    Queues((QUEUE,), SETS, traces=("queues", "processes")),
    Samples((Place("queue:default", 1, (SAMPLE,)),)),
    JobCounts(1200, 7),
    Marks(((NOW - 7200, "a1b2c3d"),), 30),
    Durations({"SendMail": 0.2}, {"SendMail": 50}),
)
