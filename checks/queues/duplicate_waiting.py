"""The same job waits many times.

## Why it hurts
A queue of a million copies of one job is a day of work for one result, and whatever else waits there waits for all of
them.

In the log: the same class with the same arguments, again and again.

## How it is found
Formula: fails if, of at least 200 sampled payloads of a queue, one class with the same arguments is at least
duplicate-share, and the lower bound of Wilson's interval is above half of that

Arguments are compared by a digest whose key is drawn anew for each run; of Active Job's wrapper, by what it wraps. Jobs
without arguments are not compared.

## When it is wrong
Jobs whose arguments are alike on purpose: pings, ticks.

## Confirm by hand
`redis-cli lrange queue:NAME 0 199`, class and args counted.

## How to fix
Make it unique where it is pushed (`unique_for`, a unique lock), and let one job do what is due.

Risk: a lock that nobody releases holds every later one back (QUE014).

Undo: take the lock off.

## Unknown when
Payloads may not be read, or fewer than 200 of a queue that holds more.

## Source
Sidekiq issue 5777: 14 million of one job.

- LEAST: payloads that say something; the catalogue's.
- SURE: share that Wilson's lower bound must exceed; the catalogue's.
"""

from collections import Counter
from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.queues import Place, Samples

SHARE = Threshold(
    name="duplicate-share",
    default=0.2,
    unit="of the queue",
    meaning="From this share on copies of one job are told.",
    source="the catalogue's",
    most=1.0,
    per=("queue",),
)
LEAST = 200
SURE = 0.5  # of the share, which the interval's lower bound must exceed
SHOWN = 3


@check("QUE018", severity=Severity.MEDIUM, thresholds=(SHARE,))
def duplicate_waiting(samples: Samples, thresholds: Thresholds) -> Iterator[Verdict]:
    for place in samples.places:
        if place.queue and place.size >= LEAST:
            yield from _judged(place, thresholds.of(SHARE, queue=place.queue))
    if samples.partial:
        yield Unknown(f"not every queue was looked at: {samples.partial}", "a budget that reaches all queues")
    long = sum(bool(place.queue) and place.size >= LEAST for place in samples.places)
    yield Evidence("queues of 200 jobs or more", str(long), samples.text)


def _judged(place: Place, limit: float) -> Iterator[Verdict]:
    looked = len(place.sample)
    if looked < LEAST:
        why = f": {place.unread}" if place.unread else ""
        yield Unknown(f"{looked} of {place.size} payloads of {place.queue} were compared{why}")
        return
    counts = Counter(one.digest for one in place.sample if one.digest)
    digest, count = counts.most_common(1)[0] if counts else ("", 0)
    share = place.share(count)
    if share.value < limit or share.low <= SURE * limit:
        yield Evidence(f"{place.queue}: most copies of one job", share.text, "class and args, by digest")
        return
    copies = [one for one in place.sample if one.digest == digest]
    evidence = (
        Evidence("copies", share.text, "class and args, by digest"),
        Evidence("jids", ", ".join(one.jid for one in copies[:SHOWN]), copies[0].job_class),
        Evidence("different jobs", str(len(counts)), f"of {looked}"),
    )
    name = copies[0].job_class
    title = f"About {share.jobs} of {place.size} jobs of {place.queue} are one and the same {name}"
    yield Finding(place.subject, title, f"Make {name} unique where it is pushed.", evidence, key=name)
