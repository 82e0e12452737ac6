"""Jobs go round and round at a limit.

## Why it hurts
A limiter that lets ten jobs run and sends a thousand others back makes every thread fetch and return jobs: the queue
looks busy, nothing ends, and the others in it wait.

In the log: `start` of the same jid again and again, with an OverLimit or none at all.

## How it is found
Formula: fails if a sampled payload was sent back at least turns times (`overrated`), or if over a window at least three
jobs from a queue's front are found behind those that stood behind them, and fewer jobs ended than went round

`overrated` is what limiters of Sidekiq Enterprise and sidekiq-throttled write into a payload that they send back. Going
round is seen with `--for`: the same jids, at another end of the queue.

## When it is wrong
A limit that is meant to hold jobs back for hours: raise `turns`.

## Confirm by hand
`redis-cli lindex queue:NAME -1`: `overrated`; the same jid twice, some seconds apart, at both ends of the queue.

## How to fix
Widen the limit; or give the class a queue of its own with as many threads as the limit lets run.

Risk: a wider limit lets more through to whatever it guards.

Undo: the old limit.

## Unknown when
Payloads may not be read; nothing was sent back by its own count, and there is only one reading.

## Source
Sidekiq issue 6010; sidekiq-throttled issue 94.

- LEAST: jobs that go round; a choice.
- HOUR: seconds.
"""

from collections import Counter
from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Series, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.queues import Durations, JobCounts, Place, Sample, Samples

TURNS = Threshold(
    name="turns",
    default=10,
    unit="times",
    meaning="A limiter may send a job back so often.",
    source="the catalogue's",
    least=1,
)
LEAST = 3
HOUR = 3600.0
SHOWN = 5


@check("QUE020", severity=Severity.MEDIUM, thresholds=(TURNS,))
def limiter_churn(
    samples: Series[Samples], counts: Series[JobCounts], durations: Durations | Missing, thresholds: Thresholds
) -> Iterator[Verdict]:
    sent_back: dict[str, list[tuple[Place, Sample]]] = {}
    for place, one in samples.last.all:
        if one.overrated >= thresholds[TURNS]:
            sent_back.setdefault(one.job_class, []).append((place, one))
    for name, found in sorted(sent_back.items()):
        yield _counted(name, found, samples.last, durations)
    ended = counts.rise(lambda one: one.processed)
    rounds = {
        place.queue: _round(samples.first.place(place.name), place) for place in samples.last.places if place.queue
    }
    for name, went in rounds.items():
        if len(went) >= LEAST and ended is not None and ended < len(went):
            yield _going(name, went, ended, samples, durations)
    if samples.last.unread:
        yield Unknown(f"not every payload was looked at: {samples.last.unread}", "a budget that reaches all queues")
    waiting = any(place.queue for place in samples.last.places)
    if waiting and not sent_back and (lacks := samples.lacks()) is not None:
        yield Unknown(f"no job counts its turns; whether they go round: {lacks.reason}", lacks.unlock)
    yield Evidence("jobs that were sent back often", str(sum(map(len, sent_back.values()))), samples.last.text)
    yield Evidence("jobs that went round", str(sum(map(len, rounds.values()))), f"within {samples.window_s:.0f} s")


def _round(first: Place, last: Place) -> list[Sample]:
    """Jobs that stood at the front and are now behind what stood behind them."""
    if first.newest or last.newest:
        behind = {one.jid: one for one in last.newest}
        return [behind[one.jid] for one in first.oldest if one.jid and one.jid in behind]
    places = {one.jid: index for index, one in enumerate(last.oldest) if one.jid}
    common = [one for one in first.oldest if one.jid in places]
    if not common:
        return []
    return [one for one in common if places[one.jid] > places[common[-1].jid]]


def _counted(name: str, found: list[tuple[Place, Sample]], samples: Samples, durations: Durations | Missing) -> Finding:
    worst = max(one.overrated for _, one in found)
    evidence = [
        Evidence(one.jid, f"sent back {counted(one.overrated, 'time')}", place.subject) for place, one in found[:SHOWN]
    ]
    title = (
        f"{counted(len(found), f'sampled job of {name} was', f'sampled jobs of {name} were')}"
        f" sent back by a limit, one of them {counted(worst, 'time')}"
    )
    return _told(name, title, evidence, samples, durations)


def _going(
    queue: str, found: list[Sample], ended: float, samples: Series[Samples], durations: Durations | Missing
) -> Finding:
    name, _ = Counter(one.job_class for one in found).most_common(1)[0]
    evidence = [
        Evidence("went round", ", ".join(one.jid for one in found[:SHOWN]), f"within {samples.window_s:.0f} s"),
        Evidence("jobs that ended meanwhile", f"{ended:.0f}", "stat:processed"),
    ]
    title = f"{counted(len(found), 'sampled job')} of {queue} went round, most of {name}, while {ended:.0f} ended"
    return _told(name, title, evidence, samples.last, durations)


def _told(name: str, title: str, evidence: list[Evidence], samples: Samples, durations: Durations | Missing) -> Finding:
    waiting = sum(place.share(sum(one.job_class == name for one in place.sample)).jobs for place in samples.places)
    runs = durations.runs.get(name, 0) if isinstance(durations, Durations) else 0
    drain = f"about {waiting} wait, {runs} ran within the hour"
    drain += f": {waiting / runs * HOUR:.0f} s at that limit" if runs else ": no end at that limit"
    shown = (*evidence, Evidence("drains in", drain, "metrics of the last hour"))
    remedy = f"Widen the limit of {name}, or give it a queue of its own with as many threads as the limit lets run."
    return Finding(f"job:{name}", title, remedy, shown)
