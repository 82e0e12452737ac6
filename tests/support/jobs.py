"""Payloads as facts: samples of queues and sets that differ from the healthy one by what a test names."""

from typing import Any

import msgspec
from healthy import HEALTHY
from healthy.moment import NOW
from healthy.queues import QUEUE, SAMPLE, SETS

from kiqdoctor.doctor.facts.queues import JobSet, Place, Queue, Queues, Sample, Samples
from kiqdoctor.doctor.snapshot import Snapshot


def job(number: int = 0, **fields: Any) -> Sample:
    """A healthy job with a jid of its own, and these fields."""
    return msgspec.structs.replace(SAMPLE, **{"jid": f"{number:024x}", "digest": f"{number:08x}", **fields})


def failed(number: int = 0, **fields: Any) -> Sample:
    """One that failed once, half a second after it was enqueued."""
    stamps = {"created_at": NOW - 40, "enqueued_at": NOW - 40, "failed_at": NOW - 39.5, "score": NOW + 20}
    return job(number, **{"retry_count": 0, "error_class": "RuntimeError", "message": "boom", **stamps, **fields})


def sampled(*places: Place) -> Snapshot:
    """The healthy installation with these payloads in place of its own."""
    return HEALTHY.with_(Samples(places))


def retrying(*jobs: Sample, size: int | None = None, due: tuple[int, ...] = (1,) * 10) -> Snapshot:
    """The same with these in retry, as a sample of it and of what is due soon."""
    count = len(jobs) if size is None else size
    place = Place("retry", count, others=jobs, soon=jobs, due=due)
    return sampled(place).with_(queues(sets={"retry": JobSet("retry", count, lowest_score=NOW + 20)}))


def queues(*others: Queue, sets: dict[str, JobSet] | None = None, **fields: Any) -> Queues:
    """The healthy queue, and others; the healthy sets but for these."""
    found = tuple((sets or {}).get(one.name, one) for one in SETS)
    return Queues((QUEUE, *others), found, traces=("queues", "processes"), **fields)
