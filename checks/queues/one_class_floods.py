"""One class floods a queue, and the others in it wait.

## Why it hurts
A bulk import of one kind of job stands before everything else that shares its queue: the password mail waits behind a
hundred thousand thumbnails.

In the log: one class, line after line.

## How it is found
Formula: fails if one class is at least flood-share of both ends of a queue, over a window its arrivals are more than
three times the queue's completions, and a job of another class waits longer than waiting-s

Arrivals a second are reckoned from the stamps of the newest jobs, completions from how much less than that the queue
grew. Where the stamps tell no rate, as after a bulk push, completions are at most what all processes counted.

## When it is wrong
A burst that is over in a moment: the window decides.

## Confirm by hand
`redis-cli lrange queue:NAME 0 99`, `redis-cli lrange queue:NAME -100 -1`, `redis-cli llen queue:NAME` twice.

## How to fix
Give that class a queue of its own, with a process or a capsule of its own.

Risk: its jobs that wait already stay where they are.

Undo: the old queue's name in the class.

## Unknown when
There is only one reading; the queue may not be read; the stamps tell no rate, and what all processes counted leaves
it open; Redis' clock and ours differ, and no beat tells which is right.

## Source
An incident of gitlab.com (production 20628).

- LEAST: payloads of an end that say something; a choice.
- TIMES: arrivals for each completion; the catalogue's.
- FRESH: seconds within which the newest job came, or nothing arrives; a choice.
"""

from collections import Counter
from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.queues import JobCounts, Place, Queues, Sample, Samples
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.hosts_clock import AGREE, by_hosts, untold

SHARE = Threshold(
    name="flood-share",
    default=0.8,
    unit="of each end",
    meaning="From this share of both ends on a class may be a flood.",
    source="the catalogue's",
    most=1.0,
    per=("queue",),
)
WAITING = Threshold(
    name="waiting-s",
    default=60,
    unit="s",
    meaning="Jobs of other classes may wait so long.",
    source="as for QUE002",
    per=("queue",),
)
TIMES = 3  # arrivals for each completion
LEAST = 20
FRESH = 60.0  # seconds within which the newest job came, or nothing arrives


@check("QUE019", severity=Severity.HIGH, thresholds=(SHARE, WAITING))
def one_class_floods(
    samples: Samples,
    queues: Series[Queues],
    counts: Series[JobCounts],
    fleet: Fleet | Missing,
    clock: ServerTime,
    thresholds: Thresholds,
) -> Iterator[Verdict]:
    hosts = by_hosts(clock, fleet)
    for place in samples.places:
        if not place.queue:
            continue
        if place.unread:
            yield Unknown(f"payloads of {place.queue} were not looked at: {place.unread}")
        elif name := _flooding(place, thresholds.of(SHARE, queue=place.queue)):
            if hosts is None:
                yield Unknown(
                    f"both ends of {place.queue} are {name}, and how long others wait: {untold(clock)}", AGREE
                )
            else:
                yield from _judged(place, name, queues, counts, hosts, thresholds)
    if samples.partial:
        yield Unknown(f"not every queue was looked at: {samples.partial}", "a budget that reaches all queues")
    yield Evidence("queues", str(sum(bool(place.queue) for place in samples.places)), samples.text)


def _ends(place: Place) -> tuple[tuple[Sample, ...], tuple[Sample, ...]]:
    """What runs next, and what came last; of a short queue its halves."""
    if place.newest:
        return place.oldest, place.newest
    half = len(place.oldest) // 2
    return place.oldest[:half], place.oldest[half:][::-1]


def _flooding(place: Place, limit: float) -> str:
    """The class that has both ends; "" where none has, or they are too short to tell."""
    ends = [Counter(one.job_class for one in end) for end in _ends(place)]
    if min(end.total() for end in ends) < LEAST:
        return ""
    name, _ = ends[1].most_common(1)[0]
    return name if all(end[name] >= limit * end.total() for end in ends) else ""


def _judged(
    place: Place,
    name: str,
    queues: Series[Queues],
    counts: Series[JobCounts],
    clock: ServerTime,
    thresholds: Thresholds,
) -> Iterator[Verdict]:
    waits = [
        (clock.now - one.enqueued_at, one.job_class)
        for one in place.sample
        if one.job_class != name and one.enqueued_at is not None
    ]
    longest, waiting = max(waits, default=(0.0, ""))
    if longest <= thresholds.of(WAITING, queue=place.queue):
        yield Evidence(f"{place.queue} is mostly {name}", "and no other class waits long", place.share(0).text)
        return
    said = f"both ends of {place.queue} are {name}, and {waiting} waits there for {longest:.0f} s"
    if (lacks := queues.lacks()) is not None:
        yield Unknown(f"{said}; whether it is a flood: {lacks.reason}", lacks.unlock)
        return
    arrivals = _arrivals(place, clock.now)
    growth = queues.rate(lambda one: queue.size if (queue := one.queue(place.queue)) is not None else None)
    if growth is None:
        yield Unknown(f"{said}; how it grows was not read")
        return
    if not arrivals and growth > 0:
        done = counts.rise(lambda one: one.processed)
        if done is None or growth <= (TIMES - 1) * done / queues.window_s:
            counted = "unread" if done is None else f"{done:.0f} in all"
            yield Unknown(f"{said}; it grows by {growth:.1f} a second, and completions are {counted}", "--for 60")
            return
    arrivals = max(arrivals, growth)
    completions = max(arrivals - growth, 0.0)
    rates = f"{arrivals:.1f} and {completions:.1f} a second within {queues.window_s:.0f} s"
    if growth > 0 and arrivals > TIMES * completions:
        count = sum(one.job_class == name for one in place.sample)
        evidence = (
            Evidence(name, place.share(count).text, place.subject),
            Evidence("arrivals and completions", rates, "enqueued_at, LLEN"),
            Evidence(f"{waiting} waits for", f"{longest:.0f} s", "enqueued_at"),
        )
        title = f"{name} floods {place.queue}: {waiting} waits behind it for {longest:.0f} s"
        yield Finding(place.subject, title, f"Give {name} a queue and a process of its own.", evidence, key=name)
    else:
        yield Evidence(f"{place.queue}: arrivals and completions", rates, "enqueued_at, LLEN")


def _arrivals(place: Place, now: float) -> float:
    """Jobs a second, by the stamps of those that came last; 0 where nothing came lately, or all came at once.

    The newer half tells: a job that was given back stands there with an old stamp.
    """
    stamps = sorted(one.enqueued_at for one in _ends(place)[1] if one.enqueued_at is not None)
    half = len(stamps) // 2
    if not half or now - stamps[-1] > FRESH or stamps[-1] <= stamps[-1 - half]:
        return 0.0
    return half / (stamps[-1] - stamps[-1 - half])
