"""A herd of retries is due at once.

## Why it hurts
A service was away for ten minutes, and what failed then comes back together: it takes every thread from fresh jobs, and
meets the service that has just recovered.

In the log: thousands of `start` of one class within a minute, and the same error again.

## How it is found
Formula: load = retries due in the fullest of the next ten minutes x mean duration / 60 s, in threads; fails if load
exceeds crowd times the free threads of the living, at least least are due in that minute, and at least 60 % of a sample
of the ten minutes have one class and error

Overdue retries count to the first minute. Durations are Sidekiq's own of the last hour (from 7.0 on).

## When it is wrong
A spread of Sidekiq's own jitter is no herd, and is not told: its minutes are not full.

## Confirm by hand
`redis-cli zcount retry -inf NOW+60`, and so on; `redis-cli zrangebyscore retry -inf NOW+600 limit 0 20`.

## How to fix
Mend the error first; spread the herd (give them other due times), or cap it by a limit or a queue with few threads.

Risk: what is spread comes later.

Undo: nothing to undo.

## Unknown when
The retry set may not be read; durations of that class are not known; no process is alive.

## Source
Sidekiq issue 480 (jitter).

- DOMINANT: share of one class and error that makes a herd; the catalogue's.
- MINUTE: seconds.
"""

from collections import Counter
from collections.abc import Iterator

from kiqdoctor.doctor import Evidence, Finding, Missing, Refused, Severity, Unknown, Verdict, check
from kiqdoctor.doctor.counting import counted
from kiqdoctor.doctor.facts.engine import Threshold, Thresholds
from kiqdoctor.doctor.facts.fleet import Fleet
from kiqdoctor.doctor.facts.queues import Durations, Place, Samples
from kiqdoctor.doctor.facts.redis import ServerTime
from kiqdoctor.doctor.hosts_clock import AGREE, by_hosts, untold

CROWD = Threshold(
    name="crowd",
    default=2,
    unit="times the free threads",
    meaning="Beyond this load a minute's retries are a herd.",
    source="the catalogue's",
)
LEAST = Threshold(
    name="least",
    default=50,
    unit="retries a minute",
    meaning="Fewer are no herd, however busy the threads are.",
    source="ours",
)
DOMINANT = 0.6
MINUTE = 60.0
SHOWN = 5


@check("QUE017", severity=Severity.HIGH, caused_by=("QUE004",), thresholds=(CROWD, LEAST))
def retry_herd(
    samples: Samples, fleet: Fleet, clock: ServerTime, durations: Durations | Missing, thresholds: Thresholds
) -> Iterator[Verdict]:
    place = samples.place("retry")
    if place.size and by_hosts(clock, fleet) != clock:
        why = "it was counted by Redis' clock, and hosts go by another (RED011)" if fleet.by_ours else untold(clock)
        yield Unknown(f"what is due in the next ten minutes is not known: {why}", AGREE)
        return
    if place.unread or (place.size and not place.due):
        yield Unknown(f"what is due in retry is not known: {place.unread or 'it was not counted'}")
        return
    peak = max(place.due, default=0)
    yield Evidence("due by minute, the next ten", ", ".join(map(str, place.due)) or "none", "ZCOUNT retry")
    groups = Counter((one.job_class, one.error_class) for one in place.soon)
    group, count = groups.most_common(1)[0] if groups else (("", ""), 0)
    if peak < thresholds[LEAST] or count < DOMINANT * len(place.soon):
        yield Evidence("most frequent of them", f"{' '.join(group)}: {count} of {len(place.soon)}", "a sample")
        return
    if fleet.partial or not fleet.live:
        yield Unknown(
            f"{counted(peak, 'retry is due', 'retries are due')} in one"
            f" minute; {fleet.partial or 'no process is alive (PRO001)'}"
        )
        return
    mean_s = durations.of(group[0]) if isinstance(durations, Durations) else None
    if mean_s is None:
        why = durations.reason if isinstance(durations, Refused) else "nobody counted it within the last hour"
        yield Unknown(
            f"{counted(peak, 'retry is due', 'retries are due')} in one"
            f" minute, most of {group[0]}; how long one takes: {why}"
        )
        return
    free = sum(max((one.concurrency or 0) - (one.busy or 0), 0) for one in fleet.live if not one.quiet)
    load = peak * mean_s / MINUTE
    if load > thresholds[CROWD] * free:
        yield _finding(place, group, count, peak, load, free, mean_s)
    yield Evidence("load of that minute", f"{load:.1f} threads, {free} are free", f"{mean_s:.2f} s each")


def _finding(
    place: Place, group: tuple[str, str], count: int, peak: int, load: float, free: int, mean_s: float
) -> Finding:
    evidence = (
        Evidence("due by minute, the next ten", ", ".join(map(str, place.due)), "ZCOUNT retry"),
        Evidence("fullest minute", f"{peak} x {mean_s:.2f} s / 60 s = {load:.1f} threads", f"{free} are free"),
        Evidence(f"{group[0]} {group[1]}", f"{count} of {len(place.soon)} sampled", "due within ten minutes"),
    )
    title = (
        f"{counted(peak, 'retry is due', 'retries are due')} in one minute,"
        f" most of {group[0]}: work for {load:.0f} threads, {free} are free"
    )
    remedy = f"Mend {group[1] or 'the error'} first, then spread them, or cap {group[0]}."
    return Finding("set:retry", title, remedy, evidence, key=group[0])
