"""A healthy keyspace: one installation and nobody else's keys."""

from kiqdoctor.doctor.facts.keyspace import Databases, Installation, Keyspace, Prefix, ReservedKeys

INSTALLATION = Installation(
    prefix="",
    queues=(("default", 1),),
    waiting=1,
    processes=1,
    live=1,
    job_classes=("SendMail",),
    threads=5,
    identities=("web-1:4711:aabbccddeeff",),
    process_queues=("default",),
    processed=True,
)
PREFIX = Prefix("queue:", 1, sampled=1, lasting=1, own=True, kind="list")
FACTS = (
    Keyspace((INSTALLATION,), scanned=9, total=9, prefixes=(PREFIX,)),
    Databases(),
    ReservedKeys(found=(("queues", "set"), ("processes", "set"))),
)
